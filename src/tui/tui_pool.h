/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool as this host's daemon tells it, over its local socket: a round of calls (blocking, a worker thread), and the
 * making of facts out of records (pure).
 */
#pragma once

#include "base/error.h"
#include "base/value.h"
#include "client/client.h"
#include "tui/tui_facts.h"

struct tui_records { /* each a map from reference to record, as <class>.get_all_records gives it */
    struct value pools, hosts, host_metrics, networks;
    struct value pifs, pif_metrics, bonds; /* of this host */
};
void tui_records_done(struct tui_records *r);

/* host_uuid "": the only host there is. NULL with *errp when the host is not among the records. */
struct tui_pool *tui_pool_from(const struct tui_records *r, const char *host_uuid, struct error **errp);

struct tui_pool *tui_pool_read(struct client *c, const char *host_uuid, struct error **errp);

/* SPDX-License-Identifier: Apache-2.0 */
/* A network file and the pool's rows: one made from the other. Loop thread only. */
#pragma once

#include "classes/net_file.h"
#include "classes/net_ops.h"

/* A host as files call it: by its name, or by its uuid where the name is not its alone. The caller owns it. */
char *net_file_host_word(struct db *d, const struct row *host);
/* All of the pool; free with net_file_done. */
struct net_file net_file_of_rows(struct db *d);
/*
 * The row operations that make the pool as the file says. What the file does not name goes (bonds and VLANs of hosts
 * that it names, networks that nothing is on); hosts and NICs that it does not name stay as they are. False with
 * NETWORK_CONFIG_INVALID [line, why] for what cannot be done.
 */
bool net_file_to_ops(const struct net_file *f, struct db *d, struct net_ops *ret, struct error **errp) _warn_unused_;

/* SPDX-License-Identifier: Apache-2.0 */
/* What an event client is told: the changes of its subscription, and their two forms on the wire. Loop thread only. */
#pragma once

#include "api/events.h"

/* What one answer reports. Rows are borrowed until the end of the turn. */
struct events_found {
    struct db_change *changes;
    size_t n;
};

/* False: the log does not reach back to `since`; then ret holds everything as if it were new. */
bool event_find(struct db *d, const struct subscription *s, uint64_t since, struct events_found *ret);
void events_found_done(struct events_found *f);

/* The result of event.from, as JSON text and as a value. */
void event_batch_json(struct db *d, const struct events_found *f, struct buf *out);
struct value event_batch_value(struct db *d, const struct events_found *f);
/* One event, as event.from shows it. */
struct value event_value(const struct db_change *c, uint64_t generation);

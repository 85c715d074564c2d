/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.from and the older event.next. Clients that wait with the same subscription from the same token form one group:
 * a batch of changes is looked at once per group and its answer encoded once per form, so a thousand idle browsers cost
 * little. Waiters wake at the end of each batch of the replica. Loop thread only.
 *
 * A token is "<base>,<generation>", both 20 digits: the replica's random base tells tokens of another process, whose
 * holders get the whole state again.
 */
#pragma once

#include "api/call_private.h"

#define EVENTS_MAX_WAITERS 5000
#define EVENTS_MAX_SUBSCRIPTIONS 2000
#define EVENTS_MAX_WAIT_MS (3600ull * 1000)
/* Scans are at least this far apart, so a stream of small batches becomes fewer, larger answers. */
#define EVENTS_SCAN_MS 2

struct events *events_new(struct api *a);
void events_free(struct events *ev);
/* Ends the waiting calls of a session that is no more. */
void events_session_closed(struct events *ev, struct session *s);

/* What a client listens to. */
struct subscription {
    bool everything;
    bool classes[N_CLASSES];
    struct subscribed_object {
        int class_id;
        struct uuid uuid;
    } * objects;
    size_t n_objects;
};
/* From "*", "class" in any case, "class/OpaqueRef:..."; classes that are not known here are let pass. */
bool subscription_parse(const struct value *classes, struct subscription *ret, struct error **errp) _warn_unused_;
void subscription_done(struct subscription *s);
bool subscription_has(const struct subscription *s, int class_id, const struct uuid *uuid);

#define EVENT_TOKEN_SIZE 48
const char *event_token(uint64_t base, uint64_t generation, char text[static EVENT_TOKEN_SIZE]);
/* *ret_since is 0 for "" and for tokens of another process. False: not a token at all. */
bool event_token_parse(const char *text, uint64_t base, uint64_t newest, uint64_t *ret_since) _warn_unused_;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast passwords may be tried: per source address and per user. Pure: time is a parameter (monotonic milliseconds).
 * Not thread-safe.
 *
 * Every failure is answered after THROTTLE_DELAY_MS (XenServer does so); at most THROTTLE_MAX_PENDING answers wait at a
 * time, and a source or user that failed too often is refused without asking PAM until its bucket has refilled. A local
 * caller (unix socket) has source NULL and is not throttled by source.
 */
#pragma once

#include "base/macro.h"

#define THROTTLE_DELAY_MS 5000
#define THROTTLE_MAX_PENDING 64
#define THROTTLE_SOURCE_BURST 10 /* failures at once per source address (IPv6: per /64) */
#define THROTTLE_USER_BURST 20   /* per user name, over all sources */
#define THROTTLE_REFILL_MS 6000  /* one more try each */

enum throttle_verdict {
    THROTTLE_ALLOW,  /* check the password */
    THROTTLE_REFUSE, /* answer as a wrong password would be, after the delay */
    THROTTLE_BUSY,   /* too many wait already: answer at once and close */
};

struct throttle;
struct throttle *throttle_new(void);
void throttle_free(struct throttle *t); /* accepts NULL */
/*
 * Before a check. ALLOW and REFUSE take a place among those that wait. throttle_succeeded gives it back; otherwise
 * throttle_released does, once the answer is out.
 */
enum throttle_verdict throttle_begin(struct throttle *t, const char *source, const char *user, uint64_t now_ms);
void throttle_succeeded(struct throttle *t, const char *source, const char *user, uint64_t now_ms);
/* After ALLOW and a wrong password: counts it, returns the milliseconds to wait before answering. */
unsigned throttle_failed(struct throttle *t, const char *source, const char *user, uint64_t now_ms);
void throttle_released(struct throttle *t);
unsigned throttle_n_pending(const struct throttle *t);
size_t throttle_n_entries(const struct throttle *t); /* remembered sources and users; bounded */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a host alive? Judged from the times at which its heartbeats were read, pure: time is a parameter. Beats come every
 * second; a host is called dead after LIVENESS_DEAD_MS of silence, alive at the first beat. When this process itself
 * was held up, the beats that wait unread in its sockets are not the peer's fault: time that we did not look does not
 * count.
 */
#pragma once

#include "base/macro.h"

#define LIVENESS_BEAT_MS 1000
/* Two beats missed and most of the third: a late beat (delayed by up to 600 ms) plus two lost ones is still survived;
 * noticed within 3 s. */
#define LIVENESS_DEAD_MS 2600
/* The judge looks this often; a gap between two looks beyond twice this is our own stall. */
#define LIVENESS_LOOK_MS 100

struct liveness {
    bool known; /* a beat has been seen */
    bool alive;
    uint64_t silent_ms;    /* silence that counts */
    uint64_t last_look_ms; /* 0: never */
    uint64_t last_beat_ms; /* for people; 0: never */
};

/* A beat was read now. True when this changed the verdict (dead or unknown to alive). */
bool liveness_beat(struct liveness *l, uint64_t now_ms);
/* The connection has ended in order (the host said it goes down): dead at once. True when this changed the verdict. */
bool liveness_goodbye(struct liveness *l);
/* Looks; to be called every LIVENESS_LOOK_MS, after pending beats have been read. True when this changed the verdict to
 * dead. */
bool liveness_look(struct liveness *l, uint64_t now_ms);
/* Where a judge has just started: each known host gets the whole patience before it is called dead. */
void liveness_start(struct liveness *l, bool assume_alive, uint64_t now_ms);

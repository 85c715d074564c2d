/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves to another pool that came to nothing, while that pool has not been told: pool.untold_moves, by the move's id.
 * The entry is written in the transaction that frees the VM here, so whoever leads the pool next goes on telling. To
 * say "forget" of a move is right for ever: it touches what bears the move's id there, and nothing that was taken.
 * Pure.
 */
#pragma once

#include <stddef.h>

#include "base/uuid.h"
#include "classes/vm_pools_core.h"
#include "wire/tls.h"

#define POOLS_SECRET_SIZE (2 * UUID_TEXT_SIZE) /* of two uuids as text */
#define POOLS_MASTER_SIZE 256                  /* a host name has 253 characters at most */
/* More pools than that are not away at a time; beyond it the one whose time ends first makes room. */
#define UNTOLD_MAX 64
#define UNTOLD_AT_ONCE 4 /* words under way: one pool that is away does not hold up the others */
/* A pool that is repaired over a long weekend still hears of it. What is not told by then is for a person. */
#define UNTOLD_S (7 * 24 * 3600)
/* But a clock that jumps does not end it before this daemon itself has tried for as long. */
#define UNTOLD_TRIES_MS POOLS_QUIET_MS
#define UNTOLD_PAUSE_MIN_MS 2000 /* doubled each time that nobody answers */
#define UNTOLD_PAUSE_MAX_MS 60000

struct pools_untold {
    struct uuid vm;
    char id[UUID_TEXT_SIZE], secret[POOLS_SECRET_SIZE], authority[TLS_FINGERPRINT_SIZE], master[POOLS_MASTER_SIZE];
    int64_t until_s; /* since the epoch */
};
/* The value of an entry. NULL when it would not be read back: a part is empty, too long, or has a blank. */
char *pools_untold_text(const struct pools_untold *u);
/* False when it is no such entry. */
bool pools_untold_read(const char *id, const char *text, struct pools_untold *ret) _warn_unused_;

enum pools_untold_step {
    UNTOLD_SAY,
    UNTOLD_OVER,   /* it has been told, or has nothing of it: the entry goes */
    UNTOLD_GIVE_UP /* the entry goes, and a person is told */
};
/* `tried_ms`: since when this daemon is at it. */
enum pools_untold_step pools_untold_step(const struct pools_untold *u, enum pools_peer peer, int64_t now_s,
                                         uint64_t tried_ms);
/* After so many words without an answer. */
uint64_t pools_untold_pause_ms(unsigned n_said);

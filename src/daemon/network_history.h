/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network changes of the past, in a file of this host: who, when, what, how it ended, and what would undo it. The
 * coordinator tells every live host of each change, so that the next coordinator knows them, too. At most
 * NETWORK_HISTORY_MAX; the oldest are forgotten. Loop thread.
 */
#pragma once

#include "base/value.h"

#define NETWORK_HISTORY_MAX 100

struct network_history;

/* A file that is missing or damaged is an empty history. */
struct network_history *network_history_new(const char *state_dir);
void network_history_free(struct network_history *h);
/* An entry (a map of strings with an "id") more; one of the same id is replaced. */
void network_history_add(struct network_history *h, struct value entry /* taken */);
struct value network_history_all(const struct network_history *h); /* a set, the oldest first; the caller owns it */

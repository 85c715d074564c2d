/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket of an Open vSwitch program: one command, one text answer, one connection each. What ovs-appctl
 * does, without a process. Loop thread only.
 */
#pragma once

#include "ovsdb/ovsdb_conn.h"

/* `text` (borrowed) with error NULL, or NULL with OVSDB_DISCONNECTED, OVSDB_TIMEOUT or OVSDB_ERROR [text, ""]. */
typedef void unixctl_done_fn(const char *text, struct error *error, void *userdata);

struct unixctl;
/* args: strings ended by NULL. `fn` is called exactly once, never from inside. The handle is good until then. */
struct unixctl *unixctl_call(struct loop *l, const char *path, const char *command, const char *const args[],
                             uint64_t timeout_ms, unixctl_done_fn *fn, void *userdata);
void unixctl_cancel(struct unixctl *u); /* `fn` is not called */

/* SPDX-License-Identifier: Apache-2.0 */
/* What actions are made of: calls to this host's daemon, and programs of this host. Worker threads. */
#pragma once

#include "base/value.h"
#include "client/client.h"
#include "tui/tui_action.h"

/* A session with this host's own daemon; NULL, with the reason said. is_host_only: for what works in emergency. */
struct client *tui_work_connect(struct tui_work *w, bool is_host_only);
/* One call; as a task when `as_task`, so that it can be given up. False, with the reason said. */
bool tui_work_call(struct tui_work *w, struct client *c, const char *method, const struct value *params, size_t n,
                   bool as_task, struct value *ret) _warn_unused_;
/* Runs a program; what it printed is said. True when it ended with 0. */
bool tui_work_program(struct tui_work *w, const char *const argv[], uint64_t timeout_ms) _warn_unused_;
/* The program muster-netboot, as the environment or PATH has it. */
const char *tui_work_netboot(void);

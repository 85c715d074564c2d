/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reboot, power off, restart of this host's parts, by the commands of the system (MUSTER_REBOOT_COMMAND and
 * MUSTER_POWEROFF_COMMAND; systemctl by default). Loop thread.
 */
#pragma once

#include "api/hooks.h"
#include "base/error.h"
#include "loop/loop.h"

/* Starts the command for REBOOT or SHUTDOWN; `done` when the system has taken it. */
typedef void power_done_fn(const struct error *error /* borrowed */, void *userdata);
void power_run(struct loop *l, enum api_host_op op, power_done_fn *done, void *userdata);

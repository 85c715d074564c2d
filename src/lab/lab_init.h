/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PID 1 of a node: builds its root, reaps, starts its services in the order a systemd of a real host would, restarts
 * those that fail, and stops them in reverse when its power control (SIGTERM: off, SIGUSR1: restart) or a program
 * inside (the reboot and poweroff commands) asks. Tells the power control each stage over descriptor 3, one line each.
 */
#pragma once

#include "lab/lab.h"

#define INIT_STATUS_FD 3
#define INIT_HOOKS_DIR "/etc/muster-lab/hooks"

int init_main(const char *dir, const char *name, const char *device);

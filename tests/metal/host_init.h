/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PID 1 of a metal host: one static program that is the initial file system's /init and stays. It starts nothing that
 * it can do itself, because in emulation starting a program costs more than anything else. Errors are printed to the
 * console, where the test shows them; whatever failed, the next thing is tried.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define METAL_DIR "/run/metal"
#define METAL_MAX_SCRIPT 65536
#define METAL_MAX_OUTPUT (1 << 20)

void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Waits `ms` or until a child ends. */
void pause_ms(int ms);
/* Starts a program with its output appended to a file; its environment is the host's. Returns its process. */
pid_t spawn(const char *log, const char *const argv[]);
/* Drivers, then the machine's own files (virtiofs, read-only) under what this host has written to its disk; changes to
 * it. */
void root_enter(void);
/* Serves the test's questions on the virtio port "ask"; never returns. Runs in a process of its own. */
_Noreturn void agent_run(void);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fault injection: a network change that is cut off at a chosen place. Each place that a change passes (the way back
 * lies on disk, a step is done, the network is proven, ...) is a point; the file `network-interrupt` in the run folder
 * says at which of them the program ends. It holds "kill N" (SIGKILL at the Nth point, from 1) or "stop N" (it stops
 * there, SIGSTOP, until somebody cuts the power of the host). The folder is root's and empty after a boot.
 *
 * As long as it is there, each point that is passed becomes a line "N name" of `network-points`, which whoever writes
 * the file removes before; at the one that is meant the file goes. A change that ended while it is still there has
 * fewer points. Without it a point costs one open() that fails.
 */
#pragma once

#include "base/macro.h"

#define NET_INTERRUPT_FILE "network-interrupt"
#define NET_INTERRUPT_LOG "network-points"

enum net_interrupt_how { NET_INTERRUPT_NONE, NET_INTERRUPT_KILL, NET_INTERRUPT_STOP };

/* Pure: what the file's text asks for at point `n`. NONE for another point and for a text that is no such thing. */
enum net_interrupt_how net_interrupt_parse(const char *text, unsigned n);

/* A point named `name`; does not return at the one that the file names for "kill". Any thread. */
void net_interrupt_point(const char *run_dir, const char *name);

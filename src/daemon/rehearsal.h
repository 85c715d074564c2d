/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Will this host come back? Gathers, within two seconds, what a restart depends on (the next boot played by
 * muster-netboot, a new proof of the paths, an exchange with the coordinator at full segments, certificate, clock,
 * disk, files, the votes of the others) and has rehearsal_core judge it. One at a time; who asks meanwhile gets the
 * same answer. Loop thread.
 */
#pragma once

#include "daemon/daemon.h"

struct rehearsal;

/* `verdicts`: a set of maps with code, severity (blocker or warning), text and cure; borrowed. Exactly once. */
typedef void rehearsal_done_fn(const struct value *verdicts, void *userdata);
/* `repair`: first writes anew what the host knows by heart and has lost on its disk. */
void rehearsal_start(struct daemon *d, bool repair, rehearsal_done_fn *done, void *userdata);
/* Answers the coordinator's and members' exchanges; once there is a pool channel. */
void rehearsal_serve(struct daemon *d);
/* When the daemon ends, after all other parts; whoever waits gets no answer any more. */
void rehearsal_free(struct daemon *d);

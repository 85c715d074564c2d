/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A leg's way to the wire: probes out, probes in. Opened again by itself when its interface comes back. The prober
 * knows nothing else of sockets, so a simulation puts wires of its own under it. Loop thread only.
 */
#pragma once

#include "loop/loop.h"
#include "probe/probe_frame.h"

struct probe_port;
typedef void probe_port_frame_fn(struct probe_port *port, const struct probe_frame *f, void *userdata);
/* After a number of frames: there are no more for now. */
typedef void probe_port_idle_fn(struct probe_port *port, void *userdata);

/* `leg`: the NIC's name; it need not exist yet. Nothing is called before the next turn of the loop. */
struct probe_port *probe_port_new(struct loop *l, const char *leg, probe_port_frame_fn *frame, probe_port_idle_fn *idle,
                                  void *userdata);
void probe_port_free(struct probe_port *port); /* accepts NULL; also from inside of its functions */
/* Whether it arrives is for the other end to say: also a frame above the leg's MTU, or without a link, is sent. */
void probe_port_send(struct probe_port *port, const uint8_t *frame, size_t size);

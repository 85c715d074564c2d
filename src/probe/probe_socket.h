/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw packet socket on one leg that hears every probe frame which arrives there, also on a bond's standby leg and
 * under a bridge or switch datapath: it listens to all ethertypes behind a kernel filter (a socket bound to the
 * ethertype sees nothing on a kernel datapath), ignores what we send, and takes the VLAN from auxiliary data.
 * Non-blocking. Loop thread.
 */
#pragma once

#include "probe/probe_frame.h"

/* Opens a descriptor on interface `name`. The descriptor (>= 0), or negative errno. */
int probe_socket_open(const char *name) _warn_unused_;
/* 0, or negative errno (-EMSGSIZE: larger than the interface's own MTU; -ENETDOWN: the link is down). */
int probe_socket_send(int fd, const uint8_t *frame, size_t size) _warn_unused_;
/* 1 and *ret when a sound probe was read, 0 when what was read is none, -EAGAIN when nothing is left, other negative
 * errno. */
int probe_socket_receive(int fd, struct probe_frame *ret) _warn_unused_;

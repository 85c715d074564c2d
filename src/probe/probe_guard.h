/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps probe frames out of the switch's own forwarding: one OpenFlow rule per bridge that drops the probe ethertype
 * before anything is learned from it or flooded. Spoken directly to the bridge's management socket (OpenFlow 1.0).
 * Blocking, a few milliseconds: call it from a worker job. The rule is lost when the switch daemon restarts, so it is
 * repeated.
 */
#pragma once

#include "base/macro.h"

/* `socket_path`: RUN/openvswitch/<bridge>.mgmt. 0 when the switch has confirmed the rule, else negative errno (-EPROTO:
 * it refused). */
int probe_guard_install(const char *socket_path, int timeout_ms) _warn_unused_;

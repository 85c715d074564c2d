/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A switch in memory with the same interface and the same habits as the real one: a transaction goes through whole or
 * not at all, a bridge's port without mtu_request follows the smallest interface, an MTU that a NIC refuses is reported
 * nowhere. It does not touch the kernel's links; `on_commit` may do so for a test. For tests.
 */
#pragma once

#include "ovs/ovs.h"

struct ovs *ovs_fake_new(void);
/* Called after each commit, when the switch has "worked through" it. May be NULL. */
void ovs_fake_on_commit(struct ovs *o, void (*fn)(const struct ovs_state *s, void *userdata), void *userdata);
/* The next commit fails with this sentence; once. */
void ovs_fake_fail_next(struct ovs *o, const char *sentence);
/* The switch stops taking configurations: cur_cfg stays where it is. */
void ovs_fake_set_stuck(struct ovs *o, bool stuck);
/* Whether the other end of bonds with LACP agrees; it does at first. */
void ovs_fake_set_lacp(struct ovs *o, bool agreed);
void ovs_fake_set_running(struct ovs *o, bool running);
/* The interface never gets more than this MTU, whatever is requested. 0: any. */
void ovs_fake_limit_mtu(struct ovs *o, const char *iface, int mtu);
const struct ovs_state *ovs_fake_state(const struct ovs *o);

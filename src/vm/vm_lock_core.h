/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VM's interface may send, as flows of the switch. Pure. A lock is a map: vif (uuid text), mac, lock ("locked",
 * "disabled" or "unlocked"), v4 and v6 (sets of addresses).
 */
#pragma once

#include "base/value.h"

/* The mark of the interface's flows: the first half of its uuid. 0 for a text that is none. */
uint64_t vm_lock_cookie(const char *vif);
/*
 * Lines for `ovs-ofctl --bundle add-flows`: first all flows of the interface go, then those that it is to have come, in
 * one step of the switch. *ret_n: how many it has then. The caller frees.
 */
char *vm_lock_flows(const struct value *lock, int64_t port, unsigned *ret_n);

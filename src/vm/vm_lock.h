/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locking modes of the interfaces of VMs on this host, kept in the switch: looked at every few seconds and whenever a
 * row that they depend on changes, so that a switch that has started anew has them again. An interface that is locked
 * or disabled begins without a link; it gets one when its flows are in the switch. Loop thread.
 */
#pragma once

#include "vm/vm_agent_private.h"

struct vm_locks;
struct vm_locks *vm_locks_new(struct vm_agent *a);
void vm_locks_look(struct vm_locks *l);
/* Waits for what the switch is asked; then, when the hypervisor is asked nothing any more, it can be freed. */
void vm_locks_stop(struct vm_locks *l);
void vm_locks_free(struct vm_locks *l);
/* The call vm_lock: vm, and a lock (vm_lock_core.h): it is in force when the answer comes. */
pool_serve_fn vm_serve_lock; /* userdata: the agent */

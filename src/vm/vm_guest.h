/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the agents inside this host's guests every ten seconds and shows what they say (VM_guest_metrics). Loop thread.
 */
#pragma once

#include "vm/vm_agent_private.h"

struct vm_guests;
struct vm_guests *vm_guests_new(struct vm_agent *a);
void vm_guests_stop(struct vm_guests *g); /* nobody is asked any more; free it when nobody can answer any more */
void vm_guests_free(struct vm_guests *g);

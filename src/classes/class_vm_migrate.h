/* SPDX-License-Identifier: Apache-2.0 */
/* Moving a VM, for the calls that do so. Loop thread. */
#pragma once

#include "classes/vm_migrate_plan.h"

struct class_vm_wish { /* all borrowed for the call */
    const struct row *vm, *to;
    const struct value *vdi_map, *vif_map; /* NULL: none */
    const struct value *options;           /* a map of texts: network, compress, bandwidth (MiB/s), stall_s */
    const char *data_address;              /* NULL: as the network of the options has it */
    const char *operation;                 /* pool_migrate or migrate_send; lives for ever */
    bool only_asks, returns_ref;
};
/* Ends the call, at once or later. */
void class_vm_move(struct call *c, const struct class_vm_wish *w);

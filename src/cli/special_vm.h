/* SPDX-License-Identifier: Apache-2.0 */
/* What commands about VMs and about their snapshots share. */
#pragma once

#include "cli/xe.h"

/* Ends a VM, deletes the disks that no other VM has, and the VM. */
bool vm_remove_with_disks(struct xe *x, const struct value *vm, struct error **errp) _warn_unused_;

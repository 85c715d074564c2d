/* SPDX-License-Identifier: Apache-2.0 */
/* allowed_operations of VMs, their devices, disks and storage, from rows into the volatile store. Coordinator only. */
#pragma once

#include "api/api.h"
#include "classes/vm_allowed_core.h"

enum vm_kind vm_allowed_kind(const struct row *vm);
/* The field current_operations of a class that is kept here; -1 of others. */
int vm_allowed_current_field(int class_id);
/* `current`: an operation under way on it, NULL for none. */
void vm_allowed_show(struct api *a, const struct row *r, const char *current);
/* Those that depend on the row: devices of a VM, the disk of a device, disks of a repository. */
void vm_allowed_show_neighbours(struct api *a, const struct row *r);

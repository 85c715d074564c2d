/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a running VM can move to a host, and what moves with it: everything that rows can tell, before anything is
 * copied. Loop thread.
 */
#pragma once

#include "api/api.h"

struct vm_move_wish {
    const struct row *vm, *to;
    const struct row *network;   /* that memory and disks go through; NULL: that of management */
    const struct value *vdi_map; /* reference of a disk -> that of the SR it goes to; NULL: no disk moves */
    const struct value *vif_map; /* reference of an interface -> that of its network there; may be NULL */
};

struct vm_move_plan {
    struct uuid vm, from, to;
    char *data_address;        /* of `to` */
    struct value record;       /* VM.migration, without the id */
    struct value disks;        /* to be made there, as vm_receive takes them */
    struct value nics;         /* whose bridges must be there, the same */
    struct value swaps, names; /* as vm_send takes them */
};

/* False with *errp, the API's code: HOST_OFFLINE, HOST_DISABLED, VM_REQUIRES_NETWORK, VM_REQUIRES_SR, SR_FULL,
 * VDI_IN_USE, HOST_NOT_ENOUGH_FREE_MEMORY, VM_HOST_INCOMPATIBLE_VERSION_MIGRATE, HOST_CANNOT_ATTACH_NETWORK,
 * INTERFACE_HAS_NO_IP, VM_MIGRATE_FAILED (the path is too small), ... */
bool vm_move_plan(struct api *a, const struct vm_move_wish *w, struct vm_move_plan *ret, struct error **errp);
void vm_move_plan_done(struct vm_move_plan *p);
/* The live host that has most free memory of those that the VM could move to without its disks; NULL with *errp. */
const struct row *vm_move_choose(struct api *a, const struct row *vm, const struct row *network, struct error **errp);
/* The address that a host has on a network; "" with *errp (HOST_CANNOT_ATTACH_NETWORK and its kind). */
const char *vm_move_address(struct db *d, const struct row *host, const struct row *network, struct error **errp);

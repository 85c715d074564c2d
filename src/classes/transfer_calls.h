/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Import and export of disks and VMs, the coordinator's part: what may be carried, on which host, and what the rows say
 * afterwards. The bytes are the daemon's affair (daemon/transfer.h). Loop thread, coordinator.
 */
#pragma once

#include "classes/vm_ops.h"

struct transfer_plan {
    struct uuid host;  /* whose storage it is */
    struct value args; /* for transfer_open (vm/vm_agent.h), but for the id; owned */
    int64_t size;      /* bytes that are to flow, for the progress; as far as it is known */
    bool is_exact;     /* that many they are */
    char name[64];     /* of a file that is sent */
    /* The host has done it: the rows, and the answer. Either of the two; the second takes `data`. */
    vm_op_answer_fn *done;
    void (*done_with)(struct vm_op *op, const struct value *result, void *data);
    void *data; /* freed with the plan, when it has not been taken */
    void (*free_data)(void *data);
};
void transfer_plan_done(struct transfer_plan *p);

/*
 * Each looks whether it may be, begins the operation and fills in the plan; NULL with the call failed otherwise.
 * `format` is raw, vhd or qcow2. `offset` and `size`: the part of a raw disk that is wanted; -1: to its end.
 */
struct vm_op *transfer_vdi_export(struct call *c, const struct row *vdi, const char *format, int64_t offset,
                                  int64_t size, struct transfer_plan *p);
/* `length`: what the client has announced; -1: nothing. */
struct vm_op *transfer_vdi_import(struct call *c, const struct row *vdi, const char *format, int64_t length,
                                  bool is_chunked, struct transfer_plan *p);

/* An XVA archive of the VM, packed with `compress` ("gzip", "zstd", or "" for not). */
struct vm_op *transfer_vm_export(struct call *c, const struct row *vm, const char *compress, struct transfer_plan *p);
/* A new VM out of one, with its disks on `sr` (NULL: the pool's default). is_restore: it keeps its uuid and its
 * addresses. is_forced: an interface whose network is not known here is left out. */
struct vm_op *transfer_vm_import(struct call *c, const struct row *sr, bool is_restore, bool is_forced, int64_t length,
                                 struct transfer_plan *p);

/* Whether a VM that is not halted has the disk. */
bool transfer_vdi_is_attached(struct db *d, const struct row *vdi);

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
    /* The host has done it: the rows, and the answer. */
    vm_op_answer_fn *done;
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

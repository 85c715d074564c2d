/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a VM's rows and disks once more: for clones, copies and snapshots (class_vm_clone.c has the common part). The
 * operation is on the VM that is the model; its data is a map:
 *   name        of the new VM
 *   kind        "clone", "copy", "snapshot" or "checkpoint"
 *   sr          uuid text of the storage for copies; "" for where each disk is
 *   made        set of maps: vbd, vdi (of the new disk), sr, host, base, base_size, physical_size
 *   next        number of the VBD that is looked at
 *   memory      of a checkpoint: uuid text of the VDI that holds it, and its storage in memory_sr
 * Loop thread, coordinator.
 */
#pragma once

#include "classes/vm_ops.h"

/* Fills in the data; `sr` may be NULL. */
void vm_copy_init(struct vm_op *op, const char *kind, const char *name, const struct uuid *sr);
/* Makes the disks one after the other on a host, then the rows, and answers the call. */
void vm_copy_disks(struct vm_op *op);
/* The disks are there as `made` says: the rows, and the answer. */
void vm_copy_rows(struct vm_op *op);
/* Takes the disks of `made` away again and fails the operation. */
void vm_copy_undo(struct vm_op *op, struct error *e /* taken */);
/* All that the pool database has of a row, into another of its class. */
void vm_copy_fields(struct db_txn *t, const struct row *from, const struct uuid *to);
/* An entry of `made`, with fresh names: the disk `vdi` of `vbd` is to go on from a common base in its storage. */
struct value vm_copy_fork(const struct row *vbd, const struct row *vdi, const struct row *host);
/* The entry of `made` for this disk of the VM; NULL when none was made for it. Borrowed from the operation. */
const struct value *vm_copy_made_for(struct vm_op *op, const struct row *vbd);
/* The rows of a disk that was forked off `vdi`: the child and the base; `m` is an entry of `made`. */
void vm_copy_put_disk(struct db_txn *t, const struct row *vdi, const struct value *m);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is being done with VMs, disks and their kind on this coordinator: each operation shows in current_operations
 * from its beginning to its end, keeps others from beginning, asks hosts, and waits until the rows say what was wanted.
 * Here allowed_operations are kept right as well: whenever a row changes that they depend on. Loop thread.
 *
 * An operation belongs to a kept call and ends it: vm_op_return* and vm_op_fail answer the call and free the operation.
 */
#pragma once

#include "api/api.h"

struct vm_op;
typedef void vm_op_fn(struct vm_op *op);
typedef void vm_op_answer_fn(struct vm_op *op, const struct value *result /* borrowed */);

/* Keeps allowed_operations and the measurements of VMs that run nowhere; once per daemon. */
void vm_ops_watch(struct api *a);

/*
 * Begins on a row of class VM, VBD, VIF, VDI or SR; keeps the call. NULL with the call failed when something else is
 * being done with it (OTHER_OPERATION_IN_PROGRESS).
 */
struct vm_op *vm_op_begin(struct call *c, const struct row *object, const char *operation);
/* The same for what has no current_operations of its own: a call that asks hosts. */
struct vm_op *vm_op_plain(struct call *c);
/* Whether the VM may be subjected to it; false with the call failed (VM_BAD_POWER_STATE and its kind). */
bool vm_op_check(struct call *c, const struct row *vm, const char *operation);
bool vm_op_is_busy(struct api *a, const struct uuid *object);

struct call *vm_op_call(struct vm_op *op);
struct db *vm_op_db(struct vm_op *op);
const struct uuid *vm_op_object(const struct vm_op *op);
/* The row it is about; NULL with the operation failed when it is gone. */
const struct row *vm_op_row(struct vm_op *op);
/* What its functions keep in it; freed with it. `data` is VALUE_VOID at first. */
struct value *vm_op_data(struct vm_op *op);

/* Asks a host; an error ends the operation, unless `failed` is given. */
void vm_op_ask(struct vm_op *op, const struct uuid *host, const char *name, struct value args /* taken */,
               uint64_t deadline_ms, vm_op_answer_fn *then);
/* What is done instead of failing when a question of this operation has failed; NULL: fail. */
void vm_op_on_failure(struct vm_op *op, void (*failed)(struct vm_op *op, struct error *e /* taken */));
/* Said before vm_op_wait: a client that cancels the task ends nothing yet, `fn` asks for it. NULL: as usual, the wait
 * ends with TASK_CANCELLED. */
void vm_op_on_cancel(struct vm_op *op, vm_op_fn *fn);
/* Said before vm_op_wait: while it waits, `fn` is called every period_ms. */
void vm_op_repeat(struct vm_op *op, uint64_t period_ms, vm_op_fn *fn);
/* Waits until is_there says so of the rows; at the deadline the operation fails with `late` (taken, owned meanwhile).
 */
void vm_op_wait(struct vm_op *op, bool (*is_there)(struct vm_op *op), uint64_t deadline_ms, struct error *late,
                vm_op_fn *then);
/* Commits as the coordinator; an error ends the operation (or goes to the function of vm_op_on_failure). */
void vm_op_commit(struct vm_op *op, struct db_txn *t /* taken */, vm_op_fn *then);

void vm_op_return_void(struct vm_op *op);
void vm_op_return(struct vm_op *op, struct value result /* taken */);
void vm_op_return_ref(struct vm_op *op, const struct uuid *u);
void vm_op_fail(struct vm_op *op, struct error *e /* taken */);

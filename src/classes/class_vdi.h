/* SPDX-License-Identifier: Apache-2.0 */
/* What imports and exports need of class VDI. Loop thread. */
#pragma once

#include "classes/vm_ops.h"

/* Begins an operation on the content of a disk that no VM has and that a live host (*ret_host) reaches; NULL with the
 * call failed. */
struct vm_op *vdi_op_begin(struct call *c, const struct row *vdi, const char *operation, bool writes,
                           const struct row **ret_host);
/* Commits `t`, by which nothing goes on from `base` for this disk any more; when nothing else does, `base` goes too, in
 * the background. */
void vdi_op_commit_without_base(struct vm_op *op, struct db_txn *t /* taken */, const struct row *base, vm_op_fn *then);

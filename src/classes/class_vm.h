/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of class VM share. Loop thread. */
#pragma once

#include "db/db.h"

/* Devices of a VM that runs nowhere by a person's word are unplugged. */
void class_vm_detach_devices(struct db *d, struct db_txn *t, const struct row *vm);
/* A hardware address of the locally administered kind. The caller frees. */
char *class_vm_random_mac(void);
/* The pool's own template and kinds of storage, where they are missing. Coordinator; called from time to time. */
struct api;
void class_vm_make_defaults(struct api *a);

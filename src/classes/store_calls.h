/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a host about storage (store/store.h). Loop thread. */
#pragma once

#include "classes/vm_ops.h"

/* A live host that has the SR attached, this one first; NULL with *errp (SR_HAS_NO_PBDS, SR_NOT_ATTACHED,
 * HOST_OFFLINE). */
const struct row *store_host(struct api *a, const struct row *sr, struct error **errp);
/* The arguments of an operation on an SR as a host has it, or of one on a disk of it. */
struct value store_args(struct db *d, const char *op, const struct uuid *sr, const struct uuid *host);
struct value store_disk_args(struct db *d, const char *op, const struct row *vdi, const struct uuid *host);
#define STORE_MS (2 * 60 * 1000)
#define STORE_COPY_MS (60 * 60 * 1000)
/* What a host measured (virtual_size, physical_size), into the row of a disk. */
void store_put_sizes(struct db_txn *t, const struct uuid *vdi, const struct value *result);
/* SR_UNKNOWN_DRIVER, but for the types that there are (store/store_place_core.h). */
bool store_check_type(const struct row *sr, struct error **errp) _warn_unused_;
/* Its disks can be made, changed and removed: SR_OPERATION_NOT_SUPPORTED for discs (type "iso") and
 * LUNs ("iscsi"). */
bool store_check_changeable(const struct row *sr, struct error **errp) _warn_unused_;
/* INVALID_VALUE when a device_config does not do for the type of SR. */
bool store_check_config(const char *type, const struct value *config, struct error **errp) _warn_unused_;
/* A new row of a disk that lies in the SR. */
void store_insert_vdi(struct db_txn *t, const struct uuid *vdi, const struct uuid *sr, const char *format);
/* Where a disk's row says that it lies; the row is in the transaction already. */
void store_place_vdi(struct db_txn *t, const struct uuid *vdi, const struct uuid *sr, const char *format);
/* A new row of a disk that holds the memory of a VM. */
void store_insert_memory(struct db_txn *t, const struct uuid *vdi, const struct uuid *sr);
/* What a disk goes on from; NULL for nothing. Whether anything goes on from it. */
const struct row *store_base_of(struct db *d, const struct row *vdi);
bool store_is_base(struct db *d, const struct row *base);
/* The row of the base that a fork of `vdi` has made, and the mark on `vdi` that it goes on from there. */
void store_insert_base(struct db_txn *t, const struct uuid *base, const struct row *vdi, int64_t physical_size);

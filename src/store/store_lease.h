/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases of disks on storage that several hosts have. A disk that somebody may write has a folder ".leases/<disk>" with
 * one file in it, whose name says who (store_lease_core.h). It is taken by renaming a folder that has the file already
 * to that name, which a server does at once and only where nothing, or an empty folder, is; it is given back, or
 * broken, by removing the file by its own name, which can never meet a later lease. Blocking; callers of one host take
 * turns per repository.
 */
#pragma once

#include "base/value.h"
#include "store/store_folder.h"
#include "store/store_lease_core.h"

/* Takes it for `me`; well also when `me` has it. VDI_IN_USE (the disk, "lease", host, VM, generation) when another has
 * it, SR_BACKEND_FAILURE when the storage does not do what is asked. */
bool lease_take(const struct folder *f, const struct uuid *vdi, const struct lease_id *me,
                struct error **errp) _warn_unused_;
/* False when `me` has it no more. */
bool lease_check(const struct folder *f, const struct uuid *vdi, const struct lease_id *me,
                 struct error **errp) _warn_unused_;
/* Gives back what `me` has; well also when it has nothing. */
bool lease_release(const struct folder *f, const struct uuid *vdi, const struct lease_id *me,
                   struct error **errp) _warn_unused_;
/* In one step from one holder to another, for a VM that goes from host to host; VDI_IN_USE when `from` has it not. */
bool lease_pass(const struct folder *f, const struct uuid *vdi, const struct lease_id *from, const struct lease_id *to,
                struct error **errp) _warn_unused_;
/* Gives back what this host has of earlier boots, or of VMs that are not running on it. `*ret_n`: how many. */
bool lease_sweep(const struct folder *f, const struct uuid *host, int64_t generation, const struct uuid *running,
                 size_t n_running, int64_t *ret_n, struct error **errp) _warn_unused_;
/* By a person's word: takes them from `host` (NULL: whoever it is), of one disk or (NULL) of all. Of one disk, and from
 * whoever it is, also what cannot be read. */
bool lease_break(const struct folder *f, const struct uuid *vdi, const struct uuid *host, int64_t *ret_n,
                 struct error **errp) _warn_unused_;
/* All leases, as a set of maps: vdi, host, vm, generation; what may be of any disk with vdi "" and `damaged`, its name.
 */
bool lease_list(const struct folder *f, struct value *ret, struct error **errp) _warn_unused_;
/* Whether this storage does what leases need: refuses to rename a folder over one that is not empty. */
bool lease_check_storage(const struct folder *f, struct error **errp) _warn_unused_;
/* The folder of a disk's leases goes, when there is no lease in it; all of them, with vdi NULL. */
void lease_forget(const struct folder *f, const struct uuid *vdi);
#define LEASES_FOLDER ".leases"
/* Begins the name of what may be the lease of any disk (a block of a board that cannot be read): it stands among the
 * leases of each disk that is not given to anybody because of it. */
#define LEASES_DAMAGED "damaged-"

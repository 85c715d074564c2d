/* SPDX-License-Identifier: Apache-2.0 */
/* From rows to what a host is told: the specification of a VM and of its devices (virt/virt_xml_core.h), and where
 * disks lie. Loop thread. */
#pragma once

#include "base/error.h"
#include "db/db.h"

/* The whole VM as `host` is to run it. VALUE_VOID with *errp when a disk cannot be found there. */
struct value vm_spec(struct db *d, const struct row *vm, const struct uuid *host, struct error **errp);
/* A disk on storage that hosts share says so with `shared`: path, sr, vdi, format, write (its lease is needed). */
struct value vm_spec_disk(struct db *d, const struct row *vbd, const struct uuid *host, struct error **errp);
struct value vm_spec_nic(struct db *d, const struct row *vif);
/* What it may send: "locked", "disabled" or "unlocked", the network's default looked up. */
const char *vm_spec_lock(struct db *d, const struct row *vif);

/* A place among the disks, from what clients write: "0", "xvda", "vda", "hda", "sda". -1: none of these. */
int vm_spec_place(const char *userdevice);
/* Places for CDs: the emulated IDE bus has four. */
#define VM_CDS_MAX 4
#define VM_DISKS_MAX 26

/* The PBD of a host for an SR, or NULL. */
const struct row *vm_spec_pbd(struct db *d, const struct uuid *sr, const struct uuid *host);
/* The place of a PBD's repository (store/store_place_core.h), "" when it has none; the caller frees. */
char *vm_spec_folder(struct db *d, const struct row *pbd);
/* Path, or URL, of a disk's image there; the caller frees. */
char *vm_spec_file(struct db *d, const struct row *pbd, const struct row *vdi);
const char *vm_spec_format(const struct row *vdi);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storage that lies in a folder of this host or of an NFS server, or in LUNs of an iSCSI target: a repository is a
 * folder with a mark in it, a disk is a file named by its uuid, "<uuid>.qcow2" or "<uuid>.raw"; "<uuid>.save" holds the
 * memory of a suspended VM. Everything here blocks: worker threads only, one at a time per repository. What lies on a
 * server is done by a helper program, which is ended when the server does not answer in time.
 *
 * Every path that is touched is made here, from the repository's folder and a uuid: no name that a client chose reaches
 * the file system.
 */
#pragma once

#include "base/error.h"
#include "base/uuid.h"
#include "base/value.h"
#include "store/store_place_core.h"

/*
 * Runs one operation by name; false with *errp. `args` has `path` (the place, store_place_core.h) and `sr` (its uuid),
 * `type` where it is "iso" (store_iso.h), and:
 *   create           makes the folder and the mark; refused in a folder that has anything in it
 *   attach           checks that the mark is there, and that shared storage does what leases need
 *   destroy          removes the mark and an empty folder; refused while there are disks
 *   stat             -> size, used
 *   scan             -> size, used, vdis: a set of maps: vdi, format, virtual_size, physical_size, parent
 *   vdi_create       vdi, format, size                       -> virtual_size, physical_size
 *                    (format "save" only with `memory`: room for the memory of a VM that comes from another pool)
 *   vdi_destroy      vdi, format                             well also when the file is gone
 *   vdi_resize       vdi, format, size (not smaller)         -> virtual_size, physical_size
 *   vdi_stat         vdi, format                             -> virtual_size, physical_size
 *   vdi_fork         vdi, format (qcow2), base, child        the disk's content becomes `base`, read only from then on;
 *                    the disk and `child` go on from it      -> physical_size of the base
 *   vdi_copy         vdi, format, to_path, to_sr, to, to_format   -> virtual_size, physical_size
 *   check            that it still answers
 *   import_forget    host, run, id: removes what the transfer has left half-made
 * On storage that hosts share (store_place_core.h) every request says for whom it is: `host` (a uuid) and `generation`
 * (its boots); operations that write a disk hold its lease meanwhile, and VDI_IN_USE says who has it. Also there:
 *   open             disks (a set of maps: vdi, format, write), vm   takes the leases of those that are written
 *                    -> chains: of each disk (a uuid) a set of the files that it goes on from, nearest first
 *   lease_release    vdis (a set of uuids), vm
 *   lease_pass       vdis, vm, to_host, to_generation       from this host to another, in one step for each disk
 *   lease_sweep      running (a set of uuids of VMs)        gives back what stands for nothing here -> n
 *   lease_break      vdi or nothing, holder (a host) or nothing   by a person's word -> n
 *   lease_list       -> leases: a set of maps: vdi, host, vm, generation; damaged where nobody can tell of which disk
 * With `parent`, a process, the helper program does nothing when that is not its parent, and ends when it does.
 * And without a repository, `path` empty:
 *   probe            type, server, serverpath or nothing    -> xml: what is there, as XenServer says it
 *                    type "iscsi": config, a device_config
 * On iSCSI targets (store_board.h) also `initiator`: the name under which this host logs in.
 * Disks are made there by others: vdi_create, vdi_destroy, vdi_resize and vdi_fork are refused; a scan adds name,
 * SCSIid and LUNid, and open -> sources: of each disk (a uuid) what QEMU is to open,
 * "iscsi://server:port/<target>/<LUN>".
 */
bool store_run(const char *op, const struct value *args, struct value *ret, struct error **errp) _warn_unused_;

#define STORE_SIZE_MAX ((int64_t)64 << 40)

/* How long an operation may take at most before its program is ended; milliseconds. */
uint64_t store_deadline_ms(const char *op);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The storage array of a lab: an NFS server in user space (nfs-ganesha) and an iSCSI target (tgt) on a disk of its own.
 * What they serve lies in ROOT_ARRAY_DIR of the node, on the disk itself, so that it outlives restarts.
 */
#pragma once

#include "base/error.h"
#include "lab/lab_service.h"

#define ARRAY_EXPORT "/srv/array/nfs" /* the path that NFS clients name */
#define ARRAY_TARGET "iqn.2026-01.lab.muster:array"
#define ARRAY_N_LUNS 5 /* LUNs 1.. of ARRAY_LUN_MIB each, but for the last, a small one that leases can be kept on */
#define ARRAY_LUN_MIB 64
#define ARRAY_LAST_LUN_MIB 2

/* As PID 1 of the array: starts its services and returns when they answer. */
bool array_boot(struct services *s) _warn_unused_;
/* The programs it needs are installed. */
bool array_check_tools(struct error **errp) _warn_unused_;

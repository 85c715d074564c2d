/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storage that lies in a folder of this host: a repository is a folder with a mark in it, a disk is a file named by its
 * uuid, "<uuid>.qcow2" or "<uuid>.raw"; "<uuid>.save" holds the memory of a suspended VM. Everything here blocks:
 * worker threads only, one at a time per repository.
 *
 * Every path that is touched is made here, from the repository's folder and a uuid: no name that a client chose reaches
 * the file system.
 */
#pragma once

#include "base/error.h"
#include "base/uuid.h"
#include "base/value.h"

/*
 * Runs one operation by name; false with *errp. `args` has `path` (the folder) and `sr` (its uuid), and:
 *   create           makes the folder and the mark; refused in a folder that has anything in it
 *   attach           checks that the mark is there
 *   destroy          removes the mark and an empty folder; refused while there are disks
 *   stat             -> size, used
 *   scan             -> size, used, vdis: a set of maps: vdi, format, virtual_size, physical_size, parent
 *   vdi_create       vdi, format, size                       -> virtual_size, physical_size
 *   vdi_destroy      vdi, format                             well also when the file is gone
 *   vdi_resize       vdi, format, size (not smaller)         -> virtual_size, physical_size
 *   vdi_stat         vdi, format                             -> virtual_size, physical_size
 *   vdi_fork         vdi, format (qcow2), base, child        the disk's content becomes `base`, read only from then on;
 *                    the disk and `child` go on from it      -> physical_size of the base
 *   vdi_copy         vdi, format, to_path, to_sr, to, to_format   -> virtual_size, physical_size
 */
bool store_run(const char *op, const struct value *args, struct value *ret, struct error **errp) _warn_unused_;

#define STORE_SIZE_MAX ((int64_t)64 << 40)

/* Whether `path` may be the folder of a repository: absolute, no "..", no folder of the system itself. NULL: it may;
 * else why not. */
const char *store_path_trouble(const char *path);
/* "<path>/<uuid>.<format>"; the caller frees. */
char *store_file(const char *path, const struct uuid *vdi, const char *format);

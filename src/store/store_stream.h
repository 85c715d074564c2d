/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content of disks and VMs as streams: what the helper program does with the descriptor that musterd has given it
 * (CHILD_DATA_FD), a socket that musterd fills or empties. Blocks. An end of the stream that comes too early is an
 * error of what reads it, so whoever cuts the stream ends the operation, and nothing half-made stays.
 */
#pragma once

#include "base/error.h"
#include "base/value.h"

/*
 * Runs one operation. All have `path`, `sr`, `host` and `generation` as in store.h, and `id`, a uuid of the transfer,
 * under which it holds leases.
 *   vdi_export   vdi, format, as (raw, vhd, qcow2), and for raw offset and size: writes it
 *   vdi_import   vdi, format, size, as, length (-1: not known), chunked: reads it into a new image, which then takes
 * the disk's place -> virtual_size, physical_size vm_export    ova (text of ova.xml), disks (a set of maps: ref, path,
 * sr, vdi, format), compress (gzip, zstd, or nothing): writes an XVA archive vm_import    length: reads one, packed or
 * not, into new disks of the repository
 *                -> ova, disks: of each disk by its name in the archive vdi, virtual_size, physical_size
 * Other operations: NOT_IMPLEMENTED.
 */
bool store_stream_run(const char *op, const struct value *args, int fd, struct value *ret,
                      struct error **errp) _warn_unused_;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libvirt is to run, as XML. Pure: a specification in (a value, so that it can travel between hosts), text out.
 * Any thread.
 *
 * A specification is a map:
 *   uuid, name                    text; the domain is named by its uuid, the name is its title
 *   memory, memory_max            bytes
 *   vcpus, vcpus_max
 *   kernel, ramdisk, args         paths on the host and a command line; kernel "": firmware boots
 *   firmware                      "bios" or "uefi"
 *   on_poweroff, on_reboot, on_crash   as libvirt has them: destroy, restart, preserve
 *   disks   set of maps: id (of the VBD), device ("vda", "hdc"), path ("": an empty drive), format (raw, qcow2),
 *           cd, read_only (bool), boot (int, 0: not)
 *   nics    set of maps: id (of the VIF), mac, bridge, mtu, boot, kbps (0: no limit), plain (bool: no offloads, for
 *           a switch that takes frames as they are)
 */
#pragma once

#include "base/value.h"

/* What the host that runs it is like. */
struct virt_host {
    const char *run_dir; /* sockets of consoles */
    bool has_kvm;
    const char *type; /* NULL: kvm or qemu, as has_kvm says; "test", "xen" for other drivers of libvirt */
};

/* The whole domain. The caller frees. */
char *virt_xml_domain(const struct value *spec, const struct virt_host *host);
/* One device, to plug it in or out. The caller frees. */
char *virt_xml_disk(const struct value *disk);
char *virt_xml_nic(const struct value *nic);

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
 *           a switch that takes frames as they are), lock (text; other than "unlocked": it begins without a link)
 *   machine, cpu, features, slot of a device, serial of a disk, slot_video, _serial, _balloon, _random: what a guest
 * that comes from elsewhere has seen so far (virt_machine_core.h); not there: as libvirt chooses
 */
#pragma once

#include "base/buf.h"
#include "base/value.h"

/* What the host that runs it is like. */
struct virt_host {
    const char *run_dir; /* sockets of consoles */
    bool has_kvm;
    const char *type; /* NULL: kvm or qemu, as has_kvm says; "test", "xen" for other drivers of libvirt */
};

/* The whole domain. The caller frees. */
char *virt_xml_domain(const struct value *spec, const struct virt_host *host);
/*
 * A snapshot of the disks that the VM writes to (`live` in each map; device, and the file that it goes over to).
 * `memory`: a file for that of the same instant, or NULL. The caller frees; NULL when there is
 * neither.
 */
char *virt_xml_snapshot(const struct value *disks, const char *memory);
/*
 * A description that libvirt has written (`saved`), in which each disk is where `wanted` has the one of the same name
 * in the guest, and nothing is said of what the images go on from: they say that themselves. The caller frees.
 */
char *virt_xml_refit(const char *saved, const char *wanted);
/*
 * The interface with this address out of a description that libvirt has written, with its link up or down. NULL when
 * there is none, or when its link is as wanted. The caller frees.
 */
char *virt_xml_link(const char *domain, const char *mac, bool up);
/* One device, to plug it in or out. The caller frees. */
char *virt_xml_disk(const struct value *disk);
char *virt_xml_nic(const struct value *nic);
/* Text of strangers as text of XML, in an element or an attribute. */
void virt_xml_add_text(struct buf *out, const char *s);

/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest's agent says (virt.h), as XenAPI has it in VM_guest_metrics. Pure. */
#pragma once

#include "base/value.h"

/* One interface of the VM, for the names of its addresses. */
struct vm_guest_nic {
    const char *mac, *device; /* "02:...", "0" */
};

/* os_version: name, distro, major, minor, uname. */
struct value vm_guest_os(const struct value *facts);
/* networks: "0/ip" the first IPv4 address, "0/ipv4/0", "0/ipv6/0" and so on, by the VM's interfaces. */
struct value vm_guest_networks(const struct value *facts, const struct vm_guest_nic *nics, size_t n);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest sees of the machine that it runs on: it must find the same one where its memory goes on. Pure.
 *
 * Within a pool libvirt's own description travels. Another pool is not believed that far: a description can name any
 * file, program or device of the host that takes it. So only names and numbers travel (a map of texts), and the host
 * that the VM comes to describes the machine itself, with these in their places:
 *   machine          "pc-i440fx-7.2"
 *   cpu, features    a model of libvirt's, and what is added and left out, "+vmx -hle"; not there while it is emulated
 *   slot KEY         of the only PCI bus, in decimal: of a disk (vda), an interface (its address), "video", "serial"
 *                    (the controller of serial ports of virtio), "balloon", "random"
 *   serial KEY       of a disk
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/value.h"

/* Out of what libvirt has written about a VM that runs. A map; VALUE_VOID with *errp when the machine is of another
 * kind than Muster's (another bus than the one, a device that it does not know). */
struct value virt_machine_of(const char *xml, struct error **errp);
/* Into a specification (virt_xml_core.h). False with *errp when a word is none of the above, a slot is taken twice, or
 * a device has none: the guest would not go on. */
bool virt_machine_put(struct value *spec, const struct value *machine, struct error **errp) _warn_unused_;

/* What libvirt reads memory after: the head of a file as virDomainSave writes it, with this description. */
void virt_memory_head(struct buf *out, const char *xml);

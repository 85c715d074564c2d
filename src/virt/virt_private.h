/* SPDX-License-Identifier: Apache-2.0 */
/* What libvirt is asked, blocking; worker threads only. */
#pragma once

#include <libvirt/libvirt.h>

#include "base/value.h"
#include "virt/virt.h"

/* False with *errp; *ret is zeroed when the domain is gone afterwards. */
bool virt_request_run(virConnectPtr conn, const struct virt_request *r, struct virt_domain *ret,
                      struct error **errp) _warn_unused_;
bool virt_list_run(virConnectPtr conn, struct virt_domain **ret, size_t *ret_n, struct error **errp) _warn_unused_;
/* A map; false with *errp without an agent. */
bool virt_guest_run(virConnectPtr conn, const struct uuid *vm, struct value *ret, struct error **errp) _warn_unused_;

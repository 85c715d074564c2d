/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share. */
#pragma once

#include <libvirt/libvirt.h>

#include "base/value.h"
#include "loop/worker.h"
#include "virt/virt.h"

/* ---- virt_request.c: blocking; worker threads only ---- */

/* False with *errp; *ret is zeroed when the domain is gone afterwards. */
bool virt_request_run(virConnectPtr conn, const struct virt_request *r, struct virt_domain *ret,
                      struct error **errp) _warn_unused_;
bool virt_list_run(virConnectPtr conn, struct virt_domain **ret, size_t *ret_n, struct error **errp) _warn_unused_;
/* A map; false with *errp without an agent. */
bool virt_guest_run(virConnectPtr conn, const struct uuid *vm, struct value *ret, struct error **errp) _warn_unused_;

/* ---- virt.c ---- */
/* Loop thread. A reference to the connection, or NULL with *errp. */
virConnectPtr virt_connection(struct virt *v, struct error **errp);
struct worker *virt_worker(struct virt *v);
/* Any thread: holds the object, and lets go. */
struct virt *virt_ref(struct virt *v);
void virt_unref(struct virt *v);
/* Any thread: `fn` in the loop, unless the object has been freed; false then. */
bool virt_post(struct virt *v, void (*fn)(void *data), void *data);
/* Loop thread: freed while `fn` of virt_post was on its way. */
bool virt_is_gone(const struct virt *v);

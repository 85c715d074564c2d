/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may be done with VMs and what belongs to them, by state: one table, from which allowed_operations are made and
 * by which calls are judged. Pure.
 */
#pragma once

#include "base/value.h"

enum vm_power { VM_HALTED = 1, VM_PAUSED = 2, VM_RUNNING = 4, VM_SUSPENDED = 8 };

/* Of the API's word; 0 when there is none of this name. */
enum vm_power vm_power_of(const char *text);
/* "halted", as errors have it. Several: the first. */
const char *vm_power_text(unsigned powers);

enum vm_kind { VM_KIND_VM, VM_KIND_TEMPLATE, VM_KIND_SNAPSHOT };

/* States in which it may be subjected to an operation; 0: never. */
unsigned vm_allowed_in(const char *operation, enum vm_kind kind);
/* Whether an operation may begin while another is under way: a VM that is asked to end may be ended. */
bool vm_allowed_beside(const char *operation, const char *other);

struct vm_facts {
    enum vm_power power;
    enum vm_kind kind;
    bool is_default_template, is_control_domain;
    const struct value *blocked; /* map, operation -> error; may be NULL */
    const char *current;         /* an operation under way; NULL */
};
struct value vm_allowed(const struct vm_facts *f); /* VALUE_SET of words */

struct vbd_facts {
    enum vm_power power;
    bool is_attached, is_cd, is_empty, is_busy, is_unpluggable;
};
struct value vbd_allowed(const struct vbd_facts *f);

struct vif_facts {
    enum vm_power power;
    bool is_attached, is_busy;
};
struct value vif_allowed(const struct vif_facts *f);

struct vdi_facts {
    bool is_attached, is_managed, is_plain /* a disk, not the memory of a VM */, can_fork, is_busy, sr_is_there;
};
struct value vdi_allowed(const struct vdi_facts *f);

struct sr_facts {
    bool is_known_type, is_plugged, has_pbd, is_busy;
};
struct value sr_allowed(const struct sr_facts *f);

/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/vm_allowed_core.h"

#include "base/str.h"

static const struct {
    enum vm_power power;
    const char *api, *text;
} powers[] = {{VM_HALTED, "Halted", "halted"},
              {VM_PAUSED, "Paused", "paused"},
              {VM_RUNNING, "Running", "running"},
              {VM_SUSPENDED, "Suspended", "suspended"}};

static const struct rule {
    const char *operation;
    unsigned vm, template, snapshot; /* states */
} rules[] = {
    {"start", VM_HALTED, 0, 0},
    {"start_on", VM_HALTED, 0, 0},
    {"pause", VM_RUNNING, 0, 0},
    {"unpause", VM_PAUSED, 0, 0},
    {"suspend", VM_RUNNING, 0, 0},
    {"resume", VM_SUSPENDED, 0, 0},
    {"resume_on", VM_SUSPENDED, 0, 0},
    {"clean_shutdown", VM_RUNNING, 0, 0},
    {"shutdown", VM_RUNNING, 0, 0},
    {"clean_reboot", VM_RUNNING, 0, 0},
    {"hard_shutdown", VM_RUNNING | VM_PAUSED | VM_SUSPENDED, 0, 0},
    {"hard_reboot", VM_RUNNING, 0, 0},
    {"pool_migrate", VM_RUNNING | VM_PAUSED, 0, 0},
    {"migrate_send", VM_RUNNING | VM_PAUSED | VM_HALTED | VM_SUSPENDED, 0, 0},
    {"power_state_reset", VM_RUNNING | VM_PAUSED | VM_SUSPENDED, 0, 0},
    {"clone", VM_HALTED, VM_HALTED, VM_HALTED | VM_SUSPENDED},
    {"copy", VM_HALTED, VM_HALTED, VM_HALTED | VM_SUSPENDED},
    {"provision", VM_HALTED, VM_HALTED, 0},
    {"destroy", VM_HALTED, VM_HALTED, VM_HALTED | VM_SUSPENDED},
    {"snapshot", VM_HALTED | VM_RUNNING | VM_PAUSED, 0, 0},
    {"checkpoint", VM_RUNNING | VM_PAUSED, 0, 0},
    {"revert", 0, 0, VM_HALTED | VM_SUSPENDED},
    {"make_into_template", VM_HALTED, 0, 0},
    {"export", VM_HALTED, VM_HALTED, VM_HALTED},
    {"changing_memory_limits", VM_HALTED, VM_HALTED, 0},
    {"changing_static_range", VM_HALTED, VM_HALTED, 0},
    {"changing_dynamic_range", VM_HALTED, VM_HALTED, 0},
    {"changing_VCPUs", VM_HALTED, VM_HALTED, 0},
};

enum vm_power vm_power_of(const char *text) {
    for (size_t i = 0; i < ARRAY_SIZE(powers); i++)
        if (str_eq(powers[i].api, text))
            return powers[i].power;
    return 0;
}

const char *vm_power_text(unsigned wanted) {
    for (size_t i = 0; i < ARRAY_SIZE(powers); i++)
        if (powers[i].power & wanted)
            return powers[i].text;
    return "";
}

static unsigned states_of(const struct rule *r, enum vm_kind kind) {
    return kind == VM_KIND_SNAPSHOT ? r->snapshot : kind == VM_KIND_TEMPLATE ? r->template : r->vm;
}

unsigned vm_allowed_in(const char *operation, enum vm_kind kind) {
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
        if (str_eq(rules[i].operation, operation))
            return states_of(&rules[i], kind);
    return 0;
}

bool vm_allowed_beside(const char *operation, const char *other) {
    static const char *const soft[] = {"clean_shutdown", "clean_reboot", "shutdown"};
    if (!str_eq(operation, "hard_shutdown") && !str_eq(operation, "hard_reboot"))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(soft); i++)
        if (str_eq(soft[i], other))
            return true;
    return false;
}

static void add(struct value *set, bool is_allowed, const char *operation) {
    if (is_allowed)
        value_set_add(set, value_string(operation));
}

struct value vm_allowed(const struct vm_facts *f) {
    struct value set = value_set();
    for (size_t i = 0; i < ARRAY_SIZE(rules) && !f->is_control_domain; i++) {
        const char *op = rules[i].operation;
        bool is_blocked = f->blocked && value_map_get(f->blocked, op);
        bool fits = states_of(&rules[i], f->kind) & f->power;
        bool is_free = !f->current || vm_allowed_beside(op, f->current);
        add(&set, fits && is_free && !is_blocked && !(f->is_default_template && str_eq(op, "destroy")), op);
    }
    return set;
}

struct value vbd_allowed(const struct vbd_facts *f) {
    struct value set = value_set();
    bool is_free = !f->is_busy;
    add(&set, is_free && f->power == VM_RUNNING && !f->is_attached && !f->is_cd && !f->is_empty, "plug");
    add(&set, is_free && f->power == VM_RUNNING && f->is_attached && !f->is_cd && f->is_unpluggable, "unplug");
    add(&set, is_free && f->power != VM_SUSPENDED && f->is_cd && f->is_empty, "insert");
    add(&set, is_free && f->power != VM_SUSPENDED && f->is_cd && !f->is_empty, "eject");
    add(&set, is_free && f->power == VM_HALTED, "attach");
    return set;
}

struct value vif_allowed(const struct vif_facts *f) {
    struct value set = value_set();
    add(&set, !f->is_busy && f->power == VM_HALTED, "attach");
    add(&set, !f->is_busy && f->power == VM_RUNNING && !f->is_attached, "plug");
    add(&set, !f->is_busy && f->power == VM_RUNNING && f->is_attached, "unplug");
    return set;
}

struct value vdi_allowed(const struct vdi_facts *f) {
    struct value set = value_set();
    bool is_free = !f->is_busy && !f->is_attached && f->is_managed && f->sr_is_there;
    add(&set, is_free && f->is_plain && f->can_fork, "clone");
    add(&set, is_free && f->is_plain && f->can_fork, "snapshot");
    add(&set, is_free && f->is_plain, "copy");
    add(&set, is_free && f->is_plain, "resize");
    add(&set, is_free, "destroy");
    add(&set, !f->is_busy && f->sr_is_there, "update");
    add(&set, !f->is_busy && !f->is_attached, "forget");
    return set;
}

struct value sr_allowed(const struct sr_facts *f) {
    static const char *const plugged[] = {"scan",       "update",    "vdi_create",  "vdi_destroy",
                                          "vdi_resize", "vdi_clone", "vdi_snapshot"};
    struct value set = value_set();
    bool is_free = f->is_known_type && !f->is_busy;
    for (size_t i = 0; i < ARRAY_SIZE(plugged); i++)
        add(&set, is_free && f->is_plugged, plugged[i]);
    add(&set, is_free && f->has_pbd, "plug");
    add(&set, is_free && f->is_plugged, "unplug");
    add(&set, is_free && f->has_pbd && !f->is_plugged, "destroy");
    add(&set, is_free && !f->is_plugged, "forget");
    return set;
}

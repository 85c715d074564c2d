/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of VMs that run no more get their names back (store/store_snapshot.h): when one has ended, before one starts,
 * and once when storage is attached, because the daemon may have been killed between a VM's end and that. */
#include "base/fs.h"
#include "base/str.h"
#include "base/strmap.h"
#include "store/store.h"
#include "store/store_place_core.h"
#include "store/store_snapshot.h"
#include "vm/vm_agent_private.h"

#define LOG_MODULE "vm"
#include "base/log.h"

struct settling {
    struct vm_agent *a;
    struct value disks; /* set of maps: path, vdi */
    void (*done)(struct vm_agent *a, struct error *error, void *userdata);
    void *userdata;
    struct error *error;
};

static void settle_job(void *data) {
    struct settling *s = data;
    for (size_t i = 0; i < s->disks.set.n && !s->error; i++) {
        struct uuid vdi;
        const char *path = str_or_empty(value_map_str(&s->disks.set.items[i], "path"));
        if (uuid_parse(str_or_empty(value_map_str(&s->disks.set.items[i], "vdi")), &vdi) && !store_path_trouble(path))
            (void)!store_settle(path, &vdi, &s->error);
    }
}

static void settled(void *data) {
    struct settling *s = data;
    if (s->done)
        s->done(s->a, s->error, s->userdata);
    else if (s->error && !s->a->is_freed)
        log_info("what a VM wrote since its snapshot is put in its place when it is used next: %s",
                 error_text(s->error));
    error_free(s->error);
    value_done(&s->disks);
    free(s);
}

/* "/folder/<uuid>.qcow2" of a specification. */
static bool add_path(struct value *disks, const char *file) {
    const char *slash = strrchr(file, '/');
    struct uuid u;
    if (!slash || !str_ends(slash, ".qcow2"))
        return false;
    _cleanup_free_ char *folder = xstrndup(file, (size_t)(slash - file)),
                        *name = xstrndup(slash + 1, strlen(slash) - 7);
    if (!uuid_parse(name, &u))
        return false;
    struct value m = value_map();
    value_map_add(&m, "path", value_string(folder));
    value_map_add(&m, "vdi", value_string(name));
    value_set_add(disks, m);
    return true;
}

void vm_agent_settle_spec(struct vm_agent *a, const struct value *spec,
                          void (*done)(struct vm_agent *a, struct error *error, void *userdata), void *userdata) {
    struct settling *s = xnew0(struct settling);
    const struct value *disks = value_map_get(spec, "disks");
    *s = (struct settling){.a = a, .disks = value_set(), .done = done, .userdata = userdata};
    for (size_t i = 0; disks && disks->type == VALUE_SET && i < disks->set.n; i++)
        (void)add_path(&s->disks, str_or_empty(value_map_str(&disks->set.items[i], "path")));
    worker_submit(a->storage, "settle", settle_job, settled, s);
}

void vm_agent_settle(struct vm_agent *a, const struct uuid *vm) {
    const struct row *r = db_get(a->db, CLASS_VM, vm);
    const struct value *vbds = r ? row_value(r, FIELD_VM_VBDs) : NULL;
    struct settling *s = xnew0(struct settling);
    char text[UUID_TEXT_SIZE];
    const char *key = "settle";
    *s = (struct settling){.a = a, .disks = value_set()};
    for (size_t i = 0; vbds && i < vbds->set.n; i++) {
        const struct row *vbd = db_get(a->db, CLASS_VBD, &vbds->set.items[i].ref);
        const struct row *vdi = vbd ? db_follow(a->db, vbd, FIELD_VBD_VDI) : NULL;
        const struct row *sr = vdi ? db_follow(a->db, vdi, FIELD_VDI_SR) : NULL;
        for (const struct row *p = sr ? db_first(a->db, CLASS_PBD) : NULL; p; p = db_next(a->db, p)) {
            const char *path = value_map_str(row_value(p, FIELD_PBD_device_config), "location");
            if (!uuid_eq(row_ref(p, FIELD_PBD_SR), &sr->uuid) || !uuid_eq(row_ref(p, FIELD_PBD_host), &a->self) ||
                !path)
                continue;
            struct value m = value_map();
            value_map_add(&m, "path", value_string(path));
            value_map_add(&m, "vdi", value_string(uuid_text(&vdi->uuid, text)));
            value_set_add(&s->disks, m);
            key = row_str(sr, FIELD_SR_uuid);
        }
    }
    worker_submit(a->storage, key, settle_job, settled, s);
}

/* ---- what an earlier daemon has left ---- */

struct left {
    char *path;
    struct uuidmap *used; /* disks of VMs that run somewhere: their end is seen, or will be */
};

static bool is_used(const struct uuid *vdi, void *userdata) {
    return uuidmap_get(userdata, vdi) != NULL;
}

static void left_job(void *data) {
    struct left *l = data;
    struct error *e = NULL;
    if (!store_settle_all(l->path, is_used, l->used, &e))
        log_info("what VMs wrote since their snapshots is put in its place when it is used next: %s", error_text(e));
    error_free(e);
}

static void left_done(void *data) {
    struct left *l = data;
    uuidmap_free(l->used);
    free(l->path);
    free(l);
}

void vm_agent_settle_sr(struct vm_agent *a, const char *sr, const char *path) {
    struct left *l = xnew0(struct left);
    *l = (struct left){.path = xstrdup(path), .used = uuidmap_new()};
    for (const struct row *vbd = db_first(a->db, CLASS_VBD); vbd; vbd = db_next(a->db, vbd)) {
        const struct row *vm = db_follow(a->db, vbd, FIELD_VBD_VM);
        const struct uuid *vdi = row_ref(vbd, FIELD_VBD_VDI);
        if (vm && !uuid_is_null(vdi) &&
            (!uuid_is_null(row_ref(vm, FIELD_VM_resident_on)) || vm_agent_is_busy(a, &vm->uuid)))
            (void)uuidmap_put(l->used, vdi, l);
    }
    worker_submit(a->storage, sr, left_job, left_done, l);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of VMs that run here. First each disk is forked in its folder, under names that the hypervisor does not
 * know (store/store_snapshot.h), then the hypervisor goes over to the new images of all disks at one instant. If it
 * does not, or everybody dies in between, what it goes on writing to is the base of the new images: nothing is lost.
 */
#include "base/fs.h"
#include "base/str.h"
#include "store/store.h"
#include "store/store_snapshot.h"
#include "virt/virt_xml_core.h"
#include "vm/vm_agent_private.h"

#define LOG_MODULE "vm"
#include "base/log.h"

struct snapping {
    struct vm_agent *a;
    struct pool_reply *reply;
    struct uuid vm;
    struct value disks; /* set of maps, as asked for */
    struct value sizes; /* of the bases; as many as were forked */
    char *memory;       /* file; NULL for none */
    struct error *error;
};

static void end(struct snapping *s) {
    vm_agent_end(s->a, &s->vm);
    if (s->a->is_freed) {
        error_free(s->error);
    } else if (s->error) {
        pool_reply_fail(s->reply, s->error);
    } else {
        struct value result = value_map();
        value_map_add(&result, "sizes", value_take(&s->sizes));
        pool_reply_return(s->reply, result);
    }
    value_done(&s->disks);
    value_done(&s->sizes);
    free(s->memory);
    free(s);
}

static const char *text_of(const struct value *disk, const char *key) {
    return str_or_empty(value_map_str(disk, key));
}

static bool uuids_of(const struct value *disk, struct uuid *vdi, struct uuid *base, struct uuid *child) {
    return uuid_parse(text_of(disk, "vdi"), vdi) && uuid_parse(text_of(disk, "base"), base) &&
           uuid_parse(text_of(disk, "child"), child);
}

/* ---- taking it back ---- */

static void undo_job(void *data) {
    struct snapping *s = data;
    for (size_t i = 0; i < s->sizes.set.n; i++) {
        const struct value *disk = &s->disks.set.items[i];
        const char *file = text_of(disk, "file");
        struct uuid vdi, base, child;
        if (uuids_of(disk, &vdi, &base, &child) && *file &&
            !store_unfork_live(text_of(disk, "path"), file, &base, &child))
            log_warn("the VM uses '%s' although its snapshot failed; the next sr-scan finds what it goes on from",
                     file);
    }
    if (s->memory)
        (void)fs_unlink(s->memory);
}

static void undone(void *data) {
    end(data);
}

static const char *key_of(const struct snapping *s) {
    return s->disks.set.n > 0 ? text_of(&s->disks.set.items[0], "sr") : "";
}

static void undo(struct snapping *s) {
    log_warn("a snapshot was not taken: %s", error_text(s->error));
    worker_submit(s->a->storage, key_of(s), undo_job, undone, s);
}

/* ---- forking, then going over ---- */

static void on_snapshot(struct error *error, const struct virt_domain *domain, void *userdata) {
    struct snapping *s = userdata;
    if (!error) {
        end(s);
        return;
    }
    s->error = error_dup(error);
    if (s->a->is_freed)
        end(s);
    else
        undo(s);
}

static bool fork_disk(struct value *disk, int64_t *ret_size, struct error **errp) {
    struct uuid vdi, base, child;
    const struct value *live = value_map_get(disk, "live");
    if (live && value_as_bool(live)) {
        char *file;
        if (!uuids_of(disk, &vdi, &base, &child) ||
            !store_fork_live(text_of(disk, "path"), &vdi, &base, &child, &file, ret_size, errp))
            return false;
        value_map_put(disk, "file", value_string_take(file));
        return true;
    }
    struct value result;
    if (!uuid_parse(text_of(disk, "vdi"), &vdi) || !store_settle(text_of(disk, "path"), &vdi, errp) ||
        !store_run("vdi_fork", disk, &result, errp))
        return false;
    const struct value *size = value_map_get(&result, "physical_size");
    *ret_size = size ? value_as_int(size) : 0;
    value_done(&result);
    return true;
}

static void fork_job(void *data) {
    struct snapping *s = data;
    for (size_t i = 0; i < s->disks.set.n && !s->error; i++) {
        int64_t size;
        if (fork_disk(&s->disks.set.items[i], &size, &s->error))
            value_set_add(&s->sizes, value_int(size));
    }
}

static void forked(void *data) {
    struct snapping *s = data;
    if (s->error && !s->a->is_freed) {
        undo(s);
        return;
    }
    if (s->a->is_freed) {
        end(s);
        return;
    }
    struct virt_request r = {.op = VIRT_SNAPSHOT,
                             .vm = s->vm,
                             .xml = virt_xml_snapshot(&s->disks, s->memory),
                             .path = s->memory ? xstrdup(s->memory) : NULL};
    if (r.xml) {
        virt_ask(s->a->virt, r, on_snapshot, s);
    } else { /* nothing that the hypervisor writes to */
        free(r.path);
        end(s);
    }
}

static bool check_disks(const struct value *disks, struct error **errp) {
    struct uuid vdi, base, child;
    bool ok = disks && disks->type == VALUE_SET;
    for (size_t i = 0; ok && i < disks->set.n; i++)
        ok = disks->set.items[i].type == VALUE_MAP && uuids_of(&disks->set.items[i], &vdi, &base, &child) &&
             !store_path_trouble(text_of(&disks->set.items[i], "path"));
    if (!ok)
        error_internal(errp, "the request does not say what the snapshot is to have");
    return ok;
}

void vm_serve_snapshot(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    const struct value *disks = value_map_get(args, "disks");
    const char *memory = value_map_str(args, "memory"), *memory_path = value_map_str(args, "memory_path");
    struct snapping *s = xnew0(struct snapping);
    struct uuid u;
    struct error *e = NULL;
    *s = (struct snapping){.a = a, .reply = reply};
    if (!virt_is_up(a->virt)) {
        error_internal(&e, "no snapshot can be taken on this host now: %s", virt_trouble(a->virt));
    } else if (vm_args_vm(args, &s->vm, &e) && check_disks(disks, &e)) {
        if (memory && (!uuid_parse(memory, &u) || !memory_path || store_path_trouble(memory_path)))
            error_internal(&e, "the request does not say where the VM's memory is to go");
        else if (vm_agent_begin(a, &s->vm, &e)) {
            s->disks = value_copy(disks);
            s->sizes = value_set();
            s->memory = memory ? store_file(memory_path, &u, "save") : NULL;
            /* The folder's own turn; those of further folders are not waited for: names are fresh. */
            worker_submit(a->storage, key_of(s), fork_job, forked, s);
            return;
        }
    }
    pool_reply_fail(reply, e);
    free(s);
}

/* ---- the memory of a checkpoint once more ---- */

struct copying {
    struct vm_agent *a;
    struct pool_reply *reply;
    char *path;
    struct uuid vdi, to;
    struct error *error;
};

static void copy_job(void *data) {
    struct copying *c = data;
    (void)!store_copy_memory(c->path, &c->vdi, &c->to, &c->error);
}

static void copied(void *data) {
    struct copying *c = data;
    if (c->a->is_freed)
        error_free(c->error);
    else if (c->error)
        pool_reply_fail(c->reply, c->error);
    else
        pool_reply_return(c->reply, value_bool(true));
    free(c->path);
    free(c);
}

void vm_serve_copy_memory(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct copying *c = xnew0(struct copying);
    const char *path = str_or_empty(value_map_str(args, "path"));
    struct error *e = NULL;
    *c = (struct copying){.a = a, .reply = reply};
    if (store_path_trouble(path) || !value_map_uuid(args, "vdi", &c->vdi) || !value_map_uuid(args, "to", &c->to)) {
        error_internal(&e, "the request does not say which memory is to be copied");
        pool_reply_fail(reply, e);
        free(c);
        return;
    }
    c->path = xstrdup(path);
    worker_submit(a->storage, str_or_empty(value_map_str(args, "sr")), copy_job, copied, c);
}

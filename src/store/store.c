/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <errno.h>

#include "base/str.h"
#include "model/model.h"
#include "store/store_iso.h"
#include "store/store_lease.h"
#include "store/store_private.h"

#define MARK_MAX 128
#define VDIS_MAX 10000
#define GRAIN 65536 /* sizes are whole clusters of qcow2 */

static const char *const formats[] = {"qcow2", "raw", "save"};

struct request {
    const char *op, *path;
    struct folder f; /* at `path` */
    struct uuid sr, vdi;
    const char *format;
    const struct value *args;
};

void store_error(struct error **errp, const char *what, const char *path, int r) {
    if (r == -ENOSPC || r == -EDQUOT)
        error_set(errp, ERR_SR_FULL, "0", "0", NULL);
    else
        error_setf(errp, ERR_SR_BACKEND_FAILURE, "%s '%s': %s", what, path, strerror(-r));
}

static void refuse(struct error **errp, const char *text, const char *detail) {
    error_set(errp, ERR_SR_BACKEND_FAILURE, text, detail, "", NULL);
}

static bool uuid_of(const struct value *args, const char *key, struct uuid *ret) {
    const char *text = value_map_str(args, key);
    return text && uuid_parse(text, ret);
}

static int64_t size_of(const struct value *args) {
    const struct value *v = value_map_get(args, "size");
    int64_t size = v ? value_as_int(v) : 0;
    return size <= 0 || size > STORE_SIZE_MAX ? 0 : (size + GRAIN - 1) / GRAIN * GRAIN;
}

static bool is_format(const char *text) {
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
        if (str_eq(text, formats[i]))
            return true;
    return false;
}

/* ---- the repository ---- */

/* The repository that lies at `path` is the one that is meant. */
bool store_check_mark(const struct folder *f, const char *place, const struct uuid *sr, struct error **errp) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct uuid u;
    int e = f->ops->read(f->at, STORE_MARK, MARK_MAX, &text);
    if (e < 0) {
        store_error(errp, "no storage of this pool is at", place, e);
        return false;
    }
    char *end = strchr(text.data ? text.data : (char *)"", '\n');
    if (end)
        *end = '\0';
    if (!uuid_parse(buf_str(&text), &u) || !uuid_eq(&u, sr)) {
        refuse(errp, "other storage lies there", place);
        return false;
    }
    return true;
}

static bool check_mark(const struct request *r, struct error **errp) {
    return store_check_mark(&r->f, r->path, &r->sr, errp);
}

/* Names in the folder but for those of its own keeping; -errno. */
static int list_folder(const struct folder *f, struct strv *names) {
    static const char *const ours[] = {STORE_MARK, LEASES_FOLDER, "lost+found"};
    _cleanup_strv_ struct strv all = {0};
    int e = f->ops->list(f->at, "", 3 * VDIS_MAX, &all);
    for (size_t i = 0; i < all.n; i++) {
        bool is_ours = false;
        for (size_t k = 0; k < ARRAY_SIZE(ours); k++)
            is_ours |= str_eq(ours[k], all.items[i]);
        if (!is_ours)
            strv_add(names, all.items[i]);
    }
    return e;
}

static bool op_create(const struct request *r, struct value *ret, struct error **errp) {
    _cleanup_free_ char *text = NULL;
    _cleanup_strv_ struct strv names = {0};
    char uuid[UUID_TEXT_SIZE];
    if (r->f.ops->prepare)
        return r->f.ops->prepare(r->f.at, &r->sr, errp);
    int e = r->f.ops->mkdir(r->f.at, "");
    if (e < 0 && e != -EEXIST) {
        store_error(errp, "cannot make", r->path, e);
        return false;
    }
    e = list_folder(&r->f, &names);
    if (folder_has(&r->f, STORE_MARK) || e < 0 || names.n) {
        refuse(errp, "the folder is not empty", r->path);
        return false;
    }
    if (r->f.is_shared && !lease_check_storage(&r->f, errp)) {
        lease_forget(&r->f, NULL);
        (void)r->f.ops->rmdir(r->f.at, "");
        return false;
    }
    text = strf("%s\n", uuid_text(&r->sr, uuid));
    e = r->f.ops->write(r->f.at, STORE_MARK, text, strlen(text));
    if (e < 0)
        store_error(errp, "cannot write in", r->path, e);
    return e == 0;
}

static bool op_check(const struct request *r, struct value *ret, struct error **errp) {
    return check_mark(r, errp);
}

/*
 * What imports of this host have left half-made when its power went, or its daemon died. Those of the daemon that asks
 * are under way: storage is attached again while they are.
 */
static void remove_leftovers(const struct request *r) {
    const char *host = value_map_str(r->args, "host"), *run = value_map_str(r->args, "run");
    _cleanup_free_ char *prefix = strf(STORE_IMPORT_PREFIX "%s-", str_or_empty(host)),
                        *own = strf("%s%s-", prefix, str_or_empty(run));
    _cleanup_strv_ struct strv names = {0};
    if (str_empty(host) || str_empty(run) || list_folder(&r->f, &names) < 0)
        return;
    for (size_t i = 0; i < names.n; i++)
        if (str_starts(names.items[i], prefix) && !str_starts(names.items[i], own))
            (void)r->f.ops->unlink(r->f.at, names.items[i]);
}

/* What an import of this daemon has left that did not end by itself; `id` is its transfer. */
static bool op_import_forget(const struct request *r, struct value *ret, struct error **errp) {
    const char *host = str_or_empty(value_map_str(r->args, "host")), *run = str_or_empty(value_map_str(r->args, "run"));
    _cleanup_strv_ struct strv names = {0};
    struct uuid id;
    char text[UUID_TEXT_SIZE];
    if (!check_mark(r, errp))
        return false;
    if (str_empty(host) || str_empty(run) || !uuid_of(r->args, "id", &id)) {
        refuse(errp, "the request is not complete", r->path);
        return false;
    }
    _cleanup_free_ char *prefix = strf(STORE_IMPORT_PREFIX "%s-%s-%s-", host, run, uuid_text(&id, text));
    int e = list_folder(&r->f, &names);
    for (size_t i = 0; i < names.n && e == 0; i++)
        if (str_starts(names.items[i], prefix)) {
            e = r->f.ops->unlink(r->f.at, names.items[i]);
            e = e == -ENOENT ? 0 : e;
        }
    if (e < 0)
        store_error(errp, "cannot remove what an import has left in", r->path, e);
    return e == 0;
}

static bool op_attach(const struct request *r, struct value *ret, struct error **errp) {
    if (!check_mark(r, errp))
        return false;
    remove_leftovers(r);
    return (!r->f.is_shared || lease_check_storage(&r->f, errp));
}

/* Disks stay where others have made them; Muster takes back what it wrote. */
static bool clear(const struct request *r, struct error **errp) {
    _cleanup_strv_ struct strv held = {0};
    int e = r->f.ops->list(r->f.at, LEASES_FOLDER, VDIS_MAX, &held);
    if (e == 0 && held.n) {
        refuse(errp,
               str_starts(held.items[0], LEASES_DAMAGED)
                   ? "a lease cannot be read, and may be any disk's (xe vdi-unlock, of one that is refused for it)"
                   : "a disk has a lease still (xe vdi-unlock)",
               held.items[0]);
        return false;
    }
    if (e == 0)
        e = r->f.ops->clear(r->f.at);
    if (e < 0)
        store_error(errp, "cannot clear", r->path, e);
    return e == 0;
}

static bool op_destroy(const struct request *r, struct value *ret, struct error **errp) {
    _cleanup_strv_ struct strv names = {0};
    if (!check_mark(r, errp))
        return false;
    if (r->f.ops->clear)
        return clear(r, errp);
    int e = list_folder(&r->f, &names);
    if (e < 0) {
        store_error(errp, "cannot read", r->path, e);
        return false;
    }
    if (names.n) {
        error_set(errp, ERR_SR_NOT_EMPTY, NULL);
        return false;
    }
    e = r->f.ops->unlink(r->f.at, STORE_MARK);
    if (e < 0) {
        store_error(errp, "cannot remove the mark of", r->path, e);
        return false;
    }
    lease_forget(&r->f, NULL);
    (void)r->f.ops->rmdir(r->f.at, ""); /* the mark is what counts; a mount point stays */
    return true;
}

static bool op_stat(const struct request *r, struct value *ret, struct error **errp) {
    int64_t size, used;
    if (!check_mark(r, errp))
        return false;
    int e = r->f.ops->space(r->f.at, &size, &used);
    if (e < 0) {
        store_error(errp, "cannot look at", r->path, e);
        return false;
    }
    value_map_put(ret, "size", value_int(size));
    value_map_put(ret, "used", value_int(used));
    return true;
}

/* One file of the folder as a disk, if it is one. */
static void scan_file(const struct request *r, const char *name, struct value *vdis) {
    _cleanup_free_ char *stem = xstrdup(name), *path = strf("%s/%s", r->path, name);
    char *dot = strrchr(stem, '.');
    struct uuid u;
    struct folder_stat st;
    struct image_info info;
    _cleanup_error_ struct error *e = NULL;
    if (!dot)
        return;
    *dot = '\0';
    if (!uuid_parse(stem, &u) || !is_format(dot + 1) || r->f.ops->stat(r->f.at, name, &st) < 0 || !st.is_file)
        return;
    if (!image_info(&r->f, name, path, dot + 1, &info, &e))
        return; /* damaged: it shows as missing */
    struct value v = value_map();
    value_map_add(&v, "vdi", value_string(stem));
    value_map_add(&v, "format", value_string(dot + 1));
    value_map_add(&v, "virtual_size", value_int(info.virtual_size));
    value_map_add(&v, "physical_size", value_int(info.physical_size));
    value_map_add(&v, "parent", value_string(info.parent));
    if (r->f.ops->describe)
        r->f.ops->describe(r->f.at, name, &v);
    value_set_add(vdis, v);
}

static bool op_scan(const struct request *r, struct value *ret, struct error **errp) {
    _cleanup_strv_ struct strv names = {0};
    if (!op_stat(r, ret, errp))
        return false;
    int e = list_folder(&r->f, &names);
    if (e < 0) {
        store_error(errp, "cannot read", r->path, e);
        return false;
    }
    struct value vdis = value_set();
    for (size_t i = 0; i < names.n && vdis.set.n < VDIS_MAX; i++)
        scan_file(r, names.items[i], &vdis);
    value_map_put(ret, "vdis", vdis);
    return true;
}

/* ---- disks ---- */

/* A disk's file: its name in the folder, and the same for QEMU. The caller frees both. */
static char *name_of(const struct uuid *vdi, const char *format, const struct request *r, char **ret_path) {
    char text[UUID_TEXT_SIZE];
    *ret_path = store_file(r->path, vdi, format);
    return strf("%s.%s", uuid_text(vdi, text), format);
}

static void put_sizes(const struct image_info *info, struct value *ret) {
    value_map_put(ret, "virtual_size", value_int(info->virtual_size));
    value_map_put(ret, "physical_size", value_int(info->physical_size));
}

static bool report(const struct request *r, const struct uuid *vdi, const char *format, struct value *ret,
                   struct error **errp) {
    _cleanup_free_ char *path, *name = name_of(vdi, format, r, &path);
    struct image_info info;
    if (!image_info(&r->f, name, path, format, &info, errp))
        return false;
    put_sizes(&info, ret);
    return true;
}

static void remove_file(const struct request *r, const char *name) {
    (void)r->f.ops->unlink(r->f.at, name);
}

static bool op_vdi_create(const struct request *r, struct value *ret, struct error **errp) {
    _cleanup_free_ char *path, *name = name_of(&r->vdi, r->format, r, &path);
    int64_t size = size_of(r->args);
    if (!check_mark(r, errp))
        return false;
    bool is_memory = str_eq(r->format, "save");
    if (folder_has(&r->f, name) || size == 0 || (is_memory && !value_map_get(r->args, "memory"))) {
        refuse(errp, "no disk can be made of this name, format and size", path);
        return false;
    }
    if (image_create(path, is_memory ? "raw" : r->format, size, /* base= */ NULL, errp) &&
        report(r, &r->vdi, r->format, ret, errp))
        return true;
    remove_file(r, name); /* nothing half-made stays */
    return false;
}

static bool op_vdi_destroy(const struct request *r, struct value *ret, struct error **errp) {
    _cleanup_free_ char *path, *name = name_of(&r->vdi, r->format, r, &path);
    if (!check_mark(r, errp))
        return false;
    int e = r->f.ops->unlink(r->f.at, name);
    if (e < 0 && e != -ENOENT)
        store_error(errp, "cannot remove", path, e);
    _cleanup_free_ char *next = strf("%s" STORE_NEXT_SUFFIX, name);
    if (e == 0)
        remove_file(r, next); /* of a fork of which nobody knew whether it was done */
    return e == 0 || e == -ENOENT;
}

static bool op_vdi_stat(const struct request *r, struct value *ret, struct error **errp) {
    return check_mark(r, errp) && report(r, &r->vdi, r->format, ret, errp);
}

static bool op_vdi_resize(const struct request *r, struct value *ret, struct error **errp) {
    _cleanup_free_ char *path, *name = name_of(&r->vdi, r->format, r, &path),
                               *text = strf("%lld", (long long)size_of(r->args));
    struct image_info info;
    if (!check_mark(r, errp) || !image_info(&r->f, name, path, r->format, &info, errp))
        return false;
    if (size_of(r->args) < info.virtual_size) {
        refuse(errp, "a disk is never made smaller", path);
        return false;
    }
    const char *const argv[] = {"resize", "-q", "-f", r->format, path, text, NULL};
    return image_tool(argv, /* copies= */ false, errp) && report(r, &r->vdi, r->format, ret, errp);
}

static bool op_vdi_fork(const struct request *r, struct value *ret, struct error **errp) {
    struct uuid base, child;
    int64_t size;
    if (!check_mark(r, errp))
        return false;
    if (!uuid_of(r->args, "base", &base) || !uuid_of(r->args, "child", &child) || !str_eq(r->format, "qcow2")) {
        refuse(errp, "disks of this format are copied, not forked", r->format);
        return false;
    }
    if (!store_fork(&r->f, r->path, &r->vdi, &base, &child, &size, errp))
        return false;
    value_map_put(ret, "physical_size", value_int(size));
    return true;
}

static bool op_vdi_copy(const struct request *r, struct value *ret, struct error **errp) {
    struct request to = *r;
    to.path = str_or_empty(value_map_str(r->args, "to_path"));
    to.format = str_or_empty(value_map_str(r->args, "to_format"));
    if (!uuid_of(r->args, "to_sr", &to.sr) || !uuid_of(r->args, "to", &to.vdi) || !is_format(to.format) ||
        str_eq(to.format, "save") || str_eq(r->format, "save") || store_place_trouble(to.path)) {
        refuse(errp, "the copy has no place to go", to.path);
        return false;
    }
    if (!folder_open(to.path, &to.f, errp))
        return false;
    const struct disk_place there = {.f = &to.f, .path = to.path, .vdi = &to.vdi, .format = to.format},
                            here = {.f = &r->f, .path = r->path, .vdi = &r->vdi, .format = r->format};
    struct image_info info;
    bool ok = check_mark(r, errp) && check_mark(&to, errp) && store_copy(&here, &there, &info, errp);
    folder_close(&to.f);
    if (ok)
        put_sizes(&info, ret);
    return ok;
}

static bool op_lease(const struct request *r, struct value *ret, struct error **errp) {
    return check_mark(r, errp) && store_lease_op(r->op, &r->f, r->args, ret, errp);
}

static bool op_open(const struct request *r, struct value *ret, struct error **errp) {
    return check_mark(r, errp) && store_open_disks(&r->f, r->path, r->args, ret, errp);
}

/* ---- which there are ---- */

struct op {
    const char *name;
    bool (*run)(const struct request *r, struct value *ret, struct error **errp);
    bool has_vdi;
    bool holds; /* the disk, where hosts share it: nobody else may write it meanwhile */
    bool makes; /* or removes, or changes the size: not where disks are made by others */
};

static const struct op ops[] = {{"create", op_create},
                                {"attach", op_attach},
                                {"check", op_check},
                                {"import_forget", op_import_forget},
                                {"destroy", op_destroy},
                                {"stat", op_stat},
                                {"scan", op_scan},
                                {"vdi_create", op_vdi_create, .has_vdi = true, .makes = true},
                                {"vdi_destroy", op_vdi_destroy, .has_vdi = true, .holds = true, .makes = true},
                                {"vdi_stat", op_vdi_stat, .has_vdi = true},
                                {"vdi_resize", op_vdi_resize, .has_vdi = true, .holds = true, .makes = true},
                                {"vdi_fork", op_vdi_fork, .has_vdi = true, .holds = true, .makes = true},
                                {"vdi_copy", op_vdi_copy, .has_vdi = true, .holds = true},
                                {"open", op_open},
                                {"lease_release", op_lease},
                                {"lease_pass", op_lease},
                                {"lease_sweep", op_lease},
                                {"lease_break", op_lease},
                                {"lease_list", op_lease}};

static bool run_holding(const struct op *op, const struct request *r, struct value *ret, struct error **errp) {
    struct lease_id me;
    if (!store_lease_id(r->args, &me)) {
        refuse(errp, "the request does not say for whom it is", r->path);
        return false;
    }
    me.vm = (struct uuid){0};
    if (!lease_take(&r->f, &r->vdi, &me, errp))
        return false;
    bool ok = op->run(r, ret, errp);
    _cleanup_error_ struct error *ignored = NULL; /* what is not given back now, the next sweep gives back */
    if (lease_release(&r->f, &r->vdi, &me, &ignored) && str_eq(op->name, "vdi_destroy"))
        lease_forget(&r->f, &r->vdi);
    return ok;
}

bool store_run_here(const char *name, const struct value *args, struct value *ret, struct error **errp) {
    struct request r = {.op = name,
                        .path = str_or_empty(value_map_str(args, "path")),
                        .format = str_or_empty(value_map_str(args, "format")),
                        .args = args};
    const char *trouble = store_place_trouble(r.path);
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        if (!str_eq(ops[i].name, name))
            continue;
        if (trouble || !uuid_of(args, "sr", &r.sr) ||
            (ops[i].has_vdi && (!uuid_of(args, "vdi", &r.vdi) || !is_format(r.format)))) {
            refuse(errp, trouble ? trouble : "the request is not complete", r.path);
            return false;
        }
        if (ops[i].makes && store_place_is_iscsi(r.path)) {
            refuse(errp, "LUNs are made, resized and removed on the array", name);
            return false;
        }
        if (!folder_open(r.path, &r.f, errp))
            return false;
        struct value result = value_map();
        bool is_iso = str_eq(str_or_empty(value_map_str(args, "type")), "iso");
        bool ok = is_iso                          ? store_iso_run(name, &r.f, &r.sr, &result, errp)
                  : ops[i].holds && r.f.is_shared ? run_holding(&ops[i], &r, &result, errp)
                                                  : ops[i].run(&r, &result, errp);
        folder_close(&r.f);
        if (ok)
            *ret = result;
        else
            value_done(&result);
        return ok;
    }
    error_set(errp, ERR_NOT_IMPLEMENTED, name, NULL);
    return false;
}

bool store_run(const char *op, const struct value *args, struct value *ret, struct error **errp) {
    bool is_far = store_place_is_shared(str_or_empty(value_map_str(args, "path"))) ||
                  store_place_is_shared(str_or_empty(value_map_str(args, "to_path"))) || str_eq(op, "probe");
    return is_far && !folder_can_far() ? store_run_helper(op, args, ret, errp) : store_run_here(op, args, ret, errp);
}

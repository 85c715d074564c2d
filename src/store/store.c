/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/fs.h"
#include "base/str.h"
#include "model/model.h"
#include "store/store_private.h"

#define MARK ".muster-sr"
#define MARK_MAX 128
#define VDIS_MAX 10000
#define GRAIN 65536 /* sizes are whole clusters of qcow2 */

static const char *const formats[] = {"qcow2", "raw", "save"};

struct request {
    const char *path;
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

const char *store_path_trouble(const char *path) {
    static const char *const system_folders[] = {
        "/",    "/bin",     "/boot",           "/dev",    "/etc",  "/home", "/lib", "/lib64", "/mnt",
        "/opt", "/proc",    "/root",           "/run",    "/sbin", "/srv",  "/sys", "/tmp",   "/usr",
        "/var", "/var/lib", "/var/lib/muster", "/var/log"};
    static const char *const system_trees[] = {"/bin/", "/boot/",           "/dev/",    "/etc/",
                                               "/lib/", "/proc/",           "/sbin/",   "/sys/",
                                               "/usr/", "/var/lib/muster/", "/var/log/"};
    size_t n = strlen(path);
    if (path[0] != '/' || n > 1024 || strstr(path, "//") || strchr(path, '\n') || strchr(path, ',') ||
        strchr(path, ':') || (n > 1 && path[n - 1] == '/'))
        return "the location is not the plain absolute path of a folder";
    if (strstr(path, "/../") || strstr(path, "/./") || str_ends(path, "/..") || str_ends(path, "/."))
        return "the location goes up";
    for (size_t i = 0; i < ARRAY_SIZE(system_folders); i++)
        if (str_eq(path, system_folders[i]))
            return "the location is a folder of the system";
    for (size_t i = 0; i < ARRAY_SIZE(system_trees); i++)
        if (str_starts(path, system_trees[i]))
            return "the location lies in a folder of the system";
    return NULL;
}

char *store_file(const char *path, const struct uuid *vdi, const char *format) {
    char text[UUID_TEXT_SIZE];
    return strf("%s/%s.%s", path, uuid_text(vdi, text), format);
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

static char *mark_of(const char *path) {
    return strf("%s/" MARK, path);
}

/* The repository that lies at `path` is the one that is meant. */
static bool check_mark(const struct request *r, struct error **errp) {
    _cleanup_free_ char *mark = mark_of(r->path);
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct uuid u;
    int e = fs_read(mark, MARK_MAX, &text);
    if (e < 0) {
        store_error(errp, "no storage of this pool is at", r->path, e);
        return false;
    }
    char *end = strchr(text.data ? text.data : (char *)"", '\n');
    if (end)
        *end = '\0';
    if (!uuid_parse(buf_str(&text), &u) || !uuid_eq(&u, &r->sr)) {
        refuse(errp, "other storage lies there", r->path);
        return false;
    }
    return true;
}

/* Names in the folder but for the mark; -1 with errno. `names` may be NULL. */
static int list_folder(const char *path, struct strv *names) {
    DIR *d = opendir(path);
    int n = 0;
    if (!d)
        return -1;
    for (struct dirent *e; (e = readdir(d)) && n < 3 * VDIS_MAX;) {
        if (str_eq(e->d_name, ".") || str_eq(e->d_name, "..") || str_eq(e->d_name, MARK) ||
            str_eq(e->d_name, "lost+found"))
            continue;
        if (names)
            strv_add(names, e->d_name);
        n++;
    }
    closedir(d);
    return n;
}

static bool op_create(const struct request *r, struct value *ret, struct error **errp) {
    _cleanup_free_ char *mark = mark_of(r->path), *text = NULL;
    char uuid[UUID_TEXT_SIZE];
    /* QEMU, which is not root, goes through the folder to the files that it was given. */
    int e = fs_mkdirs(r->path, 0711);
    if (e < 0) {
        store_error(errp, "cannot make", r->path, e);
        return false;
    }
    if (fs_exists(mark) || list_folder(r->path, NULL) != 0) {
        refuse(errp, "the folder is not empty", r->path);
        return false;
    }
    text = strf("%s\n", uuid_text(&r->sr, uuid));
    e = fs_write_atomic(mark, text, strlen(text), 0600);
    if (e < 0)
        store_error(errp, "cannot write in", r->path, e);
    return e == 0;
}

static bool op_attach(const struct request *r, struct value *ret, struct error **errp) {
    return check_mark(r, errp);
}

static bool op_destroy(const struct request *r, struct value *ret, struct error **errp) {
    _cleanup_free_ char *mark = mark_of(r->path);
    if (!check_mark(r, errp))
        return false;
    if (list_folder(r->path, NULL) != 0) {
        error_set(errp, ERR_SR_NOT_EMPTY, NULL);
        return false;
    }
    int e = fs_unlink(mark);
    if (e < 0) {
        store_error(errp, "cannot remove", mark, e);
        return false;
    }
    (void)rmdir(r->path); /* the mark is what counts; a mount point stays */
    return true;
}

static bool op_stat(const struct request *r, struct value *ret, struct error **errp) {
    struct statvfs s;
    if (!check_mark(r, errp))
        return false;
    if (statvfs(r->path, &s) < 0) {
        store_error(errp, "cannot look at", r->path, -errno);
        return false;
    }
    value_map_put(ret, "size", value_int((int64_t)s.f_blocks * (int64_t)s.f_frsize));
    value_map_put(ret, "used", value_int((int64_t)(s.f_blocks - s.f_bavail) * (int64_t)s.f_frsize));
    return true;
}

/* One file of the folder as a disk, if it is one. */
static void scan_file(const char *folder, const char *name, struct value *vdis) {
    _cleanup_free_ char *stem = xstrdup(name), *path = strf("%s/%s", folder, name);
    char *dot = strrchr(stem, '.');
    struct uuid u;
    struct stat st;
    struct image_info info;
    _cleanup_error_ struct error *e = NULL;
    if (!dot)
        return;
    *dot = '\0';
    if (!uuid_parse(stem, &u) || !is_format(dot + 1) || lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    if (!image_info(path, dot + 1, &info, &e))
        return; /* damaged: it shows as missing */
    struct value v = value_map();
    value_map_add(&v, "vdi", value_string(stem));
    value_map_add(&v, "format", value_string(dot + 1));
    value_map_add(&v, "virtual_size", value_int(info.virtual_size));
    value_map_add(&v, "physical_size", value_int(info.physical_size));
    value_map_add(&v, "parent", value_string(info.parent));
    value_set_add(vdis, v);
}

static bool op_scan(const struct request *r, struct value *ret, struct error **errp) {
    _cleanup_strv_ struct strv names = {0};
    if (!op_stat(r, ret, errp))
        return false;
    if (list_folder(r->path, &names) < 0) {
        store_error(errp, "cannot read", r->path, -errno);
        return false;
    }
    struct value vdis = value_set();
    for (size_t i = 0; i < names.n && vdis.set.n < VDIS_MAX; i++)
        scan_file(r->path, names.items[i], &vdis);
    value_map_put(ret, "vdis", vdis);
    return true;
}

/* ---- disks ---- */

static bool report(const char *path, const char *format, struct value *ret, struct error **errp) {
    struct image_info info;
    if (!image_info(path, format, &info, errp))
        return false;
    value_map_put(ret, "virtual_size", value_int(info.virtual_size));
    value_map_put(ret, "physical_size", value_int(info.physical_size));
    return true;
}

static bool op_vdi_create(const struct request *r, struct value *ret, struct error **errp) {
    _cleanup_free_ char *file = store_file(r->path, &r->vdi, r->format);
    int64_t size = size_of(r->args);
    if (!check_mark(r, errp))
        return false;
    if (fs_exists(file) || size == 0 || str_eq(r->format, "save")) {
        refuse(errp, "no disk can be made of this name, format and size", file);
        return false;
    }
    if (image_create(file, r->format, size, /* base= */ NULL, errp) && report(file, r->format, ret, errp))
        return true;
    (void)fs_unlink(file); /* nothing half-made stays */
    return false;
}

static bool op_vdi_destroy(const struct request *r, struct value *ret, struct error **errp) {
    _cleanup_free_ char *file = store_file(r->path, &r->vdi, r->format);
    if (!check_mark(r, errp))
        return false;
    int e = fs_unlink(file);
    if (e < 0)
        store_error(errp, "cannot remove", file, e);
    return e == 0;
}

static bool op_vdi_stat(const struct request *r, struct value *ret, struct error **errp) {
    _cleanup_free_ char *file = store_file(r->path, &r->vdi, r->format);
    return check_mark(r, errp) && report(file, r->format, ret, errp);
}

static bool op_vdi_resize(const struct request *r, struct value *ret, struct error **errp) {
    _cleanup_free_ char *file = store_file(r->path, &r->vdi, r->format),
                        *text = strf("%lld", (long long)size_of(r->args));
    struct image_info info;
    if (!check_mark(r, errp) || !image_info(file, r->format, &info, errp))
        return false;
    if (size_of(r->args) < info.virtual_size) {
        refuse(errp, "a disk is never made smaller", file);
        return false;
    }
    const char *const argv[] = {"resize", "-q", "-f", r->format, file, text, NULL};
    return image_tool(argv, errp) && report(file, r->format, ret, errp);
}

/*
 * The content of a disk under a second name, then two new images on top of it. At every moment the disk's own name
 * leads to its whole content: first the second name (a link), then the child, last the new image takes the disk's place
 * in one step. What a crash leaves behind is the base or the child without a row; the next scan finds them.
 */
static bool op_vdi_fork(const struct request *r, struct value *ret, struct error **errp) {
    struct uuid base, child;
    char base_text[UUID_TEXT_SIZE];
    struct image_info info;
    if (!check_mark(r, errp))
        return false;
    if (!uuid_of(r->args, "base", &base) || !uuid_of(r->args, "child", &child) || !str_eq(r->format, "qcow2")) {
        refuse(errp, "disks of this format are copied, not forked", r->format);
        return false;
    }
    _cleanup_free_ char *file = store_file(r->path, &r->vdi, "qcow2"), *base_file = store_file(r->path, &base, "qcow2"),
                        *child_file = store_file(r->path, &child, "qcow2"), *next = strf("%s.next", file),
                        *base_name = strf("%s.qcow2", uuid_text(&base, base_text));
    if (!image_info(file, "qcow2", &info, errp))
        return false;
    if (link(file, base_file) < 0) {
        store_error(errp, "cannot name", base_file, -errno);
        return false;
    }
    (void)unlink(next);
    if (image_create(child_file, "qcow2", info.virtual_size, base_name, errp) &&
        image_create(next, "qcow2", info.virtual_size, base_name, errp)) {
        int e = fs_rename(next, file);
        if (e == 0) {
            value_map_put(ret, "physical_size", value_int(info.physical_size));
            return true;
        }
        store_error(errp, "cannot put in its place", file, e);
    }
    (void)unlink(next);
    (void)fs_unlink(child_file);
    (void)fs_unlink(base_file);
    return false;
}

static bool op_vdi_copy(const struct request *r, struct value *ret, struct error **errp) {
    struct request to = *r;
    to.path = str_or_empty(value_map_str(r->args, "to_path"));
    to.format = str_or_empty(value_map_str(r->args, "to_format"));
    if (!uuid_of(r->args, "to_sr", &to.sr) || !uuid_of(r->args, "to", &to.vdi) || !is_format(to.format) ||
        str_eq(to.format, "save") || str_eq(r->format, "save") || store_path_trouble(to.path)) {
        refuse(errp, "the copy has no place to go", to.path);
        return false;
    }
    if (!check_mark(r, errp) || !check_mark(&to, errp))
        return false;
    _cleanup_free_ char *from_file = store_file(r->path, &r->vdi, r->format),
                        *to_file = store_file(to.path, &to.vdi, to.format);
    if (fs_exists(to_file)) {
        refuse(errp, "there is a disk of this name", to_file);
        return false;
    }
    const char *const argv[] = {"convert", "-q",   "-f",      r->format, "-O", to.format,
                                "-t",      "none", from_file, to_file,   NULL};
    if (image_tool(argv, errp) && report(to_file, to.format, ret, errp))
        return true;
    (void)fs_unlink(to_file);
    return false;
}

bool store_run(const char *op, const struct value *args, struct value *ret, struct error **errp) {
    static const struct {
        const char *name;
        bool (*run)(const struct request *r, struct value *ret, struct error **errp);
        bool has_vdi;
    } ops[] = {{"create", op_create, false},
               {"attach", op_attach, false},
               {"destroy", op_destroy, false},
               {"stat", op_stat, false},
               {"scan", op_scan, false},
               {"vdi_create", op_vdi_create, true},
               {"vdi_destroy", op_vdi_destroy, true},
               {"vdi_stat", op_vdi_stat, true},
               {"vdi_resize", op_vdi_resize, true},
               {"vdi_fork", op_vdi_fork, true},
               {"vdi_copy", op_vdi_copy, true}};
    struct request r = {.path = str_or_empty(value_map_str(args, "path")),
                        .format = str_or_empty(value_map_str(args, "format")),
                        .args = args};
    const char *trouble = store_path_trouble(r.path);
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        if (!str_eq(ops[i].name, op))
            continue;
        if (trouble || !uuid_of(args, "sr", &r.sr) ||
            (ops[i].has_vdi && (!uuid_of(args, "vdi", &r.vdi) || !is_format(r.format)))) {
            refuse(errp, trouble ? trouble : "the request is not complete", r.path);
            return false;
        }
        struct value result = value_map();
        if (ops[i].run(&r, &result, errp)) {
            *ret = result;
            return true;
        }
        value_done(&result);
        return false;
    }
    error_set(errp, ERR_NOT_IMPLEMENTED, op, NULL);
    return false;
}

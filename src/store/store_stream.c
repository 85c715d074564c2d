/* SPDX-License-Identifier: Apache-2.0 */
/* Streams, repositories and images of the helper program, and its operations on single disks. */
#include "store/store_stream.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "model/model.h"
#include "store/store_snapshot.h"
#include "store/store_stream_private.h"
#include "store/store_watch.h"

static const char zeroes[ZERO_GRAIN];

/* ---- the stream ---- */

bool source_read(struct source *s, void *data, size_t size, size_t *ret_n, struct error **errp) {
    size_t n = 0;
    while (n < size) {
        ssize_t r = read(s->fd, (char *)data + n, size - n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0) {
            error_setf(errp, ERR_IMPORT_ERROR, "the stream cannot be read: %s", strerror(errno));
            return false;
        }
        if (r == 0)
            break;
        n += (size_t)r;
    }
    s->n_read += (int64_t)n;
    *ret_n = n;
    return true;
}

bool source_need(struct source *s, void *data, size_t size, struct error **errp) {
    size_t n;
    if (!source_read(s, data, size, &n, errp))
        return false;
    if (n == size)
        return true;
    error_set(errp, ERR_IMPORT_ERROR_PREMATURE_EOF, NULL);
    return false;
}

bool source_skip(struct source *s, int64_t size, struct error **errp) {
    char block[ZERO_GRAIN];
    for (size_t n; size > 0; size -= (int64_t)n) {
        n = (size_t)MIN(size, (int64_t)sizeof(block));
        if (!source_need(s, block, n, errp))
            return false;
    }
    return true;
}

bool sink_write(int fd, const void *data, size_t size, struct error **errp) {
    for (const char *p = data; size > 0;) {
        ssize_t r = send(fd, p, size, MSG_NOSIGNAL);
        if (r < 0 && errno == ENOTSOCK)
            r = write(fd, p, size);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0) {
            error_setf(errp, ERR_VDI_IO_ERROR, "who reads the stream has gone: %s", strerror(errno));
            return false;
        }
        p += r;
        size -= (size_t)r;
    }
    return true;
}

bool sink_zeroes(int fd, int64_t size, struct error **errp) {
    for (size_t n; size > 0; size -= (int64_t)n) {
        n = (size_t)MIN(size, (int64_t)sizeof(zeroes));
        if (!sink_write(fd, zeroes, n, errp))
            return false;
    }
    return true;
}

/* ---- arguments ---- */

bool args_uuid(const struct value *args, const char *key, struct uuid *ret) {
    const char *text = value_map_str(args, key);
    return text && uuid_parse(text, ret);
}

int64_t args_int(const struct value *args, const char *key) {
    const struct value *v = value_map_get(args, key);
    return v ? value_as_int(v) : 0;
}

static bool is_disk_format(const char *format) {
    return str_eq(format, "qcow2") || str_eq(format, "raw");
}

/* ---- the repository ---- */

bool place_open(struct place *p, const struct value *args, struct error **errp) {
    *p = (struct place){.path = str_or_empty(value_map_str(args, "path"))};
    const char *trouble = store_place_trouble(p->path);
    if (trouble || !args_uuid(args, "sr", &p->sr) || !args_uuid(args, "id", &p->id) || !store_lease_id(args, &p->me)) {
        error_set(errp, ERR_SR_BACKEND_FAILURE, trouble ? trouble : "the request is not complete", p->path, "", NULL);
        return false;
    }
    p->me.vm = p->id;
    return folder_open(p->path, &p->f, errp) && store_check_mark(&p->f, p->path, &p->sr, errp);
}

bool place_hold(struct place *p, const struct uuid *vdi, struct error **errp) {
    if (!p->f.is_shared)
        return true;
    if (p->n_held == ARRAY_SIZE(p->held)) {
        error_set(errp, ERR_SR_BACKEND_FAILURE, "too many disks at once", p->path, "", NULL);
        return false;
    }
    if (!lease_take(&p->f, vdi, &p->me, errp))
        return false;
    p->held[p->n_held++] = *vdi;
    return true;
}

void place_close(struct place *p) {
    for (size_t i = 0; i < p->n_held; i++) {
        _cleanup_error_ struct error *ignored = NULL; /* what is not given back now, the next sweep gives back */
        (void)!lease_release(&p->f, &p->held[i], &p->me, &ignored);
    }
    folder_close(&p->f);
}

struct disk *place_open_disk(const struct place *p, const struct uuid *vdi, const char *format, struct error **errp) {
    char text[UUID_TEXT_SIZE];
    _cleanup_free_ char *file = store_file(p->path, vdi, format), *name = strf("%s.%s", uuid_text(vdi, text), format);
    if (!p->f.ops->tool_source)
        return disk_open(file, format, /* writes= */ false, errp);
    _cleanup_free_ char *source = p->f.ops->tool_source(p->f.at, name);
    if (source)
        return disk_open(source, /* format= */ NULL, /* writes= */ false, errp);
    error_set(errp, ERR_SR_BACKEND_FAILURE, "the target has no LUN of this disk", file, "", NULL);
    return NULL;
}

bool place_makes_disks(const struct place *p, struct error **errp) {
    if (!p->f.ops->tool_source)
        return true;
    error_set(errp, ERR_SR_BACKEND_FAILURE, "disks are not made on storage of this type", p->path, "", NULL);
    return false;
}

bool place_has_room(const struct place *p, int64_t size, struct error **errp) {
    int64_t all, used;
    int e = p->f.ops->space(p->f.at, &all, &used);
    if (e < 0) {
        store_error(errp, "cannot look at", p->path, e);
        return false;
    }
    if (size <= all - used)
        return true;
    _cleanup_free_ char *needed = strf("%lld", (long long)size), *left = strf("%lld", (long long)(all - used));
    error_set(errp, ERR_SR_FULL, needed, left, NULL);
    return false;
}

/* ---- raw ---- */

bool raw_export(struct disk *d, int64_t offset, int64_t size, int fd, struct error **errp) {
    _cleanup_free_ char *block = xcalloc(1, DISK_IO_MAX);
    for (int64_t end = offset + size; offset < end;) {
        int64_t n;
        bool has_data;
        if (!disk_extent(d, offset, &n, &has_data, errp))
            return false;
        n = MIN(n, end - offset);
        if (!has_data && !sink_zeroes(fd, n, errp))
            return false;
        for (int64_t done = 0; has_data && done < n;) {
            size_t piece = (size_t)MIN(n - done, (int64_t)DISK_IO_MAX);
            if (!disk_read(d, offset + done, block, piece, errp) || !sink_write(fd, block, piece, errp))
                return false;
            done += (int64_t)piece;
        }
        offset += n;
    }
    return true;
}

/* ---- the operations ---- */

struct job {
    struct place p;
    struct uuid vdi;
    const char *format, *as;
    char *file; /* of the disk, as QEMU has it */
};

static bool job_open(struct job *j, const struct value *args, struct error **errp) {
    j->format = str_or_empty(value_map_str(args, "format"));
    j->as = str_or_empty(value_map_str(args, "as"));
    if (!place_open(&j->p, args, errp))
        return false;
    if (!args_uuid(args, "vdi", &j->vdi) || !is_disk_format(j->format)) {
        error_set(errp, ERR_SR_BACKEND_FAILURE, "the request is not complete", j->p.path, "", NULL);
        return false;
    }
    j->file = store_file(j->p.path, &j->vdi, j->format);
    if (!j->p.f.is_shared && !store_settle(j->p.path, &j->vdi, errp))
        return false;
    return place_hold(&j->p, &j->vdi, errp);
}

static void job_close(struct job *j) {
    place_close(&j->p);
    free(j->file);
}

static bool unknown_format(const char *as, struct error **errp) {
    error_set(errp, ERR_INVALID_VALUE, "format", as, NULL);
    return false;
}

static bool vdi_export(const struct value *args, int fd, struct error **errp) {
    _cleanup_(job_close) struct job j = {0};
    if (!job_open(&j, args, errp))
        return false;
    _cleanup_(disk_freep) struct disk *d = place_open_disk(&j.p, &j.vdi, j.format, errp);
    if (!d)
        return false;
    if (str_eq(j.as, "vhd"))
        return vhd_export(d, fd, errp);
    if (str_eq(j.as, "qcow2"))
        return qcow2_export(d, fd, errp);
    int64_t offset = args_int(args, "offset"), size = args_int(args, "size");
    if (!str_eq(j.as, "raw"))
        return unknown_format(j.as, errp);
    if (offset < 0 || size < 0 || offset > disk_size(d) || size > disk_size(d) - offset) {
        error_set(errp, ERR_VDI_IO_ERROR, "the disk is smaller than its row says", NULL);
        return false;
    }
    return raw_export(d, offset, size, fd, errp);
}

static bool read_into(struct job *j, struct image *i, const struct value *args, int64_t size, struct source *s,
                      struct error **errp) {
    const struct value *chunked = value_map_get(args, "chunked");
    if (chunked && value_as_bool(chunked))
        return chunked_import(i, s, errp);
    if (str_eq(j->as, "raw"))
        return raw_import(i, size, s, errp);
    if (str_eq(j->as, "vhd"))
        return vhd_import(i, size, s, errp);
    return str_eq(j->as, "qcow2") ? qcow2_import(i, size, args, s, errp) : unknown_format(j->as, errp);
}

static bool vdi_import(const struct value *args, int fd, struct value *ret, struct error **errp) {
    _cleanup_(job_close) struct job j = {0};
    _cleanup_(image_done) struct image i = {0};
    struct source s = {.fd = fd, .announced = args_int(args, "length")};
    int64_t size = args_int(args, "size");
    struct image_info info;
    char text[UUID_TEXT_SIZE];
    if (!job_open(&j, args, errp) || !place_makes_disks(&j.p, errp) ||
        (s.announced > 0 && !place_has_room(&j.p, s.announced, errp)) ||
        !image_begin(&i, &j.p, args, 0, j.format, size, errp) || !read_into(&j, &i, args, size, &s, errp))
        return false;
    watch_all_read();
    if ((i.disk && !image_complete(&i, errp)) || !image_place(&i, &j.vdi, errp))
        return false;
    /* From here on it is the disk's content; that it cannot be measured changes nothing, the next scan does it. */
    _cleanup_free_ char *name = strf("%s.%s", uuid_text(&j.vdi, text), j.format);
    _cleanup_error_ struct error *ignored = NULL;
    if (image_info(&j.p.f, name, j.file, j.format, &info, &ignored)) {
        value_map_put(ret, "virtual_size", value_int(info.virtual_size));
        value_map_put(ret, "physical_size", value_int(info.physical_size));
    }
    return true;
}

bool store_stream_run(const char *op, const struct value *args, int fd, struct value *ret, struct error **errp) {
    struct value result = value_map();
    bool ok = false;
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error, not an end: there is something to remove */
    if (str_eq(op, "vdi_export"))
        ok = vdi_export(args, fd, errp);
    else if (str_eq(op, "vdi_import"))
        ok = vdi_import(args, fd, &result, errp);
    else if (str_eq(op, "vm_export"))
        ok = vm_export(args, fd, errp);
    else if (str_eq(op, "vm_import"))
        ok = vm_import(args, fd, &result, errp);
    else
        error_set(errp, ERR_NOT_IMPLEMENTED, op, NULL);
    if (ok)
        *ret = value_take(&result);
    value_done(&result);
    return ok;
}

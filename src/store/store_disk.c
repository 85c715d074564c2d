/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_disk.h"

#include <errno.h>
#include <libnbd.h>

#include "base/str.h"
#include "model/model.h"
#include "store/store_private.h"

#define LOOK_SIZE (1u << 30) /* bytes that one question about what is there covers */

struct disk {
    struct nbd_handle *nbd;
    char *path;
    int64_t size;
    bool writes;
};

/* What libnbd has just said. */
static bool fail(const char *what, const char *path, struct error **errp) {
    int code = nbd_get_errno();
    if (code == ENOSPC || code == EDQUOT)
        error_set(errp, ERR_SR_FULL, "0", "0", NULL);
    else
        error_setf(errp, ERR_SR_BACKEND_FAILURE, "%s '%s': %s", what, path, str_or_empty(nbd_get_error()));
    return false;
}

static bool start(struct disk *d, const char *format, struct error **errp) {
    _cleanup_free_ char *format_word = format ? strf("--format=%s", format) : xstrdup("--image-opts");
    /* What is written in zeroes takes no room. */
    const char *write[] = {"qemu-nbd", "--discard=unmap", "--detect-zeroes=unmap", format_word, "--", d->path, NULL};
    const char *read[] = {"qemu-nbd", "--read-only", format_word, "--", d->path, NULL};
    d->nbd = nbd_create();
    if (!d->nbd || nbd_add_meta_context(d->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0 ||
        nbd_connect_systemd_socket_activation(d->nbd, (char **)(d->writes ? write : read)) < 0)
        return fail("cannot open the disk", d->path, errp);
    d->size = nbd_get_size(d->nbd);
    return d->size >= 0 || fail("cannot measure the disk", d->path, errp);
}

struct disk *disk_open(const char *path, const char *format, bool writes, struct error **errp) {
    struct disk *d = xnew0(struct disk);
    d->path = xstrdup(path);
    d->writes = writes;
    if (start(d, format, errp))
        return d;
    disk_free(d);
    return NULL;
}

int64_t disk_size(const struct disk *d) {
    return d->size;
}

bool disk_read(struct disk *d, int64_t offset, void *data, size_t size, struct error **errp) {
    return nbd_pread(d->nbd, data, size, (uint64_t)offset, 0) == 0 || fail("cannot read the disk", d->path, errp);
}

bool disk_write(struct disk *d, int64_t offset, const void *data, size_t size, struct error **errp) {
    return nbd_pwrite(d->nbd, data, size, (uint64_t)offset, 0) == 0 || fail("cannot write the disk", d->path, errp);
}

/* ---- what is there ---- */

struct look {
    int64_t size;
    bool has_data, is_over;
};

/* Runs of the same kind are joined as far as they were reported. */
static int on_extents(void *user_data, const char *context, uint64_t offset, uint32_t *entries, size_t n, int *error) {
    struct look *l = user_data;
    if (!str_eq(context, LIBNBD_CONTEXT_BASE_ALLOCATION))
        return 0;
    for (size_t i = 0; i + 1 < n && !l->is_over; i += 2) {
        bool has_data = !(entries[i + 1] & LIBNBD_STATE_ZERO);
        l->is_over = l->size > 0 && has_data != l->has_data;
        if (l->is_over)
            break;
        l->has_data = has_data;
        l->size += entries[i];
    }
    return 0;
}

bool disk_extent(struct disk *d, int64_t offset, int64_t *ret_size, bool *ret_has_data, struct error **errp) {
    struct look l = {0};
    int64_t size = MIN(d->size - offset, (int64_t)LOOK_SIZE);
    if (nbd_can_meta_context(d->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) != 1) {
        l = (struct look){.size = size, .has_data = true};
    } else if (nbd_block_status(d->nbd, (uint64_t)size, (uint64_t)offset,
                                (nbd_extent_callback){.callback = on_extents, .user_data = &l}, 0) < 0) {
        return fail("cannot look at the disk", d->path, errp);
    }
    if (l.size <= 0) {
        error_set(errp, ERR_SR_BACKEND_FAILURE, "the disk does not say what is there", d->path, "", NULL);
        return false;
    }
    *ret_size = MIN(l.size, d->size - offset);
    *ret_has_data = l.has_data;
    return true;
}

/* ---- the end ---- */

bool disk_close(struct disk *d, struct error **errp) {
    bool ok = !d->writes || nbd_flush(d->nbd, 0) == 0;
    if (!ok)
        (void)fail("cannot complete the disk", d->path, errp);
    if (nbd_shutdown(d->nbd, 0) < 0 && ok)
        ok = fail("cannot close the disk", d->path, errp);
    disk_free(d);
    return ok;
}

void disk_free(struct disk *d) {
    if (!d)
        return;
    if (d->nbd)
        nbd_close(d->nbd);
    free(d->path);
    free(d);
}

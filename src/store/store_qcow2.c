/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks as qcow2 streams. Written: from the map of what there is. Read: an image may have its tables anywhere, so it is
 * kept beside the disk until it is there, judged, and converted.
 */
#include "base/str.h"
#include "model/model.h"
#include "store/store_qcow2_core.h"
#include "store/store_stream_private.h"
#include "store/store_watch.h"

bool qcow2_export(struct disk *d, int fd, struct error **errp) {
    _cleanup_free_ uint8_t *map = disk_map(d, QCOW2_CLUSTER, errp), *cluster = xcalloc(1, QCOW2_CLUSTER);
    if (!map)
        return false;
    struct qcow2_layout l;
    qcow2_layout_init(&l, disk_size(d), map);
    struct qcow2_writer w = {.layout = &l, .map = map};
    for (int64_t k = 0; k < l.n_front; k++) {
        qcow2_front(&w, k, cluster);
        if (!sink_write(fd, cluster, QCOW2_CLUSTER, errp))
            return false;
    }
    for (int64_t i = 0; i < l.n_clusters; i++) {
        int64_t at = i * QCOW2_CLUSTER;
        size_t size = (size_t)MIN((int64_t)QCOW2_CLUSTER, disk_size(d) - at);
        if (!disk_map_has(map, i))
            continue;
        memset(cluster + size, 0, QCOW2_CLUSTER - size);
        if (!disk_read(d, at, cluster, size, errp) || !sink_write(fd, cluster, QCOW2_CLUSTER, errp))
            return false;
    }
    return true;
}

static bool receive(struct image *i, const uint8_t *head, struct source *s, struct error **errp) {
    _cleanup_free_ char *block = xcalloc(1, DISK_IO_MAX);
    int64_t at = QCOW2_HEAD_SIZE;
    if (!image_put(i, 0, head, QCOW2_HEAD_SIZE, errp))
        return false;
    for (size_t n = DISK_IO_MAX; n == DISK_IO_MAX; at += (int64_t)n)
        if (!source_read(s, block, DISK_IO_MAX, &n, errp) || !image_put(i, at, block, n, errp))
            return false;
    if (at >= s->announced)
        return true;
    error_set(errp, ERR_IMPORT_ERROR_PREMATURE_EOF, NULL);
    return false;
}

/* Of a file that was cut off QEMU would read zeroes in place of what is missing. */
static bool is_sound(const struct image *upload, struct error **errp) {
    const char *const argv[] = {"check", "-q", "-f", "qcow2", "-r", "leaks", upload->path, NULL};
    struct error *e = NULL;
    if (image_tool(argv, /* copies= */ true, &e))
        return true;
    error_setf(errp, ERR_IMPORT_ERROR, "qcow2: it is damaged, or was cut off (%s)", error_text(e));
    error_free(e);
    return false;
}

bool qcow2_import(struct image *i, int64_t size, const struct value *args, struct source *s, struct error **errp) {
    uint8_t head[QCOW2_HEAD_SIZE];
    _cleanup_(image_done) struct image upload = {0};
    int64_t virtual_size = 0;
    const char *why = "its length was not announced";
    if (s->announced <= 0) {
        error_setf(errp, ERR_IMPORT_ERROR, "qcow2: %s", why);
        return false;
    }
    if (!source_need(s, head, sizeof(head), errp))
        return false;
    if (!qcow2_head_check(head, &virtual_size, &why)) {
        error_setf(errp, ERR_IMPORT_ERROR, "qcow2: %s", why);
        return false;
    }
    if (virtual_size > size) {
        error_setf(errp, ERR_IMPORT_ERROR, "the image is of a disk of %lld bytes, and this one has %lld",
                   (long long)virtual_size, (long long)size);
        return false;
    }
    int64_t room = (s->announced + 65535) / 65536 * 65536;
    if (!image_begin(&upload, i->p, args, 1, "raw", room, errp) || !receive(&upload, head, s, errp))
        return false;
    watch_all_read();
    if (!image_complete(&upload, errp) || !image_complete(i, errp) || !is_sound(&upload, errp))
        return false;
    /* Without a word about its cache it would never flush. */
    const char *const argv[] = {"convert", "-q", "-n",   "-f",        "qcow2", "-O",
                                i->format, "-t", "none", upload.path, i->path, NULL};
    return image_tool(argv, /* copies= */ true, errp) && store_flush(&i->p->f, i->name, i->path, errp);
}

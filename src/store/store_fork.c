/* SPDX-License-Identifier: Apache-2.0 */
/* Disks that are made of others: forks, on a common base, and whole copies. */
#include <errno.h>

#include "base/str.h"
#include "model/model.h"
#include "store/store_private.h"

static char *name_of(const struct uuid *vdi, const char *format) {
    char text[UUID_TEXT_SIZE];
    return strf("%s.%s", uuid_text(vdi, text), format);
}

static void remove_file(const struct folder *f, const char *name) {
    (void)f->ops->unlink(f->at, name);
}

/* ---- after a rename that failed ---- */

/* What storage says of itself when it has done nothing. Of all else (no answer in time, a connection that broke, a
 * folder that could not be flushed) nobody knows, and what was asked for may still be done later. */
static bool is_refusal(int e) {
    static const int refusals[] = {ENOENT, EACCES, EPERM,  EEXIST, ENOTEMPTY, ENOSPC, EDQUOT,      EROFS,
                                   EXDEV,  EMLINK, EISDIR, EINVAL, ENOTDIR,   ENOSYS, ENAMETOOLONG};
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
        if (e == -refusals[i])
            return true;
    return false;
}

enum rename_outcome folder_rename(const struct folder *f, const char *from, const char *to, int *ret_error) {
    struct folder_stat st;
    int e = f->ops->rename(f->at, from, to);
    *ret_error = e;
    if (e == 0)
        return RENAME_DONE;
    /* Who has the name counts, not what was said of it. */
    int left = f->ops->stat(f->at, from, &st);
    if (left == -ENOENT && f->ops->stat(f->at, to, &st) == 0)
        return RENAME_DONE;
    return left == 0 && is_refusal(e) ? RENAME_REFUSED : RENAME_UNKNOWN;
}

/* ---- forks ---- */

/*
 * The content of a disk under a second name, then two new images on top of it. At every moment the disk's own name
 * leads to its whole content: first the second name (a link), then the child, last the new image takes the disk's place
 * in one step. What a crash leaves behind is the base or the child without a row; the next scan finds them.
 */
bool store_fork(const struct folder *f, const char *place, const struct uuid *vdi, const struct uuid *base,
                const struct uuid *child, int64_t *ret_size, struct error **errp) {
    _cleanup_free_ char *path = store_file(place, vdi, "qcow2"), *base_path = store_file(place, base, "qcow2"),
                        *child_path = store_file(place, child, "qcow2"),
                        *next_path = strf("%s" STORE_NEXT_SUFFIX, path), *name = name_of(vdi, "qcow2"),
                        *base_name = name_of(base, "qcow2"), *child_name = name_of(child, "qcow2"),
                        *next_name = strf("%s" STORE_NEXT_SUFFIX, name);
    struct image_info info;
    if (!image_info(f, name, path, "qcow2", &info, errp))
        return false;
    int e = f->ops->link(f->at, name, base_name);
    if (e < 0) {
        store_error(errp, "cannot name", base_path, e);
        return false;
    }
    remove_file(f, next_name);
    if (image_create(child_path, "qcow2", info.virtual_size, base_name, errp) &&
        image_create(next_path, "qcow2", info.virtual_size, base_name, errp)) {
        enum rename_outcome o = folder_rename(f, next_name, name, &e);
        if (o == RENAME_DONE) {
            *ret_size = info.physical_size;
            return true;
        }
        store_error(errp, "cannot put in its place", path, e);
        if (o == RENAME_UNKNOWN)
            return false; /* the base may be all that has the content, now or in a moment: a scan finds what is there */
    }
    remove_file(f, next_name);
    remove_file(f, child_name);
    remove_file(f, base_name);
    return false;
}

/* ---- copies ---- */

bool store_flush(const struct folder *f, const char *name, const char *path, struct error **errp) {
    int e = f->ops->flush(f->at, name);
    if (e < 0)
        store_error(errp, "what was written cannot be put on the medium of", path, e);
    return e == 0;
}

bool store_copy(const struct disk_place *from, const struct disk_place *to, struct image_info *ret,
                struct error **errp) {
    _cleanup_free_ char *from_name = name_of(from->vdi, from->format),
                        *from_file = store_file(from->path, from->vdi, from->format),
                        *to_name = name_of(to->vdi, to->format), *to_file = store_file(to->path, to->vdi, to->format);
    if (to->f->ops->prepare) {
        error_set(errp, ERR_SR_BACKEND_FAILURE, "disks are not made on storage of this type", to->path, "", NULL);
        return false;
    }
    if (folder_has(to->f, to_name)) {
        error_set(errp, ERR_SR_BACKEND_FAILURE, "there is a disk of this name", to_file, "", NULL);
        return false;
    }
    const char *const plain[] = {"convert", "-q",   "-f",      from->format, "-O", to->format,
                                 "-t",      "none", from_file, to_file,      NULL};
    bool ok;
    if (from->f->ops->tool_source) {
        _cleanup_free_ char *source = from->f->ops->tool_source(from->f->at, from_name);
        const char *const far[] = {"convert", "-q",   "--image-opts",       "-O",    to->format,
                                   "-t",      "none", str_or_empty(source), to_file, NULL};
        ok = image_tool(far, /* copies= */ true, errp);
    } else {
        ok = image_tool(plain, /* copies= */ true, errp);
    }
    if (ok && store_flush(to->f, to_name, to_file, errp) && image_info(to->f, to_name, to_file, to->format, ret, errp))
        return true;
    remove_file(to->f, to_name);
    return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* base/fs.h over memory: every write is atomic and durable, as the real one promises. A full disk refuses writes. */
#include "sim.h"

#include <errno.h>
#include <string.h>

#include "base/fs.h"
#include "base/strmap.h"

static struct strmap *files;

void sim_fs_init(void) {
    files = strmap_new();
}

static void file_free(struct buf *b) {
    if (!b)
        return;
    buf_done(b);
    free(b);
}

void sim_fs_done(void) {
    size_t pos = 0;
    const char *path;
    void *file;
    while (strmap_next(files, &pos, &path, &file))
        file_free(file);
    strmap_free(files);
    files = NULL;
}

int fs_read(const char *path, size_t max_size, struct buf *ret) {
    const struct buf *f = strmap_get(files, path);
    if (!f)
        return -ENOENT;
    if (f->size > max_size)
        return -EFBIG;
    buf_clear(ret);
    buf_add(ret, f->data, f->size);
    return 0;
}

int fs_write_atomic(const char *path, const void *data, size_t size, unsigned mode) {
    if (sim->hosts[sim_host_of_path(path)].disk_full)
        return -ENOSPC;
    struct buf *f = xnew0(struct buf);
    *f = (struct buf)BUF_INIT;
    buf_add(f, data, size);
    file_free(strmap_put(files, path, f));
    return 0;
}

int fs_mkdirs(const char *path, unsigned mode) {
    return 0;
}

int fs_unlink(const char *path) {
    file_free(strmap_remove(files, path));
    return 0;
}

bool fs_exists(const char *path) {
    if (strmap_get(files, path))
        return true;
    size_t pos = 0, n = strlen(path);
    const char *name;
    void *file;
    while (strmap_next(files, &pos, &name, &file))
        if (str_starts(name, path) && name[n] == '/')
            return true;
    return false;
}

/* A file, or everything below a folder. */
int fs_rename(const char *from, const char *to) {
    size_t n = strlen(from);
    bool any = false;
    for (;;) {
        size_t pos = 0;
        const char *name;
        void *file;
        char *found = NULL, *renamed = NULL;
        while (!found && strmap_next(files, &pos, &name, &file))
            if (str_eq(name, from) || (str_starts(name, from) && name[n] == '/')) {
                found = xstrdup(name);
                renamed = strf("%s%s", to, name + n);
            }
        if (!found)
            return any ? 0 : -ENOENT;
        file_free(strmap_put(files, renamed, strmap_remove(files, found)));
        free(found);
        free(renamed);
        any = true;
    }
}

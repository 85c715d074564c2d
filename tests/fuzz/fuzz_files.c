/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define MAX_FILES 8

static struct {
    char *path; /* NULL: a free place */
    struct buf content;
} files[MAX_FILES];

static int find(const char *path) {
    for (int i = 0; i < MAX_FILES; i++)
        if (files[i].path && str_eq(files[i].path, path))
            return i;
    return -1;
}

void fuzz_files_set(const char *path, const void *data, size_t size) {
    int at = find(path);
    for (int i = 0; at < 0 && i < MAX_FILES; i++)
        if (!files[i].path) {
            files[i].path = xstrdup(path);
            at = i;
        }
    if (at < 0)
        abort(); /* a fuzzer that needs more of them raises MAX_FILES */
    buf_done(&files[at].content);
    files[at].content = (struct buf)BUF_INIT;
    buf_add(&files[at].content, data, size);
}

void fuzz_files_clear(void) {
    for (int i = 0; i < MAX_FILES; i++)
        if (files[i].path)
            (void)fs_unlink(files[i].path);
}

int fs_read(const char *path, size_t max_size, struct buf *ret) {
    int at = find(path);
    if (at < 0)
        return -ENOENT;
    if (files[at].content.size > max_size)
        return -EFBIG;
    buf_add(ret, files[at].content.data, files[at].content.size);
    return 0;
}

int fs_write_atomic(const char *path, const void *data, size_t size, unsigned mode) {
    fuzz_files_set(path, data, size);
    return 0;
}

int fs_mkdirs(const char *path, unsigned mode) {
    return 0;
}

int fs_unlink(const char *path) {
    int at = find(path);
    if (at >= 0) {
        free(files[at].path);
        files[at].path = NULL;
        buf_done(&files[at].content);
    }
    return 0;
}

bool fs_exists(const char *path) {
    return find(path) >= 0;
}

int fs_rename(const char *from, const char *to) {
    int at = find(from);
    if (at < 0)
        return -ENOENT;
    (void)fs_unlink(to);
    free(files[at].path);
    files[at].path = xstrdup(to);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of a repository, on this host or on an NFS server: the few things that are done in it. Names are relative
 * to it, at most two levels ("x", "x/y"). Everything blocks. Functions return 0 or negative errno.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "base/uuid.h"
#include "base/value.h"

struct folder_stat {
    bool is_file, is_folder;
    int64_t size, physical_size; /* bytes */
};

/* What a kind of folder can do; `at` is its own. */
struct folder_ops {
    int (*read)(void *at, const char *name, size_t max_size, struct buf *ret);
    int (*peek)(void *at, const char *name, int64_t offset, size_t size, char *ret); /* bytes that there are */
    int (*write)(void *at, const char *name, const void *data, size_t size); /* whole or not at all, and it lasts */
    int (*flush)(void *at, const char *name); /* the file and its name last, whoever wrote them; NULL on LUNs */
    int (*list)(void *at, const char *name, size_t max, struct strv *ret); /* "" is the folder itself */
    int (*stat)(void *at, const char *name, struct folder_stat *ret);      /* not following links */
    int (*unlink)(void *at, const char *name);
    int (*rename)(void *at, const char *from, const char *to);
    int (*link)(void *at, const char *from, const char *to);
    int (*mkdir)(void *at, const char *name); /* "": the folder itself, and on a host what is above it */
    int (*rmdir)(void *at, const char *name);
    int (*space)(void *at, int64_t *ret_size, int64_t *ret_used);
    void (*close)(void *at);
    /* Makes a file at least so long, with nothing in it; NULL where nobody goes by the length that it had. */
    int (*lengthen)(void *at, const char *name, int64_t size);
    /* Of folders that only stand for something else (store_board.h); NULL in all others. */
    bool (*prepare)(void *at, const struct uuid *sr, struct error **errp); /* proven, and that repository */
    int (*clear)(void *at);                                                /* is none any more */
    bool (*proves)(void *at, struct error **errp);                         /* by trying it, that leases hold there */
    char *(*source)(void *at, const char *name);      /* what QEMU opens for a file; the caller frees */
    char *(*tool_source)(void *at, const char *name); /* the same for qemu-img, as image options */
    void (*describe)(void *at, const char *name, struct value *ret);
};

struct folder {
    const struct folder_ops *ops;
    void *at;
    bool is_shared; /* other hosts may have it: its disks need leases */
};

/* Opens it; on an NFS server the exported path must be there, the folder itself need not. */
bool folder_open(const char *place, struct folder *ret, struct error **errp) _warn_unused_;
void folder_close(struct folder *f);
#define _cleanup_folder_ _cleanup_(folder_close)

bool folder_has(const struct folder *f, const char *name);

/* How places of the network are opened; only the helper program can. False: it cannot be reached, with *errp. */
typedef bool folder_far_open_fn(const char *place, struct folder *ret, struct error **errp);
void folder_set_far(folder_far_open_fn *open_nfs, folder_far_open_fn *open_iscsi);
bool folder_can_far(void);

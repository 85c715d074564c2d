/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_board.h"

#include <errno.h>

#include "model/model.h"
#include "store/store_board_private.h"
#include "store/store_lease.h"
#include "store/store_private.h"

/* ---- names: ".leases/<folder>" and ".leases/<folder>/<name>" ---- */

struct path {
    char *folder, *name; /* `name` NULL: the folder itself; `folder` NULL: all leases */
    struct uuid vdi;
    bool is_disk; /* `folder` is a disk's, else one that is being made */
};

static void path_done(struct path *p) {
    free(p->folder);
    free(p->name);
}
#define _cleanup_path_ _cleanup_(path_done)

static bool path_parse(const char *text, struct path *ret) {
    *ret = (struct path){0};
    if (!str_starts(text, LEASES_FOLDER))
        return false;
    text += strlen(LEASES_FOLDER);
    if (!*text)
        return true;
    const char *slash = strchr(text + 1, '/');
    ret->folder = slash ? xstrndup(text + 1, (size_t)(slash - text - 1)) : xstrdup(text + 1);
    ret->name = slash ? xstrdup(slash + 1) : NULL;
    ret->is_disk = uuid_parse(ret->folder, &ret->vdi);
    return *text == '/';
}

/* The file in a folder that is being made, as an index of `fresh`; -1: there is none. */
static int fresh_at(const struct board *b, const char *folder) {
    size_t n = strlen(folder);
    for (size_t i = 0; i < b->fresh.n; i++)
        if (strncmp(b->fresh.items[i], folder, n) == 0 && b->fresh.items[i][n] == '/')
            return (int)i;
    return -1;
}

static const char *fresh_name(const struct board *b, int i) {
    return strchr(b->fresh.items[i], '/') + 1;
}

static void fresh_forget(struct board *b, int i) {
    if (i >= 0)
        b->fresh.items[i][0] = '\0'; /* a name that no folder has */
}

static struct lun *lun_of(const struct board *b, const char *file) {
    char text[UUID_TEXT_SIZE];
    for (size_t i = 0; i < b->n_luns; i++) {
        struct uuid u = uuid_derive(&b->sr, b->luns[i].id);
        _cleanup_free_ char *name = strf("%s.raw", uuid_text(&u, text));
        if (str_eq(name, file))
            return &b->luns[i];
    }
    return NULL;
}

static int board_read(void *at, const char *name, size_t max_size, struct buf *ret) {
    struct board *b = at;
    char block[BOARD_BLOCK_MAX], text[UUID_TEXT_SIZE];
    struct uuid sr;
    if (!str_eq(name, STORE_MARK))
        return -ENOENT;
    int r = board_read_blocks(b, 0, 1, block);
    if (r < 0)
        return r;
    if (!board_mark_parse(block, (size_t)b->board.block_size, &sr))
        return -ENOENT;
    buf_addf(ret, "%s\n", uuid_text(&sr, text));
    return 0;
}

static int board_peek(void *at, const char *name, int64_t offset, size_t size, char *ret) {
    return -ENOTSUP;
}

static int board_write(void *at, const char *name, const void *data, size_t size) {
    struct board *b = at;
    _cleanup_path_ struct path p = {0};
    if (!path_parse(name, &p) || !p.name || p.is_disk || size)
        return -ENOTSUP;
    strv_take(&b->fresh, strf("%s/%s", p.folder, p.name));
    return 0;
}

static int list_luns(const struct board *b, size_t max, struct strv *ret) {
    char text[UUID_TEXT_SIZE];
    for (size_t i = 0; i < b->n_luns && i < max; i++) {
        struct uuid u = uuid_derive(&b->sr, b->luns[i].id);
        strv_take(ret, strf("%s.raw", uuid_text(&u, text)));
    }
    return 0;
}

static int board_list(void *at, const char *name, size_t max, struct strv *ret) {
    struct board *b = at;
    _cleanup_path_ struct path p = {0};
    char lease[LEASE_NAME_SIZE];
    unsigned slot;
    if (!*name)
        return list_luns(b, max, ret);
    if (!path_parse(name, &p) || p.name)
        return -ENOENT;
    if (!p.folder)
        return board_list_leases(b, max, ret);
    if (!p.is_disk) {
        int i = fresh_at(b, p.folder);
        if (i >= 0)
            strv_add(ret, fresh_name(b, i));
        return 0;
    }
    int r = board_find_slot(b, &p.vdi, &slot, lease);
    if (r == 0 && *lease)
        strv_add(ret, lease);
    /* As a lease that cannot be read, which is what each of them may be. */
    return r == -EBADMSG ? board_list_damaged(b, &p.vdi, ret) : r;
}

static int board_stat(void *at, const char *name, struct folder_stat *ret) {
    const struct lun *l = lun_of(at, name);
    if (!l)
        return -ENOENT;
    *ret = (struct folder_stat){.is_file = true, .size = l->size, .physical_size = l->size};
    return 0;
}

static int board_unlink(void *at, const char *name) {
    struct board *b = at;
    _cleanup_path_ struct path p = {0};
    if (!path_parse(name, &p) || !p.name)
        return -ENOENT;
    if (p.is_disk && str_starts(p.name, LEASES_DAMAGED))
        return board_clear_damaged(b, p.name);
    if (p.is_disk)
        return board_swap(b, &p.vdi, p.name, "");
    fresh_forget(b, fresh_at(b, p.folder));
    return 0;
}

/* A folder that was made into its place: the lease is taken. A file in its folder: it is passed on. */
static int board_rename(void *at, const char *from, const char *to) {
    struct board *b = at;
    _cleanup_path_ struct path f = {0}, t = {0};
    bool ok = path_parse(from, &f);
    ok = path_parse(to, &t) && ok;
    if (!ok || !f.folder || !t.is_disk)
        return -ENOTSUP;
    if (f.name && t.name && f.is_disk && uuid_eq(&f.vdi, &t.vdi))
        return board_swap(b, &f.vdi, f.name, t.name);
    int i = f.name || t.name ? -1 : fresh_at(b, f.folder);
    if (i < 0)
        return -ENOENT;
    int r = board_swap(b, &t.vdi, "", fresh_name(b, i));
    if (r == 0)
        fresh_forget(b, i);
    return r;
}

static int board_link(void *at, const char *from, const char *to) {
    return -ENOTSUP;
}

static int board_mkdir(void *at, const char *name) {
    return 0; /* folders are there by being named */
}

static int board_rmdir(void *at, const char *name) {
    return 0;
}

static int board_space(void *at, int64_t *ret_size, int64_t *ret_used) {
    const struct board *b = at;
    *ret_size = 0;
    for (size_t i = 0; i < b->n_luns; i++)
        *ret_size += b->luns[i].size;
    *ret_used = *ret_size; /* each LUN is a disk */
    return 0;
}

static void board_close(void *at) {
    struct board *b = at;
    iscsi_close(b->c);
    strv_done(&b->fresh);
    free(b->luns);
    free(b->portal);
    free(b->target);
    free(b->place);
    free(b);
}

/* ---- the repository ---- */

static int clear_alone(struct board *b, void *userdata) {
    size_t size = (size_t)b->board.block_size;
    _cleanup_free_ char *blocks = xcalloc(CHUNK, size);
    int r = 0;
    for (unsigned at = 1; r == 0 && at < BOARD_BLOCKS; at += CHUNK)
        r = iscsi_write_blocks(b->c, &b->board, at, MIN((size_t)CHUNK, (size_t)(BOARD_BLOCKS - at)), blocks);
    return r < 0 ? r : iscsi_write_blocks(b->c, &b->board, 0, 1, blocks); /* the mark last */
}

static int board_clear(void *at) {
    return board_alone(at, clear_alone, NULL);
}

/* What another session is told while this one has the board. */
static int rival_alone(struct board *b, void *userdata) {
    struct board *rival = userdata;
    char block[BOARD_BLOCK_MAX];
    int r = iscsi_read_blocks(b->c, &b->board, 0, 1, block);
    if (r < 0)
        return r;
    int reserves = iscsi_reserve(rival->c, &b->board);
    if (reserves == -EAGAIN)
        return reserves;
    if (reserves != -EBUSY)
        return -EPERM;
    return iscsi_write_blocks(rival->c, &b->board, 0, 1, block) == -EBUSY ? 0 : -EPERM; /* the same as there is */
}

/* Tried on the target itself: what is reserved is refused to others, and is free again when its session is gone. */
static bool board_proves(void *at, struct error **errp) {
    struct board *b = at;
    struct board rival = {.board = b->board};
    struct lun *luns = NULL;
    size_t n;
    rival.c = iscsi_open(b->portal, b->target, errp);
    if (!rival.c || !iscsi_luns(rival.c, &luns, &n, errp)) {
        iscsi_close(rival.c);
        return false;
    }
    free(luns);
    int r = board_alone(b, rival_alone, &rival);
    if (r == 0)
        r = board_reserve(&rival);
    iscsi_drop(rival.c);
    if (r == 0)
        r = board_reserve(b);
    if (r == 0)
        r = iscsi_release(b->c, &b->board);
    if (r == -EPERM)
        error_set(errp, ERR_SR_BACKEND_FAILURE,
                  "the target lets two hosts write a LUN that one of them has reserved (SPC-2 RESERVE), so leases of "
                  "disks would not be safe on it",
                  b->place, "", NULL);
    else if (r < 0)
        store_error(errp, "the target does not reserve the LUN of", b->place, r);
    return r == 0;
}

static int look_blank(struct board *b) {
    size_t size = (size_t)b->board.block_size;
    _cleanup_free_ char *blocks = xcalloc(CHUNK, size);
    for (unsigned at = 0; at < BOARD_BLOCKS; at += CHUNK) {
        size_t n = MIN((size_t)CHUNK, (size_t)(BOARD_BLOCKS - at));
        int r = board_read_blocks(b, at, n, blocks);
        if (r < 0)
            return r;
        if (!board_is_blank(blocks, n * size))
            return -ENOTEMPTY;
    }
    return 0;
}

static int mark_alone(struct board *b, void *userdata) {
    const char *mark = userdata;
    int r = look_blank(b);
    return r < 0 ? r : iscsi_write_blocks(b->c, &b->board, 0, 1, mark);
}

static bool board_prepare(void *at, const struct uuid *sr, struct error **errp) {
    struct board *b = at;
    char mark[BOARD_BLOCK_MAX], text[UUID_TEXT_SIZE];
    size_t size = (size_t)b->board.block_size;
    if (b->board.size < (int64_t)size * BOARD_BLOCKS) {
        _cleanup_free_ char *least =
            strf("%lld bytes; it needs %lld", (long long)b->board.size, (long long)size * BOARD_BLOCKS);
        error_set(errp, ERR_SR_BACKEND_FAILURE, "the LUN is too small for leases", b->place, least, NULL);
        return false;
    }
    if (!uuid_is_null(&b->sr)) {
        error_set(errp, ERR_SR_BACKEND_FAILURE, "the LUN belongs to a repository already (xe sr-introduce)", b->place,
                  uuid_text(&b->sr, text), NULL);
        return false;
    }
    board_mark_format(sr, mark, size);
    int r = look_blank(b); /* before it is reserved: the wrong LUN may be a disk that a VM writes on */
    if (r == 0 && !board_proves(at, errp))
        return false;
    if (r == 0)
        r = board_alone(b, mark_alone, mark);
    if (r == -ENOTEMPTY)
        error_set(
            errp, ERR_SR_BACKEND_FAILURE,
            "the LUN has something on it, and the one that leases are kept on must be empty: is it the right one? "
            "Then write zeros on its first megabytes",
            b->place, b->board.id, NULL);
    else if (r < 0)
        store_error(errp, "cannot write on", b->place, r);
    return r == 0;
}

static char *board_source(void *at, const char *name) {
    const struct board *b = at;
    const struct lun *l = lun_of(b, name);
    return l ? strf("iscsi://%s/%s/%d", b->portal, b->target, l->number) : NULL;
}

static char *board_tool_source(void *at, const char *name) {
    const struct board *b = at;
    const struct lun *l = lun_of(b, name);
    return l ? strf("driver=raw,file.driver=iscsi,file.transport=tcp,file.portal=%s,file.target=%s,file.lun=%d,"
                    "file.initiator-name=%s",
                    b->portal, b->target, l->number, iscsi_initiator())
             : NULL;
}

static void board_describe(void *at, const char *name, struct value *ret) {
    const struct lun *l = lun_of(at, name);
    if (!l)
        return;
    value_map_put(ret, "name", value_stringf("LUN %d", l->number));
    value_map_put(ret, "SCSIid", value_string(l->id));
    value_map_put(ret, "LUNid", value_stringf("%d", l->number));
}

static const struct folder_ops board_ops = {.read = board_read,
                                            .peek = board_peek,
                                            .write = board_write,
                                            .list = board_list,
                                            .stat = board_stat,
                                            .unlink = board_unlink,
                                            .rename = board_rename,
                                            .link = board_link,
                                            .mkdir = board_mkdir,
                                            .rmdir = board_rmdir,
                                            .space = board_space,
                                            .close = board_close,
                                            .prepare = board_prepare,
                                            .clear = board_clear,
                                            .proves = board_proves,
                                            .source = board_source,
                                            .tool_source = board_tool_source,
                                            .describe = board_describe};

bool board_folder_open(const char *place, struct folder *ret, struct error **errp) {
    struct iscsi_place p;
    if (!iscsi_place_parse(place, &p)) {
        error_set(errp, ERR_SR_BACKEND_FAILURE, "the place is not a LUN of an iSCSI target", place, "", NULL);
        return false;
    }
    struct board *b = xnew0(struct board);
    *b = (struct board){.portal = xstrdup(p.portal), .target = xstrdup(p.target), .place = xstrdup(place)};
    b->c = iscsi_open(p.portal, p.target, errp);
    bool ok = b->c && iscsi_luns(b->c, &b->luns, &b->n_luns, errp);
    if (ok && !luns_take_board(b->luns, &b->n_luns, p.lun, &b->board)) {
        error_set(errp, ERR_SR_BACKEND_FAILURE, "the target has no such LUN", place, p.lun, NULL);
        ok = false;
    }
    char block[BOARD_BLOCK_MAX];
    int r = ok ? board_measure(b) : 0;
    if (ok && r == 0)
        r = board_read_blocks(b, 0, 1, block);
    if (r < 0)
        store_error(errp, "cannot read", place, r);
    ok = ok && r == 0;
    if (ok && !board_mark_parse(block, (size_t)b->board.block_size, &b->sr))
        b->sr = (struct uuid){0};
    iscsi_place_done(&p);
    if (ok)
        *ret = (struct folder){.ops = &board_ops, .at = b, .is_shared = true};
    else
        board_close(b);
    return ok;
}

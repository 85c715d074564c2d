/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a full disk would do to the database server (docs/decisions/0021): room is kept for its log behind the end of
 * its file, the server is stopped before that is used up, and a file that has a hole all the same is mended.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "db/db_raftlog.h"
#include "db/db_server_private.h"
#include "loop/worker.h"

#define LOG_MODULE "pooldb"
#include "base/log.h"

#define KIB UINT64_C(1024)
/* What is kept when the disk has it, and what a server needs to be started, and to go on. About 1 KiB is one write. */
#define ROOM_WANTED (8192 * KIB)
#define ROOM_TO_START (1024 * KIB)
#define ROOM_TO_GO_ON (512 * KIB)
#define LOOK_MS 1000
#define MAX_FILE ((size_t)1 << 30)

/* ---- room ---- */

static uint64_t allocated_behind(const struct stat *st) {
    uint64_t blocks = (uint64_t)st->st_blocks * 512, size = (uint64_t)st->st_size;
    return blocks > size ? blocks - size : 0;
}

/* Of the disk's free room only half is taken, but for the least that is needed. */
static uint64_t take_room(int fd, const struct stat *st, uint64_t has, const struct statvfs *disk) {
    uint64_t available = (uint64_t)disk->f_bavail * disk->f_frsize;
    for (uint64_t room = ROOM_WANTED; room >= ROOM_TO_START && room > has; room /= 2) {
        if (room - has > available / 2 && room > ROOM_TO_START)
            continue;
        int r;
        do
            r = fallocate(fd, FALLOC_FL_KEEP_SIZE, st->st_size, (off_t)room);
        while (r < 0 && errno == EINTR);
        if (r == 0)
            return room;
        if (errno != ENOSPC && errno != EDQUOT) /* not on this file system: then there is what there is */
            return has + available;
    }
    return has;
}

/*
 * A file system gives the room back when the file is cut to its length, which the server does before its first write,
 * and a compacted file is a new one: so it is looked at again and again. Kept is what stands behind the end already.
 */
static uint64_t keep_room(const struct db_server *s) {
    _cleanup_close_ int fd = open(s->file, O_RDWR | O_CLOEXEC);
    struct stat st;
    struct statvfs disk;
    if (fd < 0 || fstat(fd, &st) < 0 || fstatvfs(fd, &disk) < 0)
        return UINT64_MAX; /* the server will say what is wrong */
    uint64_t has = allocated_behind(&st);
    return has >= ROOM_WANTED * 3 / 4 ? has : take_room(fd, &st, has, &disk);
}

bool server_need_room(struct db_server *s) {
    uint64_t room = keep_room(s);
    if (room < ROOM_TO_START)
        server_fail(s, "the disk is full: the pool database has room for %llu KiB only, it needs %llu KiB",
                    (unsigned long long)(room / KIB), (unsigned long long)(ROOM_TO_START / KIB));
    return room >= ROOM_TO_START;
}

static void on_stopped(const struct error *e, void *userdata) {
    if (e)
        log_err("the pool database server could not be stopped: %s", error_param(e, 0));
}

static void on_look(struct loop_source *t, void *userdata) {
    struct db_server *s = userdata;
    bool relay;
    loop_timer_set(t, LOOK_MS);
    if (s->busy || !fs_exists(s->file) || server_pid(s, &relay) < 0 || relay)
        return;
    uint64_t room = keep_room(s);
    if (room >= ROOM_TO_GO_ON || !server_begin(s, on_stopped, s))
        return;
    log_err("the disk is full: the pool database has room for %llu KiB only; its server is stopped until there is more",
            (unsigned long long)(room / KIB));
    server_add(s, step_stop);
    server_go(s);
}

void server_watch_room(struct db_server *s) {
    s->room_timer = loop_add_timer(s->loop, LOOK_MS, on_look, s);
}

/* ---- a hole ---- */

struct mending {
    struct db_server *server; /* NULL: gone */
    char *file, *fresh, *copy;
    bool has_hole;
    int error;
    struct raftlog_hole hole;
};

static int place(const struct mending *m, const struct buf *text) {
    struct stat st;
    if (stat(m->file, &st) < 0)
        return -errno;
    int r = fs_write_atomic(m->fresh, text->data, text->size, st.st_mode & 0777);
    if (r < 0)
        return r;
    /* A second name, not a new one: at no moment is there no file, for without it the host would not vote. */
    if (unlink(m->copy) < 0 && errno != ENOENT)
        return -errno;
    if (link(m->file, m->copy) < 0)
        return -errno;
    return fs_rename(m->fresh, m->file);
}

static void run_mending(void *data) {
    struct mending *m = data;
    _cleanup_buf_ struct buf text = BUF_INIT, mended = BUF_INIT;
    m->error = fs_read(m->file, MAX_FILE, &text);
    if (m->error < 0)
        return;
    m->has_hole = raftlog_close_holes(buf_str(&text), text.size, &mended, &m->hole);
    if (m->has_hole)
        m->error = place(m, &mended);
}

static void say_mended(const struct mending *m) {
    unsigned long long n = m->hole.n_dropped, first = m->hole.first;
    if (m->hole.n_voters > 1)
        log_warn("the pool database's file had a hole, as a full disk leaves it: its entries from %llu on, of which it "
                 "had %llu, come from the other voters; the file as it was is kept as '%s'",
                 first, n, m->copy);
    else
        log_err("the pool database's file had a hole, as a full disk leaves it: its entries from %llu on, of which it "
                "had %llu, are lost, for there is no other voter; the file as it was is kept as '%s'",
                first, n, m->copy);
}

static void on_mending_done(void *data) {
    struct mending *m = data;
    struct db_server *s = m->server;
    if (s) {
        s->mending = NULL;
        if (m->error < 0) {
            server_fail(s, "the file of the pool database has a hole and cannot be mended: %s", strerror(-m->error));
        } else if (!m->has_hole) {
            server_fail(s, "the database server does not start: %s", s->server_text);
        } else {
            say_mended(m);
            step_start_voter(s);
        }
    }
    free(m->file);
    free(m->fresh);
    free(m->copy);
    free(m);
}

bool server_is_hole(const char *text) {
    return strstr(text, "skips past expected index") || strstr(text, "advances commit index to");
}

void server_close_holes(struct db_server *s) {
    struct mending *m = xnew0(struct mending);
    *m = (struct mending){
        .server = s, .file = xstrdup(s->file), .fresh = xstrdup(s->fresh), .copy = server_aside_name(s, "hole")};
    s->mending = m;
    if (!s->worker)
        s->worker = worker_new(s->loop, 1);
    worker_submit(s->worker, NULL, run_mending, on_mending_done, m);
}

void server_disk_done(struct db_server *s) {
    loop_source_free(s->room_timer);
    if (s->mending)
        s->mending->server = NULL;
    worker_free(s->worker);
}

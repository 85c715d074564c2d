/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/directory.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/str.h"

/* What NSS writes one answer into: a group of LDAP can have many members. It grows to this and no further. */
#define BUFFER_FIRST 16384
#define BUFFER_MAX (4 * 1024 * 1024)
#define GECOS_MAX 255

static _Atomic(directory_backend_fn *) backend;
static unsigned n_pending; /* loop thread only */

void directory_entry_done(struct directory_entry *e) {
    free(e->name);
    free(e->gecos);
    for (size_t i = 0; e->groups && e->groups[i]; i++)
        free(e->groups[i]);
    free(e->groups);
    *e = (struct directory_entry){0};
}

/* ---- identifiers ---- */

static const char *const prefixes[] = {[DIRECTORY_USER] = "user:", [DIRECTORY_GROUP] = "group:"};

char *directory_identifier(enum directory_kind kind, const char *name) {
    return strf("%s%s", prefixes[kind], name);
}

static bool is_name(const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f || name[i] == ':')
            return false;
    return n > 0 && n <= DIRECTORY_NAME_MAX && str_is_utf8(name, n);
}

const char *directory_identifier_name(const char *identifier, enum directory_kind *ret_kind) {
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
        if (!str_starts(identifier, prefixes[i]) || !is_name(identifier + strlen(prefixes[i])))
            continue;
        *ret_kind = (enum directory_kind)i;
        return identifier + strlen(prefixes[i]);
    }
    return NULL;
}

void directory_set_backend(directory_backend_fn *fn) {
    atomic_store(&backend, fn);
}

/* ---- asking NSS, in a worker thread ---- */

struct buffer {
    char *data;
    size_t size;
};

static bool grow(struct buffer *b) {
    if (b->size >= BUFFER_MAX)
        return false;
    b->size = b->size ? b->size * 2 : BUFFER_FIRST;
    free(b->data);
    b->data = xmalloc(b->size);
    return true;
}

/* getpwnam(3) lists several numbers with which modules say that they know nothing of a name. */
static int outcome(int r, bool is_found) {
    return r == 0 ? is_found : r == ENOENT || r == ESRCH ? 0 : -r;
}

static int find_user(const char *name, struct passwd *pw, struct buffer *b) {
    struct passwd *found = NULL;
    int r = ERANGE;
    while (r == ERANGE && grow(b))
        r = getpwnam_r(name, pw, b->data, b->size, &found);
    return outcome(r, found != NULL);
}

static int find_group(const char *name, gid_t gid, struct group *gr, struct buffer *b) {
    struct group *found = NULL;
    int r = ERANGE;
    while (r == ERANGE && grow(b))
        r = name ? getgrnam_r(name, gr, b->data, b->size, &found) : getgrgid_r(gid, gr, b->data, b->size, &found);
    return outcome(r, found != NULL);
}

/* Of more than DIRECTORY_MAX_GROUPS the first ones. */
static char **groups_of(const char *user, gid_t first) {
    gid_t gids[DIRECTORY_MAX_GROUPS];
    int n = DIRECTORY_MAX_GROUPS;
    char **groups = xcalloc(DIRECTORY_MAX_GROUPS + 1, sizeof(*groups));
    size_t n_names = 0;
    (void)getgrouplist(user, first, gids, &n);
    for (int i = 0; i < MIN(n, DIRECTORY_MAX_GROUPS); i++) {
        struct group gr;
        struct buffer b = {0};
        if (find_group(/* name= */ NULL, gids[i], &gr, &b) == 1 && is_name(gr.gr_name))
            groups[n_names++] = xstrdup(gr.gr_name);
        free(b.data);
    }
    return groups;
}

static int read_user(const char *name, struct directory_entry *ret) {
    struct passwd pw;
    struct buffer b = {0};
    int r = find_user(name, &pw, &b);
    if (r == 1 && !is_name(pw.pw_name))
        r = 0;
    if (r == 1) {
        const char *gecos = str_or_empty(pw.pw_gecos);
        bool is_text = strlen(gecos) <= GECOS_MAX && str_is_utf8(gecos, strlen(gecos));
        *ret = (struct directory_entry){.kind = DIRECTORY_USER,
                                        .name = xstrdup(pw.pw_name),
                                        .gecos = xstrdup(is_text ? gecos : ""),
                                        .uid = pw.pw_uid,
                                        .gid = pw.pw_gid,
                                        .groups = groups_of(pw.pw_name, pw.pw_gid)};
    }
    free(b.data);
    return r;
}

static int read_group(const char *name, struct directory_entry *ret) {
    struct group gr;
    struct buffer b = {0};
    int r = find_group(name, /* gid= */ 0, &gr, &b);
    if (r == 1 && !is_name(gr.gr_name))
        r = 0;
    if (r == 1)
        *ret = (struct directory_entry){
            .kind = DIRECTORY_GROUP, .name = xstrdup(gr.gr_name), .gecos = xstrdup(""), .gid = gr.gr_gid};
    free(b.data);
    return r;
}

int directory_read(enum directory_kind kind, const char *name, struct directory_entry *ret) {
    directory_backend_fn *fn = atomic_load(&backend);
    if (!is_name(name))
        return 0;
    if (fn)
        return fn(kind, name, ret);
    return kind == DIRECTORY_USER ? read_user(name, ret) : read_group(name, ret);
}

/* ---- a question ---- */

struct question {
    char *text;
    int r;
    struct directory_entry entry;
    directory_done_fn *done;
    void *userdata;
};

static void run(void *data) {
    struct question *q = data;
    enum directory_kind kind;
    const char *name = directory_identifier_name(q->text, &kind);
    q->r = directory_read(name ? kind : DIRECTORY_USER, name ? name : q->text, &q->entry);
    if (!name && q->r == 0)
        q->r = directory_read(DIRECTORY_GROUP, q->text, &q->entry);
}

static void done(void *data) {
    struct question *q = data;
    n_pending--;
    q->done(q->r, q->r == 1 ? &q->entry : NULL, q->userdata);
    directory_entry_done(&q->entry);
    free(q->text);
    free(q);
}

bool directory_ask(struct worker *w, const char *text, directory_done_fn *fn, void *userdata) {
    if (n_pending >= DIRECTORY_MAX_PENDING)
        return false;
    n_pending++;
    struct question *q = xnew0(struct question);
    *q = (struct question){.text = xstrdup(text), .done = fn, .userdata = userdata};
    /* One key for all: a directory that hangs holds one thread, and the others are left for logins. */
    worker_submit(w, "directory", run, done, q);
    return true;
}

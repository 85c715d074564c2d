/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_store.h"

#include "base/fs.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define GOOD "good.json"
#define DAMAGED "good.damaged.json"
#define PREVIOUS "good.prev.json"
#define BEFORE "good.before.json"
#define PENDING "pending.json"
#define REFUSED "refused.json"
#define WITNESSES "witnesses"
#define LOCK "lock"
#define LOCK_STEP_MS 20
#define MAX_SIDE_FILE (NET_CONFIG_MAX_SIZE * 2) /* pending.json holds a configuration as an escaped string */

static char *path_of(const char *folder, const char *file) {
    return strf("%s/%s", folder, file);
}

static struct net_config *load(const char *folder, const char *file, struct error **errp) {
    _cleanup_free_ char *path = path_of(folder, file);
    _cleanup_buf_ struct buf text = BUF_INIT;
    int r = fs_read(path, NET_CONFIG_MAX_SIZE, &text);
    if (r < 0) {
        error_errno(errp, r, "cannot read '%s'", path);
        return NULL;
    }
    struct net_config *c = net_config_from_json(text.data ? text.data : "", text.size, errp);
    if (c && !net_config_validate(c, errp)) {
        net_config_free(c);
        c = NULL;
    }
    if (!c)
        error_wrap(errp, "'%s'", path);
    return c;
}

static bool write_text(const char *folder, const char *file, const char *text, struct error **errp) {
    _cleanup_free_ char *path = path_of(folder, file);
    int r = fs_mkdirs(folder, 0755);
    if (r == 0)
        r = fs_write_atomic(path, text, strlen(text), 0644);
    if (r < 0)
        error_set(errp, ERR_NET_STORE_WRITE, path, strerror(-r), NULL);
    return r == 0;
}

static bool remove_file(const char *folder, const char *file, struct error **errp) {
    _cleanup_free_ char *path = path_of(folder, file);
    int r = fs_unlink(path);
    if (r < 0)
        error_set(errp, ERR_NET_STORE_WRITE, path, strerror(-r), NULL);
    return r == 0;
}

struct net_config *net_store_load(const char *folder, enum net_store_source *ret_source, struct net_problems *problems,
                                  struct error **errp) {
    struct error *first = NULL, *second = NULL;
    struct net_config *c = load(folder, GOOD, &first);
    if (c) {
        *ret_source = NET_STORE_GOOD;
        return c;
    }
    c = load(folder, PREVIOUS, &second);
    if (c) {
        /* A missing good.json beside a previous one is damage too: commits write in that order. */
        struct net_fault_facts facts = {.host = c->host_name, .vlan = -1, .detail = error_text(first)};
        net_problems_add(problems, NET_FAULT_CONFIG_CORRUPT, &facts);
        *ret_source = NET_STORE_PREVIOUS;
    } else {
        _cleanup_free_ char *sentence =
            strf("no usable network configuration: %s; %s; give one with 'muster-netboot init'", error_text(first),
                 error_text(second));
        error_set(errp, ERR_NET_STORE_EMPTY, folder, sentence, NULL);
    }
    error_free(first);
    error_free(second);
    return c;
}

static bool same_content(const struct net_config *a, const struct net_config *b) {
    char x[NET_HASH_TEXT_SIZE], y[NET_HASH_TEXT_SIZE];
    net_config_hash(a, x);
    net_config_hash(b, y);
    return str_eq(x, y);
}

struct net_config *net_store_load_previous(const char *folder, struct error **errp) {
    struct error *ignored = NULL;
    struct net_config *c = load(folder, BEFORE, &ignored);
    error_free(ignored);
    return c ? c : load(folder, PREVIOUS, errp);
}

bool net_store_commit(const char *folder, struct net_config *proven, struct error **errp) {
    struct error *ignored = NULL;
    uint64_t generation = 0;
    _cleanup_net_config_ struct net_config *old = load(folder, GOOD, &ignored);
    error_free(ignored);
    if (old) {
        _cleanup_free_ char *text = net_config_to_json(old);
        generation = old->generation;
        if (!same_content(old, proven) && !write_text(folder, BEFORE, text, errp))
            return false;
        if (!write_text(folder, PREVIOUS, text, errp))
            return false;
    } else {
        ignored = NULL;
        _cleanup_net_config_ struct net_config *previous = load(folder, PREVIOUS, &ignored);
        error_free(ignored);
        generation = previous ? previous->generation + 1 : 0; /* the damaged one had the number in between */
        _cleanup_free_ char *path = path_of(folder, GOOD), *aside = path_of(folder, DAMAGED);
        /* Kept for whoever wants to know what happened to it; without room for that it is just replaced. */
        int kept = fs_exists(path) ? fs_rename(path, aside) : 0;
        (void)kept;
    }
    proven->generation = generation + 1;
    _cleanup_free_ char *text = net_config_to_json(proven);
    return write_text(folder, GOOD, text, errp);
}

void net_pending_done(struct net_pending *p) {
    net_config_free(p->previous);
    *p = (struct net_pending){0};
}

bool net_store_set_pending(const char *folder, const struct net_pending *p, struct error **errp) {
    _cleanup_free_ char *config = net_config_to_json(p->previous);
    _cleanup_(json_decrefp) json_t *root =
        json_pack("{ss ss sI}", "previous", config, "tried_hash", p->tried_hash, "deadline", (json_int_t)p->deadline);
    _cleanup_free_ char *text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    return write_text(folder, PENDING, text, errp);
}

/* NULL without *ret_exists when the file is not there; NULL with it when it is damaged. */
static json_t *load_side(const char *folder, const char *file, bool *ret_exists) {
    _cleanup_free_ char *path = path_of(folder, file);
    _cleanup_buf_ struct buf text = BUF_INIT;
    int r = fs_read(path, MAX_SIDE_FILE, &text);
    *ret_exists = r != -ENOENT;
    return r < 0 ? NULL : json_loadb(text.data ? text.data : "", text.size, JSON_REJECT_DUPLICATES, NULL);
}

bool net_store_get_pending(const char *folder, struct net_pending *ret) {
    bool exists;
    _cleanup_(json_decrefp) json_t *root = load_side(folder, PENDING, &exists);
    if (!exists)
        return false;
    *ret = (struct net_pending){.deadline = json_integer_value(json_object_get(root, "deadline"))};
    const char *hash = json_string_value(json_object_get(root, "tried_hash"));
    (void)str_copy(ret->tried_hash, sizeof ret->tried_hash, str_or_empty(hash));
    const char *text = json_string_value(json_object_get(root, "previous"));
    struct error *ignored = NULL;
    ret->previous = text ? net_config_from_json(text, strlen(text), &ignored) : NULL;
    if (ret->previous && !net_config_validate(ret->previous, &ignored)) {
        net_config_free(ret->previous);
        ret->previous = NULL;
    }
    error_free(ignored);
    return true;
}

bool net_store_clear_pending(const char *folder, struct error **errp) {
    return remove_file(folder, PENDING, errp);
}

bool net_store_set_refused(const char *folder, const struct net_refusal *r, struct error **errp) {
    _cleanup_(json_decrefp) json_t *root = json_pack("{ss ss}", "hash", r->hash, "sentence", r->sentence);
    if (!root) /* a sentence that quotes what is no UTF-8 */
        root = json_pack("{ss ss}", "hash", r->hash, "sentence", "");
    _cleanup_free_ char *text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    return write_text(folder, REFUSED, text, errp);
}

void net_store_get_refused(const char *folder, struct net_refusal *ret) {
    bool exists;
    _cleanup_(json_decrefp) json_t *root = load_side(folder, REFUSED, &exists);
    *ret = (struct net_refusal){0};
    const char *hash = json_string_value(json_object_get(root, "hash"));
    (void)str_copy(ret->hash, sizeof ret->hash, str_or_empty(hash));
    (void)str_copy(ret->sentence, sizeof ret->sentence,
                   str_or_empty(json_string_value(json_object_get(root, "sentence"))));
}

bool net_store_clear_refused(const char *folder, struct error **errp) {
    return remove_file(folder, REFUSED, errp);
}

/* ---- between programs ---- */

int net_store_lock(const char *folder, unsigned wait_ms) {
    _cleanup_free_ char *path = path_of(folder, LOCK);
    int r = fs_mkdirs(folder, 0755);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    for (unsigned waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += LOCK_STEP_MS) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        if (waited >= wait_ms)
            return -EBUSY;
        const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000L};
        (void)nanosleep(&step, NULL);
    }
    return take_fd(&fd);
}

void net_store_unlock(int lock) {
    if (lock < 0)
        return;
    (void)flock(lock, LOCK_UN);
    close(lock);
}

struct net_store_mark net_store_mark(const char *folder) {
    _cleanup_free_ char *path = path_of(folder, GOOD);
    struct stat st;
    if (stat(path, &st) < 0)
        return (struct net_store_mark){0};
    return (struct net_store_mark){.inode = st.st_ino,
                                   .changed_ns =
                                       (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec,
                                   .size = (uint64_t)st.st_size};
}

bool net_store_set_witnesses(const char *folder, const struct net_addr *list, unsigned n, struct error **errp) {
    _cleanup_buf_ struct buf b = BUF_INIT;
    char text[NET_ADDR_TEXT_SIZE];
    for (unsigned i = 0; i < n; i++)
        buf_addf(&b, "%s\n", net_addr_text(&list[i], /* with_prefix= */ false, text));
    return write_text(folder, WITNESSES, buf_str(&b), errp);
}

unsigned net_store_get_witnesses(const char *folder, struct net_addr ret[static NET_STORE_MAX_WITNESSES]) {
    _cleanup_free_ char *path = path_of(folder, WITNESSES);
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_strv_ struct strv lines = {0};
    unsigned n = 0;
    if (fs_read(path, NET_STORE_MAX_WITNESSES * NET_ADDR_TEXT_SIZE, &text) < 0)
        return 0;
    strv_split(&lines, buf_str(&text), '\n');
    for (size_t i = 0; i < lines.n && n < NET_STORE_MAX_WITNESSES; i++)
        n += !strchr(lines.items[i], '/') && net_addr_parse(lines.items[i], &ret[n]);
    return n;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_lease.h"

#include <errno.h>
#include <string.h>

#include "model/model.h"
#include "store/store_private.h"

#define DISKS_MAX 20000
#define LEASES_MAX 16 /* of one disk; more than one is damage already */
#define ATTEMPTS 4
#define NEW_PREFIX ".new-"

static uint32_t random_number(void) {
    struct uuid u = uuid_random();
    uint32_t n;
    memcpy(&n, &u, sizeof(n));
    return n;
}

static char *folder_of(const struct uuid *vdi) {
    char text[UUID_TEXT_SIZE];
    return strf(LEASES_FOLDER "/%s", uuid_text(vdi, text));
}

static int names_of(const struct folder *f, const char *folder, struct strv *ret) {
    int r = f->ops->list(f->at, folder, LEASES_MAX, ret);
    return r == -ENOENT ? 0 : r;
}

static bool fail(struct error **errp, const char *what, const char *name, int r) {
    store_error(errp, what, name, r);
    return false;
}

static bool refuse(struct error **errp, const struct uuid *vdi, const struct lease_id *holder) {
    char disk[UUID_TEXT_SIZE], host[UUID_TEXT_SIZE], vm[UUID_TEXT_SIZE];
    _cleanup_free_ char *generation = strf("%lld", (long long)holder->generation);
    error_set(errp, ERR_VDI_IN_USE, uuid_text(vdi, disk), "lease", uuid_text(&holder->host, host),
              uuid_text(&holder->vm, vm), generation, NULL);
    return false;
}

static bool refuse_damaged(struct error **errp, const char *folder, const char *name) {
    error_set(errp, ERR_SR_BACKEND_FAILURE, "the lease of a disk cannot be read, so nobody is given the disk", folder,
              name, NULL);
    return false;
}

/* A folder with the lease in it, under a name of its own. */
static int prepare(const struct folder *f, const char *folder, const char *name) {
    _cleanup_free_ char *file = strf("%s/%s", folder, name);
    int r = f->ops->mkdir(f->at, LEASES_FOLDER);
    if (r < 0 && r != -EEXIST)
        return r;
    r = f->ops->mkdir(f->at, folder);
    return r < 0 ? r : f->ops->write(f->at, file, "", 0);
}

static void remove_folder(const struct folder *f, const char *folder) {
    _cleanup_strv_ struct strv names = {0};
    (void)f->ops->list(f->at, folder, LEASES_MAX, &names);
    for (size_t i = 0; i < names.n; i++) {
        _cleanup_free_ char *file = strf("%s/%s", folder, names.items[i]);
        (void)f->ops->unlink(f->at, file);
    }
    (void)f->ops->rmdir(f->at, folder);
}

/* One attempt at a free disk: what came of it, the next look says. */
static int put_in_place(const struct folder *f, const char *folder, const struct lease_id *me) {
    char name[LEASE_NAME_SIZE];
    uint32_t nonce = random_number();
    _cleanup_free_ char *fresh = strf(LEASES_FOLDER "/" NEW_PREFIX "%08x", nonce);
    int r = prepare(f, fresh, lease_format(me, nonce, name));
    if (r == 0)
        r = f->ops->rename(f->at, fresh, folder);
    if (r < 0)
        remove_folder(f, fresh);
    return r == -EEXIST || r == -ENOTEMPTY ? 0 : r;
}

static int rename_lease(const struct folder *f, const char *folder, const char *from, const struct lease_id *to) {
    char name[LEASE_NAME_SIZE];
    _cleanup_free_ char *a = strf("%s/%s", folder, from),
                        *b = strf("%s/%s", folder, lease_format(to, random_number(), name));
    int r = f->ops->rename(f->at, a, b);
    return r == -ENOENT ? 0 : r;
}

bool lease_take(const struct folder *f, const struct uuid *vdi, const struct lease_id *me, struct error **errp) {
    _cleanup_free_ char *folder = folder_of(vdi);
    struct lease_id holder;
    const char *name;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        _cleanup_strv_ struct strv names = {0};
        int r = names_of(f, folder, &names);
        if (r < 0)
            return fail(errp, "cannot look at the lease", folder, r);
        switch (lease_judge(&names, me, &name, &holder)) {
        case LEASE_MINE:
            return true;
        case LEASE_OTHERS:
            return refuse(errp, vdi, &holder);
        case LEASE_DAMAGED:
            return refuse_damaged(errp, folder, name);
        case LEASE_OLDER:
            r = rename_lease(f, folder, name, me);
            break;
        case LEASE_FREE:
            r = put_in_place(f, folder, me);
            break;
        }
        if (r < 0)
            return fail(errp, "cannot take the lease", folder, r);
    }
    error_set(errp, ERR_SR_BACKEND_FAILURE, "the lease of a disk changes hands all the time", folder, "", NULL);
    return false;
}

bool lease_check(const struct folder *f, const struct uuid *vdi, const struct lease_id *me, struct error **errp) {
    _cleanup_free_ char *folder = folder_of(vdi);
    _cleanup_strv_ struct strv names = {0};
    struct lease_id holder;
    const char *name;
    int r = names_of(f, folder, &names);
    if (r < 0)
        return fail(errp, "cannot look at the lease", folder, r);
    switch (lease_judge(&names, me, &name, &holder)) {
    case LEASE_MINE:
        return true;
    case LEASE_OLDER:
    case LEASE_OTHERS:
        return refuse(errp, vdi, &holder);
    case LEASE_DAMAGED:
        return refuse_damaged(errp, folder, name);
    case LEASE_FREE:
        break;
    }
    error_set(errp, ERR_SR_BACKEND_FAILURE, "the lease of the disk was given back meanwhile", folder, "", NULL);
    return false;
}

bool lease_pass(const struct folder *f, const struct uuid *vdi, const struct lease_id *from, const struct lease_id *to,
                struct error **errp) {
    _cleanup_free_ char *folder = folder_of(vdi);
    struct lease_id holder;
    const char *name;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        _cleanup_strv_ struct strv names = {0};
        int r = names_of(f, folder, &names);
        if (r < 0)
            return fail(errp, "cannot look at the lease", folder, r);
        if (names.n != 1 || !lease_parse(names.items[0], &holder))
            return refuse_damaged(errp, folder, names.n ? names.items[0] : "there is none");
        if (lease_judge(&names, to, &name, &holder) == LEASE_MINE)
            return true; /* done before */
        if (lease_judge(&names, from, &name, &holder) != LEASE_MINE)
            return refuse(errp, vdi, &holder);
        r = rename_lease(f, folder, name, to);
        if (r < 0)
            return fail(errp, "cannot pass the lease on", folder, r);
    }
    error_set(errp, ERR_SR_BACKEND_FAILURE, "the lease of a disk changes hands all the time", folder, "", NULL);
    return false;
}

static bool remove_lease(const struct folder *f, const char *folder, const char *name, struct error **errp) {
    _cleanup_free_ char *file = strf("%s/%s", folder, name);
    int r = f->ops->unlink(f->at, file);
    return r == 0 || r == -ENOENT || fail(errp, "cannot give back the lease", file, r);
}

bool lease_release(const struct folder *f, const struct uuid *vdi, const struct lease_id *me, struct error **errp) {
    _cleanup_free_ char *folder = folder_of(vdi);
    _cleanup_strv_ struct strv names = {0};
    int r = names_of(f, folder, &names);
    if (r < 0)
        return fail(errp, "cannot look at the lease", folder, r);
    for (size_t i = 0; i < names.n; i++) {
        struct lease_id id;
        if (lease_parse(names.items[i], &id) && uuid_eq(&id.host, &me->host) && id.generation == me->generation &&
            uuid_eq(&id.vm, &me->vm) && !remove_lease(f, folder, names.items[i], errp))
            return false;
    }
    return true;
}

/* ---- all of them ---- */

typedef bool lease_fn(const struct folder *f, const char *folder, const char *name, const struct uuid *vdi,
                      const struct lease_id *id, void *userdata, struct error **errp);

/* `id` is NULL for one that cannot be read; `vdi` is NULL in a folder that did not come into its place. */
static bool each(const struct folder *f, lease_fn *fn, void *userdata, struct error **errp) {
    _cleanup_strv_ struct strv disks = {0};
    int r = f->ops->list(f->at, LEASES_FOLDER, DISKS_MAX, &disks);
    if (r == -ENOENT)
        return true;
    if (r < 0)
        return fail(errp, "cannot read the leases in", LEASES_FOLDER, r);
    for (size_t i = 0; i < disks.n; i++) {
        struct uuid vdi;
        bool is_new = str_starts(disks.items[i], NEW_PREFIX);
        if (!is_new && !uuid_parse(disks.items[i], &vdi)) {
            /* On a board: of a disk that nobody can tell (store_board.h). */
            if (str_starts(disks.items[i], LEASES_DAMAGED) &&
                !fn(f, LEASES_FOLDER, disks.items[i], NULL, NULL, userdata, errp))
                return false;
            continue;
        }
        _cleanup_free_ char *folder = strf(LEASES_FOLDER "/%s", disks.items[i]);
        _cleanup_strv_ struct strv names = {0};
        r = names_of(f, folder, &names);
        if (r < 0)
            return fail(errp, "cannot read", folder, r);
        for (size_t k = 0; k < names.n; k++) {
            struct lease_id id;
            bool is_lease = lease_parse(names.items[k], &id);
            if (!fn(f, folder, names.items[k], is_new ? NULL : &vdi, is_lease ? &id : NULL, userdata, errp))
                return false;
        }
    }
    return true;
}

struct sweep {
    const struct uuid *host, *running;
    int64_t generation, n;
    size_t n_running;
};

static bool sweep_one(const struct folder *f, const char *folder, const char *name, const struct uuid *vdi,
                      const struct lease_id *id, void *userdata, struct error **errp) {
    struct sweep *s = userdata;
    if (!id || !lease_is_stale(id, s->host, s->generation, s->running, s->n_running))
        return true;
    if (!vdi) { /* left by one that ended in the middle of taking it */
        remove_folder(f, folder);
        return true;
    }
    s->n++;
    return remove_lease(f, folder, name, errp);
}

bool lease_sweep(const struct folder *f, const struct uuid *host, int64_t generation, const struct uuid *running,
                 size_t n_running, int64_t *ret_n, struct error **errp) {
    struct sweep s = {.host = host, .running = running, .n_running = n_running, .generation = generation};
    bool ok = each(f, sweep_one, &s, errp);
    if (ok)
        *ret_n = s.n;
    return ok;
}

struct breaking {
    const struct uuid *host;
    int64_t n;
};

static bool break_one(const struct folder *f, const char *folder, const char *name, const struct uuid *vdi,
                      const struct lease_id *id, void *userdata, struct error **errp) {
    struct breaking *b = userdata;
    if (!vdi || (b->host && (!id || !uuid_eq(&id->host, b->host))))
        return true;
    b->n++;
    return remove_lease(f, folder, name, errp);
}

/* Whatever lies there for one disk, also what cannot be read. */
static bool break_disk(const struct folder *f, const struct uuid *vdi, struct breaking *b, struct error **errp) {
    _cleanup_free_ char *folder = folder_of(vdi);
    _cleanup_strv_ struct strv names = {0};
    int r = names_of(f, folder, &names);
    if (r < 0)
        return fail(errp, "cannot read", folder, r);
    for (size_t i = 0; i < names.n; i++) {
        struct lease_id id;
        bool is_lease = lease_parse(names.items[i], &id);
        if (!break_one(f, folder, names.items[i], vdi, is_lease ? &id : NULL, b, errp))
            return false;
    }
    return true;
}

bool lease_break(const struct folder *f, const struct uuid *vdi, const struct uuid *host, int64_t *ret_n,
                 struct error **errp) {
    struct breaking b = {.host = host};
    bool ok = vdi ? break_disk(f, vdi, &b, errp) : each(f, break_one, &b, errp);
    if (ok)
        *ret_n = b.n;
    return ok;
}

static bool list_one(const struct folder *f, const char *folder, const char *name, const struct uuid *vdi,
                     const struct lease_id *id, void *userdata, struct error **errp) {
    struct value v = value_map();
    char text[UUID_TEXT_SIZE];
    bool is_damaged = !vdi && str_starts(name, LEASES_DAMAGED);
    if (is_damaged)
        value_map_add(&v, "damaged", value_string(name));
    if (vdi || is_damaged) {
        value_map_add(&v, "vdi", value_string(vdi ? uuid_text(vdi, text) : ""));
        value_map_add(&v, "host", value_string(id ? uuid_text(&id->host, text) : ""));
        value_map_add(&v, "vm", value_string(id ? uuid_text(&id->vm, text) : ""));
        value_map_add(&v, "generation", value_int(id ? id->generation : 0));
        value_set_add(userdata, v);
    }
    return true;
}

bool lease_list(const struct folder *f, struct value *ret, struct error **errp) {
    struct value all = value_set();
    if (each(f, list_one, &all, errp)) {
        *ret = all;
        return true;
    }
    value_done(&all);
    return false;
}

void lease_forget(const struct folder *f, const struct uuid *vdi) {
    if (vdi) {
        _cleanup_free_ char *folder = folder_of(vdi);
        (void)f->ops->rmdir(f->at, folder);
        return;
    }
    _cleanup_strv_ struct strv disks = {0};
    (void)f->ops->list(f->at, LEASES_FOLDER, DISKS_MAX, &disks);
    for (size_t i = 0; i < disks.n; i++) {
        _cleanup_free_ char *folder = strf(LEASES_FOLDER "/%s", disks.items[i]);
        (void)f->ops->rmdir(f->at, folder);
    }
    (void)f->ops->rmdir(f->at, LEASES_FOLDER);
}

/* ---- the storage itself ---- */

bool lease_check_storage(const struct folder *f, struct error **errp) {
    if (f->ops->proves)
        return f->ops->proves(f->at, errp);
    struct lease_id id = {.host = uuid_random(), .generation = 1};
    uint32_t nonce = random_number();
    char name[LEASE_NAME_SIZE], second[LEASE_NAME_SIZE];
    _cleanup_free_ char *place = strf(LEASES_FOLDER "/.test-%08x", nonce), *rival = strf("%s-2", place);
    lease_format(&id, nonce, name);
    lease_format(&id, nonce + 1, second);
    _cleanup_free_ char *file = strf("%s/%s", place, name), *moved = strf("%s/%s", place, second);
    int r = prepare(f, place, name);
    if (r == 0)
        r = prepare(f, rival, second);
    bool taken_twice = r == 0 && f->ops->rename(f->at, rival, place) == 0;
    if (r == 0 && !taken_twice)
        r = f->ops->unlink(f->at, file);
    if (r == 0 && !taken_twice)
        r = f->ops->rename(f->at, rival, place); /* over an empty one */
    bool arrived = r == 0 && folder_has(f, moved);
    remove_folder(f, place);
    remove_folder(f, rival);
    if (r < 0)
        return fail(errp, "the storage does not do what leases of disks need", place, r);
    if (taken_twice || !arrived)
        error_set(errp, ERR_SR_BACKEND_FAILURE,
                  "the storage lets two hosts take the same lease (it renames a folder over one that is not empty), so "
                  "disks would not be safe on it",
                  place, "", NULL);
    return !taken_twice && arrived;
}

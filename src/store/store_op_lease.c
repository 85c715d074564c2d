/* SPDX-License-Identifier: Apache-2.0 */
/* The operations on leases, from their arguments. */
#include <errno.h>
#include <time.h>

#include "base/str.h"
#include "model/model.h"
#include "store/store_lease.h"
#include "store/store_private.h"
#include "store/store_qcow2_core.h"

#define DISKS_MAX 64     /* of one VM */
#define RUNNING_MAX 4096 /* VMs of one host */
#define CHAIN_MAX 64
#define TAKE_ATTEMPTS 32 /* eight seconds */

static bool refuse(struct error **errp, const char *op) {
    error_set(errp, ERR_SR_BACKEND_FAILURE, "the request is not complete", op, "", NULL);
    return false;
}

static bool uuid_at(const struct value *args, const char *key, struct uuid *ret) {
    const char *text = value_map_str(args, key);
    return text && uuid_parse(text, ret);
}

static int64_t int_at(const struct value *args, const char *key) {
    const struct value *v = value_map_get(args, key);
    return v ? value_as_int(v) : 0;
}

bool store_lease_id(const struct value *args, struct lease_id *ret) {
    struct lease_id id = {.generation = int_at(args, "generation")};
    if (!uuid_at(args, "host", &id.host) || uuid_is_null(&id.host) || id.generation < 1)
        return false;
    if (!uuid_at(args, "vm", &id.vm))
        id.vm = (struct uuid){0};
    *ret = id;
    return true;
}

static bool writes(const struct value *disk) {
    const struct value *v = value_map_get(disk, "write");
    return v && value_as_bool(v);
}

/* A set of uuids; the caller frees. False: it is none. */
static bool uuids_at(const struct value *args, const char *key, size_t max, struct uuid **ret, size_t *ret_n) {
    const struct value *set = value_map_get(args, key);
    if (!set || set->type != VALUE_SET || set->set.n > max)
        return false;
    struct uuid *all = xcalloc(set->set.n + 1, sizeof(*all));
    for (size_t i = 0; i < set->set.n; i++)
        if (!uuid_parse(value_str(&set->set.items[i]), &all[i])) {
            free(all);
            return false;
        }
    *ret = all;
    *ret_n = set->set.n;
    return true;
}

/*
 * QEMU 7.2 asks an NFS server for the length of a file when it opens it and never again (its driver has no
 * bdrv_getlength): the host that a VM moves to has it open already while the image grows here, and would read zeroes
 * where it has grown. So an image that a VM will write is as long as it can become before QEMU sees it.
 */
static bool lengthen(const struct folder *f, const char *name, const struct image_info *info, struct error **errp) {
    bool is_odd = info->cluster_size < 512 || info->cluster_size > 1 << 21;
    int e = is_odd ? -EINVAL : f->ops->lengthen(f->at, name, qcow2_length_max(info->virtual_size, info->cluster_size));
    if (e < 0)
        store_error(errp, "cannot make long enough", name, e);
    return e == 0;
}

/* What an image goes on from, nearest first: read from the images themselves, for rows may be wrong. */
static bool put_chain(const struct folder *f, const char *place, const struct value *disk, struct value *chains,
                      struct error **errp) {
    const char *vdi = str_or_empty(value_map_str(disk, "vdi")), *format = str_or_empty(value_map_str(disk, "format"));
    bool grows = writes(disk) && f->ops->lengthen && str_eq(format, "qcow2");
    struct value chain = value_set();
    struct image_info info;
    _cleanup_free_ char *name = strf("%s.%s", vdi, format);
    bool ok = true;
    while ((ok = chain.set.n <= CHAIN_MAX)) {
        _cleanup_free_ char *path = strf("%s/%s", place, name);
        ok = image_info(f, name, path, chain.set.n ? "qcow2" : format, &info, errp);
        ok = ok && (!grows || chain.set.n > 0 || lengthen(f, name, &info, errp));
        if (!ok || !*info.parent)
            break;
        free(name);
        name = strf("%s.qcow2", info.parent);
        value_set_add(&chain, value_string(name));
    }
    if (ok) {
        value_map_put(chains, vdi, chain);
        return true;
    }
    if (chain.set.n > CHAIN_MAX)
        error_set(errp, ERR_SR_BACKEND_FAILURE, "an image goes on from too many others", vdi, "", NULL);
    value_done(&chain);
    return false;
}

/*
 * A VM that has ended on one host and starts on another at once: the first gives the disk back within moments, and the
 * storage tells nobody when it does, so it is asked again. Whoever holds the disk for another VM will not let go.
 */
static bool take_lease(const struct folder *f, const struct uuid *vdi, const struct lease_id *me, struct error **errp) {
    static const struct timespec pause = {.tv_nsec = 250 * 1000 * 1000};
    char vm[UUID_TEXT_SIZE], host[UUID_TEXT_SIZE];
    uuid_text(&me->vm, vm);
    uuid_text(&me->host, host);
    for (int attempt = 0;; attempt++) {
        struct error *e = NULL;
        if (lease_take(f, vdi, me, &e))
            return true;
        bool may_end = error_is(e, ERR_VDI_IN_USE) && str_eq(error_param(e, 3), vm) && !str_eq(error_param(e, 2), host);
        if (!may_end || attempt == TAKE_ATTEMPTS) {
            error_propagate(errp, e);
            return false;
        }
        error_free(e);
        (void)nanosleep(&pause, NULL);
    }
}

/* What QEMU is to open for it, where that is not the file's own name. */
static bool put_source(const struct folder *f, const struct value *disk, struct value *sources) {
    const char *vdi = str_or_empty(value_map_str(disk, "vdi"));
    _cleanup_free_ char *name = strf("%s.%s", vdi, str_or_empty(value_map_str(disk, "format"))),
                        *source = f->ops->source ? f->ops->source(f->at, name) : NULL;
    if (source)
        value_map_put(sources, vdi, value_string(source));
    return source || !f->ops->source;
}

/* Of each disk its lease, when it is to be written, and its chain. */
bool store_open_disks(const struct folder *f, const char *place, const struct value *args, struct value *ret,
                      struct error **errp) {
    const struct value *disks = value_map_get(args, "disks");
    struct value chains = value_map(), sources = value_map();
    struct lease_id me;
    bool ok = store_lease_id(args, &me) && disks && disks->type == VALUE_SET && disks->set.n <= DISKS_MAX;
    if (!ok)
        (void)refuse(errp, "open");
    for (size_t i = 0; ok && i < disks->set.n; i++) {
        const struct value *d = &disks->set.items[i];
        const char *format = d->type == VALUE_MAP ? str_or_empty(value_map_str(d, "format")) : "";
        struct uuid vdi;
        ok = (str_eq(format, "qcow2") || str_eq(format, "raw")) && uuid_at(d, "vdi", &vdi);
        if (!ok)
            (void)refuse(errp, "open");
        ok = ok && (!writes(d) || take_lease(f, &vdi, &me, errp)) && put_chain(f, place, d, &chains, errp);
        if (ok && !put_source(f, d, &sources))
            ok = refuse(errp, "open");
    }
    if (ok) {
        value_map_put(ret, "chains", chains);
        value_map_put(ret, "sources", sources);
        return true;
    }
    value_done(&sources);
    value_done(&chains); /* leases that were taken: what asked gives them back with its next sweep */
    return false;
}

static bool release_all(const struct folder *f, const struct uuid *vdis, size_t n, const struct lease_id *me,
                        struct error **errp) {
    for (size_t i = 0; i < n; i++)
        if (!lease_release(f, &vdis[i], me, errp))
            return false;
    return true;
}

static bool pass_all(const struct folder *f, const struct uuid *vdis, size_t n, const struct lease_id *me,
                     const struct value *args, struct error **errp) {
    struct lease_id to = *me;
    to.generation = int_at(args, "to_generation");
    if (!uuid_at(args, "to_host", &to.host) || to.generation < 1)
        return refuse(errp, "lease_pass");
    for (size_t i = 0; i < n; i++)
        if (!lease_pass(f, &vdis[i], me, &to, errp))
            return false;
    return true;
}

static bool on_disks(const char *op, const struct folder *f, const struct value *args, struct error **errp) {
    _cleanup_free_ struct uuid *vdis = NULL;
    struct lease_id me;
    size_t n;
    if (!store_lease_id(args, &me) || !uuids_at(args, "vdis", DISKS_MAX, &vdis, &n))
        return refuse(errp, op);
    if (str_eq(op, "lease_release"))
        return release_all(f, vdis, n, &me, errp);
    return pass_all(f, vdis, n, &me, args, errp);
}

static bool sweep(const struct folder *f, const struct value *args, struct value *ret, struct error **errp) {
    _cleanup_free_ struct uuid *running = NULL;
    struct lease_id me;
    size_t n;
    int64_t n_swept;
    if (!store_lease_id(args, &me) || !uuids_at(args, "running", RUNNING_MAX, &running, &n))
        return refuse(errp, "lease_sweep");
    if (!lease_sweep(f, &me.host, me.generation, running, n, &n_swept, errp))
        return false;
    value_map_put(ret, "n", value_int(n_swept));
    return true;
}

static bool break_leases(const struct folder *f, const struct value *args, struct value *ret, struct error **errp) {
    struct uuid vdi, holder;
    bool one_disk = uuid_at(args, "vdi", &vdi), one_host = uuid_at(args, "holder", &holder);
    int64_t n;
    if (!one_disk && !one_host) /* everything of everybody is no word that a person says by accident */
        return refuse(errp, "lease_break");
    if (!lease_break(f, one_disk ? &vdi : NULL, one_host ? &holder : NULL, &n, errp))
        return false;
    value_map_put(ret, "n", value_int(n));
    return true;
}

bool store_lease_op(const char *op, const struct folder *f, const struct value *args, struct value *ret,
                    struct error **errp) {
    if (!f->is_shared) {
        error_set(errp, ERR_NOT_IMPLEMENTED, op, NULL);
        return false;
    }
    if (str_eq(op, "lease_sweep"))
        return sweep(f, args, ret, errp);
    if (str_eq(op, "lease_break"))
        return break_leases(f, args, ret, errp);
    if (!str_eq(op, "lease_list"))
        return on_disks(op, f, args, errp);
    struct value leases;
    if (!lease_list(f, &leases, errp))
        return false;
    value_map_put(ret, "leases", leases);
    return true;
}

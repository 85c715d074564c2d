/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM on its way to another pool. libvirt's own migration wants a daemon at the other end that trusts it in all; here
 * QEMU is told itself (by its monitor, through libvirt): disks as mirrors to NBD servers, memory to a port, all in TLS
 * with keys of this move. QEMU stops before the last bytes of memory; then the mirrors end, so that memory and disks
 * are of the same moment. Afterwards it stands still with all that it had: whether it goes on, others decide.
 */
#include <errno.h>
#include <jansson.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "model/model.h"
#include "virt/virt_machine_core.h"
#include "virt/virt_private.h"

#define NAME "muster-far" /* of what is made in QEMU */
#define STEP_MS 200
#define END_MS 15000 /* for what was told to end */
#define SETUP_MS 30000
#define HEARD_MS 2000
#define OPEN_TIMEOUT_S 5 /* QEMU and its guest stand still meanwhile */
#define FASTEST (INT64_C(1) << 40)

struct virt_flight {
    atomic_int refs; /* the holder, the thread */
    atomic_bool is_aborted;
    atomic_bool is_freed;
    atomic_ullong processed, remaining;
    struct virt *v;
    virConnectPtr conn;
    virDomainPtr domain;
    struct virt_far far;
    struct error *error;
    virt_far_done_fn *done;
    void *userdata;
    uint64_t moved, moved_ms; /* the watch over the bytes */
};

static void flight_unref(struct virt_flight *f) {
    if (atomic_fetch_sub(&f->refs, 1) > 1)
        return;
    for (size_t i = 0; i < f->far.n_disks; i++) {
        free(f->far.disks[i].device);
        free(f->far.disks[i].name);
    }
    free(f->far.disks);
    free(f->far.address);
    free(f->far.tls_name);
    free(f->far.keys);
    error_free(f->error);
    virt_unref(f->v);
    free(f);
}

static uint64_t now_ms(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void step_sleep(void) {
    struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
    (void)nanosleep(&step, NULL);
}

/* ---- QEMU's monitor; blocking, in a thread that may wait ---- */

static void json_freep(json_t **j) {
    json_decref(*j);
}
#define _cleanup_json_ _cleanup_(json_freep)

/* The answer's "return", which the caller drops; NULL with *errp. `args` is taken, and may be NULL. */
static json_t *ask(virDomainPtr d, const char *command, json_t *args, struct error **errp) {
    _cleanup_json_ json_t *request =
        args ? json_pack("{s:s, s:o}", "execute", command, "arguments", args) : json_pack("{s:s}", "execute", command);
    char *text = request ? json_dumps(request, JSON_COMPACT) : NULL, *reply = NULL;
    virResetLastError();
    int r = text ? virDomainQemuMonitorCommand(d, text, &reply, 0) : -1;
    _cleanup_json_ json_t *answer = r == 0 && reply ? json_loads(reply, 0, NULL) : NULL;
    json_t *result = json_object_get(answer, "return");
    const char *why = json_string_value(json_object_get(json_object_get(answer, "error"), "desc"));
    if (!result)
        error_internal(errp, "%s: %s", command, why ? why : str_or_empty(virGetLastErrorMessage()));
    free(text);
    free(reply);
    return json_incref(result);
}

static bool tell(virDomainPtr d, const char *command, json_t *args, struct error **errp) {
    json_t *result = ask(d, command, args, errp);
    json_decref(result);
    return result != NULL;
}

static void try(virDomainPtr d, const char *command, json_t *args) {
    _cleanup_error_ struct error *ignored = NULL;
    (void)!tell(d, command, args, &ignored);
}

static const char *text_in(const json_t *o, const char *key) {
    return str_or_empty(json_string_value(json_object_get(o, key)));
}

static uint64_t number_in(const json_t *o, const char *key) {
    json_int_t n = json_integer_value(json_object_get(o, key));
    return n > 0 ? (uint64_t)n : 0;
}

static bool is_ours(const char *name) {
    return str_starts(name, NAME);
}

/* ---- the watch ---- */

static bool failed(struct virt_flight *f, const char *why) {
    error_internal(&f->error, "%s", why);
    return false;
}

/* Any change of `moved` counts. */
static bool goes_on(struct virt_flight *f, uint64_t moved, uint64_t processed, uint64_t remaining) {
    uint64_t now = now_ms(), limit = processed ? f->far.stall_ms : MAX(f->far.stall_ms, (uint64_t)SETUP_MS);
    atomic_store(&f->processed, processed);
    atomic_store(&f->remaining, remaining);
    if (atomic_load(&f->is_aborted))
        return failed(f, "it was given up");
    if (moved != f->moved || !f->moved_ms) {
        f->moved = moved;
        f->moved_ms = now;
    }
    if (now - f->moved_ms < limit)
        return true;
    return failed(f, "no byte has come through for too long: the path between the hosts is broken, or too small for "
                     "the frames sent (xe pool-path-list)");
}

/* ---- disks ---- */

/* QEMU's name of a device, "virtio-disk0", of the disk with this name in the guest. The caller frees. */
static char *alias_of(const char *xml, const char *device) {
    static const char open[] = "<alias name='";
    _cleanup_free_ char *target = strf("<target dev='%s' ", device);
    const char *at = strstr(xml, target), *end = at ? strstr(at, "</disk>") : NULL,
               *alias = end ? memmem(at, (size_t)(end - at), open, sizeof(open) - 1) : NULL;
    const char *name = alias ? alias + sizeof(open) - 1 : NULL, *quote = name ? strchr(name, '\'') : NULL;
    return quote ? xstrndup(name, (size_t)(quote - name)) : NULL;
}

/* The node on top of a device: "/machine/peripheral/ALIAS/virtio-backend", or without the last part. The caller frees.
 */
static char *node_of(const json_t *blocks, const char *alias) {
    _cleanup_free_ char *path = strf("/%s/", alias);
    size_t i;
    json_t *b;
    json_array_foreach(blocks, i, b) {
        _cleanup_free_ char *qdev = strf("%s/", text_in(b, "qdev"));
        const char *node = text_in(json_object_get(b, "inserted"), "node-name");
        if (strstr(qdev, path) && *node)
            return xstrdup(node);
    }
    return NULL;
}

/* Whether somebody takes a connection there within a moment. */
static bool is_heard(const char *address, const char *port) {
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *at = NULL;
    int code = -1;
    socklen_t size = sizeof(code);
    if (getaddrinfo(address, port, &hints, &at) != 0)
        return false;
    _cleanup_close_ int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    bool begun = fd >= 0 && (connect(fd, at->ai_addr, at->ai_addrlen) == 0 || errno == EINPROGRESS);
    freeaddrinfo(at);
    return begun && poll(&p, 1, HEARD_MS) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 && code == 0;
}

/*
 * The server there has just been started: it is waited for from here, since QEMU's own trying would hold up the guest
 * and its monitor. What it still has to wait for (a server that takes the connection and says nothing) has an end.
 */
static bool connect_disk(struct virt_flight *f, const char *name, const char *port, const char *export) {
    for (uint64_t end = now_ms() + END_MS; !is_heard(f->far.address, port); step_sleep())
        if (now_ms() > end || atomic_load(&f->is_aborted)) {
            error_internal(&f->error, "the server for the disk at %s port %s does not answer", f->far.address, port);
            return false;
        }
    json_t *args =
        json_pack("{s:s, s:s, s:{s:s, s:s, s:s}, s:s, s:s, s:s, s:{s:b}, s:i}", "driver", "nbd", "node-name", name,
                  "server", "type", "inet", "host", f->far.address, "port", port, "export", export, "tls-creds", NAME,
                  "tls-hostname", f->far.tls_name, "cache", "direct", 1, "open-timeout", OPEN_TIMEOUT_S);
    return tell(f->domain, "blockdev-add", args, &f->error);
}

static bool mirror(struct virt_flight *f, const json_t *blocks, const char *xml, size_t i) {
    const struct virt_far_disk *disk = &f->far.disks[i];
    _cleanup_free_ char *alias = alias_of(xml, disk->device), *node = alias ? node_of(blocks, alias) : NULL,
                        *name = strf(NAME "-%zu", i), *port = strf("%u", disk->port);
    int64_t speed = (int64_t)(((uint64_t)f->far.mib_per_s << 20) / f->far.n_disks);
    if (!node) {
        error_internal(&f->error, "the VM does not use '%s', as the pool believes", disk->device);
        return false;
    }
    return connect_disk(f, name, port, disk->name) &&
           tell(f->domain, "blockdev-mirror",
                json_pack("{s:s, s:s, s:s, s:s, s:I, s:b, s:b}", "job-id", name, "device", node, "target", name, "sync",
                          "full", "speed", (json_int_t)speed, "auto-finalize", 1, "auto-dismiss", 0),
                &f->error);
}

struct mirrors {
    size_t n, n_ready, n_over;
    uint64_t offset, len;
};

static bool look_at_mirrors(struct virt_flight *f, struct mirrors *ret) {
    _cleanup_json_ json_t *jobs = ask(f->domain, "query-block-jobs", NULL, &f->error);
    size_t i;
    json_t *j;
    *ret = (struct mirrors){0};
    if (!jobs)
        return false;
    json_array_foreach(jobs, i, j) {
        const char *error = text_in(j, "error");
        if (!is_ours(text_in(j, "device")))
            continue;
        if (strstr(error, "No space left")) { /* over there: here nothing is written for it */
            error_set(&f->error, ERR_SR_FULL, "0", "0", NULL);
            return false;
        }
        if (*error) {
            error_internal(&f->error, "a disk could not be copied: %s", error);
            return false;
        }
        ret->n++;
        ret->n_ready += json_is_true(json_object_get(j, "ready"));
        ret->n_over += str_eq(text_in(j, "status"), "concluded");
        ret->offset += number_in(j, "offset");
        ret->len += number_in(j, "len");
    }
    return ret->n == f->far.n_disks || failed(f, "the copying of a disk has ended");
}

static bool copy_disks(struct virt_flight *f) {
    char *xml = virDomainGetXMLDesc(f->domain, 0);
    _cleanup_json_ json_t *blocks = ask(f->domain, "query-block", NULL, &f->error);
    struct mirrors m = {0};
    bool ok = xml && blocks;
    if (!xml && !f->error)
        (void)failed(f, str_or_empty(virGetLastErrorMessage()));
    for (size_t i = 0; i < f->far.n_disks && ok; i++)
        ok = mirror(f, blocks, xml, i);
    free(xml);
    while (ok && m.n_ready < f->far.n_disks) {
        ok = look_at_mirrors(f, &m) && m.n_over == 0 && goes_on(f, m.offset + (m.len << 1), m.offset, m.len - m.offset);
        if (ok && m.n_ready < f->far.n_disks)
            step_sleep();
    }
    if (!ok && !f->error)
        (void)failed(f, "the copying of a disk has ended before its time");
    return ok;
}

/* With the guest standing still, what the other side has is whole once they have ended. */
static bool end_mirrors(struct virt_flight *f) {
    struct mirrors m = {0};
    for (size_t i = 0; i < f->far.n_disks; i++) {
        _cleanup_free_ char *name = strf(NAME "-%zu", i);
        if (!tell(f->domain, "block-job-cancel", json_pack("{s:s}", "device", name), &f->error))
            return false;
    }
    while (m.n_over < f->far.n_disks) {
        if (!look_at_mirrors(f, &m) || !goes_on(f, m.offset + (m.len << 1) + m.n_over, 1, 0))
            return false;
        if (m.n_over < f->far.n_disks)
            step_sleep();
    }
    for (size_t i = 0; i < f->far.n_disks; i++) {
        _cleanup_free_ char *name = strf(NAME "-%zu", i);
        if (!tell(f->domain, "job-dismiss", json_pack("{s:s}", "id", name), &f->error) ||
            !tell(f->domain, "blockdev-del", json_pack("{s:s}", "node-name", name), &f->error))
            return false;
    }
    return true;
}

/* ---- memory ---- */

static bool set_up_memory(struct virt_flight *f) {
    int64_t speed = f->far.mib_per_s ? (int64_t)f->far.mib_per_s << 20 : FASTEST;
    return tell(f->domain, "migrate-set-capabilities",
                json_pack("{s:[{s:s, s:b}, {s:s, s:b}]}", "capabilities", "capability", "pause-before-switchover",
                          "state", 1, "capability", "auto-converge", "state", !f->far.is_emulated),
                &f->error) &&
           tell(f->domain, "migrate-set-parameters",
                json_pack("{s:s, s:s, s:I}", "tls-creds", NAME, "tls-hostname", f->far.tls_name, "max-bandwidth",
                          (json_int_t)speed),
                &f->error);
}

static bool copy_memory(struct virt_flight *f) {
    bool is_v6 = strchr(f->far.address, ':') != NULL, is_switched = false;
    _cleanup_free_ char *uri =
        strf("tcp:%s%s%s:%u", is_v6 ? "[" : "", f->far.address, is_v6 ? "]" : "", f->far.memory_port);
    if (f->far.is_emulated && virDomainSuspend(f->domain) < 0)
        return failed(f, str_or_empty(virGetLastErrorMessage()));
    if (!set_up_memory(f) || !tell(f->domain, "migrate", json_pack("{s:s}", "uri", uri), &f->error))
        return false;
    for (;; step_sleep()) {
        _cleanup_json_ json_t *m = ask(f->domain, "query-migrate", NULL, &f->error);
        const json_t *ram = json_object_get(m, "ram");
        const char *status = text_in(m, "status"), *why = text_in(m, "error-desc");
        struct mirrors mirrors;
        if (!m)
            return false;
        if (str_eq(status, "completed"))
            return is_switched || failed(f, "memory and disks are not of the same moment");
        if (str_eq(status, "failed") || str_eq(status, "cancelled"))
            return failed(f, *why ? why : "memory could not be sent");
        if (str_eq(status, "pre-switchover") && !is_switched) {
            is_switched = true;
            if (!end_mirrors(f) ||
                !tell(f->domain, "migrate-continue", json_pack("{s:s}", "state", "pre-switchover"), &f->error))
                return false;
        } else if (!is_switched && !look_at_mirrors(f, &mirrors)) {
            return false;
        }
        uint64_t sent = number_in(ram, "transferred"), left = number_in(ram, "remaining");
        if (!goes_on(f, sent + (left << 1) + is_switched, sent + 1, left))
            return false;
    }
}

/* ---- one flight ---- */

static void run(struct virt_flight *f) {
    char uuid[UUID_TEXT_SIZE];
    virResetLastError();
    f->domain = virDomainLookupByUUIDString(f->conn, uuid_text(&f->far.vm, uuid));
    if (!f->domain)
        (void)failed(f, str_or_empty(virGetLastErrorMessage()));
    else if (tell(f->domain, "object-add",
                  json_pack("{s:s, s:s, s:s, s:s, s:b}", "qom-type", "tls-creds-x509", "id", NAME, "dir", f->far.keys,
                            "endpoint", "client", "verify-peer", 1),
                  &f->error) &&
             copy_disks(f))
        (void)!copy_memory(f);
    if (f->domain)
        (void)virDomainFree(f->domain);
    (void)virConnectClose(f->conn);
}

static void on_end(void *data) {
    struct virt_flight *f = data;
    if (!virt_is_gone(f->v) && !atomic_load(&f->is_freed))
        f->done(f->error, atomic_load(&f->is_aborted), f->userdata);
    flight_unref(f);
}

static void end_later(struct virt_flight *f) {
    if (!virt_post(f->v, on_end, f))
        flight_unref(f);
}

static void *flight_thread(void *arg) {
    struct virt_flight *f = arg;
    run(f);
    end_later(f);
    return NULL;
}

struct virt_flight *virt_far_send(struct virt *v, struct virt_far far, virt_far_done_fn *done, void *userdata) {
    struct virt_flight *f = xnew0(struct virt_flight);
    pthread_t t;
    f->v = virt_ref(v);
    f->far = far;
    f->done = done;
    f->userdata = userdata;
    atomic_init(&f->refs, 2);
    f->conn = virt_connection(v, &f->error);
    if (!f->conn) {
        end_later(f);
    } else if (pthread_create(&t, NULL, flight_thread, f) == 0) {
        (void)pthread_detach(t);
    } else {
        (void)virConnectClose(f->conn);
        (void)failed(f, "no thread for moving a VM could be made");
        end_later(f);
    }
    return f;
}

struct virt_job virt_flight_job(const struct virt_flight *f) {
    struct virt_flight *g = (struct virt_flight *)(uintptr_t)f;
    return (struct virt_job){
        .is_active = true, .processed = atomic_load(&g->processed), .remaining = atomic_load(&g->remaining)};
}

void virt_flight_abort(struct virt_flight *f) {
    atomic_store(&f->is_aborted, true);
}

void virt_flight_free(struct virt_flight *f) {
    if (!f)
        return;
    atomic_store(&f->is_aborted, true); /* its thread ends soon */
    atomic_store(&f->is_freed, true);
    flight_unref(f);
}

/* ---- undoing ---- */

struct undoing {
    virConnectPtr conn;
    struct uuid vm;
    bool lets_run;
    struct error *error;
    virt_far_clean_fn *done;
    void *userdata;
};

static bool end_migration(virDomainPtr d, struct error **errp) {
    for (uint64_t end = now_ms() + END_MS;; step_sleep()) {
        _cleanup_json_ json_t *m = ask(d, "query-migrate", NULL, errp);
        const char *status = text_in(m, "status");
        if (!m)
            return false;
        if (!*status || str_eq(status, "none") || str_eq(status, "completed") || str_eq(status, "failed") ||
            str_eq(status, "cancelled"))
            return true;
        try(d, "migrate_cancel", NULL);
        if (now_ms() > end) {
            error_internal(errp, "the sending of memory does not end");
            return false;
        }
    }
}

static bool end_jobs(virDomainPtr d, struct error **errp) {
    for (uint64_t end = now_ms() + END_MS;; step_sleep()) {
        _cleanup_json_ json_t *jobs = ask(d, "query-block-jobs", NULL, errp);
        size_t i, n = 0;
        json_t *j;
        if (!jobs)
            return false;
        json_array_foreach(jobs, i, j) {
            const char *name = text_in(j, "device");
            if (!is_ours(name))
                continue;
            n++;
            if (str_eq(text_in(j, "status"), "concluded"))
                try(d, "job-dismiss", json_pack("{s:s}", "id", name));
            else
                try(d, "block-job-cancel", json_pack("{s:s, s:b}", "device", name, "force", 1));
        }
        if (n == 0)
            return true;
        if (now_ms() > end) {
            error_internal(errp, "the copying of a disk does not end");
            return false;
        }
    }
}

/* What waits for a host that is not heard any more would hold up the whole of QEMU, guest and monitor, when it is
 * closed: until TCP gives up, which takes a quarter of an hour. So the connections are broken first. */
static bool cut_connections(virDomainPtr d, struct error **errp) {
    _cleanup_json_ json_t *all = ask(d, "query-yank", NULL, errp), *ours = json_array();
    size_t i;
    json_t *one;
    json_array_foreach(all, i, one) if (str_eq(text_in(one, "type"), "migration") ||
                                        is_ours(text_in(one, "node-name")))(void) json_array_append(ours, one);
    if (json_array_size(ours))
        try(d, "yank", json_pack("{s:O}", "instances", ours));
    return all != NULL;
}

static bool undo(virDomainPtr d, struct error **errp) {
    if (!cut_connections(d, errp) || !end_migration(d, errp) || !end_jobs(d, errp))
        return false;
    _cleanup_json_ json_t *nodes = ask(d, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), errp);
    size_t i;
    json_t *node;
    if (!nodes)
        return false;
    json_array_foreach(nodes, i, node) if (is_ours(text_in(node, "node-name")))
        try(d, "blockdev-del", json_pack("{s:s}", "node-name", text_in(node, "node-name")));
    /* As they were: libvirt sets what it needs itself, and not the first of these. */
    try(d, "migrate-set-capabilities",
        json_pack("{s:[{s:s, s:b}, {s:s, s:b}]}", "capabilities", "capability", "pause-before-switchover", "state", 0,
                  "capability", "auto-converge", "state", 0));
    try(d, "migrate-set-parameters", json_pack("{s:s, s:s}", "tls-creds", "", "tls-hostname", ""));
    try(d, "object-del", json_pack("{s:s}", "id", NAME));
    return true;
}

static void undo_run(void *data) {
    struct undoing *u = data;
    char uuid[UUID_TEXT_SIZE];
    int state = 0;
    virResetLastError();
    virDomainPtr d = virDomainLookupByUUIDString(u->conn, uuid_text(&u->vm, uuid));
    if (!d && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN)
        error_internal(&u->error, "%s", str_or_empty(virGetLastErrorMessage()));
    else if (d && undo(d, &u->error) && u->lets_run &&
             (virDomainGetState(d, &state, NULL, 0) < 0 || (state == VIR_DOMAIN_PAUSED && virDomainResume(d) < 0)))
        error_internal(&u->error, "%s", str_or_empty(virGetLastErrorMessage()));
    if (d) {
        /* A domain that has ended meanwhile has nothing to be undone. */
        int is_active = u->error ? virDomainIsActive(d) : 1;
        if (is_active == 0 || (is_active < 0 && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN))
            error_free(TAKE(u->error));
        (void)virDomainFree(d);
    }
    (void)virConnectClose(u->conn);
}

static void undo_done(void *data) {
    struct undoing *u = data;
    u->done(u->error, u->userdata);
    error_free(u->error);
    free(u);
}

void virt_far_clean(struct virt *v, const struct uuid *vm, bool lets_run, virt_far_clean_fn *done, void *userdata) {
    struct undoing *u = xnew0(struct undoing);
    char key[UUID_TEXT_SIZE + 8] = "far ";
    *u = (struct undoing){.vm = *vm, .lets_run = lets_run, .done = done, .userdata = userdata};
    u->conn = virt_connection(v, &u->error);
    if (u->conn) {
        uuid_text(vm, key + strlen(key));
        worker_submit(virt_worker(v), key, undo_run, undo_done, u);
    } else if (!virt_post(v, undo_done, u)) {
        undo_done(u);
    }
}

/* ---- what the guest sees ---- */

struct looking {
    virConnectPtr conn;
    struct uuid vm;
    struct value machine;
    struct error *error;
    virt_machine_fn *done;
    void *userdata;
};

static void machine_run(void *data) {
    struct looking *l = data;
    char uuid[UUID_TEXT_SIZE];
    virResetLastError();
    virDomainPtr d = virDomainLookupByUUIDString(l->conn, uuid_text(&l->vm, uuid));
    char *xml = d ? virDomainGetXMLDesc(d, 0) : NULL;
    if (xml)
        l->machine = virt_machine_of(xml, &l->error);
    else
        error_internal(&l->error, "%s", str_or_empty(virGetLastErrorMessage()));
    free(xml);
    if (d)
        (void)virDomainFree(d);
    (void)virConnectClose(l->conn);
}

static void machine_done(void *data) {
    struct looking *l = data;
    l->done(l->error, &l->machine, l->userdata);
    value_done(&l->machine);
    error_free(l->error);
    free(l);
}

void virt_machine(struct virt *v, const struct uuid *vm, virt_machine_fn *done, void *userdata) {
    struct looking *l = xnew0(struct looking);
    char key[UUID_TEXT_SIZE];
    *l = (struct looking){.vm = *vm, .machine = {.type = VALUE_VOID}, .done = done, .userdata = userdata};
    l->conn = virt_connection(v, &l->error);
    if (l->conn)
        worker_submit(virt_worker(v), uuid_text(vm, key), machine_run, machine_done, l);
    else if (!virt_post(v, machine_done, l))
        machine_done(l);
}

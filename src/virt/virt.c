/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/virt.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/fs.h"
#include "base/str.h"
#include "loop/child.h"
#include "loop/worker.h"
#include "virt/virt_kvm.h"
#include "virt/virt_listen.h"
#include "virt/virt_private.h"

#define LOG_MODULE "virt"
#include "base/log.h"

#define N_WORKERS 5 /* two may wait for the memory of VMs that come from another pool */
#define RETRY_FIRST_MS 200
#define RETRY_MAX_MS 5000
#define DAEMON_TIMEOUT_MS 60000
#define DAEMON_OUTPUT_MAX 16384
#define KEEPALIVE_S 5 /* five unanswered in a row end a connection to a daemon that hangs */
#define KEEPALIVE_N 5

struct waiter {
    struct virt *v;
    struct loop_source *timer;
    virt_up_fn *fn;
    void *userdata;
    struct waiter *next;
};

/* Events come on a thread of their own; each holds the object until the loop has seen it. */
struct virt {
    atomic_int refs;
    struct virt_config config;
    char *uri, *state_dir, *run_dir, *virtd_path, *pki_dir, *listen;
    bool is_own_daemon;
    pthread_mutex_t lock; /* of is_dead: the loop ends soon after it is set */
    bool is_dead;         /* freed: what still arrives is dropped */
    struct worker *worker;
    struct worker *guests; /* what agents inside of guests are asked */
    virConnectPtr conn;    /* NULL: down */
    uint64_t retry_ms;
    struct loop_source *retry_timer;
    struct child *starting; /* muster-virtd */
    bool connecting;
    bool restarting; /* the daemon behind `conn` is being ended by us */
    struct waiter *waiters;
    char *trouble;
    char *said; /* why it could not be started, as it was logged last; NULL once it is there */
};

static void unref_many(struct virt *v, int n) {
    if (atomic_fetch_sub(&v->refs, n) > n)
        return;
    free(v->uri);
    free(v->state_dir);
    free(v->run_dir);
    free(v->virtd_path);
    free(v->pki_dir);
    free(v->listen);
    free(v->trouble);
    free(v->said);
    (void)pthread_mutex_destroy(&v->lock);
    free(v);
}

static void unref(struct virt *v) {
    unref_many(v, 1);
}

/* ---- libvirt's own loop ---- */

/* One thread for the process, for ever: libvirt keeps its sources in a list of its own. */
static void *event_thread(void *arg) {
    for (;;)
        (void)virEventRunDefaultImpl();
    return NULL;
}

static void ignore_error(void *userdata, virErrorPtr e) {
    /* Each caller reads and reports its own. */
}

static void start_events(void) {
    static bool started;
    pthread_t t;
    if (started)
        return;
    started = true;
    virSetErrorFunc(NULL, ignore_error);
    if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0 || pthread_create(&t, NULL, event_thread, NULL) != 0)
        log_err("libvirt's event loop cannot be started; states of VMs are looked at from time to time only");
    else
        (void)pthread_detach(t);
}

struct posted {
    struct virt *v;
    struct uuid vm;
    enum { POSTED_EVENT, POSTED_REBOOT, POSTED_CLOSED } kind;
    virConnectPtr conn; /* only compared */
};

static void lost(struct virt *v, const char *why);

static void on_posted(void *userdata) {
    struct posted *p = userdata;
    struct virt *v = p->v;
    const struct virt_callbacks *cb = v->config.callbacks;
    if (v->is_dead || p->conn != v->conn)
        ;
    else if (p->kind == POSTED_CLOSED)
        lost(v, "the hypervisor's daemon has ended");
    else if (p->kind == POSTED_REBOOT)
        cb->rebooted(&p->vm, v->config.userdata);
    else
        cb->event(&p->vm, v->config.userdata);
    free(p);
    unref(v);
}

static void post(struct virt *v, virConnectPtr conn, virDomainPtr d, int kind) {
    struct posted *p = xnew0(struct posted);
    char text[VIR_UUID_STRING_BUFLEN];
    p->v = v;
    p->kind = kind;
    p->conn = conn;
    if (d && (virDomainGetUUIDString(d, text) < 0 || !uuid_parse(text, &p->vm))) {
        free(p);
        return;
    }
    (void)pthread_mutex_lock(&v->lock);
    bool is_dead = v->is_dead;
    if (!is_dead) {
        atomic_fetch_add(&v->refs, 1);
        loop_post(v->config.loop, on_posted, p);
    }
    (void)pthread_mutex_unlock(&v->lock);
    if (is_dead)
        free(p);
}

static int on_lifecycle(virConnectPtr conn, virDomainPtr d, int event, int detail, void *opaque) {
    post(opaque, conn, d, POSTED_EVENT);
    return 0;
}

static void on_reboot(virConnectPtr conn, virDomainPtr d, void *opaque) {
    post(opaque, conn, d, POSTED_REBOOT);
}

static void on_closed(virConnectPtr conn, int reason, void *opaque) {
    post(opaque, conn, NULL, POSTED_CLOSED);
}

static void free_opaque(void *opaque) {
    unref(opaque);
}

/* ---- the connection ---- */

struct connecting {
    struct virt *v;
    char *uri;
    virConnectPtr conn;
    char *problem;
};

static void connect_run(void *data) {
    struct connecting *c = data;
    c->conn = virConnectOpen(c->uri);
    if (!c->conn) {
        c->problem = xstrdup(str_or_empty(virGetLastErrorMessage()));
        return;
    }
    (void)virConnectSetKeepAlive(c->conn, KEEPALIVE_S, KEEPALIVE_N); /* not every driver has it */
    atomic_fetch_add(&c->v->refs, 3); /* one with each callback; those that are not taken come back below */
    int n_refused = 0;
    if (virConnectDomainEventRegisterAny(c->conn, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                         VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), c->v, free_opaque) < 0)
        n_refused++;
    if (virConnectDomainEventRegisterAny(c->conn, NULL, VIR_DOMAIN_EVENT_ID_REBOOT,
                                         VIR_DOMAIN_EVENT_CALLBACK(on_reboot), c->v, free_opaque) < 0)
        n_refused++;
    if (virConnectRegisterCloseCallback(c->conn, on_closed, c->v, free_opaque) < 0)
        n_refused++;
    unref_many(c->v, n_refused);
}

static void set_trouble(struct virt *v, const char *text) {
    free(v->trouble);
    v->trouble = xstrdup(text);
}

/* ---- whoever waits for it ---- */

/* Tells all that wait now; one that asks again meanwhile waits anew. */
static void tell_waiters(struct virt *v, struct error *error /* taken; NULL: it is up */) {
    struct waiter *first = TAKE(v->waiters);
    while (first) {
        struct waiter *w = first;
        first = w->next;
        loop_source_free(w->timer);
        w->fn(error, w->userdata);
        free(w);
    }
    error_free(error);
}

static struct error *not_up(struct virt *v) {
    struct error *e = NULL;
    error_internal(&e, "no VM can be run on this host now: %s", virt_trouble(v));
    return e;
}

static void on_waited(struct loop_source *s, void *userdata) {
    struct waiter *w = userdata;
    struct waiter **at = &w->v->waiters;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    struct error *e = not_up(w->v);
    loop_source_free(w->timer);
    w->fn(e, w->userdata);
    error_free(e);
    free(w);
}

void virt_when_up(struct virt *v, uint64_t wait_ms, virt_up_fn *fn, void *userdata) {
    if (virt_is_up(v)) {
        fn(NULL, userdata);
        return;
    }
    if (v->said) { /* it could not be started a moment ago */
        struct error *e = not_up(v);
        fn(e, userdata);
        error_free(e);
        return;
    }
    struct waiter *w = xnew0(struct waiter), **end = &v->waiters;
    while (*end)
        end = &(*end)->next;
    *w = (struct waiter){.v = v, .fn = fn, .userdata = userdata};
    w->timer = loop_add_timer(v->config.loop, wait_ms, on_waited, w);
    *end = w;
}

static void retry(struct virt *v) {
    loop_timer_set(v->retry_timer, v->retry_ms);
    v->retry_ms = MIN(v->retry_ms * 2, (uint64_t)RETRY_MAX_MS);
}

static void start_connecting(struct virt *v);

static void on_daemon_started(const struct child_result *r, void *userdata) {
    struct virt *v = userdata;
    v->starting = NULL;
    if (r->exit_code == 0 && v->conn)
        return; /* started again, and the old connection has not broken yet */
    if (r->exit_code == 0) {
        start_connecting(v);
        return;
    }
    _cleanup_free_ char *text =
        r->exit_code < 0 ? strf("'%s' cannot be run: %s", v->virtd_path, strerror(r->start_error))
        : r->timed_out   ? xstrdup("the hypervisor's daemon has not started in time")
                         : strf("the hypervisor's daemon did not start (%d): %s", r->exit_code, buf_str(&r->err));
    if (str_eq(text, str_or_empty(v->said)))
        log_debug("still no VM can be run here: %s", text);
    else
        log_warn("no VM can be run here: %s; it is tried again and again", text);
    free(v->said);
    v->said = xstrdup(text);
    set_trouble(v, text);
    v->restarting = false; /* what runs is still there, or its end is on its way */
    tell_waiters(v, not_up(v));
    retry(v);
}

static void start_daemon(struct virt *v, bool again) {
    const char *argv[16] = {v->virtd_path, "--state-dir", v->state_dir, "--run-dir", v->run_dir};
    const char *const listen[] = {"--listen", v->listen, "--pki", v->pki_dir};
    size_t n = 5;
    for (size_t i = 0; i < ARRAY_SIZE(listen) && v->pki_dir && *v->listen; i++)
        argv[n++] = listen[i];
    if (again)
        argv[n++] = "--again";
    v->starting =
        child_run(v->config.loop, argv, /* input= */ NULL, DAEMON_TIMEOUT_MS, DAEMON_OUTPUT_MAX, on_daemon_started, v);
}

static void close_connection(virConnectPtr conn) {
    (void)virConnectUnregisterCloseCallback(conn, on_closed);
    (void)virConnectClose(conn);
}

static void connect_done(void *data) {
    struct connecting *c = data;
    struct virt *v = c->v;
    v->connecting = false;
    if (v->is_dead) {
        if (c->conn)
            close_connection(c->conn);
    } else if (c->conn) {
        v->conn = c->conn;
        v->retry_ms = RETRY_FIRST_MS;
        set_trouble(v, "");
        free(TAKE(v->said));
        const char *why = virt_kvm_trouble();
        log_info(why ? "the hypervisor is there; guests are emulated, since %s"
                     : "the hypervisor is there; guests run on KVM%s",
                 str_or_empty(why));
        v->config.callbacks->up(v->config.userdata);
        if (virt_is_up(v)) /* else it is started again for another address */
            tell_waiters(v, NULL);
    } else if (v->is_own_daemon) {
        set_trouble(v, c->problem);
        start_daemon(v, /* again= */ false);
    } else {
        set_trouble(v, c->problem);
        retry(v);
    }
    free(c->uri);
    free(c->problem);
    free(c);
    unref(v);
}

static void start_connecting(struct virt *v) {
    struct connecting *c = xnew0(struct connecting);
    *c = (struct connecting){.v = v, .uri = xstrdup(v->uri)};
    atomic_fetch_add(&v->refs, 1);
    v->connecting = true;
    worker_submit(v->worker, "connect", connect_run, connect_done, c);
}

static void on_retry(struct loop_source *s, void *userdata) {
    struct virt *v = userdata;
    if (v->conn || v->connecting || v->starting)
        return;
    /* A daemon that could not be started before may be there by now, and one that is there is connected to first. */
    start_connecting(v);
}

static void close_run(void *data) {
    close_connection(data);
}

static void lost(struct virt *v, const char *why) {
    virConnectPtr conn = TAKE(v->conn);
    if (!conn)
        return;
    v->restarting = false;
    worker_submit(v->worker, "connect", close_run, /* done= */ NULL, conn); /* may wait for the dead daemon */
    set_trouble(v, why);
    if (!v->starting) /* else it was us */
        log_warn("%s; VMs go on without it, and it is started again", why);
    v->config.callbacks->down(why, v->config.userdata);
    retry(v);
}

/* Where the daemon listened last: known before the pool's rows are there, so that a boot starts it once. */
static char *address_path(const char *state_dir) {
    return strf("%s/libvirt/listen-address", str_or_empty(state_dir));
}

static char *remembered_address(const char *state_dir) {
    _cleanup_free_ char *path = address_path(state_dir);
    _cleanup_buf_ struct buf text = BUF_INIT;
    return fs_read(path, 64, &text) == 0 ? xstrdup(buf_str(&text)) : xstrdup("");
}

struct virt *virt_new(const struct virt_config *config) {
    struct virt *v = xnew0(struct virt);
    *v = (struct virt){.config = *config,
                       .state_dir = xstrdup(str_or_empty(config->state_dir)),
                       .run_dir = xstrdup(str_or_empty(config->run_dir)),
                       .virtd_path = xstrdup(config->virtd_path ? config->virtd_path : "muster-virtd"),
                       .pki_dir = config->pki_dir ? xstrdup(config->pki_dir) : NULL,
                       .listen = remembered_address(config->state_dir),
                       .is_own_daemon = !config->uri,
                       .trouble = xstrdup("the hypervisor is being looked for"),
                       .retry_ms = RETRY_FIRST_MS};
    v->uri =
        config->uri ? xstrdup(config->uri) : strf("qemu+unix:///system?socket=%s/libvirt/libvirt-sock", v->run_dir);
    atomic_init(&v->refs, 1);
    (void)pthread_mutex_init(&v->lock, /* attr= */ NULL);
    start_events();
    v->worker = worker_new(config->loop, N_WORKERS);
    v->guests = worker_new(config->loop, 1);
    v->retry_timer = loop_add_timer(config->loop, LOOP_NEVER, on_retry, v);
    start_connecting(v);
    return v;
}

void virt_free(struct virt *v) {
    if (!v)
        return;
    (void)pthread_mutex_lock(&v->lock);
    v->is_dead = true;
    (void)pthread_mutex_unlock(&v->lock);
    if (v->starting)
        child_cancel(TAKE(v->starting));
    tell_waiters(v, not_up(v));
    loop_source_free(v->retry_timer);
    worker_free(v->guests);
    worker_free(v->worker);
    if (v->conn)
        close_connection(TAKE(v->conn));
    unref(v);
}

/* What the daemon that runs was started with is what it should be; true also when it is none of ours. */
static bool listens_as_wanted(struct virt *v) {
    _cleanup_free_ char *mark = virt_listen_mark(v->pki_dir, v->listen), *path = virt_listen_path(v->run_dir);
    _cleanup_buf_ struct buf noted = BUF_INIT;
    if (!v->is_own_daemon || !v->pki_dir)
        return true;
    (void)!fs_read(path, 4096, &noted);
    return str_eq(buf_str(&noted), mark ? mark : "");
}

void virt_listen(struct virt *v, const char *address, bool may_restart) {
    if (address && !str_eq(address, v->listen)) {
        _cleanup_free_ char *path = address_path(v->state_dir);
        free(v->listen);
        v->listen = xstrdup(address);
        if (v->is_own_daemon)
            (void)!fs_write_atomic(path, address, strlen(address), 0644);
    }
    if (!v->conn || v->starting || v->connecting || !may_restart || listens_as_wanted(v))
        return;
    log_info("the hypervisor's daemon is started again: it is to listen %s%s", *v->listen ? "at " : "nowhere",
             v->listen);
    v->restarting = true;
    set_trouble(v, "its daemon is started again");
    start_daemon(v, /* again= */ true); /* the connection breaks, and is made anew */
}

/* ---- for the other files ---- */

virConnectPtr virt_connection(struct virt *v, struct error **errp) {
    if (virt_is_up(v)) {
        (void)virConnectRef(v->conn);
        return v->conn;
    }
    error_propagate(errp, not_up(v));
    return NULL;
}

struct worker *virt_worker(struct virt *v) {
    return v->worker;
}

struct virt *virt_ref(struct virt *v) {
    atomic_fetch_add(&v->refs, 1);
    return v;
}

void virt_unref(struct virt *v) {
    unref(v);
}

bool virt_post(struct virt *v, void (*fn)(void *data), void *data) {
    (void)pthread_mutex_lock(&v->lock);
    bool is_dead = v->is_dead;
    if (!is_dead)
        loop_post(v->config.loop, fn, data);
    (void)pthread_mutex_unlock(&v->lock);
    return !is_dead;
}

bool virt_is_gone(const struct virt *v) {
    return v->is_dead;
}

const char *virt_domain_type(const struct virt *v) {
    return str_starts(v->uri, "test:") ? "test" : str_starts(v->uri, "xen:") ? "xen" : NULL;
}

bool virt_is_up(const struct virt *v) {
    return v->conn && !v->restarting;
}

const char *virt_trouble(const struct virt *v) {
    return virt_is_up(v) ? "" : v->trouble;
}

/* ---- requests ---- */

struct job {
    struct virt *v;
    virConnectPtr conn; /* a reference */
    struct virt_request request;
    struct error *error;
    bool has_domain;
    struct virt_domain domain;
    virt_done_fn *done;
    void *userdata;
};

static void job_run(void *data) {
    struct job *j = data;
    j->has_domain = virt_request_run(j->conn, &j->request, &j->domain, &j->error) && !uuid_is_null(&j->domain.uuid);
    (void)virConnectClose(j->conn);
}

static void job_free(struct job *j) {
    free(j->request.xml);
    free(j->request.path);
    error_free(j->error);
    free(j);
}

static void job_done(void *data) {
    struct job *j = data;
    j->done(j->error, j->has_domain && !j->error ? &j->domain : NULL, j->userdata);
    job_free(j);
}

void virt_ask(struct virt *v, struct virt_request request, virt_done_fn *done, void *userdata) {
    struct job *j = xnew0(struct job);
    char key[UUID_TEXT_SIZE];
    *j = (struct job){.v = v, .request = request, .done = done, .userdata = userdata};
    if (!virt_is_up(v)) {
        j->error = not_up(v);
        loop_defer(v->config.loop, job_done, j);
        return;
    }
    j->conn = v->conn;
    (void)virConnectRef(j->conn);
    worker_submit(v->worker, uuid_text(&request.vm, key), job_run, job_done, j);
}

/* ---- the list ---- */

struct listing {
    virConnectPtr conn;
    struct virt_domain *domains;
    size_t n;
    struct error *error;
    virt_list_fn *done;
    void *userdata;
};

static void listing_run(void *data) {
    struct listing *l = data;
    if (!virt_list_run(l->conn, &l->domains, &l->n, &l->error))
        l->n = 0;
    (void)virConnectClose(l->conn);
}

static void listing_done(void *data) {
    struct listing *l = data;
    l->done(l->error, l->domains, l->n, l->userdata);
    free(l->domains);
    error_free(l->error);
    free(l);
}

void virt_list(struct virt *v, virt_list_fn *done, void *userdata) {
    struct listing *l = xnew0(struct listing);
    *l = (struct listing){.done = done, .userdata = userdata};
    if (!virt_is_up(v)) {
        l->error = not_up(v);
        loop_defer(v->config.loop, listing_done, l);
        return;
    }
    l->conn = v->conn;
    (void)virConnectRef(l->conn);
    worker_submit(v->worker, "list", listing_run, listing_done, l);
}

/* ---- guests ---- */

struct asking {
    virConnectPtr conn;
    struct uuid vm;
    struct value facts;
    struct error *error;
    virt_guest_fn *done;
    void *userdata;
};

static void asking_run(void *data) {
    struct asking *a = data;
    if (!virt_guest_run(a->conn, &a->vm, &a->facts, &a->error))
        a->facts = value_map();
    (void)virConnectClose(a->conn);
}

static void asking_done(void *data) {
    struct asking *a = data;
    a->done(a->error, &a->facts, a->userdata);
    value_done(&a->facts);
    error_free(a->error);
    free(a);
}

void virt_guest(struct virt *v, const struct uuid *vm, virt_guest_fn *done, void *userdata) {
    struct asking *a = xnew0(struct asking);
    *a = (struct asking){.vm = *vm, .done = done, .userdata = userdata};
    if (!virt_is_up(v)) {
        a->facts = value_map();
        a->error = not_up(v);
        loop_defer(v->config.loop, asking_done, a);
        return;
    }
    a->conn = v->conn;
    (void)virConnectRef(a->conn);
    worker_submit(v->guests, "guests", asking_run, asking_done, a);
}

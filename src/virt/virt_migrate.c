/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM on its way to another host. The daemon here speaks to the daemon there (peer to peer), so it goes on whoever of
 * us dies. The domain arrives paused: the other host lets it run once the pool says that it is there.
 */
#include <libvirt/virterror.h>
#include <pthread.h>

#include "base/str.h"
#include "model/model.h"
#include "virt/virt_private.h"

struct moving {
    struct virt *v;
    virConnectPtr conn;
    struct virt_move move;
    struct error *error;
    bool was_aborted;
    virt_move_done_fn *done;
    void *userdata;
};

static void move_free(struct moving *m) {
    struct virt *v = m->v;
    for (size_t i = 0; i < m->move.n_swaps; i++)
        virt_swap_done(&m->move.swaps[i]);
    for (size_t i = 0; i < ARRAY_SIZE(m->move.disks); i++)
        free(m->move.disks[i]);
    free(m->move.swaps);
    free(m->move.address);
    free(m->move.data_address);
    free(m->move.tls_name);
    error_free(m->error);
    free(m);
    virt_unref(v);
}

/* ---- in a thread of its own: it may take hours, and nobody waits for it when this process ends ---- */

static char *bracketed(const char *address) {
    return strchr(address, ':') ? strf("[%s]", address) : xstrdup(address);
}

static bool refused(struct moving *m) {
    m->was_aborted = virGetLastErrorCode() == VIR_ERR_OPERATION_ABORTED;
    error_internal(&m->error, "%s", str_or_empty(virGetLastErrorMessage()));
    return false;
}

static bool add_texts(struct moving *m, virTypedParameterPtr *params, int *n, int *max, const char *data_uri,
                      const char *xml) {
    const struct virt_move *v = &m->move;
    bool ok = virTypedParamsAddString(params, n, max, VIR_MIGRATE_PARAM_URI, data_uri) >= 0 &&
              virTypedParamsAddString(params, n, max, VIR_MIGRATE_PARAM_LISTEN_ADDRESS, v->data_address) >= 0 &&
              virTypedParamsAddString(params, n, max, VIR_MIGRATE_PARAM_TLS_DESTINATION, v->tls_name) >= 0 &&
              virTypedParamsAddString(params, n, max, VIR_MIGRATE_PARAM_DEST_XML, xml) >= 0;
    for (size_t i = 0; v->disks[i] && ok; i++)
        ok = virTypedParamsAddString(params, n, max, VIR_MIGRATE_PARAM_MIGRATE_DISKS, v->disks[i]) >= 0;
    if (ok && v->mib_per_s)
        ok = virTypedParamsAddULLong(params, n, max, VIR_MIGRATE_PARAM_BANDWIDTH, v->mib_per_s) >= 0;
    return ok || refused(m);
}

static bool migrate(struct moving *m, virDomainPtr d, const char *xml) {
    _cleanup_free_ char *to = bracketed(m->move.address), *data_to = bracketed(m->move.data_address),
                        *uri = strf("qemu+tls://%s/system?pkipath=/etc/libvirt/pki/client", to),
                        *data_uri = strf("tcp://%s", data_to);
    virTypedParameterPtr params = NULL;
    int n = 0, max = 0;
    /* Unsafe is what libvirt calls shared files of which it cannot know that they are shared. The pool knows. */
    unsigned flags =
        VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_PAUSED | VIR_MIGRATE_ABORT_ON_ERROR | VIR_MIGRATE_TLS | VIR_MIGRATE_UNSAFE;
    if (!m->move.is_emulated)
        flags |= VIR_MIGRATE_LIVE | VIR_MIGRATE_AUTO_CONVERGE;
    if (m->move.disks[0])
        flags |= VIR_MIGRATE_NON_SHARED_DISK;
    if (m->move.compress)
        flags |= VIR_MIGRATE_COMPRESSED;
    bool ok = add_texts(m, &params, &n, &max, data_uri, xml) &&
              (virDomainMigrateToURI3(d, uri, params, (unsigned)n, flags) >= 0 || refused(m));
    virTypedParamsFree(params, n);
    return ok;
}

static void run(struct moving *m) {
    char uuid[UUID_TEXT_SIZE];
    const char *missing = NULL;
    virResetLastError();
    virDomainPtr d = virDomainLookupByUUIDString(m->conn, uuid_text(&m->move.vm, uuid));
    char *xml = d ? virDomainGetXMLDesc(d, VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_MIGRATABLE) : NULL;
    _cleanup_free_ char *there = xml ? virt_xml_swap(xml, m->move.swaps, m->move.n_swaps, &missing) : NULL;
    if (!xml)
        (void)refused(m);
    else if (!there)
        error_internal(&m->error, "the VM does not use '%s', as the pool believes", missing);
    else
        (void)migrate(m, d, there);
    free(xml);
    if (d)
        (void)virDomainFree(d);
    (void)virConnectClose(m->conn);
}

static void on_end(void *data) {
    struct moving *m = data;
    if (!virt_is_gone(m->v))
        m->done(m->error, m->was_aborted, m->userdata);
    move_free(m);
}

static void *move_thread(void *arg) {
    struct moving *m = arg;
    run(m);
    if (!virt_post(m->v, on_end, m))
        move_free(m);
    return NULL;
}

static void end_later(struct moving *m) {
    if (!virt_post(m->v, on_end, m))
        move_free(m);
}

void virt_move(struct virt *v, struct virt_move move, virt_move_done_fn *done, void *userdata) {
    struct moving *m = xnew0(struct moving);
    pthread_t t;
    *m = (struct moving){.v = virt_ref(v), .move = move, .done = done, .userdata = userdata};
    m->conn = virt_connection(v, &m->error);
    if (!m->conn) {
        end_later(m);
    } else if (pthread_create(&t, NULL, move_thread, m) == 0) {
        (void)pthread_detach(t);
    } else {
        (void)virConnectClose(m->conn);
        error_internal(&m->error, "no thread for moving a VM could be made");
        end_later(m);
    }
}

/* ---- how far it is ---- */

struct asking {
    virConnectPtr conn;
    struct uuid vm;
    bool aborts;
    struct virt_job job;
    struct error *error;
    virt_job_fn *done;
    void *userdata;
};

static uint64_t number(virTypedParameterPtr params, int n, const char *name) {
    unsigned long long value = 0;
    return virTypedParamsGetULLong(params, n, name, &value) > 0 ? value : 0;
}

static void read_job(struct asking *a, virDomainPtr d) {
    virTypedParameterPtr params = NULL;
    int n = 0, type = VIR_DOMAIN_JOB_NONE;
    if (virDomainGetJobStats(d, &type, &params, &n, 0) < 0) {
        error_internal(&a->error, "%s", str_or_empty(virGetLastErrorMessage()));
        return;
    }
    a->job.is_active = type != VIR_DOMAIN_JOB_NONE;
    a->job.processed = number(params, n, VIR_DOMAIN_JOB_DATA_PROCESSED);
    a->job.remaining = number(params, n, VIR_DOMAIN_JOB_DATA_REMAINING);
    virTypedParamsFree(params, n);
}

static void asking_run(void *data) {
    struct asking *a = data;
    char uuid[UUID_TEXT_SIZE];
    virResetLastError();
    virDomainPtr d = virDomainLookupByUUIDString(a->conn, uuid_text(&a->vm, uuid));
    if (!d && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN)
        error_internal(&a->error, "%s", str_or_empty(virGetLastErrorMessage()));
    else if (d && a->aborts)
        (void)virDomainAbortJob(d); /* none there is none to abort */
    else if (d)
        read_job(a, d);
    if (d)
        (void)virDomainFree(d);
    (void)virConnectClose(a->conn);
}

static void asking_done(void *data) {
    struct asking *a = data;
    if (a->done)
        a->done(a->error, &a->job, a->userdata);
    error_free(a->error);
    free(a);
}

static void ask(struct virt *v, const struct uuid *vm, bool aborts, virt_job_fn *done, void *userdata) {
    struct asking *a = xnew0(struct asking);
    char key[UUID_TEXT_SIZE + 8] = "job ";
    *a = (struct asking){.vm = *vm, .aborts = aborts, .done = done, .userdata = userdata};
    a->conn = virt_connection(v, &a->error);
    if (a->conn) {
        uuid_text(vm, key + strlen(key));
        worker_submit(virt_worker(v), key, asking_run, asking_done, a);
    } else if (!virt_post(v, asking_done, a)) {
        asking_done(a);
    }
}

void virt_job(struct virt *v, const struct uuid *vm, virt_job_fn *done, void *userdata) {
    ask(v, vm, /* aborts= */ false, done, userdata);
}

void virt_abort(struct virt *v, const struct uuid *vm) {
    ask(v, vm, /* aborts= */ true, NULL, NULL);
}

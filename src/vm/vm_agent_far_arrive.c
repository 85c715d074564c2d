/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs that run in another pool and come here (docs/decisions/0020). The machine is described here, from this pool's
 * rows; libvirt is told to go on from a file with memory, and the file is a pipe: its head is ours, and what follows
 * comes in at a port, over TLS, from the one host that is believed for this move. QEMU stands before the first byte is
 * sent, so whatever it objects to is known by then. The guest is there, paused, when libvirt has read all of it;
 * whether it runs is for the rows (vm_agent_arrive.c).
 *
 * Calls (arguments -> result):
 *   vm_admit     vm, id, address, authority, spec, machine (JSON), stall_ms (of the other side's watch) -> port
 *   vm_admitted  vm, id -> holds, as vm_received has it; waits while memory is being read
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "virt/virt_kvm.h"
#include "virt/virt_machine_core.h"
#include "virt/virt_xml_core.h"
#include "vm/vm_agent_move.h"
#include "wire/stream.h"
#include "wire/value_json.h"

#define LOG_MODULE "vm"
#include "base/log.h"

#define LOOK_MS 300
#define WAIT_MS 20000 /* for the last of the memory to be read */
#define PIPE_SIZE (1 << 20)
#define WATCH_MS 5000
/* Handshakes under way at the port: the real one is not put off by a stranger who connects, nor by a few who say
 * nothing, each of whom is gone after HANDSHAKE_MS. QEMU answers at once. */
#define PEERS_MAX 8
#define HANDSHAKE_MS 5000
#define MACHINE_MAX 65536

struct vm_admit {
    struct vm_agent *a;
    struct uuid vm;
    char id[VM_MOVE_ID_SIZE];
    struct value spec;
    char *folder, *seen, *address, *path; /* of its keys; of the pipe */
    struct listener *listener;
    struct stream *peers[PEERS_MAX]; /* that have not shown a certificate yet */
    struct stream *stream;           /* the one */
    int fd;                          /* of the pipe, both ends: nobody waits for the other, and none is broken */
    struct loop_source *writable, *timer;
    struct buf pending;
    struct pool_reply *opening, *waiting;
    struct uuid waiting_from;
    uint64_t waiting_ms;
    struct stall stall; /* of memory and disks */
    uint64_t bytes, begun_ms, watched_ms, quiet_ms;
    bool is_restoring, is_looking, is_open /* there is, or was, the one */;
    char *why; /* it has failed */
    struct vm_admit *next;
};

static struct vm_admit *admit_of(const struct vm_agent *a, const struct uuid *vm) {
    struct vm_admit *m = a->admits;
    while (m && !uuid_eq(&m->vm, vm))
        m = m->next;
    return m;
}

/* What comes in, and the pipe; libvirt sees the end of it. */
static void free_peers(struct vm_admit *m) {
    for (size_t i = 0; i < PEERS_MAX; i++)
        stream_free(TAKE(m->peers[i]));
}

static void close_all(struct vm_admit *m) {
    listener_free(TAKE(m->listener));
    free_peers(m);
    stream_free(TAKE(m->stream));
    loop_source_free(TAKE(m->writable));
    buf_done(&m->pending);
    if (m->fd >= 0) {
        /* QEMU 7.2 does not notice the end of a pipe from which nothing came. Behind the end of memory it reads no
         * more. */
        (void)!write(m->fd, "", 1);
        close(m->fd);
        (void)unlink(m->path);
    }
    m->fd = -1;
}

static void admit_free(struct vm_admit *m) {
    for (struct vm_admit **at = &m->a->admits; *at; at = &(*at)->next)
        if (*at == m) {
            *at = m->next;
            break;
        }
    close_all(m);
    loop_source_free(m->timer);
    vm_keys_remove(m->folder);
    value_done(&m->spec);
    free(m->folder);
    free(m->seen);
    free(m->address);
    free(m->path);
    free(m->why);
    free(m);
}

void vm_admits_free(struct vm_agent *a) {
    while (a->admits)
        admit_free(a->admits);
}

static void answer_waiting(struct vm_admit *m) {
    struct pool_reply *reply = TAKE(m->waiting);
    struct value args = value_map();
    if (reply) {
        value_map_add(&args, "vm", value_uuid(&m->vm));
        vm_serve_received(&m->waiting_from, &args, reply, m->a);
    }
    value_done(&args);
}

/* It does not come; what there is of it goes with the arrival. */
static void give_up(struct vm_admit *m, const char *why) {
    struct vm_agent *a = m->a;
    struct vm_arrival *r = vm_arrival_of(a, &m->vm);
    char text[UUID_TEXT_SIZE];
    if (!m->why) {
        m->why = xstrdup(why);
        log_notice("VM '%s' cannot come from another pool: %s", uuid_text(&m->vm, text), why);
    }
    close_all(m);
    if (m->opening) {
        struct error *e = NULL;
        error_internal(&e, "%s", m->why);
        pool_reply_fail(TAKE(m->opening), e);
    }
    answer_waiting(m);
    if (m->is_restoring)
        return; /* libvirt's answer frees it */
    if (r)
        r->is_over = true;
    admit_free(m);
    vm_agent_look(a);
}

void vm_admits_stop(struct vm_agent *a, const char *id) {
    for (struct vm_admit *m = a->admits, *next; m; m = next) {
        next = m->next;
        if (str_eq(m->id, id))
            give_up(m, "it was given up");
    }
}

/* ---- from the port into the pipe ---- */

static void on_writable(struct loop_source *s, int fd, unsigned events, void *userdata);

static void push(struct vm_admit *m, const char *data, size_t size) {
    while (size) {
        ssize_t n = write(m->fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        data += n;
        size -= (size_t)n;
    }
    if (size == 0)
        return;
    buf_add(&m->pending, data, size); /* at most what one read brings: no more is read until it is gone */
    if (m->stream)
        stream_pause(m->stream, true);
    if (!m->writable)
        m->writable = loop_add_fd(m->a->loop, m->fd, LOOP_WRITE, on_writable, m);
}

static void on_writable(struct loop_source *s, int fd, unsigned events, void *userdata) {
    struct vm_admit *m = userdata;
    struct buf rest = m->pending;
    m->pending = (struct buf)BUF_INIT;
    loop_source_free(TAKE(m->writable));
    if (m->stream)
        stream_pause(m->stream, false);
    push(m, rest.data, rest.size);
    buf_done(&rest);
    if (!m->stream && m->pending.size == 0)
        close_all(m);
}

static void on_data(struct stream *s, const char *data, size_t size, void *userdata) {
    struct vm_admit *m = userdata;
    m->bytes += size;
    push(m, data, size);
}

/* Memory says itself where it ends: what is missing then, QEMU notices. */
static void on_stream_end(struct stream *s, int r, void *userdata) {
    struct vm_admit *m = userdata;
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (m->peers[i] == s) {
            stream_free(TAKE(m->peers[i]));
            return;
        }
    stream_free(TAKE(m->stream));
    if (m->pending.size == 0) /* else its last bytes lie here */
        close_all(m);
}

static void on_ready(struct stream *s, void *userdata) {
    struct vm_admit *m = userdata;
    m->is_open = true;
    m->stream = s;
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (m->peers[i] == s)
            m->peers[i] = NULL;
    free_peers(m);
}

static const struct stream_callbacks stream_callbacks = {.ready = on_ready, .data = on_data, .end = on_stream_end};

/* The handshake judges certificates: strangers come no further, and are not waited for. */
static void on_accept(struct listener *n, struct stream *s, void *userdata) {
    struct vm_admit *m = userdata;
    size_t i = 0;
    while (i < PEERS_MAX && m->peers[i])
        i++;
    if (m->is_open || i == PEERS_MAX) {
        stream_free(s);
        return;
    }
    m->peers[i] = s;
    stream_set_callbacks(s, &stream_callbacks, m);
    stream_start(s, HANDSHAKE_MS);
}

/* ---- libvirt ---- */

struct asked { /* survives what it is about */
    struct vm_agent *a;
    struct uuid vm;
};

static struct asked *asked_new(const struct vm_admit *m) {
    struct asked *q = xnew0(struct asked);
    *q = (struct asked){.a = m->a, .vm = m->vm};
    return q;
}

static struct vm_admit *asked_take(struct asked *q) {
    struct vm_admit *m = q->a->is_freed ? NULL : admit_of(q->a, &q->vm);
    free(q);
    return m;
}

static void on_restored(struct error *error, const struct virt_domain *domain, void *userdata) {
    struct vm_admit *m = asked_take(userdata);
    struct vm_arrival *r = m ? vm_arrival_of(m->a, &m->vm) : NULL;
    struct error *e = NULL;
    if (!m)
        return;
    m->is_restoring = false;
    if (r && !error && !m->why) {
        r->is_whole = true;
        if (!vm_arrival_note(m->a, r, &e)) {
            r->is_whole = false;
            error_free(TAKE(e));
        }
    }
    if (error || !r || !r->is_whole) {
        give_up(m, error ? error_text(error) : "what has come cannot be noted down");
        return;
    }
    close_all(m);
    answer_waiting(m);
    admit_free(m);
}

static void on_list(struct error *error, const struct virt_domain *domains, size_t n, void *userdata) {
    struct vm_admit *m = asked_take(userdata);
    bool is_there = false;
    if (!m)
        return;
    m->is_looking = false;
    for (size_t i = 0; i < n && !is_there && !error; i++)
        is_there = uuid_eq(&domains[i].uuid, &m->vm);
    if (is_there && m->opening && m->listener) {
        struct value result = value_map();
        value_map_add(&result, "port", value_stringf("%u", listener_port(m->listener)));
        pool_reply_return(TAKE(m->opening), result);
    }
}

/* True when it has been given up (and may be freed): the other side only says that the move goes on. */
static bool watch(struct vm_admit *m) {
    uint64_t now = loop_now_ms(m->a->loop);
    if (now - m->watched_ms < WATCH_MS)
        return false;
    m->watched_ms = now;
    if (vm_stall(&m->stall, m->bytes + vm_disk_work(m->a, m->id), now, m->quiet_ms))
        give_up(m, "nothing has come for too long, of its memory or its disks");
    else if (now - m->begun_ms > VM_ADMIT_MAX_MS)
        give_up(m, "it has not come within a day");
    else
        return false;
    return true;
}

static void on_timer(struct loop_source *s, void *userdata) {
    struct vm_admit *m = userdata;
    loop_timer_set(m->timer, LOOK_MS);
    if (!m->why && watch(m))
        return;
    if (m->waiting && loop_now_ms(m->a->loop) - m->waiting_ms > WAIT_MS)
        answer_waiting(m);
    if (m->opening && !m->is_looking) {
        m->is_looking = true;
        virt_list(m->a->virt, on_list, asked_new(m));
    }
}

/* ---- making room ---- */

static bool open_pipe(struct vm_admit *m, struct error **errp) {
    struct virt_host host = {.has_kvm = !virt_kvm_trouble(), .type = virt_domain_type(m->a->virt)};
    _cleanup_free_ char *run = strf("%s/vm", m->a->run_dir), *dir = strf("%s/vm-arriving", m->a->run_dir), *xml = NULL;
    _cleanup_buf_ struct buf head = BUF_INIT;
    char text[UUID_TEXT_SIZE];
    host.run_dir = run;
    xml = virt_xml_domain(&m->spec, &host);
    virt_memory_head(&head, xml);
    m->path = strf("%s/%s", dir, uuid_text(&m->vm, text));
    int r = fs_mkdirs(dir, 0700);
    (void)unlink(m->path);
    if (r == 0 && mkfifo(m->path, 0600) < 0)
        r = -errno;
    if (r == 0)
        m->fd = open(m->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (r == 0 && m->fd < 0)
        r = -errno;
    if (r == 0 && fcntl(m->fd, F_SETPIPE_SZ, PIPE_SIZE) < 0 && head.size > 65536)
        r = -errno;
    if (r == 0 && write(m->fd, head.data, head.size) != (ssize_t)head.size)
        r = -EIO;
    if (r < 0)
        error_errno(errp, r, "making '%s'", m->path);
    return r == 0;
}

static bool open_port(struct vm_admit *m, struct error **errp) {
    _cleanup_free_ char *cert = strf("%s/server-cert.pem", m->folder), *key = strf("%s/server-key.pem", m->folder),
                        *ca = strf("%s/ca-cert.pem", m->folder);
    struct tls_config config = {.role = TLS_MUTUAL_SERVER, .cert_path = cert, .key_path = key, .ca_path = ca};
    struct tls_context *tls = tls_context_new(&config, errp);
    if (!tls)
        return false;
    m->listener = listener_new(m->a->loop, m->address, 0, 0, tls, on_accept, m, errp);
    tls_context_unref(tls);
    return m->listener != NULL;
}

static void on_bridges(struct vm_agent *a, struct error *error, void *userdata) {
    struct vm_admit *m = asked_take(userdata);
    _cleanup_error_ struct error *e = NULL;
    if (!m)
        return;
    if (error || m->why || !open_pipe(m, &e) || !open_port(m, &e)) {
        give_up(m, error ? error_text(error) : e ? error_text(e) : m->why);
        return;
    }
    m->is_restoring = true;
    m->timer = loop_add_timer(a->loop, LOOK_MS, on_timer, m);
    virt_ask(a->virt, (struct virt_request){.op = VIRT_RESTORE, .vm = m->vm, .paused = true, .path = xstrdup(m->path)},
             on_restored, asked_new(m));
}

static bool check(struct vm_agent *a, const struct value *args, struct uuid *vm, struct error **errp) {
    const char *id = str_or_empty(value_map_str(args, "id"));
    const struct value *spec = value_map_get(args, "spec");
    char ref[REF_TEXT_SIZE];
    size_t n = 0;
    for (const struct vm_admit *m = a->admits; m; m = m->next)
        n++;
    if (!vm_args_vm(args, vm, errp) || !vm_check_up(a, errp))
        return false;
    if (strlen(id) < 8 || strlen(id) >= VM_MOVE_ID_SIZE || strchr(id, '/') || !spec || spec->type != VALUE_MAP ||
        str_empty(value_map_str(args, "address"))) {
        error_internal(errp, "the request does not say what is to come");
        return false;
    }
    if (n >= VM_FAR_MAX) {
        error_set(errp, ERR_TOO_MANY_STORAGE_MIGRATES, "2", NULL);
        return false;
    }
    if (vm_is_arriving(a, vm) || vm_agent_is_busy(a, vm)) {
        vm_agent_look(a); /* what is left of an earlier move may be removed by that */
        error_set(errp, ERR_OTHER_OPERATION_IN_PROGRESS, "VM", ref_text(vm, ref), "migrate_receive", "", NULL);
        return false;
    }
    return vm_check_boot_file("PV_kernel", value_map_str(spec, "kernel"), errp) &&
           vm_check_boot_file("PV_ramdisk", value_map_str(spec, "ramdisk"), errp);
}

static bool read_machine(const struct value *args, struct value *spec, struct error **errp) {
    const char *text = str_or_empty(value_map_str(args, "machine"));
    _cleanup_value_ struct value machine = {.type = VALUE_VOID};
    size_t size = strlen(text);
    if (size > MACHINE_MAX || !value_json_parse(text, size, 2, 512, &machine, errp) || machine.type != VALUE_MAP) {
        if (!*errp)
            error_set(errp, ERR_INVALID_VALUE, "machine", "it is too long", NULL);
        return false;
    }
    return virt_machine_put(spec, &machine, errp);
}

void vm_serve_admit(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct uuid vm;
    struct error *e = NULL;
    if (!check(a, args, &vm, &e)) {
        pool_reply_fail(reply, e);
        return;
    }
    struct vm_admit *m = xnew0(struct vm_admit);
    const char *id = value_map_str(args, "id");
    const struct value *stall = value_map_get(args, "stall_ms");
    *m = (struct vm_admit){.a = a,
                           .vm = vm,
                           .spec = value_copy(value_map_get(args, "spec")),
                           .address = xstrdup(value_map_str(args, "address")),
                           .fd = -1,
                           .begun_ms = loop_now_ms(a->loop),
                           .quiet_ms =
                               vm_admit_quiet_ms(stall && value_as_int(stall) > 0 ? (uint64_t)value_as_int(stall) : 0),
                           .pending = BUF_INIT,
                           .next = a->admits};
    (void)str_copy(m->id, sizeof(m->id), id);
    a->admits = m;
    if (read_machine(args, &m->spec, &e))
        m->folder = vm_keys_inside(a, id, str_or_empty(value_map_str(args, "authority")), &m->seen, &e);
    struct vm_arrival *r = m->folder ? vm_arrival_add(a, &vm, id, /* disks= */ NULL) : NULL;
    if (!r || !vm_arrival_note(a, r, &e)) { /* before QEMU is there */
        if (r)
            r->is_over = true;
        admit_free(m);
        pool_reply_fail(reply, e);
        return;
    }
    m->opening = reply;
    struct value *nics = value_map_get(&m->spec, "nics");
    for (size_t i = 0; nics && nics->type == VALUE_SET && i < nics->set.n; i++)
        if (nics->set.items[i].type == VALUE_MAP)
            vm_nic_fit(a, &nics->set.items[i]);
    vm_agent_make_bridges(a, nics, on_bridges, asked_new(m));
}

void vm_serve_admitted(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct uuid vm;
    struct error *ignored = NULL;
    struct vm_admit *m = vm_args_vm(args, &vm, &ignored) ? admit_of(a, &vm) : NULL;
    error_free(ignored);
    if (!m || !m->is_restoring || m->waiting) {
        vm_serve_received(from, args, reply, userdata);
        return;
    }
    m->waiting = reply;
    m->waiting_from = *from;
    m->waiting_ms = loop_now_ms(a->loop);
}

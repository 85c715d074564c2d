/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content of disks on its way into or out of this host's storage: a helper program per transfer (store/store_stream.h)
 * and a socket to it. The coordinator opens a transfer under a uuid of its own choice, somebody takes its stream and
 * carries the bytes, and whoever ends the stream ends the helper; how it went is asked for at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "loop/child.h"
#include "store/store.h"
#include "store/store_message.h"
#include "vm/vm_agent_private.h"

#define LOG_MODULE "vm"
#include "base/log.h"

#define TRANSFERS_MAX 16
#define TAKE_MS (60 * 1000)             /* until somebody carries its bytes */
#define RESULT_MS (15 * 60 * 1000)      /* how long its outcome is kept for who asks */
#define RUN_MS (48ull * 60 * 60 * 1000) /* a stream that nobody cuts */
#define ANSWER_MAX (16 << 20)
#define FORGET_TRIES 60
#define FORGET_AGAIN_MS (60 * 1000)

struct vm_transfer {
    struct vm_agent *a;
    struct uuid id;
    char *op;
    struct value args;
    struct pool_reply *opening; /* a sweep is under way: it begins when that is over */
    struct child *child;        /* NULL once it has ended */
    struct stream *stream;      /* to the helper; NULL once it is taken */
    struct pool_reply *reply;
    struct loop_source *deadline;
    struct value result;
    struct error *error; /* with `result` void: how it ended */
    struct vm_transfer *next;
};

static struct vm_transfer *find(const struct vm_agent *a, const struct uuid *id) {
    struct vm_transfer *t = a->transfers;
    while (t && !uuid_eq(&t->id, id))
        t = t->next;
    return t;
}

static void forget_free(struct vm_forgetting *f);

static void free_transfer(struct vm_transfer *t) {
    for (struct vm_transfer **at = &t->a->transfers; *at; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            break;
        }
    child_cancel(t->child);
    stream_free(t->stream);
    loop_source_free(t->deadline);
    value_done(&t->result);
    value_done(&t->args);
    error_free(t->error);
    free(t->op);
    free(t);
}

void vm_transfers_free(struct vm_agent *a) {
    while (a->forgettings)
        forget_free(a->forgettings);
    while (a->transfers)
        free_transfer(a->transfers);
}

void vm_transfers_add(const struct vm_agent *a, struct value *vms) {
    for (const struct vm_transfer *t = a->transfers; t; t = t->next)
        value_set_add(vms, value_uuid(&t->id));
}

static void on_deadline(struct loop_source *s, void *userdata) {
    struct vm_transfer *t = userdata;
    if (t->stream || !t->child) { /* nobody came for it, or for its outcome */
        stream_free(TAKE(t->stream));
        if (!t->child)
            free_transfer(t);
    }
}

static void answer(struct vm_transfer *t) {
    struct pool_reply *reply = TAKE(t->reply);
    if (t->error)
        pool_reply_fail(reply, TAKE(t->error));
    else
        pool_reply_return(reply, value_take(&t->result));
    free_transfer(t);
}

/* ---- what a helper that was killed has left ---- */

struct vm_forgetting {
    struct vm_agent *a;
    struct value args;
    struct error *error;
    struct loop_source *timer; /* until it is tried again */
    unsigned n_tries;
    struct vm_forgetting *next;
};

static void forget_free(struct vm_forgetting *f) {
    for (struct vm_forgetting **at = &f->a->forgettings; *at; at = &(*at)->next)
        if (*at == f) {
            *at = f->next;
            break;
        }
    loop_source_free(f->timer);
    value_done(&f->args);
    error_free(f->error);
    free(f);
}

static void forget_job(void *data) {
    struct vm_forgetting *f = data;
    struct value result;
    if (store_run("import_forget", &f->args, &result, &f->error))
        value_done(&result);
}

static void on_forget_timer(struct loop_source *s, void *userdata);

static void forgotten(void *data) {
    struct vm_forgetting *f = data;
    bool is_done = !f->error || f->a->is_freed;
    if (!is_done && ++f->n_tries == FORGET_TRIES) {
        log_warn("an import has left a file that the next start of the daemon removes: %s", error_text(f->error));
        is_done = true;
    }
    if (is_done) {
        forget_free(f);
        return;
    }
    error_free(TAKE(f->error));
    f->timer = loop_add_timer(f->a->loop, FORGET_AGAIN_MS, on_forget_timer, f);
}

static void forget_try(struct vm_forgetting *f) {
    worker_submit(f->a->storage, str_or_empty(value_map_str(&f->args, "sr")), forget_job, forgotten, f);
}

static void on_forget_timer(struct loop_source *s, void *userdata) {
    struct vm_forgetting *f = userdata;
    loop_source_free(TAKE(f->timer));
    forget_try(f);
}

static void forget(const struct vm_transfer *t) {
    struct vm_forgetting *f = xnew0(struct vm_forgetting);
    *f = (struct vm_forgetting){.a = t->a, .args = value_map(), .next = t->a->forgettings};
    t->a->forgettings = f;
    value_map_add(&f->args, "path", value_string(str_or_empty(value_map_str(&t->args, "path"))));
    value_map_add(&f->args, "sr", value_string(str_or_empty(value_map_str(&t->args, "sr"))));
    value_map_add(&f->args, "id", value_uuid(&t->id));
    vm_leases_sign(t->a, &f->args);
    forget_try(f);
}

/* ---- the helper ---- */

static void on_helper_ended(const struct child_result *r, void *userdata) {
    struct vm_transfer *t = userdata;
    t->child = NULL;
    if (r->start_error)
        error_set(&t->error, ERR_SR_BACKEND_FAILURE, "muster-store cannot be started", strerror(r->start_error), "",
                  NULL);
    else if (r->exit_code != 0 || r->truncated)
        error_setf(&t->error, ERR_SR_BACKEND_FAILURE, "muster-store ended with code %d: %s", r->exit_code,
                   buf_str(&r->err));
    else
        (void)!store_answer_read(buf_str(&r->out), r->out.size, &t->result, &t->error);
    if (r->exit_code != 0 && str_ends(t->op, "_import")) /* it could not tidy up itself */
        forget(t);
    if (t->error)
        vm_leases_explain(t->a, &t->error);
    vm_leases_look(t->a);
    if (t->reply)
        answer(t);
    else
        loop_timer_set(t->deadline, RESULT_MS);
}

static bool start_helper(struct vm_transfer *t, struct error **errp) {
    static const char *const argv[] = {"muster-store", "stream", NULL};
    _cleanup_buf_ struct buf request = BUF_INIT;
    int ends[2];
    store_request_write(&request, t->op, &t->args);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        error_errno(errp, -errno, "making a socket for a transfer");
        return false;
    }
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
        abort(); /* a fresh socket takes this flag */
    t->child =
        child_run_with_data(t->a->loop, argv, buf_str(&request), ends[1], RUN_MS, ANSWER_MAX, on_helper_ended, t);
    close(ends[1]);
    t->stream = stream_new(t->a->loop, ends[0], /* tls= */ NULL, /* is_server= */ false);
    stream_pause(t->stream, true);
    stream_start(t->stream, 0);
    return true;
}

static unsigned n_transfers(const struct vm_agent *a) {
    unsigned n = 0;
    for (const struct vm_transfer *t = a->transfers; t; t = t->next)
        n += t->child || t->opening;
    return n;
}

static void begin(struct vm_transfer *t) {
    struct pool_reply *reply = TAKE(t->opening);
    struct error *e = NULL;
    if (!start_helper(t, &e)) {
        free_transfer(t);
        pool_reply_fail(reply, e);
        return;
    }
    t->deadline = loop_add_timer(t->a->loop, TAKE_MS, on_deadline, t);
    pool_reply_return(reply, value_map());
}

static void serve_open(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct uuid id;
    struct error *e = NULL;
    if (!value_map_uuid(args, "id", &id) || find(a, &id))
        error_internal(&e, "the transfer has no name of its own");
    else if (n_transfers(a) >= TRANSFERS_MAX)
        error_setf(&e, ERR_SR_BACKEND_FAILURE, "the host carries %u disks already", TRANSFERS_MAX);
    if (e) {
        pool_reply_fail(reply, e);
        return;
    }
    struct vm_transfer *t = xnew0(struct vm_transfer);
    *t = (struct vm_transfer){.a = a,
                              .id = id,
                              .op = xstrdup(str_or_empty(value_map_str(args, "op"))),
                              .args = value_copy(args),
                              .opening = reply,
                              .next = a->transfers};
    a->transfers = t;
    vm_leases_sign(a, &t->args);
    sweep_transfer_begins(&a->gate);
    if (sweep_transfer_may_go(&a->gate))
        begin(t);
}

void vm_transfers_swept(struct vm_agent *a) {
    for (struct vm_transfer *t = a->transfers, *next; t && !a->is_freed && sweep_transfer_may_go(&a->gate); t = next) {
        next = t->next;
        if (t->opening)
            begin(t);
    }
}

static void serve_result(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct uuid id;
    struct vm_transfer *t = value_map_uuid(args, "id", &id) ? find(a, &id) : NULL;
    struct error *e = NULL;
    if (!t || t->reply || t->opening) {
        error_internal(&e, "the host knows no transfer of this name: its daemon has been started anew");
        pool_reply_fail(reply, e);
        return;
    }
    stream_free(TAKE(t->stream)); /* that nobody took */
    t->reply = reply;
    if (!t->child)
        answer(t);
}

void vm_transfers_serve(struct vm_agent *a, struct pool_channel *channel) {
    pool_channel_serve(channel, "transfer_open", serve_open, a);
    pool_channel_serve(channel, "transfer_result", serve_result, a);
}

struct stream *vm_agent_take_transfer(struct vm_agent *a, const struct uuid *id) {
    struct vm_transfer *t = find(a, id);
    return t ? TAKE(t->stream) : NULL;
}

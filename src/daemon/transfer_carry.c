/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a transfer: between the client and the host that has the storage, with back-pressure. */
#include "base/str.h"
#include "daemon/transfer_private.h"

#define LOG_MODULE "daemon"
#include "base/log.h"

#define HIGH_WATER (1u << 20)
#define QUEUE_MAX (16u << 20)
#define HEAD_MAX 8192
#define TICK_MS 1000
#define RESULT_MS (60ull * 60 * 1000) /* what came is converted, or flushed to a slow disk */
#define GOODBYE_MS 60000

static uint64_t now_ms(const struct transfer *t) {
    return loop_now_ms(t->all->d->loop);
}

/* ---- the outcome ---- */

static void on_result(struct vm_op *op, const struct value *result);

static void on_ask(struct loop_source *s, void *userdata) {
    struct transfer *t = userdata;
    struct value args = value_map();
    char id[UUID_TEXT_SIZE];
    loop_source_free(TAKE(t->deadline));
    value_map_add(&args, "id", value_string(uuid_text(&t->id, id)));
    vm_op_ask(t->op, &t->plan.host, "transfer_result", args, RESULT_MS, on_result);
}

/* In a turn of its own: the answer may end the transfer. */
static void ask_result(struct transfer *t) {
    if (t->is_asked)
        return;
    t->is_asked = true;
    loop_source_free(t->deadline);
    t->deadline = loop_add_timer(t->all->d->loop, 0, on_ask, t);
}

void transfer_cut(struct transfer *t) {
    stream_free(TAKE(t->far));
    if (t->client && t->is_upload)
        stream_pause(t->client, true);
    ask_result(t);
}

/* ---- bytes ---- */

static void count(struct transfer *t, size_t size) {
    t->n_moved += (int64_t)size;
    t->moved_ms = now_ms(t);
}

/* No more comes from the client: the helper sees the end behind what is still on its way. */
static void upload_is_over(struct transfer *t) {
    if (t->far)
        stream_finish(TAKE(t->far), GOODBYE_MS);
    if (t->client)
        stream_pause(t->client, true);
    ask_result(t);
}

static void take_upload(struct transfer *t, const char *data, size_t size) {
    if (!t->far)
        return;
    if (t->length >= 0)
        size = (size_t)MIN((int64_t)size, t->length - t->n_moved);
    count(t, size);
    if (size > 0 && !stream_write(t->far, data, size)) {
        transfer_cut(t);
        return;
    }
    if (t->length >= 0 && t->n_moved == t->length)
        upload_is_over(t);
    else if (stream_is_congested(t->far))
        stream_pause(t->client, true);
}

static void on_client_data(struct stream *s, const char *data, size_t size, void *userdata) {
    struct transfer *t = userdata;
    if (t->is_upload)
        take_upload(t, data, size);
}

static void on_client_end(struct stream *s, int r, void *userdata) {
    struct transfer *t = userdata;
    stream_free(TAKE(t->client));
    if (t->is_upload)
        upload_is_over(t);
    else
        transfer_cut(t); /* nobody reads it any more */
}

static void on_client_drain(struct stream *s, void *userdata) {
    struct transfer *t = userdata;
    if (t->far && !t->is_upload)
        stream_pause(t->far, false);
}

static void on_far_data(struct stream *s, const char *data, size_t size, void *userdata) {
    struct transfer *t = userdata;
    if (t->is_upload || !t->client)
        return;
    count(t, size);
    if (!stream_write(t->client, data, size)) {
        stream_free(TAKE(t->client));
        transfer_cut(t);
    } else if (stream_is_congested(t->client)) {
        stream_pause(t->far, true);
    }
}

static void on_far_end(struct stream *s, int r, void *userdata) {
    transfer_cut(userdata); /* it has said all, or given up: it says which */
}

static void on_far_drain(struct stream *s, void *userdata) {
    struct transfer *t = userdata;
    if (t->client && t->is_upload)
        stream_pause(t->client, false);
}

static const struct stream_callbacks client_callbacks = {
    .data = on_client_data, .end = on_client_end, .drain = on_client_drain};
static const struct stream_callbacks far_callbacks = {.data = on_far_data, .end = on_far_end, .drain = on_far_drain};

static void on_tick(struct loop_source *s, void *userdata) {
    struct transfer *t = userdata;
    loop_timer_set(t->ticker, TICK_MS);
    if (t->plan.size > 0)
        call_set_progress(t->call, MIN((double)t->n_moved / (double)t->plan.size, 0.99));
    if (!t->is_asked && now_ms(t) - t->moved_ms > TRANSFER_IDLE_MS)
        transfer_cut(t);
}

static void flow(struct transfer *t, struct buf *far_ahead) {
    struct buf head = BUF_INIT, ahead = BUF_INIT;
    int minor = http_get_head(t->req)->minor_version;
    bool expects = http_get_head(t->req)->expects_continue;
    loop_source_free(TAKE(t->deadline));
    http_on_abort(t->req, NULL, NULL);
    t->is_open = true;
    t->client = http_take_stream(TAKE(t->req), &ahead);
    t->moved_ms = now_ms(t);
    t->ticker = loop_add_timer(t->all->d->loop, TICK_MS, on_tick, t);
    if (!t->client || t->is_cancelled) {
        buf_done(far_ahead);
        buf_done(&ahead);
        transfer_cut(t);
        return;
    }
    if (t->is_upload && expects)
        buf_add_str(&head, "HTTP/1.1 100 Continue\r\n\r\n");
    http_format_head(&head, minor, t->status, t->headers);
    (void)stream_write(t->client, head.data, head.size);
    buf_done(&head);
    struct stream *client = t->client, *far = t->far;
    stream_set_limits(client, HIGH_WATER, QUEUE_MAX);
    stream_set_limits(far, HIGH_WATER, QUEUE_MAX);
    stream_set_callbacks(client, &client_callbacks, t);
    stream_set_callbacks(far, &far_callbacks, t);
    if (t->is_upload && t->length == 0)
        upload_is_over(t);
    else if (t->is_upload && ahead.size > 0)
        take_upload(t, ahead.data, ahead.size);
    if (!t->is_upload && far_ahead->size > 0)
        on_far_data(far, far_ahead->data, far_ahead->size, t);
    buf_done(&ahead);
    buf_done(far_ahead);
    if (t->client && !(t->far && t->is_upload && stream_is_congested(t->far)) && !t->is_asked)
        stream_pause(t->client, false);
    if (t->far && !(t->client && !t->is_upload && stream_is_congested(t->client)))
        stream_pause(t->far, false);
}

/* ---- reaching the host ---- */

static void fail_reach(struct transfer *t, const char *why) {
    struct error *e = NULL;
    error_set(&e, ERR_SR_BACKEND_FAILURE, "the host that has the storage does not take up the stream", why, "", NULL);
    stream_free(TAKE(t->far));
    loop_source_free(TAKE(t->deadline));
    vm_op_fail(t->op, e);
}

static void on_reach_ready(struct stream *s, void *userdata) {
    struct transfer *t = userdata;
    char name[UUID_TEXT_SIZE], id[UUID_TEXT_SIZE];
    if (!str_eq(stream_get_peer(s)->tls.common_name, uuid_text(&t->plan.host, name))) {
        fail_reach(t, "another host answers there");
        return;
    }
    _cleanup_free_ char *ask =
        strf("CONNECT /transfer?id=%s HTTP/1.1\r\nHost: %s\r\n\r\n", uuid_text(&t->id, id), name);
    (void)stream_write(s, ask, strlen(ask));
}

static void on_reach_data(struct stream *s, const char *data, size_t size, void *userdata) {
    struct transfer *t = userdata;
    buf_add(&t->head, data, size);
    char *end = memmem(t->head.data, t->head.size, "\r\n\r\n", 4);
    if (!end && t->head.size < HEAD_MAX)
        return;
    if (!end || !str_starts(t->head.data, "HTTP/1.1 200 ")) {
        fail_reach(t, "it refuses");
        return;
    }
    struct buf ahead = t->head;
    t->head = (struct buf)BUF_INIT;
    buf_consume(&ahead, (size_t)(end + 4 - ahead.data));
    stream_pause(s, true);
    flow(t, &ahead);
}

static void on_reach_end(struct stream *s, int r, void *userdata) {
    fail_reach(userdata, r < 0 ? stream_error_text(s) : "it ended before it began");
}

static const struct stream_callbacks reach_callbacks = {
    .ready = on_reach_ready, .data = on_reach_data, .end = on_reach_end};

static void on_late(struct loop_source *s, void *userdata) {
    fail_reach(userdata, "no answer in time");
}

/* The call goes on without its client: what was begun has to be ended. */
static void on_client_gone(struct http_request *req, void *userdata) {
    struct transfer *t = userdata;
    t->is_cancelled = true;
}

static void on_opened(struct vm_op *op, const struct value *result) {
    struct transfer *t = (struct transfer *)(uintptr_t)vm_op_data(op)->integer;
    struct daemon *d = t->all->d;
    struct buf none = BUF_INIT;
    struct error *e = NULL;
    if (uuid_eq(&t->plan.host, &d->self)) {
        t->far = vm_agent_take_transfer(d->vms, &t->id);
        if (t->far)
            flow(t, &none);
        else
            fail_reach(t, "it is not there");
        return;
    }
    const struct row *host = db_get(d->db, CLASS_host, &t->plan.host);
    struct tls_context *tls = transfer_tls(t->all, &e);
    if (tls)
        t->far = stream_connect(d->loop, host ? row_str(host, FIELD_host_address) : "", d->options.https_port, NULL,
                                tls, NULL, TRANSFER_OPEN_MS, &reach_callbacks, t, &e);
    if (!t->far) {
        fail_reach(t, error_text(e));
        error_free(e);
        return;
    }
    t->deadline = loop_add_timer(d->loop, TRANSFER_OPEN_MS, on_late, t);
}

static void on_cancel(struct call *c, void *userdata) {
    struct transfer *t = userdata;
    t->is_cancelled = true;
    if (t->is_open)
        transfer_cut(t);
}

static struct transfer *of_op(struct vm_op *op) {
    return (struct transfer *)(uintptr_t)vm_op_data(op)->integer;
}

static void on_failed(struct vm_op *op, struct error *e) {
    struct transfer *t = of_op(op);
    char ref[REF_TEXT_SIZE];
    if (t->is_cancelled) {
        error_free(TAKE(e));
        error_set(&e, ERR_TASK_CANCELLED, ref_text(call_task(t->call), ref), NULL);
    }
    vm_op_fail(op, e);
}

static void on_result(struct vm_op *op, const struct value *result) {
    struct transfer *t = of_op(op);
    struct transfer_plan plan = t->plan;
    t->plan.data = NULL;
    call_on_cancel(t->call, NULL, NULL);
    vm_op_on_failure(op, NULL);
    *vm_op_data(op) = (struct value){.type = VALUE_VOID};
    if (plan.done_with)
        plan.done_with(op, result, plan.data);
    else
        plan.done(op, result);
}

void transfer_reach(struct transfer *t) {
    char id[UUID_TEXT_SIZE];
    t->id = uuid_random();
    value_map_put(&t->plan.args, "id", value_string(uuid_text(&t->id, id)));
    *vm_op_data(t->op) = value_int((int64_t)(uintptr_t)t);
    http_on_abort(t->req, on_client_gone, t);
    call_on_cancel(t->call, on_cancel, t);
    vm_op_on_failure(t->op, on_failed);
    vm_op_ask(t->op, &t->plan.host, "transfer_open", value_take(&t->plan.args), TRANSFER_OPEN_MS, on_opened);
}

/* ---- the end ---- */

void transfer_end(struct transfer *t, bool is_well) {
    for (struct transfer **at = &t->all->first; *at; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            t->all->n--;
            break;
        }
    /* Whoever reads sees a whole answer, or one that was broken off. */
    if (t->client && (is_well || t->is_upload))
        stream_finish(TAKE(t->client), GOODBYE_MS);
    stream_free(t->client);
    stream_free(t->far);
    loop_source_free(t->ticker);
    loop_source_free(t->deadline);
    transfer_plan_done(&t->plan);
    buf_done(&t->head);
    free(t->headers);
    free(t);
}

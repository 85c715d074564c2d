/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/http_client.h as far as a joining host needs it: logging in at another host's API and asking to be let in. The
 * answer is the other host's own (pool_admit); it gets lost like any.
 */
#include "wire/http_client.h"
#include "sim_daemon.h"

#include <string.h>

#include "base/fs.h"
#include "pool/pki.h"

#define SESSION "OpaqueRef:simulated"

struct http_call {
    struct http_client *client;
    struct http_call *next;
    uint64_t id;
    rpc_done_fn *fn;
    void *userdata;
    struct loop_source *timer;
};

struct http_client {
    struct http_client *next;
    struct loop *loop;
    unsigned host;
    struct http_call *calls;
};

static struct http_client *clients;

struct http_client *http_client_new(struct loop *l) {
    struct http_client *c = xnew0(struct http_client);
    *c = (struct http_client){.next = clients, .loop = l, .host = SIM_NOBODY};
    clients = c;
    return c;
}

static struct http_call *call_take(uint64_t id) {
    for (struct http_client *c = clients; c; c = c->next)
        for (struct http_call **at = &c->calls; *at; at = &(*at)->next)
            if ((*at)->id == id) {
                struct http_call *call = *at;
                *at = call->next;
                return call;
            }
    return NULL;
}

static void call_free(struct http_call *call) {
    loop_source_free(call->timer);
    free(call);
}

void http_client_free(struct http_client *c) {
    if (!c)
        return;
    while (c->calls)
        call_free(call_take(c->calls->id));
    for (struct http_client **at = &clients; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            break;
        }
    free(c);
}

static void end(uint64_t id, const struct value *result, const struct error *error) {
    struct http_call *call = call_take(id);
    if (!call)
        return;
    struct http_response response = {.status = error ? 0 : 200, .body = BUF_INIT};
    struct value nothing = {.type = VALUE_VOID};
    call->fn(result ? result : &nothing, error, &response, call->userdata);
    call_free(call);
}

static void on_late(struct loop_source *s, void *userdata) {
    struct http_call *call = userdata;
    _cleanup_error_ struct error *e = NULL;
    error_set(&e, ERR_WIRE_CONNECT, "the host", "no answer in time", NULL);
    end(call->id, NULL, e);
}

/* ---- the way there and back ---- */
struct question {
    uint64_t id;
    unsigned from, to;
    bool is_login;
    char *pin;
    struct value request;
};

struct answer {
    uint64_t id;
    struct value result;
    struct error *error;
};

static void question_free(void *data) {
    struct question *q = data;
    free(q->pin);
    value_done(&q->request);
    free(q);
}

static void answer_free(void *data) {
    struct answer *a = data;
    value_done(&a->result);
    error_free(a->error);
    free(a);
}

static void on_answer(void *data, void *owner) {
    struct answer *a = data;
    end(a->id, &a->result, a->error);
    answer_free(a);
}

static void reply(const struct question *q, struct value result, struct error *error) {
    struct answer *a = xnew0(struct answer);
    *a = (struct answer){q->id, result, error};
    struct inbox *b = sim_daemon_inbox(&sim->hosts[q->from]);
    if (b && sim_reaches_both(q->to, q->from))
        inbox_push(b, sim_latency_us(q->to, q->from), on_answer, a, answer_free);
    else
        answer_free(a);
}

static void on_admitted(const struct error *error, const struct value *result, void *userdata) {
    struct question *q = userdata;
    if (error)
        reply(q, (struct value){.type = VALUE_VOID}, error_dup(error));
    else
        reply(q, value_copy(result), NULL);
    question_free(q);
}

/* In the loop of the host that was asked. */
static void on_question(void *data, void *owner) {
    struct question *q = data;
    struct sim_daemon *d = owner;
    if (!q->is_login) {
        pool_admit(d->pool, &q->request, on_admitted, q);
        return;
    }
    struct error *e = NULL;
    _cleanup_buf_ struct buf authorities = BUF_INIT;
    _cleanup_free_ char *path = strf("/%s/state/pki/chain.pem", sim->hosts[q->to].name);
    if (fs_read(path, PKI_MAX_PEM, &authorities) < 0 || !sim_pki_has_authority(buf_str(&authorities), q->pin))
        error_set(&e, ERR_WIRE_CERTIFICATE, "the host", "another pool answers there", NULL);
    else if (!pool_is_coordinator(d->pool))
        error_set(&e, ERR_HOST_IS_SLAVE, pool_coordinator_address(d->pool), NULL);
    reply(q, e ? (struct value){.type = VALUE_VOID} : value_string(SESSION), e);
    question_free(q);
}

struct http_call *rpc_client_start(struct http_client *c, const struct http_target *t, const char *method,
                                   const struct value *params, size_t n_params, rpc_done_fn *fn, void *userdata) {
    struct http_call *call = xnew0(struct http_call);
    *call = (struct http_call){.client = c, .next = c->calls, .id = ++sim->next_id, .fn = fn, .userdata = userdata};
    call->timer = loop_add_timer(c->loop, t->timeout_ms ? t->timeout_ms : 30000, on_late, call);
    c->calls = call;
    for (unsigned i = 0; i < sim->n_hosts; i++)
        if (sim->hosts[i].daemon && sim->hosts[i].daemon->loop == c->loop)
            c->host = i;
    unsigned to = sim_host_at(t->host);
    struct inbox *b = to == SIM_NOBODY ? NULL : sim_daemon_inbox(&sim->hosts[to]);
    if (!b || !sim_reaches_both(c->host, to))
        return call; /* into the void; its time runs out */
    struct question *q = xnew0(struct question);
    *q = (struct question){.id = call->id, .from = c->host, .to = to, .is_login = strstr(method, "login") != NULL};
    q->pin = xstrdup(str_or_empty(t->pin));
    q->request = q->is_login ? (struct value){.type = VALUE_VOID} : value_copy(&params[n_params - 1]);
    inbox_push(b, sim_latency_us(c->host, to), on_question, q, question_free);
    return call;
}

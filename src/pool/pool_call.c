/* SPDX-License-Identifier: Apache-2.0 */
/* Calls between hosts: each has an id, a deadline and exactly one answer; the coordinator passes on those between
 * members. */
#include "pool/pool_channel_private.h"

#include <string.h>

#include "base/str.h"

#define MAX_PENDING 4096 /* calls that wait for an answer, those that are passed on among them */
#define MAX_RELAYED 256  /* of them for one member: it cannot take the room of the others and of this host */

struct pending {
    struct pool_channel *c;
    struct pending *next;
    uint64_t id;
    struct uuid to;
    struct uuid via; /* the host that the answer comes from or through */
    pool_call_done_fn *done;
    void *userdata;
    struct loop_source *timer; /* its deadline; the next turn, when it has failed already */
    const char *failed;        /* why; NULL */
    struct loop_source *start; /* of a call to this host itself */
    struct value args;
    char *what;
};

struct pool_reply {
    struct pool_channel *c;
    struct uuid from; /* who asked; self: a local call */
    struct uuid via;  /* the connection it came over */
    int64_t id;
    struct pending *local; /* a local call's caller, by id */
    uint64_t local_id;
};

static bool pending_is_of(const struct pool_channel *c, uint64_t id, const struct uuid *via) {
    const struct pending *p = c->pending;
    while (p && p->id != id)
        p = p->next;
    return p && uuid_eq(&p->via, via);
}

static struct pending *pending_take(struct pool_channel *c, uint64_t id) {
    for (struct pending **at = &c->pending; *at; at = &(*at)->next)
        if ((*at)->id == id) {
            struct pending *p = *at;
            *at = p->next;
            c->n_pending--;
            return p;
        }
    return NULL;
}

static struct pending *pending_take_via(struct pool_channel *c, const struct uuid *via) {
    for (struct pending **at = &c->pending; *at; at = &(*at)->next)
        if (uuid_eq(&(*at)->via, via)) {
            struct pending *p = *at;
            *at = p->next;
            c->n_pending--;
            return p;
        }
    return NULL;
}

static void pending_free(struct pending *p) {
    loop_source_free(p->timer);
    loop_source_free(p->start);
    value_done(&p->args);
    free(p->what);
    free(p);
}

static void pending_end(struct pending *p, const struct value *result, const struct error *error) {
    loop_timer_set(p->timer, LOOP_NEVER);
    p->done(result, error, p->userdata);
    pending_free(p);
}

static void pending_fail(struct pending *p, const char *why) {
    _cleanup_error_ struct error *e = NULL;
    const struct row *host = db_get(p->c->config.db, CLASS_host, &p->to);
    _cleanup_free_ char *who =
        host ? strf("host '%s' (%s): ", row_str(host, FIELD_host_name_label), row_str(host, FIELD_host_address)) : NULL;
    _cleanup_free_ char *reason = strf("%s%s", str_or_empty(who), why);
    error_set(&e, ERR_POOL_CALL_FAILED, p->what, reason, NULL);
    pending_end(p, NULL, e);
}

static void on_deadline(struct loop_source *s, void *userdata) {
    struct pending *p = userdata;
    if (pending_take(p->c, p->id))
        pending_fail(p, p->failed ? p->failed : "no answer in time");
}

static struct pending *pending_new(struct pool_channel *c, const struct uuid *to, const char *what,
                                   uint64_t deadline_ms, pool_call_done_fn *done, void *userdata) {
    struct pending *p = xnew0(struct pending);
    *p = (struct pending){.c = c,
                          .id = ++c->next_call,
                          .to = *to,
                          .done = done,
                          .userdata = userdata,
                          .what = xstrdup(what),
                          .next = c->pending};
    p->timer = loop_add_timer(c->config.loop, deadline_ms, on_deadline, p);
    c->pending = p;
    c->n_pending++;
    return p;
}

/* `done` is never called before the call has returned. */
static void pending_fail_later(struct pending *p, const char *why) {
    p->failed = why;
    loop_timer_set(p->timer, 0);
}

static void serve(struct pool_channel *c, const char *name, const struct uuid *from, const struct value *args,
                  struct pool_reply *reply) {
    for (unsigned i = 0; i < c->n_served; i++)
        if (str_eq(c->served[i].name, name)) {
            c->served[i].fn(from, args, reply, c->served[i].userdata);
            return;
        }
    struct error *e = NULL;
    error_set(&e, ERR_POOL_CALL_FAILED, name, "this host does not know the call", NULL);
    pool_reply_fail(reply, e);
}

static void serve_local(struct loop_source *s, void *userdata) {
    struct pending *p = userdata;
    struct pool_channel *c = p->c;
    _cleanup_free_ char *name = xstrdup(p->what); /* the call may end before it has been served */
    _cleanup_value_ struct value args = value_take(&p->args);
    struct pool_reply *r = xnew0(struct pool_reply);
    *r = (struct pool_reply){.c = c, .from = c->config.self, .via = c->config.self, .local_id = p->id};
    loop_timer_set(p->start, LOOP_NEVER);
    serve(c, name, &c->config.self, &args, r);
}

void pool_channel_call(struct pool_channel *c, const struct uuid *host, const char *name, struct value args,
                       uint64_t deadline_ms, pool_call_done_fn *done, void *userdata) {
    _cleanup_value_ struct value taken = args;
    struct pending *p = pending_new(c, host, name, deadline_ms, done, userdata);
    if (c->n_pending > MAX_PENDING) {
        pending_fail_later(p, "too many calls of this host wait for an answer");
        return;
    }
    if (uuid_eq(host, &c->config.self)) {
        p->args = value_take(&taken);
        p->via = c->config.self;
        p->start = loop_add_timer(c->config.loop, 0, serve_local, p);
        return;
    }
    struct peer *peer = c->coordinator ? c->coordinator : peer_find(c, host);
    _cleanup_value_ struct value m = message_new("call");
    value_map_add(&m, "id", value_int((int64_t)p->id));
    value_map_add(&m, "from", value_uuid(&c->config.self));
    value_map_add(&m, "to", value_uuid(host));
    value_map_add(&m, "name", value_string(name));
    value_map_add(&m, "args", value_take(&taken));
    if (peer && peer->admitted && peer_send(peer, &m)) {
        p->via = peer->host;
        return;
    }
    pending_fail_later(p, "there is no connection to it");
}

void pool_channel_serve(struct pool_channel *c, const char *name, pool_serve_fn *fn, void *userdata) {
    if (c->n_served == MAX_SERVED)
        abort(); /* a bug of ours: the table is sized for all calls there are */
    c->served[c->n_served++] = (struct served){name, fn, userdata};
}

/* ---- answering ---- */
static struct value failure_message(const struct error *e) {
    struct value params = value_set();
    for (size_t i = 0; i < error_n_params(e); i++)
        value_set_add(&params, value_string(error_param(e, i)));
    return params;
}

static void reply_send(struct pool_reply *r, struct value *m) {
    struct peer *peer = peer_find(r->c, &r->via);
    value_map_add(m, "id", value_int(r->id));
    value_map_add(m, "to", value_uuid(&r->from));
    if (peer && peer->admitted)
        peer_send(peer, m);
}

void pool_reply_return(struct pool_reply *r, struct value result) {
    if (uuid_eq(&r->via, &r->c->config.self)) {
        struct pending *p = pending_take(r->c, r->local_id);
        if (p)
            pending_end(p, &result, NULL);
        value_done(&result);
    } else {
        _cleanup_value_ struct value m = message_new("return");
        value_map_add(&m, "value", result);
        reply_send(r, &m);
    }
    free(r);
}

void pool_reply_fail(struct pool_reply *r, struct error *e) {
    if (uuid_eq(&r->via, &r->c->config.self)) {
        struct pending *p = pending_take(r->c, r->local_id);
        if (p)
            pending_end(p, NULL, e);
    } else {
        _cleanup_value_ struct value m = message_new("return");
        value_map_add(&m, "code", value_string(error_code(e)));
        value_map_add(&m, "params", failure_message(e));
        reply_send(r, &m);
    }
    error_free(e);
    free(r);
}

/* ---- messages ---- */
struct relayed { /* the coordinator stands between two members */
    struct pool_channel *c;
    struct uuid from;
    int64_t id;
};

static void relay_done(const struct value *result, const struct error *error, void *userdata) {
    struct relayed *r = userdata;
    struct pool_reply reply = {.c = r->c, .from = r->from, .via = r->from, .id = r->id};
    _cleanup_value_ struct value m = message_new("return");
    if (result) {
        value_map_add(&m, "value", value_copy(result));
    } else {
        value_map_add(&m, "code", value_string(error_code(error)));
        value_map_add(&m, "params", failure_message(error));
    }
    reply_send(&reply, &m);
    free(r);
}

static unsigned n_relayed_for(const struct pool_channel *c, const struct uuid *from) {
    unsigned n = 0;
    for (const struct pending *p = c->pending; p; p = p->next)
        n += p->done == relay_done && uuid_eq(&((const struct relayed *)p->userdata)->from, from);
    return n;
}

void call_receive(struct peer *p, const struct value *message) {
    struct pool_channel *c = p->c;
    struct uuid from, to;
    const char *name = value_map_str(message, "name");
    const struct value *id = value_map_get(message, "id"), *args = value_map_get(message, "args");
    if (!name || !id || !args || id->type != VALUE_INT || !value_map_uuid(message, "from", &from) ||
        !value_map_uuid(message, "to", &to))
        return;
    bool from_coordinator = p == c->coordinator;
    if (!from_coordinator && !uuid_eq(&from, &p->host))
        return; /* a member speaks for itself only */
    if (uuid_eq(&to, &c->config.self)) {
        struct pool_reply *r = xnew0(struct pool_reply);
        *r = (struct pool_reply){.c = c, .from = from, .via = p->host, .id = value_as_int(id)};
        serve(c, name, &from, args, r);
        return;
    }
    if (from_coordinator)
        return; /* not for us, and we do not pass on */
    struct relayed *r = xnew0(struct relayed);
    *r = (struct relayed){.c = c, .from = from, .id = value_as_int(id)};
    if (n_relayed_for(c, &from) >= MAX_RELAYED) {
        _cleanup_error_ struct error *e = NULL;
        error_set(&e, ERR_POOL_CALL_FAILED, name, "too many calls of that member wait for an answer", NULL);
        relay_done(/* result= */ NULL, e, r);
        return;
    }
    pool_channel_call(c, &to, name, value_copy(args), 60000, relay_done, r);
}

void return_receive(struct peer *p, const struct value *message) {
    const struct value *id = value_map_get(message, "id");
    /* Ids can be guessed: nobody answers in place of the host that was asked. */
    bool asked = id && pending_is_of(p->c, (uint64_t)value_as_int(id), &p->host);
    struct pending *pending = asked ? pending_take(p->c, (uint64_t)value_as_int(id)) : NULL;
    if (!pending)
        return; /* or its deadline has passed */
    const char *code = value_map_str(message, "code");
    if (!code) {
        const struct value *result = value_map_get(message, "value");
        struct value nothing = {.type = VALUE_VOID};
        pending_end(pending, result ? result : &nothing, NULL);
        return;
    }
    const char *params[MAX_ERROR_PARAMS];
    size_t n = 0;
    const struct value *list = value_map_get(message, "params");
    for (size_t i = 0; list && list->type == VALUE_SET && i < list->set.n && n < MAX_ERROR_PARAMS; i++)
        params[n++] = value_str(&list->set.items[i]);
    _cleanup_error_ struct error *e = NULL;
    error_setv(&e, code, n, params);
    pending_end(pending, NULL, e);
}

void calls_fail_for(struct pool_channel *c, const struct uuid *host, const char *reason) {
    const struct uuid via = *host;
    struct pending *p;
    while ((p = pending_take_via(c, &via))) /* from the front again: the caller may have made or ended others */
        pending_fail(p, reason);
}

void calls_free(struct pool_channel *c) {
    while (c->pending) {
        struct pending *p = pending_take(c, c->pending->id);
        if (p->done == relay_done)
            free(p->userdata); /* of others: theirs */
        pending_free(p);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A coordinator whose address is another now goes to its members, since they look for it where it was: a connection of
 * its own, one question, one answer. The member connects to where the question came from.
 */
#include "pool/pool_channel_private.h"

#include "base/str.h"
#include "wire/value_json.h"

#define MESSAGE_DEPTH 4
#define MESSAGE_VALUES 16
#define LINGER_MS 2000

struct knock {
    struct pool_channel *c;
    struct knock *next;
    struct uuid host;
    char *address;
    struct channel *channel;
    struct loop_source *timer;
    pool_knock_done_fn *done;
    void *userdata;
};

static void knock_free(struct knock *k) {
    for (struct knock **at = &k->c->knocks; *at; at = &(*at)->next)
        if (*at == k) {
            *at = k->next;
            break;
        }
    channel_free(k->channel);
    loop_source_free(k->timer);
    free(k->address);
    free(k);
}

static void knock_end(struct knock *k, const char *problem) {
    _cleanup_error_ struct error *e = NULL;
    pool_knock_done_fn *done = k->done;
    void *userdata = k->userdata;
    if (problem)
        error_setf(&e, ERR_POOL_CALL_FAILED, "the host at %s does not hear this one: %s", k->address, problem);
    knock_free(k);
    done(e, userdata);
}

static void on_ready(struct channel *channel, void *userdata) {
    struct knock *k = userdata;
    _cleanup_value_ struct value m = message_new("knock");
    const struct row *pool = db_pool(k->c->config.db);
    value_map_add(&m, "host", value_uuid(&k->c->config.self));
    value_map_add(&m, "epoch", value_int(pool ? row_int(pool, FIELD_pool_epoch) : 0));
    _cleanup_buf_ struct buf text = BUF_INIT;
    value_json_emit(&text, &m);
    channel_send(channel, text.data, text.size);
}

static void on_answer(struct channel *channel, const char *json, size_t size, void *userdata) {
    struct knock *k = userdata;
    _cleanup_value_ struct value m = {.type = VALUE_VOID};
    _cleanup_error_ struct error *e = NULL;
    struct uuid host;
    const char *type;
    bool heard = value_json_parse(json, size, MESSAGE_DEPTH, MESSAGE_VALUES, &m, &e) && m.type == VALUE_MAP &&
                 (type = value_map_str(&m, "t")) && str_eq(type, "heard") && value_map_uuid(&m, "host", &host);
    knock_end(k, !heard ? "its answer is not sound" : uuid_eq(&host, &k->host) ? NULL : "another host answers there");
}

static void on_close(struct channel *channel, const char *reason, void *userdata) {
    _cleanup_free_ char *copy = xstrdup(reason);
    knock_end(userdata, copy);
}

static void on_late(struct loop_source *s, void *userdata) {
    knock_end(userdata, "no answer in time");
}

static void on_no_start(struct loop_source *s, void *userdata) {
    knock_end(userdata, "no connection can be made");
}

static const struct channel_callbacks callbacks = {.ready = on_ready, .message = on_answer, .close = on_close};

void pool_channel_knock(struct pool_channel *c, const struct uuid *host, const char *address, unsigned deadline_ms,
                        pool_knock_done_fn *done, void *userdata) {
    _cleanup_error_ struct error *e = NULL;
    struct knock *k = xnew0(struct knock);
    *k = (struct knock){
        .c = c, .next = c->knocks, .host = *host, .address = xstrdup(address), .done = done, .userdata = userdata};
    c->knocks = k;
    if (client_tls_load(c, &e))
        k->channel = channel_connect(c->config.loop, address, c->config.port, NULL, c->client_tls, deadline_ms,
                                     &callbacks, k, &e);
    k->timer = k->channel ? loop_add_timer(c->config.loop, deadline_ms, on_late, k)
                          : loop_add_timer(c->config.loop, 0, on_no_start, k);
}

void knocks_free(struct pool_channel *c) {
    for (struct knock *k; (k = c->knocks);) {
        c->knocks = k->next;
        knock_free(k);
    }
}

/* ---- the member ---- */
void knock_received(struct peer *p, const struct value *message) {
    struct pool_channel *c = p->c;
    const struct stream_peer *from = channel_get_peer(p->channel);
    const struct value *epoch = value_map_get(message, "epoch");
    struct uuid host;
    if (!c->config.callbacks->knocked || !value_map_uuid(message, "host", &host) || !epoch ||
        epoch->type != VALUE_INT ||
        !c->config.callbacks->knocked(&host, value_as_int(epoch), from->tls.common_name, from->tls.key_fingerprint,
                                      from->address, c->config.userdata)) {
        peer_forget(p);
        return;
    }
    _cleanup_value_ struct value m = message_new("heard");
    value_map_add(&m, "host", value_uuid(&c->config.self));
    peer_send(p, &m);
    if (p->channel)
        channel_finish(TAKE(p->channel), LINGER_MS);
    peer_forget(p);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Connections, hello and welcome, heartbeats and their judgement. */
#include "pool/pool_channel_private.h"

#include <string.h>

#include "base/str.h"
#include "wire/value_json.h"

#define LOG_MODULE "pool"
#include "base/log.h"

#define HELLO_DEADLINE_MS 5000
#define CONNECT_DEADLINE_MS 3000
#define BACKOFF_MIN_MS 200
#define BACKOFF_MAX_MS 5000
#define BACKOFF_BOOTING_MS 250 /* of a coordinator that boots as this host does: it is there in a moment */
#define FLUSH_MS 20
#define MESSAGE_DEPTH 16
#define MESSAGE_VALUES 200000

static void peer_lost(struct peer *p, const char *reason);
static void connect_now(struct pool_channel *c);

/* ---- values ---- */
struct value message_new(const char *type) {
    struct value m = value_map();
    value_map_add(&m, "t", value_string(type));
    return m;
}

struct value value_uuid(const struct uuid *u) {
    char text[UUID_TEXT_SIZE];
    return value_string(uuid_text(u, text));
}

bool value_map_uuid(const struct value *map, const char *key, struct uuid *ret) {
    const char *text = value_map_str(map, key);
    return text && uuid_parse(text, ret);
}

bool peer_send(struct peer *p, const struct value *message) {
    if (!p->channel)
        return false;
    _cleanup_buf_ struct buf text = BUF_INIT;
    value_json_emit(&text, message);
    return channel_send(p->channel, text.data, text.size);
}

/* ---- peers ---- */
struct peer *peer_find(const struct pool_channel *c, const struct uuid *host) {
    for (unsigned i = 0; i < c->n_peers; i++)
        if (uuid_eq(&c->peers[i]->host, host) && (c->peers[i]->admitted || c->peers[i]->expected))
            return c->peers[i];
    return NULL;
}

static struct peer *peer_new(struct pool_channel *c) {
    if (c->n_peers == MAX_PEERS)
        return NULL;
    struct peer *p = xnew0(struct peer);
    p->c = c;
    c->peers[c->n_peers++] = p;
    return p;
}

static void peer_disconnect(struct peer *p) {
    channel_free(TAKE(p->channel));
    loop_source_free(TAKE(p->hello_timer));
    free(TAKE(p->sent));
    p->n_sent = 0;
    p->admitted = false;
}

static void peer_admitted(struct peer *p) {
    p->admitted = true;
    p->admitted_ms = loop_now_ms(p->c->config.loop);
}

void peer_forget(struct peer *p) {
    struct pool_channel *c = p->c;
    peer_disconnect(p);
    for (unsigned i = 0; i < c->n_peers; i++)
        if (c->peers[i] == p)
            c->peers[i] = c->peers[--c->n_peers];
    if (c->coordinator == p)
        c->coordinator = NULL;
    free(p);
}

static void tell_liveness(struct peer *p, const char *reason) {
    const struct pool_channel *c = p->c;
    if (c->config.callbacks->liveness)
        c->config.callbacks->liveness(&p->host, p->liveness.alive, reason, c->config.userdata);
}

static void set_trouble(struct pool_channel *c, const char *text) {
    free(c->trouble);
    c->trouble = xstrdup(text);
}

/* The connection is over; the judgement goes on by silence, unless the host said goodbye. */
static void peer_lost(struct peer *p, const char *reason) {
    struct pool_channel *c = p->c;
    bool is_coordinator = p == c->coordinator, goodbye = p->said_goodbye, was_admitted = p->admitted;
    const struct uuid host = p->host;
    peer_disconnect(p);
    if (goodbye && liveness_goodbye(&p->liveness))
        tell_liveness(p, "it went down on purpose");
    p->said_goodbye = false;
    if (is_coordinator) {
        set_trouble(c, reason);
        c->backoff_ms = MIN(MAX(c->backoff_ms * 2, (uint64_t)BACKOFF_MIN_MS), (uint64_t)BACKOFF_MAX_MS);
        /* half fixed, half luck: hosts that lost the coordinator together do not come back together */
        loop_timer_set(c->connect_timer, c->backoff_ms / 2 + loop_random(c->config.loop) % (c->backoff_ms / 2 + 1));
    } else if (!p->expected) {
        peer_forget(p);
    }
    if (was_admitted)
        calls_fail_for(c, &host, "the connection to it has ended");
}

static void on_close(struct channel *channel, const char *reason, void *userdata) {
    struct peer *p = userdata;
    static struct log_limit limit;
    if (!p->admitted && p != p->c->coordinator && log_limit_pass(&limit, 5, 60000))
        log_notice("a connection to the pool channel from '%s' ended before it was let in: %s",
                   channel_get_peer(channel)->address, reason);
    peer_lost(p, reason);
}

static void beat_received(struct peer *p) {
    if (liveness_beat(&p->liveness, loop_now_ms(p->c->config.loop)))
        tell_liveness(p, "its heartbeats arrive");
}

/* ---- hello ---- */
static void refuse(struct peer *p, const struct error *e, struct value *facts /* taken; may be NULL */) {
    _cleanup_value_ struct value m = message_new("refuse");
    struct value params = value_set();
    for (size_t i = 0; i < error_n_params(e); i++)
        value_set_add(&params, value_string(error_param(e, i)));
    value_map_add(&m, "code", value_string(error_code(e)));
    value_map_add(&m, "params", params);
    if (facts)
        value_map_add(&m, "facts", value_take(facts));
    peer_send(p, &m);
    if (p->channel)
        channel_finish(TAKE(p->channel), 2000);
    peer_forget(p);
}

/* Takes the place of what was known of the host: an expected entry without connection, or an older connection. */
static struct peer *peer_adopt(struct peer *fresh, const struct uuid *host) {
    struct peer *known = peer_find(fresh->c, host);
    fresh->host = *host;
    if (!known || known == fresh)
        return fresh;
    fresh->liveness = known->liveness;
    fresh->expected = known->expected;
    peer_forget(known);
    return fresh;
}

/* The peer's clock minus ours; the peer may say any number. */
static int64_t skew_of(const struct pool_channel *c, const struct value *wall) {
    int64_t skew, theirs = value_as_int(wall);
    if (__builtin_sub_overflow(theirs, loop_wall_ms(c->config.loop), &skew))
        return theirs < 0 ? INT64_MIN : INT64_MAX;
    return skew;
}

static void hello_received(struct peer *p, const struct value *m) {
    struct pool_channel *c = p->c;
    struct uuid host;
    const struct value *version = value_map_get(m, "version"), *wall = value_map_get(m, "wall"),
                       *hello_facts = value_map_get(m, "facts");
    if (!value_map_uuid(m, "host", &host) || !version || !wall || !hello_facts || hello_facts->type != VALUE_MAP) {
        peer_forget(p);
        return;
    }
    _cleanup_error_ struct error *e = NULL;
    _cleanup_value_ struct value facts = value_map();
    int64_t skew = skew_of(c, wall);
    if (value_as_int(version) != POOL_CHANNEL_VERSION) {
        error_setf(&e, ERR_POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION, "%lld", (long long)value_as_int(version));
        refuse(p, e, NULL);
        return;
    }
    if (!c->config.callbacks->admit(&host, channel_get_peer(p->channel)->tls.key_fingerprint, hello_facts, skew, &facts,
                                    c->config.userdata, &e)) {
        refuse(p, e, &facts);
        return;
    }
    struct peer *known = peer_find(c, &host);
    if (known && known != p) {
        peer_disconnect(known);
        calls_fail_for(c, &host, "it has connected anew");
        if (!known->expected)
            peer_forget(known);
    }
    p = peer_adopt(p, &host);
    peer_admitted(p);
    loop_source_free(TAKE(p->hello_timer));
    if (!p->channel)
        return; /* lost while it was being judged */
    channel_set_authenticated(p->channel);
    volatile_forget(c, &host);
    _cleanup_value_ struct value answer = message_new("welcome");
    value_map_add(&answer, "host", value_uuid(&c->config.self));
    value_map_add(&answer, "wall", value_int(loop_wall_ms(c->config.loop)));
    value_map_add(&answer, "facts", value_take(&facts));
    peer_send(p, &answer);
    beat_received(p);
    loop_timer_set(c->flush_timer, 0);
}

static void welcome_received(struct peer *p, const struct value *m) {
    struct pool_channel *c = p->c;
    struct uuid host;
    const struct value *wall = value_map_get(m, "wall"), *facts = value_map_get(m, "facts");
    if (p != c->coordinator || p->admitted || !value_map_uuid(m, "host", &host) || !wall || !facts)
        return;
    if (!uuid_eq(&p->host, &host)) {
        p->liveness = (struct liveness){0}; /* another host than before leads now */
        p->host = host;
    }
    peer_admitted(p);
    c->backoff_ms = 0;
    set_trouble(c, "");
    loop_source_free(TAKE(p->hello_timer));
    struct channel *channel = p->channel; /* what brought this; the callback may end it */
    channel_set_authenticated(channel);
    c->config.callbacks->welcomed(&host, facts, skew_of(c, wall), c->config.userdata);
    if (p->channel) {
        beat_received(p);
        loop_timer_set(c->flush_timer, 0);
    }
}

static void refusal_received(struct peer *p, const struct value *m) {
    struct pool_channel *c = p->c;
    const char *code = value_map_str(m, "code"), *params[MAX_ERROR_PARAMS];
    const struct value *list = value_map_get(m, "params");
    size_t n = 0;
    if (!code)
        code = ERR_INTERNAL_ERROR;
    for (size_t i = 0; list && list->type == VALUE_SET && i < list->set.n && n < MAX_ERROR_PARAMS; i++)
        params[n++] = value_str(&list->set.items[i]);
    _cleanup_error_ struct error *e = NULL;
    error_setv(&e, code, n, params);
    c->backoff_ms = str_eq(code, ERR_HOST_STILL_BOOTING) ? BACKOFF_BOOTING_MS : BACKOFF_MAX_MS;
    const struct value *facts = value_map_get(m, "facts");
    _cleanup_value_ struct value nothing = value_map();
    if (c->config.callbacks->refused)
        c->config.callbacks->refused(e, facts && facts->type == VALUE_MAP ? facts : &nothing,
                                     channel_get_peer(p->channel)->tls.common_name, c->config.userdata);
}

static void on_message(struct channel *channel, const char *json, size_t size, void *userdata) {
    struct peer *p = userdata;
    static struct log_limit limit;
    _cleanup_value_ struct value m = {.type = VALUE_VOID};
    _cleanup_error_ struct error *e = NULL;
    const char *type;
    if (!value_json_parse(json, size, MESSAGE_DEPTH, MESSAGE_VALUES, &m, &e) || m.type != VALUE_MAP ||
        !(type = value_map_str(&m, "t"))) {
        if (log_limit_pass(&limit, 5, 60000))
            log_warn("a message on the pool channel from '%s' is not sound; the connection is cut",
                     channel_get_peer(channel)->address);
        peer_lost(p, "a message was not sound");
        return;
    }
    if (str_eq(type, "hello")) {
        if (p != p->c->coordinator && !p->admitted)
            hello_received(p, &m);
    } else if (str_eq(type, "welcome")) {
        welcome_received(p, &m);
    } else if (str_eq(type, "refuse")) {
        if (p == p->c->coordinator)
            refusal_received(p, &m);
    } else if (str_eq(type, "knock")) {
        if (p != p->c->coordinator && !p->admitted)
            knock_received(p, &m);
    } else if (!p->admitted) {
        return;
    } else if (str_eq(type, "beat")) {
        beat_received(p);
    } else if (str_eq(type, "bye")) {
        p->said_goodbye = true;
    } else if (str_eq(type, "vol")) {
        volatile_receive(p, &m);
    } else if (str_eq(type, "call")) {
        call_receive(p, &m);
    } else if (str_eq(type, "return")) {
        return_receive(p, &m);
    }
}

static void on_hello_late(struct loop_source *s, void *userdata) {
    peer_lost(userdata, "the other end did not introduce itself in time");
}

/* ---- member: to the coordinator ---- */
static void on_connected(struct channel *channel, void *userdata) {
    struct peer *p = userdata;
    _cleanup_value_ struct value m = message_new("hello"), facts = value_map();
    if (p->c->config.callbacks->hello)
        p->c->config.callbacks->hello(&facts, p->c->config.userdata);
    value_map_add(&m, "host", value_uuid(&p->c->config.self));
    value_map_add(&m, "version", value_int(POOL_CHANNEL_VERSION));
    value_map_add(&m, "wall", value_int(loop_wall_ms(p->c->config.loop)));
    value_map_add(&m, "facts", value_take(&facts));
    peer_send(p, &m);
}

static const struct channel_callbacks callbacks = {.ready = on_connected, .message = on_message, .close = on_close};
static const struct channel_callbacks accepted_callbacks = {.message = on_message, .close = on_close};

static bool load_tls(struct tls_context **context, enum tls_role role, const struct pool_channel *c,
                     struct error **errp) {
    if (*context)
        return true;
    struct tls_config t = {.role = role, .cert_path = c->cert_path, .key_path = c->key_path, .ca_path = c->ca_path};
    *context = tls_context_new(&t, errp);
    return *context != NULL;
}

bool client_tls_load(struct pool_channel *c, struct error **errp) {
    return load_tls(&c->client_tls, TLS_MUTUAL_CLIENT, c, errp);
}

static void connect_now(struct pool_channel *c) {
    if (!c->target || (c->coordinator && c->coordinator->channel))
        return;
    _cleanup_error_ struct error *e = NULL;
    if (!c->coordinator)
        c->coordinator = peer_new(c);
    struct peer *p = c->coordinator;
    if (!p)
        return;
    p->expected = true;
    if (client_tls_load(c, &e))
        p->channel = channel_connect(c->config.loop, c->target, c->config.port, NULL, c->client_tls,
                                     CONNECT_DEADLINE_MS, &callbacks, p, &e);
    if (!p->channel) {
        set_trouble(c, error_text(e));
        loop_timer_set(c->connect_timer, BACKOFF_MAX_MS);
        return;
    }
    p->hello_timer = loop_add_timer(c->config.loop, CONNECT_DEADLINE_MS + HELLO_DEADLINE_MS, on_hello_late, p);
}

static void on_connect_timer(struct loop_source *s, void *userdata) {
    connect_now(userdata);
}

void pool_channel_connect(struct pool_channel *c, const char *address) {
    if (c->target && address && str_eq(c->target, address))
        return;
    free(TAKE(c->target));
    if (c->coordinator) {
        const struct uuid host = c->coordinator->host;
        peer_forget(c->coordinator);
        calls_fail_for(c, &host, "the coordinator has changed");
    }
    if (!address) {
        loop_timer_set(c->connect_timer, LOOP_NEVER);
        return;
    }
    c->target = xstrdup(address);
    c->backoff_ms = 0;
    loop_timer_set(c->connect_timer, 0);
}

void pool_channel_retry_now(struct pool_channel *c) {
    c->backoff_ms = 0;
    loop_timer_set(c->connect_timer, 0);
}

void pool_channel_renew(struct pool_channel *c) {
    if (c->coordinator && c->coordinator->channel)
        peer_lost(c->coordinator, "this host's address is another now");
    pool_channel_retry_now(c);
}

/* ---- from others ---- */
static void on_accept(struct listener *n, struct stream *s, void *userdata) {
    struct pool_channel *c = userdata;
    struct peer *p = peer_new(c);
    if (!p) {
        stream_free(s);
        return;
    }
    p->channel = channel_new(s, &accepted_callbacks, p);
    p->hello_timer = loop_add_timer(c->config.loop, HELLO_DEADLINE_MS, on_hello_late, p);
}

bool pool_channel_listen(struct pool_channel *c, const char *address, struct error **errp) {
    if (c->listener && str_eq(c->listen_address, address))
        return true;
    if (!load_tls(&c->server_tls, TLS_MUTUAL_SERVER, c, errp))
        return false;
    struct listener *n = listener_new(c->config.loop, address, c->config.port, 0, c->server_tls, on_accept, c, errp);
    if (!n)
        return false;
    pool_channel_unlisten(c);
    c->listener = n;
    c->listen_address = xstrdup(address);
    return true;
}

void pool_channel_unlisten(struct pool_channel *c) {
    listener_free(TAKE(c->listener));
    free(TAKE(c->listen_address));
}

void pool_channel_expect(struct pool_channel *c, const struct uuid *hosts, unsigned n, bool assume_alive) {
    uint64_t now = loop_now_ms(c->config.loop);
    for (unsigned i = 0; i < n; i++) {
        struct peer *p = uuid_eq(&hosts[i], &c->config.self) ? NULL : peer_find(c, &hosts[i]);
        if (p || uuid_eq(&hosts[i], &c->config.self) || !(p = peer_new(c)))
            continue;
        p->host = hosts[i];
        p->expected = true;
        liveness_start(&p->liveness, assume_alive, now);
    }
    for (unsigned i = 0; i < c->n_peers; i++) {
        struct peer *p = c->peers[i];
        bool wanted = p == c->coordinator;
        for (unsigned k = 0; k < n && !wanted; k++)
            wanted = uuid_eq(&hosts[k], &p->host);
        if (wanted) {
            p->expected |= p->admitted;
        } else if (p->expected) {
            p->expected = false;
            if (!p->channel) {
                peer_forget(p);
                i--;
            }
        }
    }
}

void pool_channel_drop(struct pool_channel *c, const struct uuid *host, const char *reason) {
    struct peer *p = peer_find(c, host);
    if (p && p != c->coordinator) {
        p->expected = false;
        peer_lost(p, reason);
    }
}

/* ---- timers ---- */
static void on_beat_timer(struct loop_source *s, void *userdata) {
    struct pool_channel *c = userdata;
    static const char beat[] = "{\"t\":\"beat\"}";
    loop_timer_set(c->beat_timer, LIVENESS_BEAT_MS);
    for (unsigned i = 0; i < c->n_peers; i++)
        if (c->peers[i]->admitted && c->peers[i]->channel)
            channel_send(c->peers[i]->channel, beat, sizeof(beat) - 1);
}

static void on_look_timer(struct loop_source *s, void *userdata) {
    struct pool_channel *c = userdata;
    loop_timer_set(c->look_timer, LIVENESS_LOOK_MS);
    uint64_t now = loop_now_ms(c->config.loop);
    struct uuid silent[MAX_PEERS];
    unsigned n_silent = 0;
    for (unsigned i = 0; i < c->n_peers; i++)
        if ((c->peers[i]->expected || c->peers[i]->admitted) && liveness_look(&c->peers[i]->liveness, now))
            silent[n_silent++] = c->peers[i]->host;
    for (unsigned i = 0; i < n_silent; i++) { /* callbacks may change the list */
        struct peer *p = peer_find(c, &silent[i]);
        if (!p)
            continue;
        tell_liveness(p, "its heartbeats have stopped");
        p = peer_find(c, &silent[i]);
        if (p && p->channel && !p->liveness.alive)
            peer_lost(p, "no heartbeat for 2.6 s");
    }
}

static void on_flush_timer(struct loop_source *s, void *userdata) {
    volatile_flush(userdata);
}

static void on_batch(struct db *d, uint64_t generation, void *userdata) {
    struct pool_channel *c = userdata;
    if (!loop_timer_armed(c->flush_timer))
        loop_timer_set(c->flush_timer, FLUSH_MS);
}

/* ---- life ---- */
struct pool_channel *pool_channel_new(const struct pool_channel_config *config) {
    struct pool_channel *c = xnew0(struct pool_channel);
    c->config = *config;
    c->config.port = config->port ? config->port : POOL_CHANNEL_PORT;
    c->cert_path = xstrdup(config->cert_path);
    c->key_path = xstrdup(config->key_path);
    c->ca_path = xstrdup(config->ca_path);
    c->trouble = xstrdup("");
    c->connect_timer = loop_add_timer(config->loop, LOOP_NEVER, on_connect_timer, c);
    c->beat_timer = loop_add_timer(config->loop, LIVENESS_BEAT_MS, on_beat_timer, c);
    c->look_timer = loop_add_timer(config->loop, LIVENESS_LOOK_MS, on_look_timer, c);
    c->flush_timer = loop_add_timer(config->loop, LOOP_NEVER, on_flush_timer, c);
    c->batches = db_watch_batches(config->db, on_batch, c);
    return c;
}

void pool_channel_free(struct pool_channel *c) {
    if (!c)
        return;
    pool_channel_unlisten(c);
    knocks_free(c);
    while (c->n_peers)
        peer_forget(c->peers[--c->n_peers]);
    calls_free(c);
    db_watch_free(c->batches);
    loop_source_free(c->connect_timer);
    loop_source_free(c->beat_timer);
    loop_source_free(c->look_timer);
    loop_source_free(c->flush_timer);
    tls_context_unref(c->server_tls);
    tls_context_unref(c->client_tls);
    free(c->target);
    free(c->trouble);
    free(c->cert_path);
    free(c->key_path);
    free(c->ca_path);
    free(c);
}

void pool_channel_reload(struct pool_channel *c) {
    _cleanup_error_ struct error *e = NULL;
    if ((c->server_tls && !tls_context_reload(c->server_tls, &e)) ||
        (!e && c->client_tls && !tls_context_reload(c->client_tls, &e)))
        log_warn("the certificates on disk cannot be used (%s); the ones loaded before stay in use", error_text(e));
}

void pool_channel_goodbye(struct pool_channel *c) {
    _cleanup_value_ struct value m = message_new("bye");
    for (unsigned i = 0; i < c->n_peers; i++)
        if (c->peers[i]->admitted)
            peer_send(c->peers[i], &m);
}

bool pool_channel_is_connected(const struct pool_channel *c, const struct uuid *host) {
    const struct peer *p = peer_find(c, host);
    return p && p->admitted && p->channel;
}

bool pool_channel_is_alive(const struct pool_channel *c, const struct uuid *host) {
    if (uuid_eq(host, &c->config.self))
        return true;
    const struct peer *p = peer_find(c, host);
    return p && p->liveness.alive;
}

uint64_t pool_channel_connected_for_ms(const struct pool_channel *c, const struct uuid *host) {
    return pool_channel_is_connected(c, host) ? loop_now_ms(c->config.loop) - peer_find(c, host)->admitted_ms : 0;
}

uint64_t pool_channel_last_beat_ms(const struct pool_channel *c, const struct uuid *host) {
    const struct peer *p = peer_find(c, host);
    return p ? p->liveness.last_beat_ms : 0;
}

const char *pool_channel_trouble(const struct pool_channel *c) {
    return c->trouble;
}

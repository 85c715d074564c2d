/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/stream.h, its listener and wire/tls.h over a simulated TCP: bytes in order, sent again while the way is cut, no
 * news of a peer whose power is gone, a reset from one that has come back since. What a process that ends has open is
 * closed by its kernel.
 */
#include "wire/stream.h"
#include "sim.h"
#include "sim_daemon.h"

#include <errno.h>
#include <string.h>

#include "base/fs.h"

#define FILE_MAX (256 * 1024)
#define WINDOW (14 * 1024) /* what may be under way without an acknowledgement */
#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 3200

/* ---- TLS ---- */
struct tls_context {
    unsigned n_refs;
    char *cert_path, *ca_path;
    char *chain, *trusted;
};

static char *slurp(const char *path) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    return fs_read(path, FILE_MAX, &text) < 0 ? NULL : xstrdup(buf_str(&text));
}

bool tls_context_reload(struct tls_context *t, struct error **errp) {
    char *chain = slurp(t->cert_path), *trusted = slurp(t->ca_path);
    if (!chain || !trusted) {
        free(chain);
        free(trusted);
        error_internal(errp, "the certificates at '%s' cannot be read", t->cert_path);
        return false;
    }
    free(t->chain);
    free(t->trusted);
    t->chain = chain;
    t->trusted = trusted;
    return true;
}

struct tls_context *tls_context_new(const struct tls_config *config, struct error **errp) {
    struct tls_context *t = xnew0(struct tls_context);
    *t =
        (struct tls_context){.n_refs = 1, .cert_path = xstrdup(config->cert_path), .ca_path = xstrdup(config->ca_path)};
    if (tls_context_reload(t, errp))
        return t;
    tls_context_unref(t);
    return NULL;
}

struct tls_context *tls_context_ref(struct tls_context *t) {
    t->n_refs++;
    return t;
}

void tls_context_unref(struct tls_context *t) {
    if (!t || --t->n_refs)
        return;
    char *texts[] = {t->cert_path, t->ca_path, t->chain, t->trusted};
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
        free(texts[i]);
    free(t);
}

bool tls_fingerprint_parse(const char *text, char ret[static TLS_FINGERPRINT_SIZE]) {
    return strlen(text) == TLS_FINGERPRINT_SIZE - 1 && str_copy(ret, TLS_FINGERPRINT_SIZE, text);
}

/* ---- connections ---- */
struct chunk {
    struct chunk *next;
    struct buf data; /* empty: the end */
};

/* One direction, as the sender's kernel has it. */
struct way {
    struct chunk *first, *last;
    size_t queued;
    size_t unacknowledged;
    uint64_t retry_ms;
    struct loop_source *timer; /* of the world */
    struct inbox *inbox;       /* into the receiver's loop; NULL: nobody is there */
};

struct conn {
    struct conn *next;
    unsigned host[2]; /* of side 0, which connected, and side 1 */
    struct stream *stream[2];
    struct way way[2]; /* way[s]: from side s */
    struct tls_context *tls[2];
    bool up;        /* handshake done */
    bool accepting; /* on its way through a listener's inbox */
    uint64_t deadline_ms;
    unsigned n_tries;
    struct loop_source *connect_timer; /* of the world */
    uint16_t port;
    bool half_dead[2]; /* this side's power was cut: it knows nothing of the connection any more */
};

struct stream {
    struct conn *conn;
    unsigned side;
    struct loop *loop;
    struct stream_callbacks callbacks;
    void *userdata;
    struct stream_peer peer;
    const char *why;
    bool started, ended, freed;
    unsigned depth;
};

struct listener {
    struct listener *next;
    struct loop *loop;
    unsigned host;
    uint16_t port;
    struct tls_context *tls;
    listener_accept_fn *fn;
    void *userdata;
    struct inbox *inbox;
};

static void pump(struct conn *c, unsigned side);

static unsigned host_of_loop(const struct loop *l) {
    for (unsigned i = 0; i < sim->n_hosts; i++)
        if (sim->hosts[i].daemon && sim->hosts[i].daemon->loop == l)
            return i;
    abort(); /* a bug of the simulation: only daemons have streams */
}

static void way_clear(struct way *w) {
    while (w->first) {
        struct chunk *k = w->first;
        w->first = k->next;
        buf_done(&k->data);
        free(k);
    }
    w->last = NULL;
    w->queued = 0;
    loop_source_free(TAKE(w->timer));
    inbox_free(TAKE(w->inbox));
}

static void conn_free(struct conn *c) {
    for (struct conn **at = &sim->conns; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            break;
        }
    for (unsigned s = 0; s < 2; s++) {
        way_clear(&c->way[s]);
        tls_context_unref(c->tls[s]);
        if (c->stream[s])
            c->stream[s]->conn = NULL;
    }
    loop_source_free(c->connect_timer);
    free(c);
}

static void conn_maybe_free(struct conn *c) {
    if (!c->stream[0] && !c->stream[1] && !c->accepting)
        conn_free(c);
}

static void stream_drop(struct stream *s) {
    if (s->depth == 0)
        free(s);
}

static void stream_end(struct stream *s, int r, const char *why) {
    if (s->ended || s->freed)
        return;
    s->ended = true;
    s->why = why;
    s->depth++;
    if (s->callbacks.end)
        s->callbacks.end(s, r, s->userdata);
    if (--s->depth == 0 && s->freed)
        free(s);
}

/* ---- arriving ---- */
struct arrival {
    struct conn *conn;
    unsigned side; /* of the receiver */
    struct buf data;
};

static void arrival_free(void *data) {
    struct arrival *a = data;
    buf_done(&a->data);
    free(a);
}

static void on_arrival(void *data, void *owner) {
    struct arrival *a = data;
    struct stream *s = a->conn->stream[a->side];
    if (s && !s->ended && a->data.size) {
        s->depth++;
        if (s->callbacks.data)
            s->callbacks.data(s, a->data.data, a->data.size, s->userdata);
        if (--s->depth == 0 && s->freed)
            free(s);
    } else if (s) {
        stream_end(s, 0, "");
    }
    arrival_free(a);
}

static void on_reset(void *data, void *owner) {
    struct arrival *a = data;
    struct stream *s = a->conn->stream[a->side];
    if (s)
        stream_end(s, -ECONNRESET, "Connection reset by peer");
    arrival_free(a);
}

static struct arrival *arrival_new(struct conn *c, unsigned side) {
    struct arrival *a = xnew0(struct arrival);
    *a = (struct arrival){.conn = c, .side = side, .data = BUF_INIT};
    return a;
}

/* The receiver's kernel knows no such connection. */
static void send_reset(struct conn *c, unsigned to) {
    struct inbox *b = c->way[!to].inbox; /* into side `to` */
    way_clear(&(struct way){.first = c->way[to].first});
    c->way[to].first = c->way[to].last = NULL;
    c->way[to].queued = 0;
    if (b && c->stream[to])
        inbox_push(b, sim_latency_us(c->host[!to], c->host[to]), on_reset, arrival_new(c, to), arrival_free);
}

static void on_retry(struct loop_source *s, void *userdata) {
    struct conn *c = userdata;
    pump(c, s == c->way[1].timer);
}

static void retry_later(struct conn *c, unsigned side) {
    struct way *w = &c->way[side];
    w->retry_ms = MIN(MAX(w->retry_ms * 2, (uint64_t)RETRY_MIN_MS), (uint64_t)RETRY_MAX_MS);
    if (!w->timer)
        w->timer = loop_add_timer(sim->loop, LOOP_NEVER, on_retry, c);
    loop_timer_set(w->timer, w->retry_ms);
}

static void pump(struct conn *c, unsigned side) {
    struct way *w = &c->way[side];
    unsigned from = c->host[side], to = c->host[!side];
    while (w->first && c->up) {
        if (!sim_reaches(from, to) || (w->unacknowledged > WINDOW && !sim_reaches(to, from))) {
            retry_later(c, side);
            return;
        }
        if (!c->stream[!side] || c->half_dead[!side]) {
            send_reset(c, side);
            return;
        }
        struct chunk *k = w->first;
        w->first = k->next;
        if (!w->first)
            w->last = NULL;
        w->retry_ms = 0;
        w->queued -= k->data.size;
        w->unacknowledged = sim_reaches(to, from) ? 0 : w->unacknowledged + k->data.size;
        struct arrival *a = arrival_new(c, !side);
        a->data = k->data;
        free(k);
        inbox_push(w->inbox, sim_latency_us(from, to), on_arrival, a, arrival_free);
    }
}

static void way_add(struct conn *c, unsigned side, struct buf *data /* taken; empty: the end */) {
    struct way *w = &c->way[side];
    struct chunk *k = xnew0(struct chunk);
    *k = (struct chunk){.data = *data};
    *data = (struct buf)BUF_INIT;
    w->queued += k->data.size;
    *(w->last ? &w->last->next : &w->first) = k;
    w->last = k;
    if (c->up && !(w->timer && loop_timer_armed(w->timer)))
        pump(c, side);
}

/* ---- connecting ---- */
static void on_connect_failed(void *data, void *owner) {
    struct arrival *a = data;
    struct stream *s = a->conn->stream[a->side];
    static const struct {
        const char *text;
        int r;
    } reasons[] = {{"Connection refused", -ECONNREFUSED},
                   {"Connection timed out", -ETIMEDOUT},
                   {"the certificate was refused", -EKEYREJECTED}};
    unsigned why = a->data.size ? (unsigned)a->data.data[0] : 0;
    if (s)
        stream_end(s, reasons[why].r, reasons[why].text);
    arrival_free(a);
}

static void fail(struct conn *c, unsigned side, unsigned why) {
    struct arrival *a = arrival_new(c, side);
    buf_add_char(&a->data, (char)why);
    inbox_push(c->way[!side].inbox, sim_latency_us(c->host[!side], c->host[side]), on_connect_failed, a, arrival_free);
}

static void learn_peer(struct stream *s, const struct tls_context *of_peer) {
    struct tls_peer *p = &s->peer.tls;
    p->has_certificate = p->verified = true;
    sim_pki_peer(of_peer->chain, p->fingerprint, p->key_fingerprint, p->common_name);
}

static void on_handshake(void *data, void *owner) {
    struct arrival *a = data;
    struct conn *c = a->conn;
    struct stream *s = c->stream[a->side];
    arrival_free(a);
    if (!s || s->ended)
        return;
    s->depth++;
    if (s->callbacks.ready)
        s->callbacks.ready(s, s->userdata);
    if (--s->depth == 0 && s->freed)
        free(s);
}

static struct stream *side_new(struct conn *c, unsigned side, struct loop *l, struct tls_context *tls) {
    struct stream *s = xnew0(struct stream);
    *s = (struct stream){.conn = c, .side = side, .loop = l, .why = ""};
    s->peer.is_tls = true;
    s->peer.uid = UINT32_MAX;
    (void)str_copy(s->peer.address, sizeof(s->peer.address), sim->hosts[c->host[!side]].address);
    c->stream[side] = s;
    c->way[!side].inbox = inbox_new(l, s);
    c->tls[side] = tls_context_ref(tls);
    return s;
}

static void accept_drop(void *data) {
    struct conn *c = ((struct arrival *)data)->conn;
    c->accepting = false;
    arrival_free(data);
    conn_maybe_free(c);
}

/* In the listener's loop. */
static void on_accepted(void *data, void *owner) {
    struct conn *c = ((struct arrival *)data)->conn;
    struct listener *n = owner;
    arrival_free(data);
    struct stream *s = side_new(c, 1, n->loop, n->tls);
    bool sound = sim_pki_verifies(c->tls[0]->chain, c->tls[1]->trusted) &&
                 sim_pki_verifies(c->tls[1]->chain, c->tls[0]->trusted);
    if (sound) {
        learn_peer(s, c->tls[0]);
        if (c->stream[0])
            learn_peer(c->stream[0], c->tls[1]);
    }
    loop_timer_set(c->connect_timer, LOOP_NEVER);
    n->fn(n, s, n->userdata);
    c->accepting = false;
    for (unsigned side = 0; !sound && side < 2; side++)
        if (c->stream[side])
            fail(c, side, 2);
    c->up = sound;
    uint64_t trip = sim_latency_us(c->host[0], c->host[1]) + sim_latency_us(c->host[1], c->host[0]);
    for (unsigned side = 0; sound && side < 2; side++)
        if (c->stream[side])
            inbox_push(c->way[!side].inbox, trip, on_handshake, arrival_new(c, side), arrival_free);
    for (unsigned side = 0; sound && side < 2; side++)
        pump(c, side); /* one of them may be closed already */
    conn_maybe_free(c);
}

static void on_try(struct loop_source *t, void *userdata) {
    struct conn *c = userdata;
    uint64_t now = sim_now_ms();
    if (!c->stream[0])
        return; /* given up, while a listener has it */
    if (now >= c->deadline_ms) {
        fail(c, 0, 1);
        return;
    }
    unsigned from = c->host[0], to = c->host[1];
    if (to != SIM_NOBODY && sim_reaches_both(from, to)) {
        for (struct listener *n = sim->listeners; n; n = n->next)
            if (n->host == to && n->port == c->port) {
                loop_timer_set(c->connect_timer, c->deadline_ms - now); /* the handshake's */
                c->accepting = true;
                inbox_push(n->inbox, sim_latency_us(from, to), on_accepted, arrival_new(c, 1), accept_drop);
                return;
            }
        fail(c, 0, 0);
        return;
    }
    loop_timer_set(c->connect_timer, MIN(c->deadline_ms - now, UINT64_C(1000) << c->n_tries++));
}

struct stream *stream_connect(struct loop *l, const char *address, uint16_t port, const char *source,
                              struct tls_context *tls, const char *server_name, unsigned deadline_ms,
                              const struct stream_callbacks *callbacks, void *userdata, struct error **errp) {
    struct conn *c = xnew0(struct conn);
    unsigned to = sim_host_at(address);
    if (to == SIM_NOBODY)
        to = SIM_MAX_HOSTS - 1; /* an address that nobody has: a place without power */
    *c = (struct conn){.next = sim->conns, .host = {host_of_loop(l), to}, .port = port};
    c->deadline_ms = sim_now_ms() + deadline_ms;
    sim->conns = c;
    sim->n_connects++;
    struct stream *s = side_new(c, 0, l, tls);
    (void)str_copy(s->peer.address, sizeof(s->peer.address), address);
    s->callbacks = *callbacks;
    s->userdata = userdata;
    c->connect_timer = loop_add_timer(sim->loop, 0, on_try, c);
    return s;
}

struct listener *listener_new(struct loop *l, const char *address, uint16_t port, unsigned unix_mode,
                              struct tls_context *tls, listener_accept_fn *fn, void *userdata, struct error **errp) {
    struct listener *n = xnew0(struct listener);
    *n = (struct listener){.next = sim->listeners,
                           .loop = l,
                           .host = host_of_loop(l),
                           .port = port,
                           .tls = tls_context_ref(tls),
                           .fn = fn,
                           .userdata = userdata};
    n->inbox = inbox_new(l, n);
    sim->listeners = n;
    return n;
}

void listener_free(struct listener *n) {
    if (!n)
        return;
    for (struct listener **at = &sim->listeners; *at; at = &(*at)->next)
        if (*at == n) {
            *at = n->next;
            break;
        }
    inbox_free(n->inbox);
    tls_context_unref(n->tls);
    free(n);
}

/* ---- the holder's side ---- */
void stream_set_callbacks(struct stream *s, const struct stream_callbacks *callbacks, void *userdata) {
    s->callbacks = *callbacks;
    s->userdata = userdata;
}

void stream_start(struct stream *s, unsigned deadline_ms) {
    s->started = true;
}

void stream_set_limits(struct stream *s, size_t high_water, size_t hard_limit) {}

bool stream_write_buf(struct stream *s, const void *head, size_t head_size, struct buf *body) {
    struct buf whole = BUF_INIT;
    bool ok = !s->ended && s->conn;
    if (ok) {
        buf_add(&whole, head, head_size);
        buf_add(&whole, body->data, body->size);
        way_add(s->conn, s->side, &whole);
    }
    buf_done(body);
    return ok;
}

size_t stream_queued(const struct stream *s) {
    return s->conn ? s->conn->way[s->side].queued : 0;
}

void stream_free(struct stream *s) {
    if (!s || s->freed)
        return;
    struct conn *c = s->conn;
    s->freed = true;
    s->conn = NULL;
    if (c) {
        c->stream[s->side] = NULL;
        inbox_free(TAKE(c->way[!s->side].inbox));
        if (!c->half_dead[s->side])
            way_add(c, s->side, &(struct buf){0});
        conn_maybe_free(c);
    }
    stream_drop(s);
}

void stream_finish(struct stream *s, unsigned deadline_ms) {
    stream_free(s); /* what is queued is the kernel's to send */
}

const struct stream_peer *stream_get_peer(const struct stream *s) {
    return &s->peer;
}

struct loop *stream_get_loop(const struct stream *s) {
    return s->loop;
}

const char *stream_error_text(const struct stream *s) {
    return s->why;
}

void sim_streams_power_cut(unsigned host) {
    for (struct conn *c = sim->conns; c; c = c->next)
        for (unsigned s = 0; s < 2; s++)
            if (c->host[s] == host) {
                c->half_dead[s] = true;
                struct way *w = &c->way[s];
                struct inbox *b = TAKE(w->inbox); /* the other's: what is on its way still arrives */
                way_clear(w);
                w->inbox = b;
            }
}

void sim_streams_done(void) {
    while (sim->conns)
        conn_free(sim->conns);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "api/events.h"

#include "api/event_batch.h"
#include "base/str.h"
#include "gen_handlers.h"
#include <inttypes.h>

struct waiter {
    struct call *c;
    struct group *group;
    struct loop_source *timer; /* NULL for event.next, which waits for ever */
    struct waiter *prev, *next;
};

struct group {
    struct events *events;
    char *key;     /* `since` and `classes` */
    char *classes; /* the subscription as text */
    struct subscription subscription;
    uint64_t since;
    struct waiter *waiters;
    struct group *prev, *next;
};

/* What a session that uses event.register has: kept in session.event_queue. */
struct queue {
    struct value classes; /* set of texts */
    uint64_t since;
};

struct events {
    struct api *api;
    struct db_watch *watch;
    struct group *groups;
    struct strmap *by_key;
    unsigned n_waiters;
    uint64_t scanned_ms;
    struct loop_source *scan_timer;
};

static void batch_done(struct db *d, uint64_t generation, void *userdata);
static void scan_later(struct loop_source *s, void *userdata);

struct events *events_new(struct api *a) {
    struct events *ev = xnew0(struct events);
    ev->api = a;
    ev->by_key = strmap_new();
    ev->watch = db_watch_batches(api_db(a), batch_done, ev);
    ev->scan_timer = loop_add_timer(api_loop(a), LOOP_NEVER, scan_later, ev);
    return ev;
}

/* ---- groups and waiters ---- */

static void free_group(struct group *g) {
    struct events *ev = g->events;
    if (g->prev)
        g->prev->next = g->next;
    else
        ev->groups = g->next;
    if (g->next)
        g->next->prev = g->prev;
    if (strmap_get(ev->by_key, g->key) == g)
        strmap_remove(ev->by_key, g->key);
    subscription_done(&g->subscription);
    free(g->classes);
    free(g->key);
    free(g);
}

/* Takes the waiter off; the call is the caller's to end. */
static struct call *release_waiter(struct waiter *w) {
    struct call *c = w->c;
    struct group *g = w->group;
    c->gone_fn = NULL;
    if (w->prev)
        w->prev->next = w->next;
    else
        g->waiters = w->next;
    if (w->next)
        w->next->prev = w->prev;
    loop_source_free(w->timer);
    g->events->n_waiters--;
    free(w);
    if (!g->waiters)
        free_group(g);
    return c;
}

void events_free(struct events *ev) {
    if (!ev)
        return;
    struct group *next_group;
    for (struct group *g = ev->groups; g; g = next_group) {
        next_group = g->next;
        struct waiter *next;
        for (struct waiter *w = g->waiters; w; w = next) {
            next = w->next; /* the group goes with its last waiter */
            release_waiter(w);
        }
    }
    db_watch_free(ev->watch);
    loop_source_free(ev->scan_timer);
    strmap_free(ev->by_key);
    free(ev);
}

static char *group_key(uint64_t since, const char *classes) {
    return strf("%" PRIu64 "%s", since, classes);
}

/* Same subscription, same place in the log: one group. Takes the subscription. */
static struct group *find_group(struct events *ev, const struct value *classes, uint64_t since,
                                struct subscription *subscription) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    for (size_t i = 0; i < classes->set.n; i++)
        buf_addf(&text, "\n%s", value_str(&classes->set.items[i]));
    char *key = group_key(since, buf_str(&text));
    struct group *g = strmap_get(ev->by_key, key);
    if (g) {
        subscription_done(subscription);
        free(key);
        return g;
    }
    g = xnew0(struct group);
    g->events = ev;
    g->key = key;
    g->classes = buf_take(&text);
    g->subscription = *subscription;
    g->since = since;
    g->next = ev->groups;
    if (ev->groups)
        ev->groups->prev = g;
    ev->groups = g;
    strmap_put(ev->by_key, g->key, g);
    return g;
}

/* Nothing of interest up to `since`. Groups that come to stand at the same place become one. */
static void advance_group(struct group *g, uint64_t since) {
    struct events *ev = g->events;
    strmap_remove(ev->by_key, g->key);
    free(g->key);
    g->since = since;
    g->key = group_key(since, g->classes);
    struct group *other = strmap_get(ev->by_key, g->key);
    if (!other) {
        strmap_put(ev->by_key, g->key, g);
        return;
    }
    struct waiter *last = NULL;
    for (struct waiter *w = g->waiters; w; w = w->next) {
        w->group = other;
        last = w;
    }
    if (!last) {
        free_group(g);
        return;
    }
    last->next = other->waiters;
    other->waiters->prev = last;
    other->waiters = TAKE(g->waiters);
    free_group(g);
}

static void client_gone(struct call *c, void *userdata) {
    release_waiter(userdata);
    call_return_void(c);
}

static void add_waiter(struct group *g, struct call *c, uint64_t timeout_ms, loop_timer_fn *timed_out) {
    struct waiter *w = xnew0(struct waiter);
    w->c = call_keep(c);
    w->group = g;
    w->next = g->waiters;
    if (g->waiters)
        g->waiters->prev = w;
    g->waiters = w;
    g->events->n_waiters++;
    if (timed_out)
        w->timer = loop_add_timer(api_loop(c->api), timeout_ms, timed_out, w);
    c->gone_fn = client_gone;
    c->gone_data = w;
}

void events_session_closed(struct events *ev, struct session *s) {
    struct queue *q = s->event_queue;
    if (q) {
        value_done(&q->classes);
        free(q);
        s->event_queue = NULL;
    }
    if (!ev)
        return; /* the api ends: nobody waits any more */
    struct group *next_group;
    for (struct group *g = ev->groups; g; g = next_group) {
        next_group = g->next;
        struct waiter *next;
        for (struct waiter *w = g->waiters; w; w = next) {
            next = w->next;
            if (w->c->session != s)
                continue;
            char ref[REF_TEXT_SIZE];
            ref_text(&s->uuid, ref);
            call_fail_code(release_waiter(w), ERR_SESSION_INVALID, ref, NULL);
        }
    }
}

/* ---- event.from: the answer ---- */

/* The answer in the forms that were asked for, each made once. */
struct answer {
    struct buf json;
    struct value value;
};

static void answer_done(struct answer *a) {
    buf_done(&a->json);
    value_done(&a->value);
}

static void send_answer(struct call *c, const struct events_found *f, struct answer *a) {
    struct db *d = call_db(c);
    if (c->wants_json) {
        if (!a->json.size)
            event_batch_json(d, f, &a->json);
        call_return_json(c, a->json.data, a->json.size);
        return;
    }
    if (a->value.type == VALUE_VOID)
        a->value = event_batch_value(d, f);
    call_return_borrowed(c, &a->value);
}

static void from_timed_out(struct loop_source *s, void *userdata) {
    struct waiter *w = userdata;
    struct events_found f; /* usually empty; but a scan may be due, and the token must not skip what it would find */
    _cleanup_(answer_done) struct answer a = {0};
    event_find(api_db(w->group->events->api), &w->group->subscription, w->group->since, &f);
    send_answer(release_waiter(w), &f, &a);
    events_found_done(&f);
}

/* ---- event.next: the answer ---- */

static void send_queue(struct call *c, const struct events_found *f, bool complete) {
    struct queue *q = c->session->event_queue;
    struct db *d = call_db(c);
    q->since = db_generation(d);
    if (!complete) {
        call_fail_code(c, ERR_EVENTS_LOST, NULL);
        return;
    }
    struct value events = value_set();
    for (size_t i = 0; i < f->n; i++) {
        struct value e = event_value(&f->changes[i], q->since);
        char uuid[UUID_TEXT_SIZE];
        value_map_put(&e, "id", value_int((int64_t)q->since));
        value_map_put(&e, "timestamp", value_time(loop_wall_ms(api_loop(c->api)) / 1000));
        value_map_add(&e, "obj_uuid", value_string(uuid_text(&f->changes[i].uuid, uuid)));
        value_set_add(&events, e);
    }
    call_return(c, events);
}

/* ---- waking ---- */

static bool is_next(const struct call *c) {
    return c->def->n_params == 0; /* event.next, as against event.from */
}

static void scan_group(struct events *ev, struct group *g) {
    struct db *d = api_db(ev->api);
    struct events_found f;
    bool complete = event_find(d, &g->subscription, g->since, &f);
    if (f.n) {
        _cleanup_(answer_done) struct answer a = {0};
        struct waiter *next;
        for (struct waiter *w = g->waiters; w; w = next) {
            next = w->next; /* the group goes with its last waiter */
            struct call *c = release_waiter(w);
            if (is_next(c))
                send_queue(c, &f, complete);
            else
                send_answer(c, &f, &a);
        }
    } else {
        advance_group(g, db_generation(d));
    }
    events_found_done(&f);
}

static void scan(struct events *ev) {
    ev->scanned_ms = loop_now_ms(api_loop(ev->api));
    struct group *next;
    for (struct group *g = ev->groups; g; g = next) {
        next = g->next;
        if (g->since < db_generation(api_db(ev->api)))
            scan_group(ev, g);
    }
}

static void batch_done(struct db *d, uint64_t generation, void *userdata) {
    struct events *ev = userdata;
    if (!ev->groups || loop_timer_armed(ev->scan_timer))
        return;
    uint64_t now = loop_now_ms(api_loop(ev->api));
    uint64_t age = now - ev->scanned_ms;
    loop_timer_set(ev->scan_timer, age >= EVENTS_SCAN_MS ? 0 : EVENTS_SCAN_MS - age);
}

static void scan_later(struct loop_source *s, void *userdata) {
    scan(userdata);
}

/* ---- the calls ---- */

/* Joins the waiters; false when the call has been failed. Takes the subscription. */
static bool wait_for_events(struct call *c, const struct value *classes, uint64_t since, struct subscription *s,
                            uint64_t timeout_ms, loop_timer_fn *timed_out) {
    struct events *ev = c->api->events;
    if (ev->n_waiters >= EVENTS_MAX_WAITERS) {
        subscription_done(s);
        call_fail_code(c, ERR_TOO_BUSY, NULL);
        return false;
    }
    add_waiter(find_group(ev, classes, since, s), c, timeout_ms, timed_out);
    return true;
}

void event_from(struct call *c) {
    struct db *d = call_db(c);
    struct subscription s;
    struct error *e = NULL;
    uint64_t since;
    if (!subscription_parse(call_arg(c, 0), &s, &e)) {
        call_fail(c, e);
        return;
    }
    if (!event_token_parse(call_arg_str(c, 1), db_generation_base(d), db_generation(d), &since)) {
        subscription_done(&s);
        call_fail_code(c, ERR_EVENT_FROM_TOKEN_PARSE_FAILURE, call_arg_str(c, 1), NULL);
        return;
    }
    double seconds = call_arg(c, 2)->real;
    struct events_found f;
    event_find(d, &s, since, &f);
    if (f.n || !(seconds > 0)) {
        _cleanup_(answer_done) struct answer a = {0};
        send_answer(c, &f, &a);
        subscription_done(&s);
    } else {
        uint64_t timeout_ms =
            seconds * 1000 < (double)EVENTS_MAX_WAIT_MS ? (uint64_t)(seconds * 1000) : EVENTS_MAX_WAIT_MS;
        wait_for_events(c, call_arg(c, 0), db_generation(d), &s, timeout_ms, from_timed_out);
    }
    events_found_done(&f);
}

void event_inject(struct call *c) {
    struct db *d = call_db(c);
    const struct class_def *class = model_class_by_name(call_arg_str(c, 0));
    struct uuid u;
    if (!class || !class->has_events || !ref_parse(call_arg_str(c, 1), &u) || !db_get(d, class->id, &u)) {
        call_fail_code(c, ERR_HANDLE_INVALID, call_arg_str(c, 0), call_arg_str(c, 1), NULL);
        return;
    }
    char token[EVENT_TOKEN_SIZE];
    /* The touch first closes what came before and shows in the next generation: the present one is just before it. */
    db_touch(d, class->id, &u);
    call_return_str(c, event_token(db_generation_base(d), db_generation(d), token));
}

void event_register(struct call *c) {
    struct session *session = c->session;
    struct subscription s;
    struct error *e = NULL;
    if (!subscription_parse(call_arg(c, 0), &s, &e)) {
        call_fail(c, e);
        return;
    }
    subscription_done(&s);
    struct queue *q = session->event_queue;
    if (!q) {
        q = xnew0(struct queue);
        q->classes = value_set();
        q->since = db_generation(call_db(c));
        session->event_queue = q;
    }
    const struct value *classes = call_arg(c, 0);
    for (size_t i = 0; i < classes->set.n && q->classes.set.n < EVENTS_MAX_SUBSCRIPTIONS; i++) {
        if (!value_set_has(&q->classes, &classes->set.items[i]))
            value_set_add(&q->classes, value_copy(&classes->set.items[i]));
    }
    call_return_void(c);
}

void event_unregister(struct call *c) {
    struct queue *q = c->session->event_queue;
    const struct value *classes = call_arg(c, 0);
    for (size_t i = 0; q && i < classes->set.n; i++)
        value_set_remove(&q->classes, &classes->set.items[i]);
    call_return_void(c);
}

void event_next(struct call *c) {
    struct queue *q = c->session->event_queue;
    struct subscription s;
    struct error *e = NULL;
    if (!q || !q->classes.set.n) {
        char ref[REF_TEXT_SIZE];
        call_fail_code(c, ERR_SESSION_NOT_REGISTERED, ref_text(&c->session->uuid, ref), NULL);
        return;
    }
    if (!subscription_parse(&q->classes, &s, &e)) {
        call_fail(c, e);
        return;
    }
    struct events_found f;
    bool complete = event_find(call_db(c), &s, q->since, &f);
    if (f.n || !complete) {
        send_queue(c, &f, complete);
        subscription_done(&s);
    } else {
        wait_for_events(c, &q->classes, db_generation(call_db(c)), &s, 0, NULL);
    }
    events_found_done(&f);
}

void event_get_current_id(struct call *c) {
    call_return(c, value_int((int64_t)db_generation(call_db(c))));
}

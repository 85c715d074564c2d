/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does the pool hear this host over the network that it has now? A member asks the coordinator; the coordinator asks
 * the members that it had when the change began, not those that it has left: one that has cut itself off has none.
 * Asked again until someone answers or the time is over, since a connection may have to be made anew first.
 */
#include "pool/pool_private.h"

#define ROUND_MS 3000 /* of one question */
#define PAUSE_MS 300
#define TOTAL_MS 20000 /* of all of them; a change has a minute in all */

struct confirmation {
    struct pool *p;
    struct confirmation *next;
    pool_done_fn *done; /* NULL: has been told */
    void *userdata;
    char *hash;
    struct loop_source *timer;
    uint64_t until_ms;
    unsigned n_open; /* questions without an answer */
    bool alone;
    struct error *refusal; /* the latest */
};

static void confirmation_free(struct confirmation *c) {
    for (struct confirmation **at = &c->p->confirmations; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            break;
        }
    loop_source_free(c->timer);
    error_free(c->refusal);
    free(c->hash);
    free(c);
}

static void tell(struct confirmation *c, const struct error *error) {
    pool_done_fn *done = TAKE(c->done);
    if (done)
        done(error, c->userdata);
}

static void on_answer(const struct error *error, void *userdata) {
    struct confirmation *c = userdata;
    c->n_open--;
    if (!error) {
        tell(c, NULL);
    } else {
        error_free(c->refusal);
        c->refusal = error_dup(error);
    }
    if (c->n_open)
        return;
    if (c->done && loop_now_ms(c->p->config.loop) < c->until_ms) {
        loop_timer_set(c->timer, PAUSE_MS);
        return;
    }
    tell(c, c->refusal);
    confirmation_free(c);
}

static void on_called(const struct value *result, const struct error *error, void *userdata) {
    on_answer(error, userdata);
}

static void ask(struct confirmation *c, const struct uuid *host) {
    struct value args = value_map();
    value_map_add(&args, "hash", value_string(c->hash));
    c->n_open++;
    pool_channel_call(c->p->channel, host, "net_confirm", args, ROUND_MS, on_called, c);
}

/* Members look for a coordinator where it was; after a change of its address it has to go to them. */
static void ask_member(struct confirmation *c, const struct uuid *host) {
    const char *address = pool_address_of(c->p, host);
    if (pool_channel_is_connected(c->p->channel, host))
        ask(c, host);
    if (address[0] && (c->p->readdressing || !pool_channel_is_connected(c->p->channel, host))) {
        c->n_open++;
        pool_channel_knock(c->p->channel, host, address, ROUND_MS, on_answer, c);
    }
}

static void on_round(struct loop_source *s, void *userdata) {
    struct confirmation *c = userdata;
    struct pool *p = c->p;
    const struct uuid *leader = pool_leader(p);
    if (!uuid_eq(leader, &p->identity.host)) {
        ask(c, leader);
        return;
    }
    pool_note_witnesses(p, /* anew= */ false);
    for (unsigned i = 0; i < p->n_witnesses; i++)
        ask_member(c, &p->witnesses[i]);
    if (!c->n_open) { /* there is nobody to lose */
        tell(c, NULL);
        confirmation_free(c);
    }
}

void pool_confirm_network(struct pool *p, const char *hash, pool_done_fn *done, void *userdata) {
    struct confirmation *c = xnew0(struct confirmation);
    *c = (struct confirmation){.p = p,
                               .next = p->confirmations,
                               .done = done,
                               .userdata = userdata,
                               .hash = xstrdup(hash),
                               .until_ms = loop_now_ms(p->config.loop) + TOTAL_MS};
    p->confirmations = c;
    c->timer = loop_add_timer(p->config.loop, 0, on_round, c);
    if (p->readdressing)
        pool_channel_renew(p->channel); /* what it comes from is no longer there */
}

static bool is_witness(const struct pool *p, const struct uuid *host) {
    for (unsigned i = 0; i < p->n_witnesses; i++)
        if (uuid_eq(&p->witnesses[i], host))
            return true;
    return false;
}

void pool_note_witnesses(struct pool *p, bool anew) {
    if (anew)
        p->n_witnesses = 0;
    for (const struct row *h = db_first(p->config.db, CLASS_host); h && p->n_witnesses < IDENTITY_MAX_HOSTS;
         h = db_next(p->config.db, h)) {
        if (uuid_eq(&h->uuid, &p->identity.host) || !pool_host_is_live(p, &h->uuid) || is_witness(p, &h->uuid))
            continue;
        p->witnesses = xrealloc_array(p->witnesses, p->n_witnesses + 1, sizeof(*p->witnesses));
        p->witnesses[p->n_witnesses++] = h->uuid;
    }
}

static void serve_confirm(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    /* That the question arrived, and the answer does, is the proof: both went over the network as it is now. */
    pool_reply_return(reply, value_bool(true));
}

void pool_confirm_init(struct pool *p) {
    pool_channel_serve(p->channel, "net_confirm", serve_confirm, p);
}

void pool_confirm_done(struct pool *p) {
    for (struct confirmation *c; (c = p->confirmations);) {
        p->confirmations = c->next;
        confirmation_free(c);
    }
    free(p->witnesses);
}

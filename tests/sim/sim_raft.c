/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the servers of a cluster do to each other, every TICK_MS and soon after something was asked. All of a step
 * happens at once, but a step copies entries to whom it reaches at that moment only, so what was not copied yet is lost
 * or lives on as luck has it.
 */
#include "sim_raft.h"

#include <string.h>

#include "sim_store.h"

#define TICK_MS 50
#define SOON_MS 2
#define ELECTION_MS 1000
#define DISK_MS 3
#define RELAY_LOST_MS 1000
#define LINK_LOST_MS 5000

static struct loop_source *tick_timer, *soon_timer;

/*
 * The connection of two processes: certificates are looked at when it is made, and it lives through short cuts of the
 * network and through changes of the certificates.
 */
static struct link {
    uint64_t a, b; /* incarnations of the two */
    uint64_t cut_ms;
} links[SIM_MAX_HOSTS][SIM_MAX_HOSTS];

static void look_at_link(const struct server *a, const struct server *b, uint64_t now) {
    struct link *l = &links[a->host->i][b->host->i];
    bool up = l->a == a->incarnation && l->b == b->incarnation;
    if (!sim_reaches_both(a->host->i, b->host->i)) {
        l->cut_ms = l->cut_ms ? l->cut_ms : now;
        if (now - l->cut_ms > LINK_LOST_MS)
            l->a = 0;
        return;
    }
    l->cut_ms = 0;
    if (!up && sim_pki_verifies(a->chain, b->trusted) && sim_pki_verifies(b->chain, a->trusted))
        *l = (struct link){.a = a->incarnation, .b = b->incarnation};
}

static void look_at_links(uint64_t now) {
    for (unsigned i = 0; i < sim->n_hosts; i++)
        for (unsigned k = i + 1; k < sim->n_hosts; k++)
            if (sim->hosts[i].server->mode != SERVER_DOWN && sim->hosts[k].server->mode != SERVER_DOWN)
                look_at_link(sim->hosts[i].server, sim->hosts[k].server, now);
}

bool raft_link(const struct server *a, const struct server *b) {
    if (a->mode == SERVER_DOWN || b->mode == SERVER_DOWN || a == b)
        return a == b && a->mode != SERVER_DOWN;
    const struct server *first = a->host->i < b->host->i ? a : b, *second = first == a ? b : a;
    const struct link *l = &links[first->host->i][second->host->i];
    return l->a == first->incarnation && l->b == second->incarnation && sim_reaches_both(a->host->i, b->host->i);
}

void raft_cut_clients(const struct server *s) {
    for (unsigned i = 0; i < sim->n_hosts; i++)
        if (s->mode == SERVER_RELAY || sim->hosts[i].server->mode == SERVER_RELAY) {
            links[MIN(i, s->host->i)][MAX(i, s->host->i)].a = 0;
        }
}

/* The server that votes at this address in the cluster of `s`. */
static struct server *voter_at(const struct server *s, const char *address) {
    unsigned i = sim_host_at(address);
    struct server *v = i == SIM_NOBODY ? NULL : sim->hosts[i].server;
    return v && v->mode == SERVER_VOTER && v->file.cluster == s->file.cluster && str_eq(v->file.address, address)
               ? v
               : NULL;
}

/* A server that is one of those in the configuration, running, linked. */
static struct server *peer_of(const struct server *s, const struct strv *config, size_t i) {
    struct server *p = voter_at(s, config->items[i]);
    return p && raft_link(s, p) ? p : NULL;
}

static uint64_t last_term(const struct server *s) {
    return s->file.n ? s->file.log[s->file.n - 1]->term : 0;
}

static void step_down(struct server *s) {
    s->leads = false;
    s->leader = NULL;
    s->heard_ms = sim_now_ms();
    s->patience_ms = ELECTION_MS + sim_luck(ELECTION_MS);
    server_drop_proposals(s);
}

/* ---- the leader ---- */
static void copy_to(struct server *s, struct server *p) {
    struct file *f = &p->file;
    size_t same = MIN(f->n, s->file.n);
    while (same && f->log[same - 1] != s->file.log[same - 1])
        same--;
    file_truncate(f, same);
    while (f->n < s->file.n) {
        s->file.log[f->n]->n_refs++;
        file_append(f, s->file.log[f->n]);
    }
    f->term = s->file.term;
    f->commit = MAX(f->commit, MIN(s->file.commit, f->n));
    if (p->leads && p != s)
        step_down(p);
    p->leader = s;
    p->heard_ms = sim_now_ms();
    server_catch_up(p, f);
}

static void commit(struct server *s, const struct strv *config) {
    for (size_t n = s->file.n; n > s->file.commit && s->file.log[n - 1]->term == s->file.term; n--) {
        size_t has = 0;
        for (size_t i = 0; i < config->n; i++) {
            struct server *p = peer_of(s, config, i);
            has += p && p->file.n >= n && p->file.log[n - 1] == s->file.log[n - 1];
        }
        if (has * 2 > config->n) {
            s->file.commit = n;
            return;
        }
    }
}

struct result {
    struct server *server;
    uint64_t incarnation, waiting;
    json_t *result;
    size_t index;
    struct loop_source *timer;
};

static void on_result(struct loop_source *t, void *userdata) {
    struct result *r = userdata;
    if (r->server->incarnation == r->incarnation && r->server->mode != SERVER_DOWN)
        server_answer(r->server, r->waiting, json_incref(r->result), r->index);
    json_decref(r->result);
    loop_source_free(t);
    free(r);
}

/* The answer goes back to the server whose client has asked, if it still can. */
static void answer(struct server *s, struct proposal *p) {
    if (!raft_link(s, p->origin))
        return;
    struct result *r = xnew0(struct result);
    *r = (struct result){p->origin, p->origin->incarnation, p->waiting, json_incref(p->result), p->index, NULL};
    r->timer = loop_add_timer(sim->loop, sim_latency_us(s->host->i, p->origin->host->i) / 1000, on_result, r);
}

static void work_on_proposals(struct server *s) {
    while (s->proposals) {
        struct proposal *p = s->proposals;
        if (p->index && s->file.commit < p->index)
            return;
        if (!p->index && s->file.commit < s->file.n)
            return; /* one at a time */
        if (!p->index) {
            json_t *changes;
            p->result = store_transact(s->state, p->params, &changes);
            if (changes) {
                file_append(&s->file, entry_new(s->file.term, changes, NULL));
                p->index = s->file.n;
                raft_soon();
                if (s->file.commit < s->file.n)
                    return;
            }
        }
        answer(s, p);
        s->proposals = p->next;
        if (!s->proposals)
            s->last_proposal = NULL;
        json_decref(p->params);
        json_decref(p->result);
        free(p);
    }
}

void raft_propose(struct server *leader, struct server *origin, uint64_t waiting, const json_t *params) {
    struct proposal *p = xnew0(struct proposal);
    *p = (struct proposal){.origin = origin, .waiting = waiting, .params = json_incref((json_t *)params)};
    *(leader->last_proposal ? &leader->last_proposal->next : &leader->proposals) = p;
    leader->last_proposal = p;
    raft_soon();
}

static void lead(struct server *s, uint64_t now) {
    const struct strv *config = server_config(s);
    size_t n_linked = 0;
    for (size_t i = 0; i < config->n; i++) {
        struct server *p = peer_of(s, config, i);
        if (p && p->file.term > s->file.term) {
            step_down(s);
            return;
        }
        n_linked += p != NULL;
    }
    if (n_linked * 2 > config->n)
        s->majority_ms = now;
    if (now - s->majority_ms > ELECTION_MS) {
        step_down(s);
        return;
    }
    for (size_t i = 0; i < config->n; i++) {
        struct server *p = peer_of(s, config, i);
        if (p && p != s && !p->host->slow_ms)
            copy_to(s, p);
        else if (p && p != s && sim_luck(p->host->slow_ms) < TICK_MS)
            copy_to(s, p);
    }
    size_t before = s->file.commit;
    commit(s, config);
    server_catch_up(s, &s->file);
    work_on_proposals(s);
    if (s->file.commit != before)
        raft_soon(); /* the others learn of it */
    if (!strv_has(config, s->file.address) && s->file.commit == s->file.n) {
        s->removed = true;
        step_down(s);
    }
}

/* ---- without a leader ---- */
static void elect(struct server *s, uint64_t term) {
    const struct strv *config = server_config(s);
    s->file.term = term;
    for (size_t i = 0; i < config->n; i++) {
        struct server *p = peer_of(s, config, i);
        if (!p || p == s || p->removed)
            continue;
        if (p->leads)
            step_down(p); /* it hears of a later term */
        p->file.term = MAX(p->file.term, term);
    }
    s->leads = true;
    s->leader = s;
    s->majority_ms = sim_now_ms();
    file_append(&s->file, entry_new(term, NULL, NULL));
    raft_soon();
}

static void stand(struct server *s, uint64_t now) {
    const struct strv *config = server_config(s);
    if (s->removed || !config || !strv_has(config, s->file.address) || now - s->heard_ms < s->patience_ms)
        return;
    s->heard_ms = now;
    s->patience_ms = ELECTION_MS + sim_luck(ELECTION_MS);
    size_t votes = 0;
    uint64_t term = s->file.term;
    for (size_t i = 0; i < config->n; i++) {
        struct server *p = peer_of(s, config, i);
        if (!p || p->removed)
            continue;
        bool older = last_term(p) < last_term(s) || (last_term(p) == last_term(s) && p->file.n <= s->file.n);
        bool content = p != s && p->leader && (p->leads || now - p->heard_ms < ELECTION_MS);
        if (!older || content)
            continue;
        votes++;
        term = MAX(term, p->file.term);
    }
    if (votes * 2 <= config->n)
        return;
    elect(s, term + 1);
}

/* ---- changes of the cluster ---- */
static bool can_change(const struct server *s) {
    return s->leads && s->file.commit == s->file.n && s->file.log[s->file.n - 1]->term == s->file.term;
}

static struct server *leader_for(const struct server *s, const char *address) {
    unsigned i = sim_host_at(address);
    struct server *v = i == SIM_NOBODY ? NULL : sim->hosts[i].server;
    if (!v || v == s || v->mode != SERVER_VOTER || !raft_link(s, v) || !v->leader)
        return NULL;
    return v->leader->leads && raft_link(s, v->leader) ? v->leader : NULL;
}

static void try_to_join(struct server *s) {
    for (size_t i = 0; i < s->file.join_at.n; i++) {
        struct server *l = leader_for(s, s->file.join_at.items[i]);
        if (!l || !can_change(l) || strv_has(server_config(l), s->file.address))
            continue; /* one of the same address has to go first */
        s->file.cluster = l->file.cluster;
        struct strv config = {0};
        for (size_t k = 0; k < server_config(l)->n; k++)
            strv_add(&config, server_config(l)->items[k]);
        strv_add(&config, s->file.address);
        copy_to(l, s);
        file_append(&l->file, entry_new(l->file.term, NULL, &config));
        strv_done(&config);
        raft_soon();
        return;
    }
}

/* One that is to go does not write that down itself: another leads on. */
static void hand_over(struct server *leader) {
    const struct strv *config = server_config(leader);
    for (size_t i = 0; i < config->n; i++) {
        struct server *p = peer_of(leader, config, i);
        if (!p || p == leader || p->file.n != leader->file.n || p->removed || p->leaving)
            continue;
        step_down(leader);
        elect(p, MAX(leader->file.term, p->file.term) + 1);
        return;
    }
}

static bool remove_from(struct server *leader, const char *address) {
    if (!can_change(leader))
        return false;
    if (str_eq(leader->file.address, address) && server_config(leader)->n > 1) {
        hand_over(leader);
        return false;
    }
    struct strv config = {0};
    const struct strv *now = server_config(leader);
    if (!strv_has(now, address) || now->n == 1)
        return !strv_has(now, address);
    for (size_t i = 0; i < now->n; i++)
        if (!str_eq(now->items[i], address))
            strv_add(&config, now->items[i]);
    file_append(&leader->file, entry_new(leader->file.term, NULL, &config));
    strv_done(&config);
    raft_soon();
    return true;
}

bool server_ask_remove(struct server *s, const char *address) {
    struct server *l = s->leads ? s : s->leader;
    return l && l->leads && raft_link(s, l) && remove_from(l, address);
}

/* One that was taken out hears of it from any leader of the cluster that it reaches. */
static void look_removed(struct server *s) {
    for (unsigned i = 0; i < sim->n_hosts; i++) {
        struct server *l = sim->hosts[i].server;
        if (!l || l == s || l->mode != SERVER_VOTER || !l->leads || l->file.cluster != s->file.cluster ||
            l->file.commit < l->file.n || !raft_link(s, l) || l->file.term < s->file.term)
            continue;
        if (!strv_has(server_config(l), s->file.address))
            s->removed = true;
    }
}

static void follow(struct server *s, uint64_t now) {
    if (s->leader && (!s->leader->leads || now - s->heard_ms > s->patience_ms + ELECTION_MS))
        s->leader = NULL;
    bool member = s->file.cluster && server_config(s) && strv_has(server_config(s), s->file.address);
    if (!s->file.cluster)
        try_to_join(s);
    else if (!member || s->leaving || !s->leader)
        look_removed(s);
    if (s->leaving && !s->removed && s->leader && raft_link(s, s->leader))
        (void)remove_from(s->leader, s->file.address);
    if (!s->leader)
        stand(s, now);
}

/* ---- relays ---- */
static void relay(struct server *s, uint64_t now) {
    if (s->upstream && server_is_connected(s->upstream) && raft_link(s, s->upstream) &&
        s->upstream->file.cluster == s->upstream_cluster) {
        s->heard_ms = now;
        if (s->applied > s->upstream->applied)
            server_replace_state(s, s->upstream);
        else
            server_catch_up(s, &(struct file){.log = s->upstream->file.log, .commit = s->upstream->applied});
        return;
    }
    if (s->upstream && now - s->heard_ms < RELAY_LOST_MS)
        return;
    s->upstream = NULL;
    for (size_t i = 0; i < s->relay_voters.n; i++) {
        unsigned h = sim_host_at(s->relay_voters.items[i]);
        struct server *v = h == SIM_NOBODY ? NULL : sim->hosts[h].server;
        if (!v || v->mode != SERVER_VOTER || !raft_link(s, v) || !server_is_connected(v))
            continue;
        s->upstream = v;
        s->upstream_cluster = v->file.cluster;
        s->heard_ms = now;
        server_replace_state(s, v);
        return;
    }
}

static void step(void) {
    uint64_t now = sim_now_ms();
    look_at_links(now);
    for (unsigned i = 0; i < sim->n_hosts; i++) {
        struct server *s = sim->hosts[i].server;
        if (s && s->mode == SERVER_VOTER) {
            if (s->leads)
                lead(s, now);
            else
                follow(s, now);
            if (s->leads && s->leaving)
                (void)remove_from(s, s->file.address);
        }
    }
    for (unsigned i = 0; i < sim->n_hosts; i++) {
        struct server *s = sim->hosts[i].server;
        if (s && s->mode == SERVER_RELAY)
            relay(s, now);
        if (s && s->mode != SERVER_DOWN) {
            server_forward(s, now);
            server_look_connected(s);
        }
    }
}

static void on_tick(struct loop_source *t, void *userdata) {
    loop_timer_set(tick_timer, TICK_MS);
    step();
}

static void on_soon(struct loop_source *t, void *userdata) {
    step();
}

void raft_soon(void) {
    if (!loop_timer_armed(soon_timer))
        loop_timer_set(soon_timer, SOON_MS + sim_luck(DISK_MS));
}

void sim_servers_init(void) {
    memset(links, 0, sizeof(links));
    tick_timer = loop_add_timer(sim->loop, TICK_MS, on_tick, NULL);
    soon_timer = loop_add_timer(sim->loop, LOOP_NEVER, on_soon, NULL);
}

void sim_servers_done(void) {
    loop_source_free(TAKE(tick_timer));
    loop_source_free(TAKE(soon_timer));
}

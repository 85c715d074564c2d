/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/netglue.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "daemon/hostinfo.h"
#include "daemon/local_repair.h"
#include "link/link_ping.h"
#include "net/net_wanted.h"

#define LOG_MODULE "network"
#include "base/log.h"

#define WANT_MS 30
#define PROVE_MS 8000
#define WRITE_DEADLINE_MS 10000
#define WRITE_RETRY_MS 2000
#define MAX_HEALED 16
#define HEALED_SHOWN_MS 60000
#define MAX_STAGED 4
#define PING_MS 10000 /* an address that must answer has this long to do it: neighbours and routes may be new */

/* What the coordinator said beforehand about a configuration. */
struct staged {
    char hash[NET_HASH_TEXT_SIZE];
    uint64_t gate_until_ms; /* 0: none */
    struct value probes;    /* VALUE_SET of texts, or void */
};

struct netglue {
    struct netglue_config config;
    struct net_agent_owner owner;
    struct net_agent *agent;
    struct loop_source *want_timer, *write_timer;
    struct db_watch *watch;
    struct local_repair *repair;
    uint64_t generation; /* of the last known good that was seen last */
    bool writing;
    bool want_soon;
    bool preparing;                    /* the pool is being asked about a new address of this host */
    char prepared[NET_HASH_TEXT_SIZE]; /* the configuration that the pool is ready for; "" */
    char *net_dir;
    struct { /* what was found and mended: told for a while, so that it is seen */
        char key[64];
        char *line;
        uint64_t until_ms;
    } healed[MAX_HEALED];
    unsigned n_healed;
    struct loop_source *healed_timer;
    struct staged staged[MAX_STAGED];
    unsigned n_staged;
    struct proof *proof; /* the one that runs */
};

struct question { /* of the agent, on its way to the pool */
    struct netglue *g;
    uint64_t token;
};

/* Of one change: the paths to the pool, then the addresses that must answer. */
struct proof {
    struct netglue *g;
    uint64_t token;
    struct value probes; /* still to be asked, the last first */
    struct link_ping *ping;
};

/* ---- wanted ---- */
static bool same_ip(const struct net_ip *a, const struct net_ip *b) {
    return a->mode == b->mode && (a->mode != NET_IP_STATIC || net_addr_same_host(&a->address, &b->address));
}

/* The address by which the pool knows this host would be another. */
static bool moves_management(const struct netglue *g, const struct net_config *wanted) {
    struct net_agent_state s;
    net_agent_state(g->agent, &s);
    const struct net_bridge *now = s.good ? net_config_management(s.good) : NULL, *then = net_config_management(wanted);
    return now && then && !(same_ip(&now->ip4, &then->ip4) && same_ip(&now->ip6, &then->ip6));
}

static void end_prepared(struct netglue *g) {
    g->prepared[0] = 0;
    g->config.prepared_end(g->config.userdata);
}

static void on_prepared(const char *problem, void *data) {
    struct netglue *g = data;
    const struct uuid *self = &g->config.self;
    g->preparing = false;
    if (!problem) {
        loop_timer_set(g->want_timer, 0);
        return;
    }
    log_warn("the network change is not begun: %s", problem);
    db_volatile_set(g->config.db, self, CLASS_host, self, FIELD_host_network_intent, value_string(g->prepared));
    db_volatile_set(g->config.db, self, CLASS_host, self, FIELD_host_network_outcome,
                    value_string(net_outcome_text(NET_OUTCOME_FAILED)));
    db_volatile_set(g->config.db, self, CLASS_host, self, FIELD_host_network_text, value_string(problem));
    end_prepared(g);
}

/* True when the agent may have it now. */
static bool prepare(struct netglue *g, const struct net_config *wanted) {
    char hash[NET_HASH_TEXT_SIZE];
    struct net_agent_state s;
    net_config_hash(wanted, hash);
    net_agent_state(g->agent, &s);
    if (g->preparing)
        return false; /* its end looks at the rows again */
    if (!moves_management(g, wanted)) {
        if (g->prepared[0])
            end_prepared(g);
        return true;
    }
    if (str_eq(g->prepared, hash) || str_eq(s.hash, hash)) /* it runs, or has been tried */
        return true;
    str_copy(g->prepared, sizeof(g->prepared), hash);
    g->preparing = true;
    g->config.prepare(on_prepared, g, g->config.userdata);
    return false;
}

static struct staged *find_staged(struct netglue *g, const char *hash) {
    for (unsigned i = 0; i < g->n_staged; i++)
        if (str_eq(g->staged[i].hash, hash))
            return &g->staged[i];
    return NULL;
}

void netglue_stage(struct netglue *g, const char *hash, uint64_t gate_ms, const struct value *probes) {
    struct staged *s = find_staged(g, hash);
    if (!s && g->n_staged == MAX_STAGED) { /* the oldest has had its time */
        value_done(&g->staged[0].probes);
        memmove(&g->staged[0], &g->staged[1], sizeof(g->staged) - sizeof(g->staged[0]));
        g->n_staged--;
    }
    if (!s)
        s = &g->staged[g->n_staged++];
    else
        value_done(&s->probes);
    *s = (struct staged){.gate_until_ms = gate_ms ? loop_now_ms(g->config.loop) + gate_ms : 0,
                         .probes = probes ? value_copy(probes) : (struct value){.type = VALUE_VOID}};
    str_copy(s->hash, sizeof(s->hash), hash);
    loop_timer_set(g->want_timer, 0);
}

void netglue_go(struct netglue *g, const char *hash) {
    struct staged *s = find_staged(g, hash);
    if (s)
        s->gate_until_ms = 0;
    loop_timer_set(g->want_timer, 0);
}

/* Hosts that change one after another: true when it is not this one's turn yet. */
static bool must_wait(struct netglue *g, const struct net_config *wanted) {
    char hash[NET_HASH_TEXT_SIZE];
    uint64_t now = loop_now_ms(g->config.loop);
    net_config_hash(wanted, hash);
    const struct staged *s = find_staged(g, hash);
    if (!s || s->gate_until_ms <= now)
        return false;
    loop_timer_set(g->want_timer, s->gate_until_ms - now);
    return true;
}

static void on_want(struct loop_source *s, void *userdata) {
    struct netglue *g = userdata;
    _cleanup_error_ struct error *e = NULL;
    const struct row *host = db_get(g->config.db, CLASS_host, &g->config.self);
    g->want_soon = false;
    struct net_agent_state state;
    net_agent_state(g->agent, &state);
    local_repair_hosts_changed(g->repair);
    if (!db_get_status(g->config.db).in_step)
        return; /* the rows may be of the past: netglue_in_step comes back here */
    if (!host || !row_value(host, FIELD_host_PIFs)->set.n)
        return; /* not in a pool yet: the host keeps what it booted with */
    if (!local_repair_is_settled(g->repair, &state))
        return; /* the pool's rows do not know of it yet; then they are looked at again */
    _cleanup_net_config_ struct net_config *wanted = net_wanted(g->config.db, &g->config.self, &e);
    if (!wanted)
        return;
    if (!net_config_management(wanted)) {
        log_warn("the pool's rows name no management interface for this host; it keeps the network that it has");
        return;
    }
    if (!must_wait(g, wanted) && prepare(g, wanted))
        net_agent_want(g->agent, wanted);
}

void netglue_in_step(struct netglue *g) {
    loop_timer_set(g->want_timer, 0);
}

static void on_row(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    struct netglue *g = userdata;
    switch (r->class->id) {
    case CLASS_PIF:
        if (!uuid_eq(row_ref(r, FIELD_PIF_host), &g->config.self))
            return;
        break;
    case CLASS_network:
    case CLASS_Bond:
    case CLASS_VLAN:
    case CLASS_host:
        break;
    default:
        return;
    }
    if (g->want_soon)
        return;
    g->want_soon = true; /* the timer may be armed for later: for this host's turn */
    loop_timer_set(g->want_timer, WANT_MS);
}

/* ---- what the host writes about itself ---- */
static const struct net_fact *fact_of(const struct net_agent_state *s, const char *name, bool is_nic) {
    for (size_t i = 0; i < s->n_facts; i++)
        if (s->facts[i].is_nic == is_nic && str_eq(s->facts[i].name, name))
            return &s->facts[i];
    return NULL;
}

static void write_if_changed(struct db_txn *t, const struct row *r, unsigned field, struct value v) {
    if (value_equal(row_value(r, field), &v))
        value_done(&v);
    else
        db_txn_set(t, r->class->id, &r->uuid, field, v);
}

/* What a DHCP server gave the bridge, where clients look for it. */
static void write_given(const struct net_agent_state *s, struct db_txn *t, const struct row *pif, const char *bridge) {
    char ip[NET_ADDR_TEXT_SIZE] = "", netmask[NET_ADDR_TEXT_SIZE] = "", gateway[NET_ADDR_TEXT_SIZE] = "";
    if (!s->observed || !str_eq(row_str(pif, FIELD_PIF_ip_configuration_mode), "DHCP"))
        return;
    const struct net_obs_lease *lease = net_observed_lease(s->observed, bridge, NET_FAMILY_IPV4);
    for (unsigned i = 0; i < s->observed->n_addrs; i++) {
        const struct net_obs_addr *a = &s->observed->addrs[i];
        if (!str_eq(a->link, bridge) || a->addr.family != NET_FAMILY_IPV4)
            continue;
        net_addr_text(&a->addr, /* with_prefix= */ false, ip);
        net_prefix_to_netmask(a->addr.prefix, netmask);
        if (lease && lease->gateway.family && net_addr_same_host(&lease->address, &a->addr))
            net_addr_text(&lease->gateway, /* with_prefix= */ false, gateway);
    }
    write_if_changed(t, pif, FIELD_PIF_IP, value_string(ip));
    write_if_changed(t, pif, FIELD_PIF_netmask, value_string(netmask));
    write_if_changed(t, pif, FIELD_PIF_gateway, value_string(gateway));
}

/* A NIC by the name that the switch of names at boot gave it: facts go by bridge, which a NIC's network names. */
static void write_pif(struct netglue *g, const struct net_agent_state *s, struct db_txn *t, const struct row *pif) {
    const struct row *network = db_follow(g->config.db, pif, FIELD_PIF_network);
    bool member = db_follow(g->config.db, pif, FIELD_PIF_bond_slave_of) != NULL;
    const struct net_fact *bridge =
        network && !member ? fact_of(s, row_str(network, FIELD_network_bridge), false) : NULL;
    const struct net_fact *nic =
        row_bool(pif, FIELD_PIF_physical) ? fact_of(s, row_str(pif, FIELD_PIF_device), true) : NULL;
    write_if_changed(t, pif, FIELD_PIF_currently_attached, value_bool(bridge && bridge->attached));
    if (network && !member)
        write_given(s, t, pif, row_str(network, FIELD_network_bridge));
    const struct net_fact *sized = bridge && bridge->attached ? bridge : nic;
    if (sized && sized->mtu)
        write_if_changed(t, pif, FIELD_PIF_MTU, value_int(sized->mtu));
}

static void on_written(struct error *error, void *userdata) {
    struct netglue *g = userdata;
    g->writing = false;
    if (error)
        loop_timer_set(g->write_timer, WRITE_RETRY_MS);
}

/* Level-triggered: compares rows with facts; repeated until they agree. */
static void write_rows(struct netglue *g) {
    if (g->writing)
        return; /* its end comes back through the rows' change, or the retry */
    struct net_agent_state s;
    net_agent_state(g->agent, &s);
    if (!s.n_facts || net_outcome_is_open(s.outcome))
        return;
    struct db_txn *t = db_txn_new(g->config.db, "interfaces as the host has them");
    for (const struct row *r = db_first(g->config.db, CLASS_PIF); r; r = db_next(g->config.db, r))
        if (uuid_eq(row_ref(r, FIELD_PIF_host), &g->config.self))
            write_pif(g, &s, t, r);
    for (const struct row *b = db_first(g->config.db, CLASS_Bond); b; b = db_next(g->config.db, b)) {
        const struct row *master = db_follow(g->config.db, b, FIELD_Bond_master);
        if (!master || !uuid_eq(row_ref(master, FIELD_PIF_host), &g->config.self))
            continue;
        int64_t up = 0;
        const struct value *members = row_value(b, FIELD_Bond_slaves);
        for (size_t i = 0; i < members->set.n; i++) {
            const struct row *m = db_get(g->config.db, CLASS_PIF, &members->set.items[i].ref);
            const struct net_fact *nic = m ? fact_of(&s, row_str(m, FIELD_PIF_device), true) : NULL;
            up += nic && nic->carrier;
        }
        db_volatile_set(g->config.db, &g->config.self, CLASS_Bond, &b->uuid, FIELD_Bond_links_up, value_int(up));
    }
    if (db_txn_is_empty(t)) {
        db_txn_abandon(t);
        return;
    }
    g->writing = true;
    db_txn_commit(t, WRITE_DEADLINE_MS, on_written, g);
}

static void on_write(struct loop_source *s, void *userdata) {
    write_rows(userdata);
}

/* ---- the agent's questions and news ---- */
static void note_healed(struct netglue *g, const char *key, char *line /* taken */) {
    uint64_t until = loop_now_ms(g->config.loop) + HEALED_SHOWN_MS;
    for (unsigned i = 0; i < g->n_healed; i++)
        if (str_eq(g->healed[i].key, key)) {
            free(g->healed[i].line);
            g->healed[i].line = line;
            g->healed[i].until_ms = until;
            return;
        }
    if (g->n_healed == MAX_HEALED) {
        free(line);
        return;
    }
    str_copy(g->healed[g->n_healed].key, sizeof(g->healed[0].key), key);
    g->healed[g->n_healed].line = line;
    g->healed[g->n_healed++].until_ms = until;
}

static void state_faults(struct netglue *g, const struct net_agent_state *s) {
    const struct net_problems *problems = s->problems;
    struct value list = value_map();
    uint64_t now = loop_now_ms(g->config.loop), next = LOOP_NEVER;
    for (size_t i = 0; problems && i < problems->n; i++) {
        const struct net_problem *p = &problems->items[i];
        char code[NET_FAULT_CODE_SIZE], key[64];
        const char *where = p->nic[0] ? p->nic : p->bridge[0] ? p->bridge : "host";
        snprintf(key, sizeof(key), "%s/%s", net_fault_code_text(p->code, code), where);
        if (p->healed)
            note_healed(g, key, net_problem_line(p));
        else
            value_map_put(&list, key, value_string_take(net_problem_line(p)));
    }
    for (unsigned i = 0; i < g->n_healed; i++) {
        if (g->healed[i].until_ms <= now) {
            free(g->healed[i].line);
            g->healed[i] = g->healed[--g->n_healed];
            i--;
            continue;
        }
        next = MIN(next, g->healed[i].until_ms - now);
        if (!value_map_get(&list, g->healed[i].key))
            value_map_add(&list, g->healed[i].key,
                          value_stringf("%s (found and mended by this host itself)", g->healed[i].line));
    }
    local_repair_add_fault(g->repair, s, &list);
    loop_timer_set(g->healed_timer, next == LOOP_NEVER ? next : next + 10);
    faults_state(g->config.faults, FAULTS_AGENT, list);
}

static void on_healed_timer(struct loop_source *source, void *userdata) {
    struct netglue *g = userdata;
    struct net_agent_state s;
    net_agent_state(g->agent, &s);
    state_faults(g, &s);
}

static void publish(struct net_agent *a, const struct net_agent_state *s, void *userdata) {
    struct netglue *g = userdata;
    const struct uuid *self = &g->config.self;
    db_volatile_set(g->config.db, self, CLASS_host, self, FIELD_host_network_intent, value_string(s->hash));
    db_volatile_set(g->config.db, self, CLASS_host, self, FIELD_host_network_outcome,
                    value_string(net_outcome_text(s->outcome)));
    db_volatile_set(g->config.db, self, CLASS_host, self, FIELD_host_network_text,
                    value_string(str_or_empty(s->sentence)));
    state_faults(g, s);
    hostinfo_metrics(g->config.db, self);
    loop_timer_set(g->write_timer, 0);
    if (s->good && s->good->generation != g->generation && !net_outcome_is_open(s->outcome)) {
        g->generation =
            s->good->generation; /* also one that was made without the agent: see what the pool says to it */
        loop_timer_set(g->want_timer, 0);
    }
    g->config.changed(s, g->config.userdata);
    if (g->prepared[0] && !g->preparing && !net_outcome_is_open(s->outcome) && str_eq(s->hash, g->prepared))
        end_prepared(g);
}

static void proof_free(struct proof *p) {
    if (p->g->proof == p)
        p->g->proof = NULL;
    link_ping_free(p->ping);
    value_done(&p->probes);
    free(p);
}

static void proof_end(struct proof *p, const char *problem) {
    struct netglue *g = p->g;
    uint64_t token = p->token;
    proof_free(p);
    net_agent_proved(g->agent, token, problem);
}

static void on_ping(bool answered, void *userdata);

static void next_ping(struct proof *p) {
    if (!p->probes.set.n) {
        proof_end(p, NULL);
        return;
    }
    const char *address = value_str(&p->probes.set.items[p->probes.set.n - 1]);
    p->ping = link_ping_new(p->g->config.loop, address, PING_MS, on_ping, p);
    if (!p->ping)
        on_ping(false, p);
}

static void on_ping(bool answered, void *userdata) {
    struct proof *p = userdata;
    struct value *last = &p->probes.set.items[p->probes.set.n - 1];
    p->ping = NULL;
    if (answered) {
        value_done(last);
        p->probes.set.n--;
        next_ping(p);
        return;
    }
    _cleanup_free_ char *why = strf("address %s, which was to answer after this change, does not", value_str(last));
    proof_end(p, why);
}

static void on_proved(const struct probing_result *r, void *userdata) {
    struct proof *p = userdata;
    if (p->g->proof != p) { /* another change runs by now */
        proof_free(p);
        return;
    }
    /* Less than the wanted size is told, not undone: the control plane does not need it. A dead way to the pool is
     * undone. */
    if (r->control_passes)
        next_ping(p);
    else
        proof_end(p, "no frame of the control size passes to any live host of the pool");
}

static void prove(struct net_agent *a, uint64_t token, const struct net_config *tried, bool touches_management,
                  void *userdata) {
    struct netglue *g = userdata;
    char hash[NET_HASH_TEXT_SIZE];
    net_config_hash(tried, hash);
    const struct staged *staged = find_staged(g, hash);
    struct proof *p = xnew0(struct proof);
    *p = (struct proof){.g = g, .token = token};
    p->probes = staged && staged->probes.type == VALUE_SET ? value_copy(&staged->probes) : value_set();
    if (g->proof && g->proof->ping)
        proof_free(g->proof); /* else the prober still has it, and it ends there */
    g->proof = p;
    if (touches_management)
        probing_prove(g->config.probing, PROVE_MS, on_proved, p);
    else
        next_ping(p);
}

static void on_confirmed(const char *problem, void *data) {
    struct question *q = data;
    net_agent_confirmed(q->g->agent, q->token, problem);
    free(q);
}

static void confirm(struct net_agent *a, uint64_t token, const char *hash, void *userdata) {
    struct netglue *g = userdata;
    struct question *q = xnew0(struct question);
    *q = (struct question){g, token};
    g->config.confirm(hash, on_confirmed, q, g->config.userdata);
}

/* ---- life ---- */
static void look_at_rows(void *userdata) {
    struct netglue *g = userdata;
    loop_timer_set(g->want_timer, 0);
}

struct netglue *netglue_new(const struct netglue_config *config) {
    struct netglue *g = xnew0(struct netglue);
    g->config = *config;
    g->net_dir = strf("%s/network", config->state_dir);
    g->want_timer = loop_add_timer(config->loop, LOOP_NEVER, on_want, g);
    g->write_timer = loop_add_timer(config->loop, LOOP_NEVER, on_write, g);
    g->healed_timer = loop_add_timer(config->loop, LOOP_NEVER, on_healed_timer, g);
    g->repair = local_repair_new(config->loop, config->db, &config->self, g->net_dir, look_at_rows, g);
    g->owner = (struct net_agent_owner){.prove = prove, .confirm = confirm, .publish = publish, .userdata = g};
    struct net_agent_setup setup = {.loop = config->loop,
                                    .worker = config->worker,
                                    .link = config->link,
                                    .ovs = config->ovs,
                                    .net_dir = g->net_dir,
                                    .run_dir = config->run_dir,
                                    .resolv_conf = "/etc/resolv.conf",
                                    .netboot_path = config->netboot_path,
                                    .watch = true,
                                    .owner = &g->owner};
    g->agent = net_agent_new(&setup);
    g->watch = db_watch_add(config->db, -1, on_row, g);
    loop_timer_set(g->want_timer, 0);
    return g;
}

void netglue_free(struct netglue *g) {
    if (!g)
        return;
    db_watch_free(g->watch);
    loop_source_free(g->want_timer);
    loop_source_free(g->write_timer);
    loop_source_free(g->healed_timer);
    while (g->n_healed)
        free(g->healed[--g->n_healed].line);
    while (g->n_staged)
        value_done(&g->staged[--g->n_staged].probes);
    if (g->proof && g->proof->ping)
        proof_free(g->proof);
    net_agent_free(g->agent);
    local_repair_free(g->repair);
    free(g->net_dir);
    free(g);
}

struct net_agent *netglue_agent(struct netglue *g) {
    return g->agent;
}

struct local_repair *netglue_repair(struct netglue *g) {
    return g->repair;
}

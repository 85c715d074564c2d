/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_agent.h"

#include "base/str.h"
#include "net/net_agent_private.h"
#include "net/net_interrupt.h"

#include <assert.h>

#define CHECKPOINT_MS 60000
#define SETTLE_MS 200
#define RETRY_MS 5000      /* between two tries of the way back, or of a look that failed */
#define BUSY_MS 1000       /* while muster-netboot is at work */
#define HEAL_MAX_MS 60000  /* longest pause between two repairs of the same thing */
#define HEAL_CALM_MS 30000 /* a repair that held this long was a good one */

static void consider(struct net_agent *a);
static void act(struct net_agent *a, enum net_checkpoint_action action);

const char *net_outcome_text(enum net_outcome o) {
    static const char *const texts[] = {"none", "pending", "applied", "rolled_back", "failed", "held"};
    return texts[o];
}

static uint64_t now(struct net_agent *a) {
    return loop_now_ms(a->loop);
}

/* ---- what is known and told ---- */

static void add_nic_fact(struct net_agent *a, const struct net_nic *nic) {
    const struct net_obs_link *l = net_observed_link_by_mac(a->observed, &nic->mac);
    if (!l)
        l = net_observed_link(a->observed, nic->name);
    struct net_fact *f = &a->facts[a->n_facts++];
    *f = (struct net_fact){.is_nic = true, .mac = nic->mac};
    (void)net_name_set(f->name, l ? l->name : nic->name);
    if (l) {
        f->attached = l->up;
        f->carrier = l->up && l->carrier;
        f->mtu = l->mtu;
        f->mac = net_mac_is_zero(&l->permanent_mac) ? l->mac : l->permanent_mac;
    }
}

static void add_bridge_fact(struct net_agent *a, const struct net_config *c, const struct net_bridge *b) {
    const struct net_obs_link *l = net_observed_link(a->observed, b->name);
    struct net_fact *f = &a->facts[a->n_facts++];
    *f = (struct net_fact){0};
    (void)net_name_set(f->name, b->name);
    if (!l)
        return;
    f->attached = l->up;
    f->mtu = l->mtu;
    f->mac = l->mac;
    const struct net_bridge *base = net_config_base(c, b);
    for (unsigned i = 0; base && i < base->n_legs; i++)
        for (size_t j = 0; j < c->n_nics; j++)
            f->carrier = f->carrier || (str_eq(c->nics[j].name, base->legs[i]) && a->facts[j].carrier);
}

static void refresh_facts(struct net_agent *a) {
    const struct net_config *c = a->good;
    free(a->facts);
    a->facts = NULL;
    a->n_facts = 0;
    if (!c || !a->observed)
        return;
    a->facts = xcalloc(c->n_nics + c->n_bridges + 1, sizeof *a->facts);
    for (unsigned i = 0; i < c->n_nics; i++)
        add_nic_fact(a, &c->nics[i]);
    for (unsigned i = 0; i < c->n_bridges; i++)
        add_bridge_fact(a, c, &c->bridges[i]);
}

void net_agent_state(const struct net_agent *a, struct net_agent_state *ret) {
    *ret = (struct net_agent_state){.outcome = a->outcome,
                                    .sentence = str_or_empty(a->sentence),
                                    .good = a->good,
                                    .observed = a->observed,
                                    .facts = a->facts,
                                    .n_facts = a->n_facts,
                                    .problems = &a->problems};
    (void)str_copy(ret->hash, sizeof ret->hash, a->hash);
}

static void publish(struct net_agent *a) {
    struct net_agent_state s;
    refresh_facts(a);
    net_agent_state(a, &s);
    if (a->owner->publish)
        a->owner->publish(a, &s, a->owner->userdata);
}

static void set_outcome(struct net_agent *a, enum net_outcome outcome, const char *hash, const char *sentence) {
    char *text = xstrdup(str_or_empty(sentence)); /* may be the present one */
    free(a->sentence);
    a->sentence = text;
    a->outcome = outcome;
    (void)str_copy(a->hash, sizeof a->hash, hash);
    publish(a);
}

/* Takes what a job saw. */
static void take_result(struct net_agent *a, struct net_job *j) {
    if (j->kind == NET_JOB_APPLY || j->kind == NET_JOB_RETURN) {
        a->n_refused = j->result.n_refused;
        memcpy(a->refused, j->result.refused, sizeof a->refused);
    }
    if (!j->result.observed)
        return;
    net_observed_free(a->observed);
    a->observed = TAKE(j->result.observed);
    net_problems_done(&a->problems);
    a->problems = j->result.problems;
    j->result.problems = (struct net_problems){0};
}

bool net_agent_is_busy(const struct net_agent *a) {
    return a->job || a->checkpoint.sm.state != NET_CHECKPOINT_IDLE;
}

/* ---- jobs ---- */

static void on_job_done(void *data);

void net_agent_fill_job(struct net_agent *a, struct net_job *j) {
    j->link = a->link;
    j->ovs = a->ovs;
    j->net_dir = a->net_dir;
    j->run_dir = a->run_dir;
    j->resolv_conf = a->resolv_conf;
    j->netboot_path = a->netboot_path;
    j->garp_max = a->garp_max;
    j->n_refused = a->n_refused;
    memcpy(j->refused, a->refused, sizeof j->refused);
    j->in_change = a->checkpoint.sm.state != NET_CHECKPOINT_IDLE;
    j->generation = a->good ? a->good->generation : 0;
    j->mark = a->mark;
    net_agent_lifts_of(a, j);
}

void net_agent_submit(struct net_agent *a, struct net_job *j) {
    assert(!a->job);
    net_agent_fill_job(a, j);
    a->job = j;
    worker_submit(a->worker, NET_AGENT_JOB_KEY, net_job_run, on_job_done, j);
}

static void look_in(struct net_agent *a, uint64_t delay_ms) {
    if (!loop_timer_armed(a->look_timer))
        loop_timer_set(a->look_timer, delay_ms);
}

/* A look at what is, against what should be: the target when one is to be tried, else last known good. */
static void look(struct net_agent *a) {
    const struct net_config *c = a->target ? a->target : a->good;
    if (!c || net_agent_is_busy(a))
        return;
    loop_timer_set(a->look_timer, LOOP_NEVER);
    net_agent_submit(a, net_job_new(NET_JOB_LOOK, a, net_config_copy(c)));
}

static void on_look_timer(struct loop_source *s, void *userdata) {
    struct net_agent *a = userdata;
    if (net_agent_is_busy(a))
        return; /* what runs ends with a look of its own */
    if (a->try_again && a->latest && !a->wanted)
        a->wanted = net_config_copy(a->latest);
    a->try_again = false;
    consider(a);
    look(a);
}

static void on_kernel_event(unsigned events, void *userdata) {
    struct net_agent *a = userdata;
    look_in(a, a->settle_ms);
}

static void fail_target(struct net_agent *a, const char *sentence) {
    char hash[NET_HASH_TEXT_SIZE];
    net_config_hash(a->target, hash);
    net_config_free(TAKE(a->target));
    set_outcome(a, NET_OUTCOME_FAILED, hash, sentence);
    consider(a);
}

/* Someone changed by hand what is proven: back to it, without a checkpoint. The same thing again and again waits
 * longer. */
static void heal(struct net_agent *a) {
    uint64_t since = a->healed_ms ? now(a) - a->healed_ms : UINT64_MAX;
    if (since > HEAL_CALM_MS)
        a->heal_pause_ms = 0;
    if (since < a->heal_pause_ms) {
        look_in(a, a->heal_pause_ms - since);
        return;
    }
    a->heal_pause_ms = MIN(MAX(a->heal_pause_ms * 2, (uint64_t)1000), (uint64_t)HEAL_MAX_MS);
    a->healed_ms = now(a);
    net_agent_submit(a, net_job_new(NET_JOB_APPLY, a, net_config_copy(a->good)));
}

static const struct net_staged *find_staged(const struct net_agent *a, const char *hash) {
    for (unsigned i = 0; i < a->n_staged; i++)
        if (str_eq(a->staged[i].hash, hash))
            return &a->staged[i];
    return NULL;
}

void net_agent_stage(struct net_agent *a, const char *hash, uint64_t checkpoint_ms, bool needs_person) {
    unsigned i = 0;
    while (i < a->n_staged && !str_eq(a->staged[i].hash, hash))
        i++;
    if (i == a->n_staged && i == NET_AGENT_MAX_STAGED) { /* the oldest has had its time */
        memmove(&a->staged[0], &a->staged[1], sizeof(a->staged) - sizeof(a->staged[0]));
        i = NET_AGENT_MAX_STAGED - 1;
    }
    a->n_staged = MAX(a->n_staged, i + 1);
    a->staged[i] = (struct net_staged){.checkpoint_ms = checkpoint_ms, .needs_person = needs_person};
    (void)str_copy(a->staged[i].hash, sizeof(a->staged[i].hash), hash);
    if (str_eq(a->refusal.hash, hash)) /* somebody means to try it again */
        a->refusal = (struct net_refusal){0};
}

static void looked_at_target(struct net_agent *a, struct net_job *j) {
    char hash[NET_HASH_TEXT_SIZE], good_hash[NET_HASH_TEXT_SIZE] = "";
    if (j->error) {
        if (!error_is(j->error, ERR_NET_CONFIG_INVALID)) { /* the switch is not there, say: nothing of the intent's */
            a->try_again = true;
            look_in(a, RETRY_MS);
        }
        fail_target(a, error_text(j->error));
        return;
    }
    net_config_hash(a->target, hash);
    if (a->good)
        net_config_hash(a->good, good_hash);
    a->touches_management = j->result.touches_management;
    bool ask_pool = a->touches_management && a->owner->confirm;
    const struct net_staged *staged = find_staged(a, hash);
    a->change_ms = staged && staged->checkpoint_ms ? staged->checkpoint_ms : a->checkpoint_ms;
    set_outcome(a, NET_OUTCOME_PENDING, hash, "");
    loop_timer_set(a->deadline, a->change_ms);
    enum net_checkpoint_action first = net_checkpoint_arm(&a->checkpoint, now(a), a->change_ms, ask_pool);
    a->checkpoint.needs_person = staged && staged->needs_person;
    act(a, first);
}

static void looked_at_good(struct net_agent *a, struct net_job *j) {
    if (j->error) { /* the switch is not there, say: nothing to heal with */
        look_in(a, j->is_busy ? BUSY_MS : RETRY_MS);
        publish(a);
    } else if (j->result.n_steps)
        heal(a);
    else {
        if (a->good_changed) {
            net_agent_submit(a, net_job_new(NET_JOB_COMMIT, a, net_config_copy(a->good)));
            return;
        }
        publish(a);
    }
}

/* The end of a job that belongs to no change. */
static void repaired(struct net_agent *a, struct net_job *j) {
    if (j->kind == NET_JOB_LIFT)
        net_agent_lifts_applied(a, j);
    if (j->kind == NET_JOB_COMMIT) {
        if (!j->error) {
            net_config_free(a->good);
            a->good = TAKE(j->target);
            a->good_changed = false;
        }
        publish(a);
        return;
    }
    if (j->error)
        look_in(a, RETRY_MS);
    else
        look_in(a, a->settle_ms); /* does it hold? */
    publish(a);
}

/*
 * Somebody has repaired this host's network without the agent, or has begun to and did not end it. What was under way
 * here is over: it was about another network.
 */
static void adopt(struct net_agent *a, struct net_job *j) {
    char hash[NET_HASH_TEXT_SIZE];
    a->token = 0;
    loop_timer_set(a->deadline, LOOP_NEVER);
    net_checkpoint_done(&a->checkpoint);
    net_checkpoint_init(&a->checkpoint, now(a));
    net_config_free(TAKE(a->target));
    net_config_free(TAKE(a->way_back));
    net_config_free(TAKE(a->wanted));
    net_config_free(TAKE(a->latest));
    net_config_free(a->good);
    a->good = TAKE(j->found);
    a->mark = j->mark;
    a->good_changed = a->try_again = false;
    a->refusal = (struct net_refusal){0};
    a->n_refused = 0;
    if (j->kind == NET_JOB_LIFT) {
        error_internal(&j->error, "the host's network was repaired meanwhile");
        net_agent_lifts_applied(a, j);
    }
    net_config_hash(a->good, hash);
    set_outcome(a, NET_OUTCOME_APPLIED, hash, "");
    look_in(a, 0);
}

static void resume(struct net_agent *a, const char *why);

static void on_job_done(void *data) {
    struct net_job *j = data;
    struct net_agent *a = j->agent;
    a->job = NULL;
    if (j->found || j->is_orphan) {
        if (j->found)
            adopt(a, j);
        else {
            net_config_free(TAKE(a->target));
            resume(a, "a repair of this network was begun and not ended, so it was taken back");
        }
        net_job_free(j);
        consider(a);
        net_agent_consider_lifts(a);
        return;
    }
    if (j->kind == NET_JOB_COMMIT)
        a->mark = j->mark;
    /* The problems of a plan that is only tried are not the host's yet. */
    if (!(j->kind == NET_JOB_LOOK && a->target) && j->kind != NET_JOB_COMMIT)
        take_result(a, j);
    const char *problem = j->error ? error_text(j->error) : NULL;
    if (j->kind == NET_JOB_LOOK) {
        if (a->target)
            looked_at_target(a, j);
        else
            looked_at_good(a, j);
    } else if (a->checkpoint.sm.state == NET_CHECKPOINT_IDLE)
        repaired(a, j);
    else {
        enum net_checkpoint_action what = j->kind == NET_JOB_APPLY    ? NET_ACTION_APPLY
                                          : j->kind == NET_JOB_COMMIT ? NET_ACTION_COMMIT
                                                                      : NET_ACTION_RETURN;
        if (what == NET_ACTION_COMMIT && !problem) { /* carries its new generation */
            net_config_free(a->target);
            a->target = TAKE(j->target);
        }
        act(a, net_checkpoint_result(&a->checkpoint, now(a), what, problem));
    }
    net_job_free(j);
    consider(a);
    net_agent_consider_lifts(a);
}

/* ---- the change ---- */

static void ask_proof(struct net_agent *a) {
    a->token = ++a->last_token;
    if (a->owner->prove)
        a->owner->prove(a, a->token, a->target, a->touches_management, a->owner->userdata);
    else
        net_agent_proved(a, a->token, NULL);
}

/* The network works and the pool hears this host; whether it is what somebody meant, only they can say. */
static void ask_person(struct net_agent *a) {
    char hash[NET_HASH_TEXT_SIZE];
    uint64_t left = a->checkpoint.deadline_ms > now(a) ? (a->checkpoint.deadline_ms - now(a) + 999) / 1000 : 0;
    _cleanup_free_ char *text =
        strf("the change is applied and proven, and is taken back in %llu seconds unless somebody confirms it with: xe "
             "network-change-confirm",
             (unsigned long long)left);
    net_config_hash(a->target, hash);
    set_outcome(a, NET_OUTCOME_HELD, hash, text);
}

static bool is_the_change(const struct net_agent *a, const char *hash) {
    char trying[NET_HASH_TEXT_SIZE];
    if (!a->target)
        return false;
    net_config_hash(a->target, trying);
    return str_eq(hash, trying);
}

bool net_agent_keep(struct net_agent *a, const char *hash) {
    if (!is_the_change(a, hash) || a->checkpoint.sm.state != NET_CHECKPOINT_HOLDING)
        return false;
    act(a, net_checkpoint_result(&a->checkpoint, now(a), NET_ACTION_HOLD, NULL));
    consider(a);
    return true;
}

bool net_agent_revert(struct net_agent *a, const char *hash, const char *why) {
    enum net_checkpoint_action waits_for = a->checkpoint.sm.state == NET_CHECKPOINT_PROVING      ? NET_ACTION_PROVE
                                           : a->checkpoint.sm.state == NET_CHECKPOINT_CONFIRMING ? NET_ACTION_CONFIRM
                                           : a->checkpoint.sm.state == NET_CHECKPOINT_HOLDING    ? NET_ACTION_HOLD
                                                                                                 : NET_ACTION_NONE;
    if (!is_the_change(a, hash) || waits_for == NET_ACTION_NONE)
        return false;
    act(a, net_checkpoint_result(&a->checkpoint, now(a), waits_for, why));
    consider(a);
    return true;
}

static void ask_pool(struct net_agent *a) {
    char hash[NET_HASH_TEXT_SIZE];
    net_config_hash(a->target, hash);
    a->token = ++a->last_token;
    a->owner->confirm(a, a->token, hash, a->owner->userdata);
}

static void start_apply(struct net_agent *a) {
    struct net_job *j = net_job_new(NET_JOB_APPLY, a, net_config_copy(a->target));
    if (a->good) {
        net_config_free(a->way_back);
        a->way_back = net_config_copy(a->good);
        j->previous = net_config_copy(a->good);
        j->deadline = (loop_wall_ms(a->loop) + (int64_t)a->change_ms) / 1000;
    }
    net_agent_submit(a, j);
}

static void start_return(struct net_agent *a) {
    a->token = 0;
    loop_timer_set(a->deadline, LOOP_NEVER);
    if (a->target) {
        net_config_hash(a->target, a->refusal.hash);
        (void)str_copy(a->refusal.sentence, sizeof a->refusal.sentence, str_or_empty(a->checkpoint.why));
    }
    if (!a->way_back) { /* the first network this host is given: there is nothing before it */
        act(a, net_checkpoint_result(&a->checkpoint, now(a), NET_ACTION_RETURN, NULL));
        return;
    }
    struct net_job *j = net_job_new(NET_JOB_RETURN, a, net_config_copy(a->way_back));
    j->refusal = a->refusal;
    net_agent_submit(a, j);
}

static void finish(struct net_agent *a, bool committed) {
    loop_timer_set(a->deadline, LOOP_NEVER);
    a->token = 0;
    if (committed) {
        net_config_free(a->good);
        a->good = TAKE(a->target);
        a->good_changed = false;
        a->refusal = (struct net_refusal){0};
        char hash[NET_HASH_TEXT_SIZE];
        net_config_hash(a->good, hash);
        set_outcome(a, NET_OUTCOME_APPLIED, hash, "");
    } else {
        net_config_free(TAKE(a->target));
        set_outcome(a, NET_OUTCOME_ROLLED_BACK, a->refusal.hash, a->refusal.sentence);
    }
    net_config_free(TAKE(a->way_back));
    look_in(a, a->settle_ms);
}

/* Both are to be known: why the change was taken back, and why that does not work either. */
static void tell_stuck(struct net_agent *a) {
    const char *why = a->refusal.sentence, *back = a->checkpoint.sm.reason;
    _cleanup_free_ char *text = *why && !str_eq(why, back) ? strf("%s; on the way back: %s", why, back) : xstrdup(back);
    set_outcome(a, NET_OUTCOME_FAILED, a->refusal.hash, text);
}

static void act(struct net_agent *a, enum net_checkpoint_action action) {
    switch (action) {
    case NET_ACTION_NONE:
        return;
    case NET_ACTION_APPLY:
        start_apply(a);
        return;
    case NET_ACTION_PROVE:
        net_interrupt_point(a->run_dir, "applied, not proven");
        ask_proof(a);
        return;
    case NET_ACTION_CONFIRM:
        net_interrupt_point(a->run_dir, "proven, not confirmed");
        ask_pool(a);
        return;
    case NET_ACTION_HOLD:
        net_interrupt_point(a->run_dir, "held for a person");
        a->token = 0;
        ask_person(a);
        return;
    case NET_ACTION_COMMIT:
        net_interrupt_point(a->run_dir, "confirmed, not committed");
        a->token = 0;
        net_agent_submit(a, net_job_new(NET_JOB_COMMIT, a, net_config_copy(a->target)));
        return;
    case NET_ACTION_RETURN:
        start_return(a);
        return;
    case NET_ACTION_DONE:
    case NET_ACTION_RETURNED:
        net_interrupt_point(a->run_dir, action == NET_ACTION_DONE ? "done, not told" : "taken back, not told");
        finish(a, action == NET_ACTION_DONE);
        return;
    case NET_ACTION_RETRY:
        tell_stuck(a);
        loop_timer_set(a->deadline, RETRY_MS);
        return;
    }
}

static void on_deadline(struct loop_source *s, void *userdata) {
    struct net_agent *a = userdata;
    act(a, net_checkpoint_tick(&a->checkpoint, now(a)));
    consider(a);
}

void net_agent_proved(struct net_agent *a, uint64_t token, const char *problem) {
    if (!token || token != a->token)
        return; /* too late, or of another change */
    act(a, net_checkpoint_result(&a->checkpoint, now(a), NET_ACTION_PROVE, problem));
    consider(a);
}

void net_agent_confirmed(struct net_agent *a, uint64_t token, const char *problem) {
    if (!token || token != a->token)
        return;
    act(a, net_checkpoint_result(&a->checkpoint, now(a), NET_ACTION_CONFIRM, problem));
    consider(a);
}

void net_agent_add_own(struct net_agent *a, struct net_config *c) {
    if (!a->good)
        return;
    c->datapath = a->good->datapath;
    c->control_size = a->good->control_size;
    if (a->good->host_name)
        net_config_set_host_name(c, a->good->host_name);
}

/* Takes up what is wanted, when nothing else runs. */
static void consider(struct net_agent *a) {
    if (net_agent_is_busy(a) || a->target || !a->wanted)
        return;
    char hash[NET_HASH_TEXT_SIZE], good_hash[NET_HASH_TEXT_SIZE] = "";
    struct net_config *c = TAKE(a->wanted);
    net_config_hash(c, hash);
    if (a->good)
        net_config_hash(a->good, good_hash);
    if (a->good && str_eq(hash, good_hash)) {
        if (!str_eq(str_or_empty(c->repair),
                    str_or_empty(a->good->repair))) { /* the pool knows of it now, or ended it */
            net_config_set_repair(a->good, c->repair);
            a->good_changed = true;
        }
        net_config_free(c);
        if (a->outcome != NET_OUTCOME_APPLIED || !str_eq(a->hash, hash))
            set_outcome(a, NET_OUTCOME_APPLIED, hash, "");
        look_in(a, 0);
        return;
    }
    if (str_eq(hash, a->refusal.hash)) {
        net_config_free(c);
        if (a->outcome != NET_OUTCOME_ROLLED_BACK || !str_eq(a->hash, hash))
            set_outcome(a, NET_OUTCOME_ROLLED_BACK, hash, a->refusal.sentence);
        return;
    }
    net_agent_add_own(a, c);
    a->target = c;
    a->n_refused = 0;
    look(a);
}

void net_agent_want(struct net_agent *a, const struct net_config *wanted) {
    char hash[NET_HASH_TEXT_SIZE], trying[NET_HASH_TEXT_SIZE] = "";
    net_config_hash(wanted, hash);
    if (a->target)
        net_config_hash(a->target, trying);
    net_config_free(a->latest);
    a->latest = net_config_copy(wanted);
    a->try_again = false;
    net_config_free(TAKE(a->wanted));
    if (str_eq(hash, trying))
        return;
    a->wanted = net_config_copy(wanted);
    consider(a);
}

void net_agent_retry(struct net_agent *a) {
    a->refusal = (struct net_refusal){0};
    a->heal_pause_ms = 0;
    a->n_refused = 0;
    if (a->checkpoint.sm.state == NET_CHECKPOINT_STUCK)
        loop_timer_set(a->deadline, 0);
    a->try_again = true;
    loop_timer_set(a->look_timer, 0);
}

void net_agent_set_control_size(struct net_agent *a, int control_size) {
    if (!a->good || a->good->control_size == control_size)
        return;
    a->good->control_size = control_size;
    a->good_changed = true;
    look_in(a, 0);
}

void net_agent_rewrite(struct net_agent *a) {
    a->good_changed = a->good != NULL;
    look_in(a, 0);
}

void net_agent_look(struct net_agent *a) {
    look_in(a, 0);
}

/* ---- begin and end ---- */

/* A pending change on disk at start: the daemon died in the middle of it. */
static void resume(struct net_agent *a, const char *why) {
    struct net_pending pending = {0};
    if (!net_store_get_pending(a->net_dir, &pending))
        return;
    net_config_free(a->way_back);
    a->way_back = pending.previous ? TAKE(pending.previous) : a->good ? net_config_copy(a->good) : NULL;
    (void)str_copy(a->refusal.hash, sizeof a->refusal.hash, pending.tried_hash);
    (void)str_copy(a->refusal.sentence, sizeof a->refusal.sentence, why);
    net_pending_done(&pending);
    set_outcome(a, NET_OUTCOME_PENDING, a->refusal.hash, why);
    act(a, net_checkpoint_resume(&a->checkpoint, now(a), why));
}

struct net_agent *net_agent_new(const struct net_agent_setup *setup) {
    struct net_agent *a = xnew0(struct net_agent);
    *a = (struct net_agent){.loop = setup->loop,
                            .worker = setup->worker,
                            .link = setup->link,
                            .ovs = setup->ovs,
                            .net_dir = xstrdup(setup->net_dir),
                            .run_dir = xstrdup(setup->run_dir),
                            .resolv_conf = xstrdup(setup->resolv_conf ? setup->resolv_conf : NET_RESOLV_CONF),
                            .netboot_path = xstrdup(str_or_empty(setup->netboot_path)),
                            .checkpoint_ms = setup->checkpoint_ms ? setup->checkpoint_ms : CHECKPOINT_MS,
                            .settle_ms = setup->settle_ms ? setup->settle_ms : SETTLE_MS,
                            .garp_max = setup->garp_max,
                            .owner = setup->owner};
    a->deadline = loop_add_timer(a->loop, LOOP_NEVER, on_deadline, a);
    a->look_timer = loop_add_timer(a->loop, LOOP_NEVER, on_look_timer, a);
    net_checkpoint_init(&a->checkpoint, now(a));
    net_agent_lift_init(a);
    enum net_store_source source;
    struct error *e = NULL;
    a->good = net_store_load(a->net_dir, &source, &a->problems, &e);
    error_free(e); /* a host without a network waits for one */
    /* The copy before was proven as well: written anew as soon as the host is seen to have it. */
    a->good_changed = a->good && source == NET_STORE_PREVIOUS;
    net_store_get_refused(a->net_dir, &a->refusal);
    if (setup->watch && link_monitor_new(a->loop, on_kernel_event, a, &a->monitor) < 0)
        a->monitor = NULL; /* without it hand-made changes are found at the next look only */
    a->mark = net_store_mark(a->net_dir);
    resume(a, "the daemon restarted in the middle of this network change, so it was taken back");
    if (!net_agent_is_busy(a))
        look_in(a, 0);
    return a;
}

void net_agent_free(struct net_agent *a) {
    if (!a)
        return;
    link_monitor_free(a->monitor);
    loop_source_free(a->deadline);
    loop_source_free(a->look_timer);
    net_checkpoint_done(&a->checkpoint);
    net_agent_lift_done(a);
    net_config_free(a->good);
    net_config_free(a->wanted);
    net_config_free(a->latest);
    net_config_free(a->target);
    net_config_free(a->way_back);
    net_observed_free(a->observed);
    net_problems_done(&a->problems);
    free(a->facts);
    free(a->sentence);
    free(a->net_dir);
    free(a->run_dir);
    free(a->resolv_conf);
    free(a->netboot_path);
    free(a);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* From the rows to the hosts: written, tried by each of them, and kept or put back. */
#define LOG_MODULE "network"
#include "base/log.h"

#include "base/str.h"
#include "classes/net_change_private.h"

#define GO_MS 5000
#define DECIDE_MS 5000

static void look(struct net_change *ch);

/* ---- the end ---- */

/* Whoever confirmed it wants to know whether it stayed; whoever took it back has what they wanted. */
static void answer_decision(struct net_change *ch) {
    struct call *c = TAKE(ch->decision);
    if (!c)
        return;
    if (ch->decision_keeps && ch->failure)
        call_fail(c, error_dup(ch->failure));
    else
        call_return_void(c);
}

static void over(struct net_change *ch) {
    net_change_end(ch);
}

static void finish(struct net_change *ch, const char *outcome) {
    db_watch_free(TAKE(ch->watch));
    loop_source_free(TAKE(ch->deadline));
    ch->is_over = true;
    net_change_note(ch, outcome);
    net_change_report(ch, "outcome", outcome);
    answer_decision(ch);
    net_change_lower(ch);
    net_change_await(ch, over);
}

static void remove_journal(struct net_change *ch, struct db_txn *t) {
    const struct row *pool = db_pool(api_db(ch->api));
    _cleanup_free_ char *key = strf("%s-%s", NET_CHANGE_JOURNAL_KEY, ch->id);
    if (pool)
        db_txn_map_remove(t, CLASS_pool, &pool->uuid, FIELD_pool_other_config, key);
}

static void forgotten(struct error *error, void *userdata) {
    struct net_change *ch = userdata;
    if (error) { /* it stays in the rows, where the next look finds that all hosts have it */
        struct error *copy = error_dup(error);
        log_warn("network change %s is done, but could not be noted as such: %s", ch->id, error_text(copy));
        error_free(copy);
    }
    finish(ch, "applied");
}

static void succeed(struct net_change *ch) {
    db_watch_free(TAKE(ch->watch));
    loop_source_free(TAKE(ch->deadline));
    if (!ch->is_written) {
        finish(ch, "applied");
        return;
    }
    struct db_txn *t = db_txn_new(api_db(ch->api), "a network change is done");
    remove_journal(ch, t);
    db_txn_fence(t);
    db_txn_commit(t, COMMIT_MS, forgotten, ch);
}

/* ---- the way back ---- */

/* The rows are as they were; so are the hosts in a moment, and only then may the next change come. */
static void look_whether_back(struct net_change *ch) {
    struct db *d = api_db(ch->api);
    for (size_t i = 0; i < ch->n_hosts; i++) {
        struct awaited *w = &ch->hosts[i];
        const struct row *r = db_get(d, CLASS_host, &w->host);
        struct error *e = NULL;
        if (w->is_ignored || !r)
            continue;
        if (!net_change_hash_of_rows(d, &w->host, w->hash, &e)) {
            error_free(e); /* the rows made no sense before, either */
            continue;
        }
        if (!str_eq(row_str(r, FIELD_host_network_intent), w->hash) ||
            str_eq(row_str(r, FIELD_host_network_outcome), "pending"))
            return;
    }
    finish(ch, "taken back");
}

static void host_may_be_back(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    look_whether_back(userdata);
}

static void not_back_in_time(struct loop_source *s, void *userdata) {
    finish(userdata, "taken back");
}

static void undone(struct error *error, void *userdata) {
    struct net_change *ch = userdata;
    if (!error) {
        ch->watch = db_watch_add(api_db(ch->api), CLASS_host, host_may_be_back, ch);
        ch->deadline = loop_add_timer(api_loop(ch->api), NET_CHANGE_BACK_MS, not_back_in_time, ch);
        look_whether_back(ch);
        return;
    }
    struct error *copy = error_dup(error);
    log_err("the rows of a refused network change (%s) could not be put back: %s", ch->what, error_text(copy));
    error_free(copy);
    finish(ch, "failed");
}

/* The rows go back in the opposite order. */
void net_change_undo(struct net_change *ch) {
    db_watch_free(TAKE(ch->watch));
    loop_source_free(TAKE(ch->deadline));
    ch->is_undoing = true;
    if (!ch->is_written) {
        finish(ch, "taken back");
        return;
    }
    struct net_ops back = net_ops_inverse(&ch->ops);
    struct db_txn *t = db_txn_new(api_db(ch->api), "undo a network change");
    net_ops_write(&back, t);
    net_ops_done(&back);
    remove_journal(ch, t);
    db_txn_fence(t);
    db_txn_commit(t, COMMIT_MS, undone, ch);
}

static void fail_and_undo(struct net_change *ch, const char *code, const struct uuid *host, const char *text) {
    char ref[REF_TEXT_SIZE];
    error_free(ch->failure);
    ch->failure = NULL;
    error_set(&ch->failure, code, ref_text(host, ref), text, NULL);
    net_change_undo(ch);
}

/* ---- waiting ---- */

enum verdict { WAIT, APPLIED, HELD, ROLLED_BACK, FAILED };

static char *outcome_text(struct db *d, const struct uuid *host) {
    const struct row *r = db_get(d, CLASS_host, host);
    return r ? strf("%s %s", row_str(r, FIELD_host_network_intent), row_str(r, FIELD_host_network_outcome))
             : xstrdup("");
}

static enum verdict look_at_host(struct db *d, const struct awaited *w, const char **ret_text) {
    const struct row *r = db_get(d, CLASS_host, &w->host);
    if (!r)
        return APPLIED; /* it has left the pool */
    const char *outcome = row_str(r, FIELD_host_network_outcome);
    *ret_text = row_str(r, FIELD_host_network_text);
    if (!str_eq(row_str(r, FIELD_host_network_intent), w->hash))
        return WAIT;
    if (str_eq(outcome, "applied"))
        return APPLIED;
    if (str_eq(outcome, "held"))
        return HELD;
    enum verdict bad = str_eq(outcome, "rolled_back") ? ROLLED_BACK : str_eq(outcome, "failed") ? FAILED : WAIT;
    _cleanup_free_ char *now = outcome_text(d, &w->host);
    return str_eq(now, str_or_empty(w->before)) ? WAIT : bad;
}

static void on_gone_ahead(struct net_change *ch, size_t i, struct error *error, const struct value *result) {
    /* A host that did not hear it stays where it is, and the deadline ends the change. */
}

/* One host after another: the next one's turn when all before it are done. The coordinator is the last. */
static void give_turn(struct net_change *ch) {
    struct awaited *next = NULL;
    for (size_t i = 0; i < ch->n_hosts; i++) {
        struct awaited *w = &ch->hosts[i];
        if (w->is_concerned && !w->is_ignored && !w->is_gated && !w->is_done)
            return; /* its turn is not over */
        if (w->is_gated && (!next || uuid_eq(&next->host, api_own_host(ch->api))))
            next = w;
    }
    if (!next)
        return;
    struct value args = value_map();
    next->is_gated = false;
    value_map_add(&args, "hash", value_string(next->hash));
    uint64_t own_ms = ch->options.seconds ? (uint64_t)ch->options.seconds * 1000 : NET_CHANGE_CHECKPOINT_MS;
    if (ch->deadline)
        loop_timer_set(ch->deadline, own_ms + NET_CHANGE_MARGIN_MS);
    net_change_ask(ch, &next->host, (size_t)(next - ch->hosts), "net_go", args, GO_MS, on_gone_ahead);
    net_change_await(ch, NULL);
}

/* All hosts have it, and a person is to say whether it stays. The call is answered; the change goes on. */
static void hold(struct net_change *ch) {
    if (ch->is_answered)
        return;
    net_change_report(ch, "outcome", "held");
    net_change_report(ch, "id", ch->id);
    log_notice("network change %s (%s) is applied and waits for somebody to confirm it", ch->id, ch->what);
    net_change_answer(ch);
}

/* Ends the change when all is known. */
static void look(struct net_change *ch) {
    size_t n_done = 0, n_held = 0;
    struct db *d = api_db(ch->api);
    if (ch->is_undoing)
        return;
    for (size_t i = 0; i < ch->n_hosts; i++) {
        struct awaited *w = &ch->hosts[i];
        const char *text = "";
        struct error *e = NULL;
        /* Other rows may have changed meanwhile, too: what counts is what the host is to have now. */
        if (!w->is_done && !w->is_ignored && !net_change_hash_of_rows(d, &w->host, w->hash, &e))
            error_free(e);
        enum verdict v = w->is_done || w->is_ignored ? APPLIED : look_at_host(d, w, &text);
        if (v == ROLLED_BACK || v == FAILED) {
            fail_and_undo(ch, v == FAILED ? ERR_NETWORK_CHANGE_FAILED : ERR_NETWORK_CHANGE_ROLLED_BACK, &w->host, text);
            return;
        }
        w->is_done = v == APPLIED;
        w->is_held = v == HELD;
        n_done += w->is_done;
        n_held += w->is_held;
    }
    net_change_progress(ch, 0.2 + 0.8 * (double)n_done / (double)(ch->n_hosts ? ch->n_hosts : 1));
    if (n_done == ch->n_hosts) {
        succeed(ch);
        return;
    }
    if (n_held && n_done + n_held == ch->n_hosts)
        hold(ch);
    if (ch->one_by_one)
        give_turn(ch);
}

static void host_changed(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    struct net_change *ch = userdata;
    for (size_t i = 0; i < ch->n_hosts; i++) {
        if (uuid_eq(&ch->hosts[i].host, &r->uuid)) {
            look(ch);
            return;
        }
    }
}

/* Hosts that are away do their part when they are back; the others have the rest of the time. */
static void grace_is_over(struct net_change *ch) {
    for (size_t i = 0; i < ch->n_hosts; i++)
        ch->hosts[i].is_ignored |= !api_host_is_live(ch->api, &ch->hosts[i].host);
    loop_timer_set(ch->deadline, ch->after_grace_ms);
    ch->after_grace_ms = 0;
    look(ch);
}

static void too_late(struct loop_source *s, void *userdata) {
    struct net_change *ch = userdata;
    if (ch->after_grace_ms) {
        grace_is_over(ch);
        return;
    }
    for (size_t i = 0; i < ch->n_hosts; i++) {
        if (!ch->hosts[i].is_done && !ch->hosts[i].is_ignored && !ch->hosts[i].is_gated) {
            ch->hosts[i].is_ignored = true;
            fail_and_undo(ch, ERR_NETWORK_CHANGE_TIMEOUT, &ch->hosts[i].host, NULL);
            return;
        }
    }
    net_change_undo(ch); /* only such whose turn never came */
}

void net_change_wait(struct net_change *ch, uint64_t deadline_ms) {
    struct db *d = api_db(ch->api);
    for (size_t i = 0; i < ch->n_hosts; i++) {
        struct error *e = NULL;
        if (net_change_hash_of_rows(d, &ch->hosts[i].host, ch->hosts[i].hash, &e))
            continue;
        /* The rows contradict themselves, for something else has changed meanwhile: no host would try them. */
        error_free(ch->failure);
        ch->failure = e;
        net_change_undo(ch);
        return;
    }
    ch->watch = db_watch_add(d, CLASS_host, host_changed, ch);
    ch->deadline = loop_add_timer(api_loop(ch->api), deadline_ms, too_late, ch);
    look(ch);
}

static void committed(struct error *error, void *userdata) {
    struct net_change *ch = userdata;
    if (error) {
        ch->failure = error_dup(error);
        ch->is_written = false;
        finish(ch, "failed");
        return;
    }
    uint64_t own_ms = ch->options.seconds ? (uint64_t)ch->options.seconds * 1000 : NET_CHANGE_CHECKPOINT_MS;
    net_change_wait(ch, own_ms + NET_CHANGE_MARGIN_MS);
}

void net_change_write(struct net_change *ch) {
    const struct row *pool = db_pool(api_db(ch->api));
    for (size_t i = 0; i < ch->n_hosts; i++)
        ch->hosts[i].before = outcome_text(api_db(ch->api), &ch->hosts[i].host);
    db_free(TAKE(ch->fork));
    if (!ch->ops.n) { /* all is as it should be */
        committed(NULL, ch);
        return;
    }
    struct db_txn *t = db_txn_new(api_db(ch->api), ch->what);
    net_ops_write(&ch->ops, t);
    if (pool) {
        _cleanup_free_ char *key = strf("%s-%s", NET_CHANGE_JOURNAL_KEY, ch->id);
        db_txn_map_put(t, CLASS_pool, &pool->uuid, FIELD_pool_other_config, key,
                       value_string_take(net_change_journal(ch)));
    }
    ch->is_written = true;
    db_txn_fence(t);
    db_txn_commit(t, COMMIT_MS, committed, ch);
}

/* ---- the word of a person ---- */

static void on_decided(struct net_change *ch, size_t i, struct error *error, const struct value *result) {
    /* What became of it shows in the host's outcome, as always. */
}

static void told(struct net_change *ch) {
    if (ch->watch)
        look(ch);
}

void net_change_decide(struct net_change *ch, bool keep) {
    for (size_t i = 0; i < ch->n_hosts; i++) {
        struct awaited *w = &ch->hosts[i];
        if (!w->is_held)
            continue;
        struct value args = value_map();
        value_map_add(&args, "hash", value_string(w->hash));
        if (!keep)
            value_map_add(&args, "why", value_string("somebody took it back"));
        net_change_ask(ch, &w->host, i, keep ? "net_keep" : "net_revert", args, DECIDE_MS, on_decided);
    }
    net_change_await(ch, told);
}

/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_MODULE "network"
#include "base/log.h"

#include "base/str.h"
#include "classes/net_change.h"

#define HASH_TEXT_SIZE 65
#define COMMIT_MS 15000

enum undo_kind { UNDO_SET, UNDO_DELETE, UNDO_INSERT };

/* How to take back one operation. */
struct undo {
    enum undo_kind kind;
    int class_id;
    struct uuid uuid;
    unsigned field;       /* UNDO_SET */
    struct value value;   /* UNDO_SET */
    struct value *fields; /* UNDO_INSERT: the whole row */
};

/* One host that is waited for. */
struct awaited {
    struct uuid host;
    char hash[HASH_TEXT_SIZE];
    char *before;    /* outcome and intent at the start: an old failure of the same try is not news */
    bool is_ignored; /* offline, or silent for too long: not waited for */
    bool is_done;
};

struct net_changes;

struct net_change {
    struct net_changes *all;
    struct call *c;
    net_change_body_fn *body;
    enum net_change_offline offline;
    bool is_running;
    struct db_txn *txn;
    struct undo *undo;
    size_t n_undo;
    struct awaited *hosts;
    size_t n_hosts;
    struct value result;
    struct error *failure;
    struct db_watch *watch;
    struct loop_source *deadline;
    struct net_change *prev, *next; /* oldest first */
};

struct net_changes { /* of one api */
    struct net_change *first, *last;
    size_t n;
    bool in_pump;
};

/* ---- life ---- */

static void free_change(struct net_change *ch) {
    struct net_changes *all = ch->all;
    if (ch->prev)
        ch->prev->next = ch->next;
    else
        all->first = ch->next;
    if (ch->next)
        ch->next->prev = ch->prev;
    else
        all->last = ch->prev;
    all->n--;
    if (ch->txn)
        db_txn_abandon(ch->txn);
    for (size_t i = 0; i < ch->n_undo; i++) {
        struct undo *u = &ch->undo[i];
        for (unsigned f = 0; u->fields && f < model_classes[u->class_id].n_fields; f++)
            value_done(&u->fields[f]);
        free(u->fields);
        value_done(&u->value);
    }
    free(ch->undo);
    for (size_t i = 0; i < ch->n_hosts; i++)
        free(ch->hosts[i].before);
    free(ch->hosts);
    value_done(&ch->result);
    error_free(ch->failure);
    db_watch_free(ch->watch);
    loop_source_free(ch->deadline);
    free(ch);
}

static void free_changes(void *data) {
    struct net_changes *all = data;
    while (all->first)
        free_change(all->first);
    free(all);
}

static struct net_changes *changes_of(struct api *a) {
    struct net_changes *all = api_class_data(a);
    if (!all) {
        all = xnew0(struct net_changes);
        api_set_class_data(a, all, free_changes);
    }
    return all;
}

/* ---- the queue ---- */

static bool shares_host(const struct net_change *a, const struct net_change *b) {
    for (size_t i = 0; i < a->n_hosts; i++) {
        for (size_t j = 0; j < b->n_hosts; j++) {
            if (uuid_eq(&a->hosts[i].host, &b->hosts[j].host))
                return true;
        }
    }
    return false;
}

/* Nothing older concerns one of its hosts. */
static bool may_run(const struct net_change *ch) {
    for (const struct net_change *older = ch->prev; older; older = older->prev) {
        if (shares_host(ch, older))
            return false;
    }
    return true;
}

static bool check_live(struct net_change *ch) {
    struct api *a = call_api(ch->c);
    for (size_t i = 0; i < ch->n_hosts; i++) {
        struct awaited *w = &ch->hosts[i];
        char ref[REF_TEXT_SIZE];
        if (api_host_is_live(a, &w->host))
            continue;
        if (ch->offline == NET_CHANGE_SKIP_OFFLINE) {
            w->is_ignored = true;
            continue;
        }
        call_fail_code(ch->c, ERR_HOST_OFFLINE, ref_text(&w->host, ref), NULL);
        return false;
    }
    return true;
}

static char *outcome_text(struct db *d, const struct uuid *host) {
    const struct row *r = db_get(d, CLASS_host, host);
    return r ? strf("%s %s", row_str(r, FIELD_host_network_intent), row_str(r, FIELD_host_network_outcome))
             : xstrdup("");
}

static void run_change(struct net_change *ch) {
    ch->is_running = true;
    if (check_live(ch)) {
        for (size_t i = 0; i < ch->n_hosts; i++)
            ch->hosts[i].before = outcome_text(call_db(ch->c), &ch->hosts[i].host);
        ch->txn = db_txn_new(call_db(ch->c), call_def(ch->c)->name);
        struct call *c = call_hold(ch->c);
        bool goes_on = ch->body(c, ch); /* and then ch may be gone */
        call_release(c);
        if (goes_on)
            return;
    }
    free_change(ch);
}

static struct net_change *first_that_may_run(const struct net_changes *all) {
    for (struct net_change *ch = all->first; ch; ch = ch->next) {
        if (!ch->is_running && may_run(ch))
            return ch;
    }
    return NULL;
}

static void pump(struct net_changes *all) {
    if (all->in_pump)
        return; /* the loop below looks again */
    all->in_pump = true;
    for (struct net_change *ch; (ch = first_that_may_run(all));)
        run_change(ch); /* may free it and others */
    all->in_pump = false;
}

void net_change_start(struct call *c, const struct uuid *hosts, size_t n_hosts, enum net_change_offline offline,
                      net_change_body_fn *body) {
    struct net_changes *all = changes_of(call_api(c));
    if (all->n >= NET_CHANGE_MAX_QUEUED) {
        call_fail_code(c, ERR_TOO_BUSY, NULL);
        return;
    }
    struct net_change *ch = xnew0(struct net_change);
    ch->all = all;
    ch->c = call_keep(c);
    ch->body = body;
    ch->offline = offline;
    ch->hosts = xcalloc(n_hosts ? n_hosts : 1, sizeof(*ch->hosts));
    for (size_t i = 0; i < n_hosts; i++)
        ch->hosts[ch->n_hosts++].host = hosts[i];
    ch->prev = all->last;
    if (all->last)
        all->last->next = ch;
    else
        all->first = ch;
    all->last = ch;
    all->n++;
    pump(all);
}

/* ---- row operations ---- */

static struct undo *add_undo(struct net_change *ch, enum undo_kind kind, int class_id, const struct uuid *uuid) {
    ch->undo = xrealloc_array(ch->undo, ch->n_undo + 1, sizeof(*ch->undo));
    ch->undo[ch->n_undo] = (struct undo){.kind = kind, .class_id = class_id, .uuid = *uuid};
    return &ch->undo[ch->n_undo++];
}

void net_change_set(struct net_change *ch, int class_id, const struct uuid *uuid, unsigned field, struct value v) {
    const struct row *r = db_get(call_db(ch->c), class_id, uuid);
    if (r && value_equal(row_value(r, field), &v)) {
        value_done(&v);
        return;
    }
    if (r) {
        struct undo *u = add_undo(ch, UNDO_SET, class_id, uuid);
        u->field = field;
        u->value = value_copy(row_value(r, field));
    }
    db_txn_set(ch->txn, class_id, uuid, field, v);
}

struct uuid net_change_insert(struct net_change *ch, int class_id) {
    struct uuid u = db_txn_insert(ch->txn, class_id, /* uuid= */ NULL);
    add_undo(ch, UNDO_DELETE, class_id, &u);
    return u;
}

void net_change_set_new(struct net_change *ch, int class_id, const struct uuid *uuid, unsigned field, struct value v) {
    db_txn_set(ch->txn, class_id, uuid, field, v);
}

void net_change_delete(struct net_change *ch, const struct row *r) {
    const struct class_def *class = r->class;
    struct undo *u = add_undo(ch, UNDO_INSERT, class->id, &r->uuid);
    u->fields = xcalloc(class->n_fields, sizeof(*u->fields));
    for (unsigned i = 0; i < class->n_fields; i++)
        u->fields[i] = value_copy(row_value(r, i));
    db_txn_delete(ch->txn, class->id, &r->uuid);
}

/* ---- ending ---- */

static void end(struct net_change *ch) {
    struct net_changes *all = ch->all;
    struct call *c = ch->c;
    struct error *failure = TAKE(ch->failure);
    struct value result = value_take(&ch->result);
    free_change(ch);
    if (failure) {
        value_done(&result);
        call_fail(c, failure);
    } else {
        call_return(c, result);
    }
    pump(all);
}

/* The rows are as they were; so are the hosts in a moment, and only then may the next change come. */
static void look_whether_back(struct net_change *ch) {
    struct db *d = call_db(ch->c);
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
    end(ch);
}

static void host_may_be_back(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    look_whether_back(userdata);
}

static void not_back_in_time(struct loop_source *s, void *userdata) {
    end(userdata);
}

static void undone(struct error *error, void *userdata) {
    struct net_change *ch = userdata;
    if (!error) {
        ch->watch = db_watch_add(call_db(ch->c), CLASS_host, host_may_be_back, ch);
        ch->deadline = loop_add_timer(api_loop(call_api(ch->c)), NET_CHANGE_BACK_MS, not_back_in_time, ch);
        look_whether_back(ch);
        return;
    }
    struct error *copy = error_dup(error);
    log_err("the rows of a refused network change (%s) could not be put back: %s", call_def(ch->c)->name,
            error_text(copy));
    error_free(copy);
    end(ch);
}

/* The rows go back in the opposite order. */
static void undo(struct net_change *ch) {
    db_watch_free(TAKE(ch->watch));
    loop_source_free(TAKE(ch->deadline));
    struct db_txn *t = db_txn_new(call_db(ch->c), "undo a network change");
    for (size_t i = ch->n_undo; i-- > 0;) {
        struct undo *u = &ch->undo[i];
        const struct class_def *class = &model_classes[u->class_id];
        switch (u->kind) {
        case UNDO_SET:
            db_txn_set(t, u->class_id, &u->uuid, u->field, value_take(&u->value));
            break;
        case UNDO_DELETE:
            db_txn_delete(t, u->class_id, &u->uuid);
            break;
        case UNDO_INSERT:
            db_txn_insert(t, u->class_id, &u->uuid);
            for (unsigned f = 0; f < class->n_fields; f++) {
                if (class->fields[f].store == STORE_DB)
                    db_txn_set(t, u->class_id, &u->uuid, f, value_take(&u->fields[f]));
            }
            break;
        }
    }
    if (db_txn_is_empty(t)) {
        db_txn_abandon(t);
        end(ch);
        return;
    }
    db_txn_fence(t);
    db_txn_commit(t, COMMIT_MS, undone, ch);
}

static void fail_and_undo(struct net_change *ch, const char *code, const struct uuid *host, const char *text) {
    char ref[REF_TEXT_SIZE];
    error_set(&ch->failure, code, ref_text(host, ref), text, NULL);
    undo(ch);
}

/* ---- waiting ---- */

enum verdict { WAIT, APPLIED, ROLLED_BACK, FAILED };

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
    enum verdict bad = str_eq(outcome, "rolled_back") ? ROLLED_BACK : str_eq(outcome, "failed") ? FAILED : WAIT;
    _cleanup_free_ char *now = outcome_text(d, &w->host);
    return str_eq(now, w->before) ? WAIT : bad;
}

/* Ends the change when all is known. */
static void look(struct net_change *ch) {
    size_t n_done = 0;
    for (size_t i = 0; i < ch->n_hosts; i++) {
        struct awaited *w = &ch->hosts[i];
        const char *text = "";
        struct error *e = NULL;
        /* Other rows may have changed meanwhile, too: what counts is what the host is to have now. */
        if (!w->is_done && !w->is_ignored && !net_change_hash_of_rows(call_db(ch->c), &w->host, w->hash, &e))
            error_free(e);
        enum verdict v = w->is_done || w->is_ignored ? APPLIED : look_at_host(call_db(ch->c), w, &text);
        if (v == ROLLED_BACK || v == FAILED) {
            fail_and_undo(ch, v == FAILED ? ERR_NETWORK_CHANGE_FAILED : ERR_NETWORK_CHANGE_ROLLED_BACK, &w->host, text);
            return;
        }
        w->is_done = v == APPLIED;
        n_done += w->is_done;
    }
    call_set_progress(ch->c, 0.2 + 0.8 * (double)n_done / (double)(ch->n_hosts ? ch->n_hosts : 1));
    if (n_done == ch->n_hosts)
        end(ch);
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

static void too_late(struct loop_source *s, void *userdata) {
    struct net_change *ch = userdata;
    for (size_t i = 0; i < ch->n_hosts; i++) {
        if (!ch->hosts[i].is_done) {
            ch->hosts[i].is_ignored = true;
            fail_and_undo(ch, ERR_NETWORK_CHANGE_TIMEOUT, &ch->hosts[i].host, NULL);
            return;
        }
    }
}

static void committed(struct error *error, void *userdata) {
    struct net_change *ch = userdata;
    if (error) {
        ch->failure = error_dup(error);
        end(ch);
        return;
    }
    for (size_t i = 0; i < ch->n_hosts; i++) {
        struct error *e = NULL;
        if (net_change_hash_of_rows(call_db(ch->c), &ch->hosts[i].host, ch->hosts[i].hash, &e))
            continue;
        /* The rows contradict themselves: no host would try them. */
        ch->failure = e;
        undo(ch);
        return;
    }
    ch->watch = db_watch_add(call_db(ch->c), CLASS_host, host_changed, ch);
    ch->deadline = loop_add_timer(api_loop(call_api(ch->c)), NET_CHANGE_DEADLINE_MS, too_late, ch);
    look(ch);
}

void net_change_commit(struct net_change *ch, struct value result) {
    struct db_txn *t = TAKE(ch->txn);
    ch->result = result;
    if (db_txn_is_empty(t)) { /* all is as it should be */
        db_txn_abandon(t);
        committed(NULL, ch);
        return;
    }
    db_txn_fence(t);
    db_txn_commit(t, COMMIT_MS, committed, ch);
}

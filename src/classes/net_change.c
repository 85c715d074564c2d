/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/net_change_private.h"

#include <stdio.h>

#include "api/session.h"
#include "base/str.h"

/* ---- life ---- */

struct net_change *net_change_new(struct net_changes *all) {
    struct net_change *ch = xnew0(struct net_change);
    *ch = (struct net_change){.all = all, .api = all->api, .prev = all->last, .tables = value_map()};
    snprintf(ch->id, sizeof(ch->id), "%06llx", (unsigned long long)(loop_random(api_loop(all->api)) & 0xffffff));
    ch->since = loop_wall_ms(api_loop(all->api)) / 1000;
    if (all->last)
        all->last->next = ch;
    else
        all->first = ch;
    all->last = ch;
    all->n++;
    return ch;
}

static void free_change(struct net_changes *all, struct net_change *ch) {
    struct net_change **at = &all->first;
    while (*at != ch)
        at = &(*at)->next;
    *at = ch->next;
    if (ch->next)
        ch->next->prev = ch->prev;
    else
        all->last = ch->prev;
    all->n--;
    net_ops_done(&ch->ops);
    db_free(ch->fork);
    for (size_t i = 0; i < ch->n_hosts; i++) {
        free(ch->hosts[i].before);
        free(ch->hosts[i].config);
        value_done(&ch->hosts[i].plan);
    }
    free(ch->hosts);
    for (size_t i = 0; i < ch->n_measuring; i++)
        value_done(&ch->measuring[i].paths);
    free(ch->measuring);
    value_done(&ch->tables);
    value_done(&ch->options.probes);
    value_done(&ch->result);
    error_free(ch->failure);
    db_watch_free(ch->watch);
    loop_source_free(ch->deadline);
    loop_source_free(ch->renewal);
    free(ch->what);
    free(ch->who);
    free(ch->diff);
    free(ch->faults);
    free(ch);
}

static void free_changes(void *data) {
    struct net_changes *all = data;
    while (all->first)
        free_change(all, all->first);
    db_watch_free(all->watch);
    free(all);
}

struct net_changes *net_changes_of(struct api *a) {
    struct net_changes *all = api_class_data(a, API_DATA_NETWORK);
    if (!all) {
        all = xnew0(struct net_changes);
        all->api = a;
        api_set_class_data(a, API_DATA_NETWORK, all, free_changes);
    }
    return all;
}

struct net_change *net_change_find(struct net_changes *all, const char *id) {
    for (struct net_change *ch = all->first; ch; ch = ch->next)
        if (str_eq(ch->id, id))
            return ch;
    return NULL;
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
    for (size_t i = 0; i < ch->n_hosts; i++) {
        struct awaited *w = &ch->hosts[i];
        char ref[REF_TEXT_SIZE];
        if (api_host_is_live(ch->api, &w->host))
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

/* The body has answered the call, or it never ran: nothing is left to be said. */
static void drop(struct net_changes *all, struct net_change *ch) {
    struct call *c = ch->c;
    free_change(all, ch);
    call_release(c);
}

static void run_change(struct net_changes *all, struct net_change *ch) {
    ch->is_running = true;
    if (check_live(ch) && ch->body(ch->c, ch)) /* and then ch may be gone */
        return;
    drop(all, ch);
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
        run_change(all, ch); /* may free it and others */
    all->in_pump = false;
}

/* Who asks, as the history names them. */
static char *caller_text(struct call *c) {
    const struct session *s = call_session(c);
    if (!s)
        return xstrdup("");
    return str_empty(s->originator) ? xstrdup(str_or_empty(s->user))
                                    : strf("%s (%s)", str_or_empty(s->user), s->originator);
}

void net_change_start(struct call *c, const struct uuid *hosts, size_t n_hosts, enum net_change_offline offline,
                      net_change_body_fn *body) {
    struct net_changes *all = net_changes_of(call_api(c));
    if (all->n >= NET_CHANGE_MAX_QUEUED) {
        call_fail_code(c, ERR_TOO_BUSY, NULL);
        return;
    }
    struct net_change *ch = net_change_new(all);
    ch->c = call_hold(call_keep(c));
    ch->outer = TAKE(all->starting);
    if (ch->outer) {
        ch->options = ch->outer->options;
        ch->options.probes = value_copy(&ch->outer->options.probes);
    }
    ch->what = xstrdup(call_def(c)->name);
    ch->who = caller_text(ch->outer ? ch->outer->c : c);
    ch->body = body;
    ch->offline = offline;
    ch->hosts = xcalloc(n_hosts ? n_hosts : 1, sizeof(*ch->hosts));
    for (size_t i = 0; i < n_hosts; i++)
        ch->hosts[ch->n_hosts++].host = hosts[i];
    pump(all);
}

/* ---- row operations ---- */

void net_change_set(struct net_change *ch, int class_id, const struct uuid *uuid, unsigned field, struct value v) {
    const struct row *r = db_get(api_db(ch->api), class_id, uuid);
    if (r)
        net_ops_set(&ch->ops, r, field, v);
    else
        value_done(&v);
}

struct uuid net_change_insert(struct net_change *ch, int class_id) {
    struct uuid u = uuid_random();
    net_ops_insert(&ch->ops, class_id, &u);
    return u;
}

void net_change_set_new(struct net_change *ch, int class_id, const struct uuid *uuid, unsigned field, struct value v) {
    net_ops_set_new(&ch->ops, class_id, uuid, field, v);
}

void net_change_delete(struct net_change *ch, const struct row *r) {
    net_ops_delete(&ch->ops, r);
}

void net_change_take_ops(struct net_change *ch, struct net_ops *ops) {
    net_ops_done(&ch->ops);
    ch->ops = *ops;
    *ops = (struct net_ops){0};
}

void net_change_all_at_once(struct net_change *ch) {
    ch->all_at_once = true;
}

void net_change_commit(struct net_change *ch, struct value result) {
    ch->result = result;
    ch->diff = net_ops_text(&ch->ops, api_db(ch->api));
    net_change_report(ch, "changes", ch->diff);
    net_change_try(ch);
}

/* ---- ending ---- */

void net_change_progress(struct net_change *ch, double fraction) {
    if (ch->c && !ch->is_answered)
        call_set_progress(ch->c, fraction);
    if (ch->outer)
        call_set_progress(ch->outer->c, fraction);
}

void net_change_report(struct net_change *ch, const char *key, const char *text) {
    if (ch->outer)
        value_map_put(&ch->outer->report, key, value_string(text));
}

void net_change_answer(struct net_change *ch) {
    struct error *failure = TAKE(ch->failure);
    struct value result = value_take(&ch->result);
    if (!ch->c || ch->is_answered) {
        error_free(failure);
        value_done(&result);
        return;
    }
    ch->is_answered = true;
    ch->outer = NULL; /* ends with the call */
    if (failure) {
        value_done(&result);
        call_fail(ch->c, failure);
    } else {
        call_return(ch->c, result);
    }
}

void net_change_end(struct net_change *ch) {
    struct net_changes *all = ch->all;
    struct call *c = ch->c;
    net_change_answer(ch);
    free_change(all, ch);
    if (c)
        call_release(c);
    pump(all);
}

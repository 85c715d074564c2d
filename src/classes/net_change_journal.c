/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is written down of a change: in the rows while it is under way, so that a later coordinator can end it, and in
 * the history when it is over.
 */
#define LOG_MODULE "network"
#include "base/log.h"

#include "base/str.h"
#include "classes/net_change_private.h"
#include "wire/value_json.h"

#define RESUME_MS 30000
#define GRACE_MS 5000 /* until it is known who is live, and who is not */
#define MAX_JOURNAL_SIZE (1024 * 1024)

char *net_change_journal(const struct net_change *ch) {
    _cleanup_value_ struct value v = value_map();
    struct value hosts = value_set();
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < ch->n_hosts; i++) {
        char uuid[UUID_TEXT_SIZE];
        value_set_add(&hosts, value_string(uuid_text(&ch->hosts[i].host, uuid)));
    }
    value_map_add(&v, "what", value_string(ch->what));
    value_map_add(&v, "who", value_string(str_or_empty(ch->who)));
    value_map_add(&v, "diff", value_string(str_or_empty(ch->diff)));
    value_map_add(&v, "since", value_int(ch->since));
    value_map_add(&v, "hosts", hosts);
    value_map_add(&v, "ops", value_string_take(net_ops_to_json(&ch->ops)));
    value_json_emit(&b, &v);
    return buf_take(&b);
}

void net_change_note(struct net_change *ch, const char *outcome) {
    const struct api_hooks *h = api_hooks(ch->api);
    if (!h->network_note || ch->options.dry_run)
        return;
    struct value v = value_map();
    struct buf hosts = BUF_INIT;
    char time[TIME_TEXT_SIZE];
    for (size_t i = 0; i < ch->n_hosts; i++) {
        const struct row *r = db_get(api_db(ch->api), CLASS_host, &ch->hosts[i].host);
        buf_addf(&hosts, "%s%s", i ? "," : "", r ? row_str(r, FIELD_host_name_label) : "?");
    }
    value_map_add(&v, "id", value_string(ch->id));
    value_map_add(&v, "time", value_string(time_text(ch->since, time)));
    value_map_add(&v, "who", value_string(str_or_empty(ch->who)));
    value_map_add(&v, "what", value_string(ch->what));
    value_map_add(&v, "hosts", value_string_take(buf_take(&hosts)));
    value_map_add(&v, "diff", value_string(str_or_empty(ch->diff)));
    value_map_add(&v, "outcome", value_string(outcome));
    value_map_add(&v, "reason", value_string(ch->failure ? error_text(ch->failure) : ""));
    value_map_add(&v, "faults", value_string(str_or_empty(ch->faults)));
    if (str_eq(outcome, "applied")) /* only what is there can be undone */
        value_map_add(&v, "ops", value_string_take(net_ops_to_json(&ch->ops)));
    h->network_note(h->userdata, v);
}

/* ---- changes that a coordinator left behind ---- */

static bool read_journal(struct net_change *ch, const char *text) {
    _cleanup_value_ struct value v = {.type = VALUE_VOID};
    _cleanup_error_ struct error *e = NULL;
    size_t size = strlen(text);
    if (size > MAX_JOURNAL_SIZE || !value_json_parse(text, size, 8, 100000, &v, &e) || v.type != VALUE_MAP)
        return false;
    const struct value *hosts = value_map_get(&v, "hosts"), *since = value_map_get(&v, "since");
    const char *ops = value_map_str(&v, "ops");
    if (!hosts || hosts->type != VALUE_SET || !ops || !net_ops_from_json(ops, &ch->ops, &e))
        return false;
    ch->hosts = xcalloc(hosts->set.n + 1, sizeof(*ch->hosts));
    for (size_t i = 0; i < hosts->set.n; i++) {
        struct awaited *w = &ch->hosts[ch->n_hosts];
        if (uuid_parse(value_str(&hosts->set.items[i]), &w->host) && db_get(api_db(ch->api), CLASS_host, &w->host)) {
            w->is_concerned = true;
            ch->n_hosts++;
        }
    }
    ch->what = xstrdup(str_or_empty(value_map_str(&v, "what")));
    ch->who = xstrdup(str_or_empty(value_map_str(&v, "who")));
    ch->diff = xstrdup(str_or_empty(value_map_str(&v, "diff")));
    ch->since = since ? value_as_int(since) : 0;
    return true;
}

static void drop_damaged(struct api *a, const char *key) {
    const struct row *pool = db_pool(api_db(a));
    struct db_txn *t = db_txn_new(api_db(a), "a network change that cannot be read");
    db_txn_map_remove(t, CLASS_pool, &pool->uuid, FIELD_pool_other_config, key);
    db_txn_fence(t);
    db_txn_commit(t, COMMIT_MS, NULL, NULL);
}

static void resume(struct net_changes *all, const char *key, const char *id, const char *text) {
    struct net_change *ch = net_change_new(all);
    (void)str_copy(ch->id, sizeof(ch->id), id);
    (void)str_copy(all->resumed, sizeof(all->resumed), id);
    ch->is_running = true;
    ch->is_written = true;
    if (!read_journal(ch, text)) {
        log_err("network change %s, which a coordinator left behind, cannot be read; what hosts have is kept", id);
        ch->is_written = false;
        net_change_end(ch);
        drop_damaged(all->api, key);
        return;
    }
    log_notice("network change %s (%s) was left behind by a coordinator; it is kept if all hosts have it within %d "
               "seconds, and taken back otherwise",
               id, ch->what, RESUME_MS / 1000);
    net_change_keep_lifted(ch);
    /* This coordinator may have heard of nobody yet: a host counts as away when it is not heard in time. */
    ch->after_grace_ms = RESUME_MS - GRACE_MS;
    net_change_wait(ch, GRACE_MS);
}

static void on_batch(struct db *d, uint64_t generation, void *userdata) {
    struct net_changes *all = userdata;
    const struct row *pool = db_pool(d);
    if (!pool || !api_is_coordinator(all->api) || !db_get_status(d).in_step)
        return; /* rows of the past may name a change that has ended */
    const struct value *config = row_value(pool, FIELD_pool_other_config);
    for (size_t i = 0; i < config->map.n; i++) {
        const char *key = config->map.pairs[i].key;
        if (!str_starts(key, NET_CHANGE_JOURNAL_KEY "-"))
            continue;
        const char *id = key + strlen(NET_CHANGE_JOURNAL_KEY "-");
        if (strlen(id) >= NET_CHANGE_ID_SIZE || strspn(id, "0123456789abcdef") != strlen(id))
            continue; /* network-change-timeout and its like */
        if (net_change_find(all, id) || str_eq(all->resumed, id))
            continue;
        resume(all, key, id, value_str(&config->map.pairs[i].value));
        return; /* the rows may be others now; the next batch is not far */
    }
}

void net_change_watch(struct api *a) {
    struct net_changes *all = net_changes_of(a);
    all->watch = db_watch_batches(api_db(a), on_batch, all);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's half of a join that is only looked at. */
#include "base/str.h"
#include "classes/net_ops.h"
#include "daemon/join_plan.h"
#include "daemon/probing_ahead.h"
#include "net/net_wanted.h"
#include "wire/value_json.h"

#define MEASURE_MS 6000
#define ANSWER_MS 3000
#define LEASE_MS 12000
#define MAX_TABLE_SIZE (1024 * 1024)
#define MAX_TABLE_VALUES 65536

struct look {
    struct daemon *d;
    struct uuid joiner;
    struct db *fork; /* NULL: it is a member, or its rows make no sense */
    struct value answer, tables;
    unsigned n_open;
    api_query_done_fn *done;
    void *data;
};

struct asked { /* one host of the pool */
    struct look *l;
    struct uuid host;
};

static bool is_live(const struct uuid *host, void *userdata) {
    struct look *l = userdata;
    return uuid_eq(host, &l->joiner) || uuid_eq(host, &l->d->self) || pool_host_is_live(l->d->pool, host);
}

static void end(struct look *l) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_value_ struct value result = value_map();
    value_json_emit(&text, &l->answer);
    value_map_add(&result, "json", value_string(buf_str(&text)));
    l->done(NULL, &result, l->data);
    value_done(&l->answer);
    value_done(&l->tables);
    db_free(l->fork);
    free(l);
}

/* ---- what was measured ---- */

static void judge(struct look *l) {
    size_t n = 0;
    for (size_t i = 0; i < l->tables.map.n; i++)
        n += l->tables.map.pairs[i].value.map.n;
    value_map_put(&l->answer, "faults", probing_verdict(l->fork, l->d->db, &l->tables, is_live, l));
    value_map_put(&l->answer, "measured", value_int((int64_t)n));
    end(l);
}

static void part_done(struct look *l) {
    if (--l->n_open == 0)
        judge(l);
}

static void on_measured(const struct value *result, const struct error *error, void *userdata) {
    struct asked *a = userdata;
    char uuid[UUID_TEXT_SIZE];
    if (!error && result->type == VALUE_MAP) /* one that does not answer leaves its half unmeasured */
        value_map_put(&a->l->tables, uuid_text(&a->host, uuid), value_copy(result));
    part_done(a->l);
    free(a);
}

static void ask_to_measure(struct look *l, const struct uuid *host) {
    struct value paths = probing_paths(l->fork, l->d->db, host, is_live, l), args = value_map();
    char uuid[UUID_TEXT_SIZE];
    if (paths.type != VALUE_MAP) {
        value_done(&args);
        return;
    }
    struct asked *a = xnew0(struct asked);
    *a = (struct asked){.l = l, .host = *host};
    value_map_add(&args, "id", value_stringf("join-%s", uuid_text(&l->joiner, uuid)));
    value_map_add(&args, "paths", paths);
    value_map_add(&args, "deadline_ms", value_int(MEASURE_MS));
    value_map_add(&args, "lease_ms", value_int(LEASE_MS));
    l->n_open++;
    pool_channel_call(pool_get_channel(l->d->pool), host, "net_prove", args, MEASURE_MS + ANSWER_MS, on_measured, a);
}

/* The joining host has measured its half, and goes on answering while the pool's hosts measure theirs. */
static void measure(struct look *l, const char *table) {
    _cleanup_value_ struct value own = {.type = VALUE_VOID};
    _cleanup_error_ struct error *e = NULL;
    char uuid[UUID_TEXT_SIZE];
    if (strlen(table) > MAX_TABLE_SIZE || !value_json_parse(table, strlen(table), 4, MAX_TABLE_VALUES, &own, &e) ||
        own.type != VALUE_MAP) {
        end(l);
        return;
    }
    for (size_t i = 0; i < own.map.n; i++)
        if (own.map.pairs[i].value.type != VALUE_STRING) {
            end(l);
            return;
        }
    value_map_put(&l->tables, uuid_text(&l->joiner, uuid), value_take(&own));
    l->n_open = 1; /* this function itself */
    for (const struct row *h = db_first(l->d->db, CLASS_host); h; h = db_next(l->d->db, h))
        if (is_live(&h->uuid, l))
            ask_to_measure(l, &h->uuid);
    part_done(l);
}

/* ---- the rows as they would be ---- */

static void add_problem(struct look *l, struct error *e /* taken */) {
    struct value problems = value_take((struct value *)value_map_get(&l->answer, "problems"));
    value_set_add(&problems, value_string_take(rows_join_sentence(e)));
    value_map_put(&l->answer, "problems", problems);
    error_free(e);
}

static bool make_fork(struct look *l, struct db_txn *rows) {
    struct error *e = NULL;
    struct db *fork = net_ops_fork(l->d->db, NULL);
    db_fork_txn(fork, rows);
    _cleanup_net_config_ struct net_config *c = net_wanted(fork, &l->joiner, &e);
    if (!c) {
        add_problem(l, e);
        db_free(fork);
        return false;
    }
    l->fork = fork;
    value_map_put(&l->answer, "config", value_string_take(net_config_to_json(c)));
    return true;
}

void join_plan_look(struct daemon *d, const struct value *request, api_query_done_fn *done, void *data) {
    struct pool_joiner_view view;
    _cleanup_error_ struct error *e = NULL;
    const struct row *pool = db_pool(d->db);
    const char *table = str_or_empty(value_map_str(request, "table"));
    if (!pool || !pool_view_joiner(d->pool, request, &view, &e)) {
        if (!e)
            error_set(&e, ERR_HOST_STILL_BOOTING, NULL);
        done(e, NULL, data);
        return;
    }
    struct look *l = xnew0(struct look);
    *l = (struct look){
        .d = d, .joiner = view.host, .answer = value_map(), .tables = value_map(), .done = done, .data = data};
    value_map_add(&l->answer, "pool", value_string(row_str(pool, FIELD_pool_name_label)));
    value_map_add(&l->answer, "problems", view.problems);
    bool made = view.rows && make_fork(l, view.rows);
    if (view.rows)
        db_txn_abandon(view.rows);
    if (!made) {
        end(l);
        return;
    }
    struct value paths = probing_paths(l->fork, d->db, &l->joiner, is_live, l);
    if (paths.type == VALUE_MAP)
        value_map_add(&l->answer, "paths", paths);
    if (*table && paths.type == VALUE_MAP)
        measure(l, table);
    else
        end(l);
}

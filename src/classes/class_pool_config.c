/* SPDX-License-Identifier: Apache-2.0 */
/* Class pool: its network as one file, compared with rows and hosts, and applied. */
#include "base/str.h"
#include "classes/class_calls.h"
#include "classes/net_change_private.h"
#include "classes/net_file_rows.h"
#include "gen_handlers.h"
#include "net/net_wanted.h"

#define ASK_MS 10000

void pool_network_config_export(struct call *c) {
    const struct row *pool = db_pool(call_db(c));
    _cleanup_net_file_ struct net_file f = net_file_of_rows(call_db(c));
    _cleanup_free_ char *comment = strf("The network of pool '%s'.\n"
                                        "Edit it, look with 'xe network-config-diff file=', make it so with 'xe "
                                        "network-config-apply file='.",
                                        pool ? row_str(pool, FIELD_pool_name_label) : "");
    call_return(c, value_string_take(net_file_text(&f, comment)));
}

/* ---- compared ---- */

struct comparison {
    struct call *c;
    unsigned n_open;
    struct value parts; /* host uuid to what differs there */
    char *file;         /* what the file would change; "" */
};

struct question {
    struct comparison *x;
    struct uuid host;
};

static void close_one(struct comparison *x) {
    struct db *d = call_db(x->c);
    struct buf b = BUF_INIT;
    if (--x->n_open)
        return;
    if (*x->file)
        buf_addf(&b, "the file, against what the pool wants:\n%s", x->file);
    for (const struct row *h = db_first(d, CLASS_host); h; h = db_next(d, h)) {
        char uuid[UUID_TEXT_SIZE];
        const char *text = value_map_str(&x->parts, uuid_text(&h->uuid, uuid));
        if (text)
            buf_addf(&b, "host '%s', against what the pool wants: %s\n", row_str(h, FIELD_host_name_label), text);
    }
    struct call *c = x->c;
    value_done(&x->parts);
    free(x->file);
    free(x);
    call_return(c, value_string_take(buf_take(&b)));
}

static void add_part(struct comparison *x, const struct uuid *host, char *text /* taken */) {
    char uuid[UUID_TEXT_SIZE];
    value_map_put(&x->parts, uuid_text(host, uuid), value_string_take(text));
}

/* The host's own planner: no steps, no difference. */
static void on_planned(struct error *error, const struct value *result, void *data) {
    struct question *q = data;
    const struct value *steps = result && result->type == VALUE_MAP ? value_map_get(result, "steps") : NULL;
    if (error) {
        struct error *copy = error_dup(error);
        add_part(q->x, &q->host, strf("it cannot be asked: %s", error_text(copy)));
        error_free(copy);
    } else if (steps && value_as_int(steps)) {
        const char *diff = str_or_empty(value_map_str(result, "diff"));
        add_part(q->x, &q->host, strf("\n%s%s", diff, str_or_empty(value_map_str(result, "plan"))));
    }
    close_one(q->x);
    free(q);
}

static void ask_host(struct comparison *x, const struct row *host) {
    const struct api_hooks *h = api_hooks(call_api(x->c));
    struct error *e = NULL;
    const char *outcome = row_str(host, FIELD_host_network_outcome);
    _cleanup_net_config_ struct net_config *wanted = net_wanted(call_db(x->c), &host->uuid, &e);
    if (!wanted) {
        add_part(x, &host->uuid, xstrdup(error_text(e)));
        error_free(e);
        return;
    }
    if (!api_host_is_live(call_api(x->c), &host->uuid)) {
        add_part(x, &host->uuid, xstrdup("it is not live"));
        return;
    }
    if (str_eq(outcome, "failed") || str_eq(outcome, "rolled_back"))
        add_part(x, &host->uuid, strf("%s: %s", outcome, row_str(host, FIELD_host_network_text)));
    if (!h->network_ask)
        return;
    struct question *q = xnew0(struct question);
    *q = (struct question){x, host->uuid};
    struct value args = value_map();
    value_map_add(&args, "config", value_string_take(net_config_to_json(wanted)));
    x->n_open++;
    h->network_ask(h->userdata, &host->uuid, "net_plan", args, ASK_MS, on_planned, q);
}

void pool_network_config_diff(struct call *c) {
    struct db *d = call_db(c);
    struct error *e = NULL;
    struct net_ops ops = {0};
    _cleanup_net_file_ struct net_file now = net_file_of_rows(d), file = {0};
    char *text = xstrdup("");
    if (*call_arg_str(c, 0)) {
        if (!net_file_parse(call_arg_str(c, 0), &file, &e) || !net_file_to_ops(&file, d, &ops, &e)) {
            free(text);
            call_fail(c, e);
            return;
        }
        free(text);
        text = net_file_diff(&now, &file);
        net_ops_done(&ops);
    }
    struct comparison *x = xnew0(struct comparison);
    *x = (struct comparison){.c = call_keep(c), .n_open = 1, .parts = value_map(), .file = text};
    for (const struct row *h = db_first(d, CLASS_host); h; h = db_next(d, h))
        ask_host(x, h);
    close_one(x);
}

/* ---- applied ---- */

static bool make_ops(struct call *c, struct net_ops *ret) {
    struct error *e = NULL;
    _cleanup_net_file_ struct net_file file = {0};
    if (net_file_parse(call_arg_str(c, 0), &file, &e) && net_file_to_ops(&file, call_db(c), ret, &e))
        return true;
    call_fail(c, e);
    return false;
}

static bool apply(struct call *c, struct net_change *ch) {
    struct net_ops ops = {0};
    if (!make_ops(c, &ops)) /* anew: time may have passed */
        return false;
    net_change_take_ops(ch, &ops);
    net_change_commit(ch, (struct value){.type = VALUE_VOID});
    return true;
}

void pool_network_config_apply(struct call *c) {
    struct net_ops ops = {0};
    size_t n;
    if (!make_ops(c, &ops))
        return;
    _cleanup_free_ struct uuid *hosts = net_ops_hosts(&ops, call_db(c), &n);
    net_ops_done(&ops);
    net_change_start(c, hosts, n, NET_CHANGE_SKIP_OFFLINE, apply);
}

void pool_set_https_only(struct call *c) {
    if (!call_arg_row(c, 0))
        return;
    struct db *d = call_db(c);
    struct db_txn *t = db_txn_new(d, "pool.set_https_only");
    for (const struct row *h = db_first(d, CLASS_host); h; h = db_next(d, h))
        db_txn_set(t, CLASS_host, &h->uuid, FIELD_host_plain_http, value_bool(!call_arg_bool(c, 1)));
    call_commit(c, t, NULL, NULL);
}

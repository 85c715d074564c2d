/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Class host: repairs of its network. A repair is a deviation in the host's own row, laid over what the pool wants; it
 * is made, made permanent and taken back as any network change, with proof and checkpoint.
 */
#include "base/str.h"
#include "classes/net_change_private.h"
#include "classes/net_file_host.h"
#include "classes/net_file_rows.h"
#include "gen_handlers.h"
#include "model/model_keys.h"
#include "net/net_repair.h"
#include "net/net_wanted.h"

#define ASK_MS 10000

static const char *row_text(const struct row *host) {
    return str_or_empty(value_map_str(row_value(host, FIELD_host_other_config), NET_REPAIR_ROW_KEY));
}

/* The error of a pure part as one of the API's; always false. */
static bool refuse(struct call *c, struct error *e) {
    call_fail_code(c, ERR_OPERATION_NOT_ALLOWED, error_n_params(e) ? error_param(e, 0) : error_text(e), NULL);
    error_free(e);
    return false;
}

static void set_row(struct net_change *ch, const struct row *host, char *text /* taken; NULL: none */) {
    struct value map = value_copy(row_value(host, FIELD_host_other_config));
    if (text)
        value_map_put(&map, NET_REPAIR_ROW_KEY, value_string_take(text));
    else
        value_map_remove(&map, NET_REPAIR_ROW_KEY);
    net_change_set(ch, CLASS_host, &host->uuid, FIELD_host_other_config, map);
}

/* ---- making one ---- */

static bool fail_value(struct error **errp, const char *key, const char *wants) {
    error_set(errp, ERR_INVALID_VALUE, key, wants, NULL);
    return false;
}

static bool read_one(struct net_repair *r, const char *key, const char *text, struct error **errp) {
    int64_t mtu;
    if (str_eq(key, "set_mtu")) {
        if (!str_parse_int(text, NET_MTU_MIN, NET_MTU_MAX, &mtu))
            return fail_value(errp, key, "an MTU is a number from 576 to 65535");
        r->mtu = (int)mtu;
        return true;
    }
    if (str_eq(key, "drop_leg")) {
        _cleanup_strv_ struct strv legs = {0};
        strv_split(&legs, text, ',');
        for (size_t i = 0; i < legs.n; i++)
            if (r->n_drops == NET_MAX_NICS || !net_name_set(r->drops[r->n_drops++], legs.items[i]))
                return fail_value(errp, key, "a leg is named as its NIC, such as eth1");
        return true;
    }
    if (str_eq(key, "management_on"))
        return net_name_set(r->management_on, text) || fail_value(errp, key, "a NIC is named such as eth0");
    if (str_eq(key, "whole")) {
        struct net_repair whole;
        if (!net_repair_from_json(text, strlen(text), &whole, errp))
            return false;
        r->whole = TAKE(whole.whole);
        net_repair_done(&whole);
        return true;
    }
    return fail_value(errp, key, "there are set_mtu, drop_leg, management_on and whole");
}

static bool read_what(struct call *c, struct net_repair *r) {
    const struct value *what = call_arg(c, 1);
    struct error *e = NULL;
    for (size_t i = 0; i < what->map.n; i++)
        if (!read_one(r, what->map.pairs[i].key, value_str(&what->map.pairs[i].value), &e)) {
            call_fail(c, e);
            return false;
        }
    if (!net_repair_is_empty(r))
        return true;
    call_fail_code(c, ERR_INVALID_VALUE, "what", "name what is to be repaired: set_mtu, drop_leg or management_on",
                   NULL);
    return false;
}

/* On top of the repair that the host keeps already. */
static void merge(const struct row *host, const char *by, int64_t now, const struct net_repair *more,
                  struct net_repair *ret) {
    struct error *ignored = NULL;
    const char *text = row_text(host);
    char id[UUID_TEXT_SIZE];
    struct uuid u = uuid_random();
    if (*text && !net_repair_from_json(text, strlen(text), ret, &ignored))
        error_free(ignored);
    net_repair_add(ret, more);
    ret->state = NET_REPAIR_RECORDED;
    ret->since = now;
    (void)str_copy(ret->id, sizeof(ret->id), uuid_text(&u, id));
    (void)str_copy(ret->by, sizeof(ret->by), by);
}

static bool repair(struct call *c, struct net_change *ch) {
    const struct row *host = call_arg_row(c, 0);
    _cleanup_net_repair_ struct net_repair more = {0}, all = {0};
    struct error *e = NULL;
    if (!host || !read_what(c, &more))
        return false;
    _cleanup_net_config_ struct net_config *now = net_wanted(call_db(c), &host->uuid, &e);
    if (!now || !net_repair_apply(&more, now, &e)) /* says at once what is wrong with it */
        return refuse(c, e);
    merge(host, str_empty(ch->who) ? "the pool" : ch->who, ch->since, &more, &all);
    set_row(ch, host, net_repair_to_json(&all));
    net_change_commit(ch, (struct value){.type = VALUE_VOID});
    return true;
}

static void start(struct call *c, net_change_body_fn *body) {
    const struct row *host = call_arg_row(c, 0);
    if (host)
        net_change_start(c, &host->uuid, 1, NET_CHANGE_ALL_LIVE, body);
}

void host_network_repair(struct call *c) {
    start(c, repair);
}

/* ---- ending one ---- */

/* The host's row with the repair; NULL with the call failed. */
static const struct row *repaired_host(struct call *c) {
    const struct row *host = call_arg_row(c, 0);
    if (!host || *row_text(host))
        return host;
    call_fail_code(c, ERR_OPERATION_NOT_ALLOWED,
                   "the pool knows of no repair of this host's network; its faults and 'xe network-config-diff' say "
                   "what differs",
                   NULL);
    return NULL;
}

static bool withdraw(struct call *c, struct net_change *ch) {
    const struct row *host = repaired_host(c);
    if (!host)
        return false;
    set_row(ch, host, NULL);
    net_change_commit(ch, (struct value){.type = VALUE_VOID});
    return true;
}

void host_network_repair_withdraw(struct call *c) {
    start(c, withdraw);
}

/* What the rows say without the repair. */
static struct net_config *wanted_without(struct db *d, const struct row *host, struct error **errp) {
    struct net_ops ops = {0};
    struct value map = value_copy(row_value(host, FIELD_host_other_config));
    value_map_remove(&map, NET_REPAIR_ROW_KEY);
    net_ops_set(&ops, host, FIELD_host_other_config, map);
    struct db *fork = net_ops_fork(d, &ops);
    struct net_config *c = net_wanted(fork, &host->uuid, errp);
    db_free(fork);
    net_ops_done(&ops);
    return c;
}

static bool same(const struct net_config *a, const struct net_config *b) {
    char x[NET_HASH_TEXT_SIZE], y[NET_HASH_TEXT_SIZE];
    net_config_hash(a, x);
    net_config_hash(b, y);
    return str_eq(x, y);
}

/* After these the rows alone say what the host has. */
static bool make_own(struct db *d, const struct row *host, struct net_ops *ret, struct error **errp) {
    _cleanup_net_config_ struct net_config *is = net_wanted(d, &host->uuid, errp);
    _cleanup_net_config_ struct net_config *wanted = is ? wanted_without(d, host, errp) : NULL;
    _cleanup_net_file_ struct net_file file = net_file_of_rows(d);
    if (!wanted || !net_file_set_host(&file, d, host, wanted, is, errp) || !net_file_to_ops(&file, d, ret, errp))
        return false;
    struct value map = value_copy(row_value(host, FIELD_host_other_config));
    value_map_remove(&map, NET_REPAIR_ROW_KEY);
    net_ops_set(ret, host, FIELD_host_other_config, map);
    struct db *fork = net_ops_fork(d, ret);
    _cleanup_net_config_ struct net_config *then = net_wanted(fork, &host->uuid, errp);
    db_free(fork);
    if (!then)
        return false;
    if (same(is, then))
        return true;
    _cleanup_free_ char *diff = net_config_diff_text(is, then);
    error_setf(errp, ERR_OPERATION_NOT_ALLOWED,
               "the pool's rows cannot say all of what the host has, so it would change: %s; make the change that is "
               "meant with 'xe network-config-apply', then take the repair back with 'xe host-network-repair-withdraw'",
               diff);
    return false;
}

static bool keep(struct call *c, struct net_change *ch) {
    const struct row *host = repaired_host(c);
    struct net_ops ops = {0};
    struct error *e = NULL;
    if (!host)
        return false;
    if (!make_own(call_db(c), host, &ops, &e)) {
        net_ops_done(&ops);
        if (error_is(e, ERR_NET_CONFIG_INVALID))
            return refuse(c, e);
        call_fail(c, e);
        return false;
    }
    net_change_take_ops(ch, &ops);
    net_change_commit(ch, (struct value){.type = VALUE_VOID});
    return true;
}

void host_network_repair_keep(struct call *c) {
    start(c, keep);
}

/* ---- what it had before ---- */

static void on_before(struct error *error, const struct value *result, void *data) {
    struct call *c = data;
    if (error)
        call_fail(c, error_dup(error));
    else
        call_return(c, value_copy(result));
}

void host_get_network_before(struct call *c) {
    const struct row *host = call_arg_row(c, 0);
    const struct api_hooks *h = api_hooks(call_api(c));
    char ref[REF_TEXT_SIZE];
    if (!host)
        return;
    if (!api_host_is_live(call_api(c), &host->uuid))
        call_fail_code(c, ERR_HOST_OFFLINE, ref_text(&host->uuid, ref), NULL);
    else if (h->network_ask)
        h->network_ask(h->userdata, &host->uuid, "net_before", value_map(), ASK_MS, on_before, call_keep(c));
    else
        api_fail_unavailable(c, call_def(c)->name);
}

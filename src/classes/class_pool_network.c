/* SPDX-License-Identifier: Apache-2.0 */
/* Class pool: network changes with options, a person's word about them, their history, and taking them back. */
#include "base/str.h"
#include "classes/net_change_private.h"
#include "gen_handlers.h"
#include "net/net_types.h"
#include "api/session.h"
#include "wire/value_json.h"

#define MAX_ARGS_SIZE (256 * 1024)
#define MAX_PROBES 8

/* ---- a change with options ---- */

static bool changes_networks(const char *name) {
    static const char *const calls[] = {"network.set_MTU",
                                        "Bond.create",
                                        "Bond.destroy",
                                        "Bond.set_mode",
                                        "Bond.set_property",
                                        "VLAN.create",
                                        "VLAN.destroy",
                                        "pool.create_VLAN",
                                        "pool.create_VLAN_from_PIF",
                                        "PIF.reconfigure_ip",
                                        "PIF.reconfigure_ipv6",
                                        "PIF.plug",
                                        "PIF.unplug",
                                        "PIF.introduce",
                                        "PIF.forget",
                                        "host.management_reconfigure",
                                        "host.network_repair",
                                        "host.network_repair_keep",
                                        "host.network_repair_withdraw",
                                        "pool.management_reconfigure",
                                        "pool.network_config_apply",
                                        "pool.network_change_undo"};
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        if (str_eq(calls[i], name))
            return true;
    return false;
}

static bool read_flag(const char *text, bool *ret) {
    *ret = str_eq(text, "true");
    return *ret || str_eq(text, "false");
}

static bool read_probes(const char *text, struct value *ret, struct error **errp) {
    _cleanup_strv_ struct strv list = {0};
    _cleanup_value_ struct value probes = value_set();
    strv_split(&list, text, ',');
    for (size_t i = 0; i < list.n; i++) {
        struct net_addr a;
        if (!*list.items[i])
            continue;
        if (i >= MAX_PROBES || strchr(list.items[i], '/') || !net_addr_parse(list.items[i], &a)) {
            error_set(errp, ERR_INVALID_VALUE, "probes", "up to eight IP addresses with commas", NULL);
            return false;
        }
        value_set_add(&probes, value_string(list.items[i]));
    }
    *ret = value_take(&probes);
    return true;
}

static bool read_options(const struct value *map, struct net_options *o, struct error **errp) {
    for (size_t i = 0; i < map->map.n; i++) {
        const char *key = map->map.pairs[i].key, *text = value_str(&map->map.pairs[i].value);
        bool ok = str_eq(key, "dry_run")   ? read_flag(text, &o->dry_run)
                  : str_eq(key, "prove")   ? read_flag(text, &o->prove)
                  : str_eq(key, "force")   ? read_flag(text, &o->force)
                  : str_eq(key, "person")  ? read_flag(text, &o->person)
                  : str_eq(key, "timeout") ? str_parse_int(text, 10, 3600, &o->seconds)
                                           : str_eq(key, "probes");
        if (ok && str_eq(key, "probes")) {
            value_done(&o->probes);
            if (!read_probes(text, &o->probes, errp))
                return false;
        }
        if (!ok) {
            error_set(errp, ERR_INVALID_VALUE, key, str_eq(key, "timeout") ? "a timeout is 10 to 3600 seconds" : text,
                      NULL);
            return false;
        }
    }
    return true;
}

/* The inner call has its answer: so has the outer one. */
static void on_inner(const struct reply *r, void *userdata) {
    struct net_outer *o = userdata;
    if (r->error) {
        call_fail(o->c, error_dup(r->error));
    } else {
        struct buf text = BUF_INIT;
        struct value report = value_take(&o->report);
        if (r->value && r->value->type != VALUE_VOID)
            value_json_emit(&text, r->value);
        value_map_put(&report, "result", value_string_take(buf_take(&text)));
        call_return(o->c, report);
    }
    value_done(&o->report);
    value_done(&o->options.probes);
    free(o);
}

void pool_network_change(struct call *c) {
    struct net_changes *all = net_changes_of(call_api(c));
    const char *name = call_arg_str(c, 0), *text = call_arg_str(c, 1);
    struct net_options options = {0};
    struct value args = {.type = VALUE_VOID};
    struct error *e = NULL;
    bool ok = read_options(call_arg(c, 2), &options, &e);
    if (ok && !changes_networks(name)) {
        error_set(&e, ERR_INVALID_VALUE, "call", "a call that changes networks, as network.set_MTU", NULL);
        ok = false;
    }
    ok = ok && value_json_parse(text, MIN(strlen(text), (size_t)MAX_ARGS_SIZE), 16, 100000, &args, &e);
    if (ok && args.type != VALUE_SET) {
        error_set(&e, ERR_INVALID_VALUE, "args", "a JSON list of the call's parameters", NULL);
        ok = false;
    }
    if (!ok) {
        value_done(&options.probes);
        value_done(&args);
        call_fail(c, e);
        return;
    }
    struct value params = value_set();
    value_set_add(&params, value_ref(&call_session(c)->uuid));
    for (size_t i = 0; i < args.set.n; i++)
        value_set_add(&params, value_take(&args.set.items[i]));
    value_done(&args);
    struct net_outer *o = xnew0(struct net_outer);
    *o = (struct net_outer){.c = call_keep(c), .options = options, .report = value_map()};
    struct api_request rq = {.method = name, .params = params, .caller = *call_caller(c), .is_inner = true};
    all->starting = o;
    api_dispatch(call_api(c), &rq, on_inner, o);
    all->starting = NULL; /* refused before it came to a change */
}

/* ---- a person's word ---- */

static bool is_held(const struct net_change *ch) {
    for (size_t i = 0; i < ch->n_hosts; i++)
        if (ch->hosts[i].is_held)
            return !ch->is_over && !ch->is_undoing;
    return false;
}

static void decide(struct call *c, bool keep) {
    struct net_changes *all = net_changes_of(call_api(c));
    const char *id = call_arg_str(c, 0);
    struct net_change *found = NULL;
    unsigned n = 0;
    for (struct net_change *ch = all->first; ch; ch = ch->next)
        if (is_held(ch) && (!*id || str_eq(ch->id, id))) {
            found = ch;
            n++;
        }
    if (n != 1 || found->decision) {
        call_fail_code(
            c, ERR_OPERATION_NOT_ALLOWED,
            n > 1 ? "several network changes wait for a confirmation; name one: xe network-change-confirm id="
                  : "no such network change waits for a confirmation; what became of it: xe network-change-list",
            NULL);
        return;
    }
    found->decision = call_keep(c);
    found->decision_keeps = keep;
    net_change_decide(found, keep);
}

void pool_network_change_confirm(struct call *c) {
    decide(c, true);
}

void pool_network_change_revert(struct call *c) {
    decide(c, false);
}

/* ---- the history ---- */

void pool_get_network_changes(struct call *c) {
    struct net_changes *all = net_changes_of(call_api(c));
    const struct api_hooks *h = api_hooks(call_api(c));
    struct value list = h->network_history ? h->network_history(h->userdata) : value_set();
    for (size_t i = 0; i < list.set.n; i++)
        value_map_remove(&list.set.items[i], "ops");
    for (struct net_change *ch = all->first; ch; ch = ch->next) {
        if (!ch->is_written || ch->is_over)
            continue;
        struct value v = value_map();
        char time[TIME_TEXT_SIZE];
        value_map_add(&v, "id", value_string(ch->id));
        value_map_add(&v, "time", value_string(time_text(ch->since, time)));
        value_map_add(&v, "who", value_string(str_or_empty(ch->who)));
        value_map_add(&v, "what", value_string(ch->what));
        value_map_add(&v, "diff", value_string(str_or_empty(ch->diff)));
        value_map_add(&v, "outcome", value_string(is_held(ch) ? "held" : ch->is_undoing ? "going back" : "under way"));
        value_set_add(&list, v);
    }
    call_return(c, list);
}

/* What a past change did, as a list that may be turned round; false with *errp. */
static bool find_past(struct call *c, struct net_ops *ret, struct error **errp) {
    const struct api_hooks *h = api_hooks(call_api(c));
    _cleanup_value_ struct value list = h->network_history ? h->network_history(h->userdata) : value_set();
    for (size_t i = list.set.n; i-- > 0;) {
        const struct value *v = &list.set.items[i];
        if (!str_eq(str_or_empty(value_map_str(v, "id")), call_arg_str(c, 0)))
            continue;
        const char *ops = value_map_str(v, "ops");
        if (ops)
            return net_ops_from_json(ops, ret, errp);
        error_set(errp, ERR_OPERATION_NOT_ALLOWED, "that change was not kept, so there is nothing to undo", NULL);
        return false;
    }
    error_set(errp, ERR_INVALID_VALUE, "id", "no past change has this id; see xe network-change-list", NULL);
    return false;
}

static bool undo(struct call *c, struct net_change *ch) {
    struct net_ops past = {0};
    struct error *e = NULL;
    if (!find_past(c, &past, &e) || !net_ops_still_hold(&past, call_db(c), &e)) {
        net_ops_done(&past);
        call_fail(c, e);
        return false;
    }
    struct net_ops back = net_ops_inverse(&past);
    net_ops_done(&past);
    net_change_take_ops(ch, &back);
    net_change_commit(ch, (struct value){.type = VALUE_VOID});
    return true;
}

/* The hosts that it concerns: any whose configuration it changes. */
void pool_network_change_undo(struct call *c) {
    struct net_ops past = {0};
    struct error *e = NULL;
    if (!find_past(c, &past, &e)) {
        call_fail(c, e);
        return;
    }
    struct net_ops back = net_ops_inverse(&past);
    size_t n;
    _cleanup_free_ struct uuid *hosts = net_ops_hosts(&back, call_db(c), &n);
    net_ops_done(&past);
    net_ops_done(&back);
    net_change_start(c, hosts, n, NET_CHANGE_SKIP_OFFLINE, undo);
}

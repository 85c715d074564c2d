/* SPDX-License-Identifier: Apache-2.0 */
/* Class host: power, maintenance, management interface, and the facts that are not fields. */
#include "api/api.h"
#include "base/str.h"
#include "classes/class_calls.h"
#include "classes/net_change.h"
#include "classes/net_rows.h"
#include "gen_handlers.h"
#include "model/model_keys.h"
#include "net/net_wanted.h"

/* ---- maintenance and power ---- */

/* The host that argument 0 names, heard from lately; NULL with the call failed. */
static const struct row *live_host(struct call *c) {
    const struct row *h = call_arg_row(c, 0);
    char ref[REF_TEXT_SIZE];
    if (!h || api_host_is_live(call_api(c), &h->uuid))
        return h;
    call_fail_code(c, ERR_HOST_OFFLINE, ref_text(&h->uuid, ref), NULL);
    return NULL;
}

static void set_enabled(struct call *c, const struct row *h, bool enabled) {
    struct db_txn *t = db_txn_new(call_db(c), call_def(c)->name);
    if (row_bool(h, FIELD_host_enabled) != enabled)
        db_txn_set(t, CLASS_host, &h->uuid, FIELD_host_enabled, value_bool(enabled));
    call_commit(c, t, NULL, NULL);
}

void host_enable(struct call *c) {
    const struct row *h = live_host(c);
    if (h)
        set_enabled(c, h, true);
}

void host_disable(struct call *c) {
    const struct row *h = call_arg_row(c, 0);
    if (h)
        set_enabled(c, h, false);
}

/* The blockers among the verdicts, one after the other; NULL without any. */
static char *blockers_of(const struct value *verdicts) {
    _cleanup_strv_ struct strv lines = {0};
    for (size_t i = 0; i < verdicts->set.n; i++) {
        const struct value *v = &verdicts->set.items[i];
        if (str_eq(str_or_empty(value_map_str(v, "severity")), "blocker"))
            strv_take(&lines, strf("%s: %s; cure: %s", str_or_empty(value_map_str(v, "code")),
                                   str_or_empty(value_map_str(v, "text")), str_or_empty(value_map_str(v, "cure"))));
    }
    return lines.n ? strv_join(&lines, " | ") : NULL;
}

static enum api_host_op power_op(struct call *c) {
    return str_ends(call_def(c)->name, "reboot") ? API_HOST_REBOOT : API_HOST_SHUTDOWN;
}

static void on_rehearsed(struct error *error, const struct value *verdicts, void *data) {
    struct call *c = data;
    char ref[REF_TEXT_SIZE];
    const struct row *h = call_arg_row(c, 0);
    if (!h)
        return;
    _cleanup_free_ char *reason =
        error ? strf("the rehearsal has not answered: %s", error_text(error)) : blockers_of(verdicts);
    if (reason)
        call_fail_code(c, ERR_HOST_REBOOT_REHEARSAL_FAILED, ref_text(&h->uuid, ref), reason, NULL);
    else
        class_host_op(c, power_op(c), &h->uuid, /* args= */ NULL);
}

static void power(struct call *c) {
    const struct row *h = live_host(c);
    const struct api_hooks *hooks = api_hooks(call_api(c));
    if (!h)
        return;
    if (row_bool(h, FIELD_host_enabled))
        call_fail_code(c, ERR_HOST_NOT_DISABLED, NULL);
    else if (!call_arg_bool(c, 1) && !class_check_no_guests(c, h))
        return; /* they would end; by force they do */
    else if (call_arg_bool(c, 1) || !hooks->host_query)
        class_host_op(c, power_op(c), &h->uuid, /* args= */ NULL);
    else
        hooks->host_query(hooks->userdata, API_QUERY_REHEARSAL, &h->uuid, on_rehearsed, call_keep(c));
}

void host_reboot(struct call *c) {
    power(c);
}

void host_shutdown(struct call *c) {
    power(c);
}

void host_restart_agent(struct call *c) {
    const struct row *h = live_host(c);
    if (h)
        class_host_op(c, API_HOST_RESTART_AGENT, &h->uuid, /* args= */ NULL);
}

void host_set_https_only(struct call *c) {
    const struct row *h = call_arg_row(c, 0);
    if (!h)
        return;
    struct db_txn *t = db_txn_new(call_db(c), "host.set_https_only");
    db_txn_set(t, CLASS_host, &h->uuid, FIELD_host_plain_http, value_bool(!call_arg_bool(c, 1)));
    call_commit(c, t, NULL, NULL);
}

void host_set_hostname_live(struct call *c) {
    const struct row *h = live_host(c);
    const char *name = call_arg_str(c, 1);
    if (!h)
        return;
    /* RFC 1123: letters, digits, hyphens and dots, at most 64 as the kernel has it. */
    if (!*name || strlen(name) > 64 ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") != strlen(name)) {
        call_fail_code(c, ERR_HOST_NAME_INVALID, "a host name has letters, digits, hyphens and dots", NULL);
        return;
    }
    _cleanup_value_ struct value args = value_map();
    value_map_add(&args, "hostname", value_string(name));
    class_host_op(c, API_HOST_SET_HOSTNAME, &h->uuid, &args);
}

/* ---- facts ---- */

static void query_done(struct error *error, const struct value *result, void *data) {
    struct call *c = data;
    if (error)
        call_fail(c, error_dup(error));
    else
        call_return(c, value_copy(result));
}

static void query(struct call *c, enum api_host_query what) {
    const struct row *h = live_host(c);
    const struct api_hooks *hooks = api_hooks(call_api(c));
    if (!h)
        return;
    if (hooks->host_query)
        hooks->host_query(hooks->userdata, what, &h->uuid, query_done, call_keep(c));
    else
        api_fail_unavailable(c, call_def(c)->name);
}

static bool is_own(struct call *c) {
    return uuid_eq(call_arg_ref(c, 0), api_own_host(call_api(c)));
}

void host_get_servertime(struct call *c) {
    if (is_own(c))
        call_return(c, value_time(loop_wall_ms(api_loop(call_api(c))) / 1000));
    else
        query(c, API_QUERY_TIME);
}

void host_get_server_localtime(struct call *c) {
    query(c, API_QUERY_LOCAL_TIME);
}

void host_get_log(struct call *c) {
    query(c, API_QUERY_LOG);
}

void host_check_reboot(struct call *c) {
    query(c, call_arg_bool(c, 1) ? API_QUERY_REHEARSAL_REPAIR : API_QUERY_REHEARSAL);
}

void host_refresh_server_certificate(struct call *c) {
    const struct row *h = live_host(c);
    if (h)
        class_host_op(c, API_HOST_RENEW_CERTIFICATE, &h->uuid, /* args= */ NULL);
}

void host_install_server_certificate(struct call *c) {
    const struct row *h = live_host(c);
    static const char *const names[] = {"certificate", "key", "chain"};
    if (!h)
        return;
    struct value args = value_map();
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        value_map_add(&args, names[i], value_string(call_arg_str(c, 1 + i)));
    class_host_op(c, API_HOST_INSTALL_CERTIFICATE, &h->uuid, &args);
    for (size_t i = 0; i < args.map.n; i++)
        explicit_bzero(args.map.pairs[i].value.string, strlen(args.map.pairs[i].value.string));
    value_done(&args);
}

void host_reset_server_certificate(struct call *c) {
    const struct row *h = live_host(c);
    if (h)
        class_host_op(c, API_HOST_RESET_CERTIFICATE, &h->uuid, /* args= */ NULL);
}

void host_emergency_reset_server_certificate(struct call *c) {
    class_host_op(c, API_HOST_RESET_CERTIFICATE, api_own_host(call_api(c)), /* args= */ NULL);
}

void host_get_server_certificate(struct call *c) {
    const struct row *h = call_arg_row(c, 0);
    char ref[REF_TEXT_SIZE];
    if (!h)
        return;
    if (*row_str(h, FIELD_host_shown_certificate))
        call_return_str(c, row_str(h, FIELD_host_shown_certificate));
    else if (*row_str(h, FIELD_host_certificate))
        call_return_str(c, row_str(h, FIELD_host_certificate));
    else
        call_fail_code(c, ERR_HOST_OFFLINE, ref_text(&h->uuid, ref), NULL);
}

void host_is_in_emergency_mode(struct call *c) {
    struct error *reason = NULL;
    const struct api_hooks *h = api_hooks(call_api(c));
    bool is_emergency = h->emergency_reason && h->emergency_reason(h->userdata, &reason);
    error_free(reason);
    call_return(c, value_bool(is_emergency));
}

/* ---- management ---- */

void host_get_management_interface(struct call *c) {
    const struct row *h = call_arg_row(c, 0);
    const struct row *pif = h ? net_rows_management_pif(call_db(c), &h->uuid) : NULL;
    if (pif)
        call_return_ref(c, &pif->uuid);
    else if (h)
        call_fail_code(c, ERR_HOST_HAS_NO_MANAGEMENT_IP, NULL);
}

bool class_check_management(struct db *d, const struct row *pif, const struct row *old, struct error **errp) {
    bool is_ipv6 = str_eq(row_str(pif, FIELD_PIF_primary_address_type), "IPv6");
    unsigned mode = is_ipv6 ? FIELD_PIF_ipv6_configuration_mode : FIELD_PIF_ip_configuration_mode;
    if (net_rows_is_bond_member(d, pif))
        return net_fail_row(errp, ERR_CANNOT_PLUG_BOND_SLAVE, pif);
    if (!row_bool(pif, FIELD_PIF_managed))
        return net_fail_row(errp, ERR_PIF_UNMANAGED, pif);
    if (old && !str_eq(row_str(old, FIELD_PIF_primary_address_type), row_str(pif, FIELD_PIF_primary_address_type)))
        return net_fail_row(errp, ERR_PIF_INCOMPATIBLE_PRIMARY_ADDRESS_TYPE, pif);
    if (str_eq(row_str(pif, mode), "None"))
        return net_fail_row(
            errp, is_ipv6 ? ERR_PIF_HAS_NO_V6_NETWORK_CONFIGURATION : ERR_PIF_HAS_NO_NETWORK_CONFIGURATION, pif);
    return true;
}

void class_move_management(struct net_change *ch, const struct row *old, const struct row *pif) {
    if (old)
        net_change_set(ch, CLASS_PIF, &old->uuid, FIELD_PIF_management, value_bool(false));
    net_change_set(ch, CLASS_PIF, &pif->uuid, FIELD_PIF_management, value_bool(true));
}

static bool management_reconfigure(struct call *c, struct net_change *ch) {
    const struct row *pif = call_arg_row(c, 0);
    struct error *e = NULL;
    if (!pif)
        return false;
    const struct row *old = net_rows_management_pif(call_db(c), row_ref(pif, FIELD_PIF_host));
    if (old != pif) {
        if (!class_check_management(call_db(c), pif, old, &e)) {
            call_fail(c, e);
            return false;
        }
        class_move_management(ch, old, pif);
    }
    net_change_commit(ch, (struct value){.type = VALUE_VOID});
    return true;
}

void host_management_reconfigure(struct call *c) {
    const struct row *pif = call_arg_row(c, 0);
    if (pif)
        net_change_start(c, row_ref(pif, FIELD_PIF_host), 1, NET_CHANGE_ALL_LIVE, management_reconfigure);
}

void host_local_management_reconfigure(struct call *c) {
    struct error *reason = NULL;
    const struct api_hooks *h = api_hooks(call_api(c));
    bool is_emergency = h->emergency_reason && h->emergency_reason(h->userdata, &reason);
    error_free(reason);
    if (!is_emergency) {
        call_fail_code(c, ERR_POOL_NOT_IN_EMERGENCY_MODE, NULL);
        return;
    }
    _cleanup_value_ struct value args = value_map();
    value_map_add(&args, "interface", value_copy(call_arg(c, 0)));
    class_host_op(c, API_HOST_MANAGEMENT_RECONFIGURE, api_own_host(call_api(c)), &args);
}

/* ---- removing ---- */

/* Deletes all rows of a class whose reference field names the host. */
static void delete_rows_of(struct db_txn *t, struct db *d, int class_id, unsigned host_field, const struct uuid *host) {
    for (const struct row *r = db_first(d, class_id); r; r = db_next(d, r)) {
        if (uuid_eq(row_ref(r, host_field), host))
            db_txn_delete(t, class_id, &r->uuid);
    }
}

/* The network of a host: its interfaces and what links them. The networks stay: they are the pool's. */
static void delete_networking(struct db_txn *t, struct db *d, const struct uuid *host) {
    for (const struct row *b = db_first(d, CLASS_Bond); b; b = db_next(d, b)) {
        const struct row *pif = db_follow(d, b, FIELD_Bond_master);
        if (pif && uuid_eq(row_ref(pif, FIELD_PIF_host), host))
            db_txn_delete(t, CLASS_Bond, &b->uuid);
    }
    for (const struct row *v = db_first(d, CLASS_VLAN); v; v = db_next(d, v)) {
        const struct row *pif = db_follow(d, v, FIELD_VLAN_tagged_PIF);
        if (pif && uuid_eq(row_ref(pif, FIELD_PIF_host), host))
            db_txn_delete(t, CLASS_VLAN, &v->uuid);
    }
    for (const struct row *n = db_first(d, CLASS_tunnel); n; n = db_next(d, n)) {
        const struct row *pif = db_follow(d, n, FIELD_tunnel_transport_PIF);
        if (pif && uuid_eq(row_ref(pif, FIELD_PIF_host), host))
            db_txn_delete(t, CLASS_tunnel, &n->uuid);
    }
    delete_rows_of(t, d, CLASS_PIF, FIELD_PIF_host, host);
}

const struct row *class_dead_host(struct call *c) {
    const struct row *h = call_arg_row(c, 0);
    char ref[REF_TEXT_SIZE];
    if (!h)
        return NULL;
    if (uuid_eq(&h->uuid, api_own_host(call_api(c)))) {
        call_fail_code(c, ERR_HOST_CANNOT_DESTROY_SELF, ref_text(&h->uuid, ref), NULL);
        return NULL;
    }
    if (!api_host_is_live(call_api(c), &h->uuid))
        return h;
    call_fail_code(c, ERR_HOST_IS_LIVE, ref_text(&h->uuid, ref), NULL);
    return NULL;
}

void host_forget(struct call *c) {
    const struct row *h = class_dead_host(c);
    const struct api_hooks *hooks = api_hooks(call_api(c));
    if (!h || !class_check_no_guests(c, h))
        return;
    /* Membership has more to undo than rows: the host's certificate and its place among the database servers. */
    if (hooks->pool_forget) {
        hooks->pool_forget(hooks->userdata, &h->uuid, class_op_done, call_keep(c));
        return;
    }
    api_fail_unavailable(c, call_def(c)->name);
}

void host_destroy(struct call *c) {
    host_forget(c);
}

void host_reset_networking(struct call *c) {
    const struct row *h = call_arg_row(c, 0);
    if (!h)
        return;
    struct db_txn *t = db_txn_new(call_db(c), "host.reset_networking");
    delete_networking(t, call_db(c), &h->uuid);
    /* A repair was of what goes now. */
    if (value_map_str(row_value(h, FIELD_host_other_config), NET_REPAIR_ROW_KEY))
        db_txn_map_remove(t, CLASS_host, &h->uuid, FIELD_host_other_config, NET_REPAIR_ROW_KEY);
    call_commit(c, t, NULL, NULL);
}

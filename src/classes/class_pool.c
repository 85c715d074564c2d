/* SPDX-License-Identifier: Apache-2.0 */
/* Class pool: membership and coordination, through the hooks, and the management network of all hosts at once. */
#include "api/api.h"
#include "base/str.h"
#include "classes/class_calls.h"
#include "classes/net_change.h"
#include "classes/net_rows.h"
#include "gen_handlers.h"

/* ---- joining and leaving ---- */

/* The records of this host's VMs and storage do not come along. */
static bool has_nothing_to_lose(struct db *d, bool force, struct error **errp) {
    size_t n_vms = 0, n_srs = db_count(d, CLASS_SR);
    for (const struct row *vm = db_first(d, CLASS_VM); vm; vm = db_next(d, vm)) {
        const char *state = row_str(vm, FIELD_VM_power_state);
        if (row_bool(vm, FIELD_VM_is_control_domain) || row_bool(vm, FIELD_VM_is_default_template))
            continue;
        if (str_eq(state, "Suspended") || str_eq(state, "Running") || str_eq(state, "Paused")) {
            error_set(errp,
                      str_eq(state, "Suspended") ? ERR_JOINING_HOST_CANNOT_HAVE_RUNNING_OR_SUSPENDED_VMS
                                                 : ERR_JOINING_HOST_CANNOT_HAVE_RUNNING_VMS,
                      NULL);
            return false;
        }
        n_vms++;
    }
    if (force || n_vms + n_srs == 0)
        return true;
    error_setf(errp, ERR_OPERATION_NOT_ALLOWED,
               "the records of %zu virtual machines and %zu storage repositories of this host would be lost "
               "(files stay): remove or forget them first, or force the join",
               n_vms, n_srs);
    return false;
}

/* VLANs beside that of management are not known to the pool: their networks would be gone without a word. */
static bool has_no_other_vlans(struct db *d, bool force, struct error **errp) {
    for (const struct row *v = db_first(d, CLASS_VLAN); v && !force; v = db_next(d, v)) {
        const struct row *pif = db_follow(d, v, FIELD_VLAN_untagged_PIF);
        if (!pif || row_bool(pif, FIELD_PIF_management))
            continue;
        error_set(errp, ERR_POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS, NULL);
        return false;
    }
    return true;
}

static bool (*const own_checks[])(struct db *d, bool force, struct error **errp) = {has_nothing_to_lose,
                                                                                    has_no_other_vlans};

/* Storage of a host that leaves, with disks in it that no other host reaches; NULL: none. */
static const struct row *lonely_storage(struct db *d, const struct row *host) {
    for (const struct row *pbd = db_first(d, CLASS_PBD); pbd; pbd = db_next(d, pbd)) {
        const struct row *sr = db_follow(d, pbd, FIELD_PBD_SR);
        if (sr && uuid_eq(row_ref(pbd, FIELD_PBD_host), &host->uuid) && row_value(sr, FIELD_SR_PBDs)->set.n == 1 &&
            row_value(sr, FIELD_SR_VDIs)->set.n)
            return sr;
    }
    return NULL;
}

static void join(struct call *c, bool force) {
    const struct api_hooks *h = api_hooks(call_api(c));
    struct db *d = call_db(c);
    if (!h->pool_join) {
        api_fail_unavailable(c, call_def(c)->name);
        return;
    }
    if (db_count(d, CLASS_host) > 1) {
        call_fail_code(c, ERR_JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS, NULL);
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(own_checks); i++) {
        struct error *e = NULL;
        if (own_checks[i](d, force, &e))
            continue;
        call_fail(c, e);
        return;
    }
    struct api_join_args args = {
        .address = call_arg_str(c, 0),
        .user = call_arg_str(c, 1),
        .password = call_arg_str(c, 2),
        .fingerprint = call_n_args(c) > 3 ? call_arg_str(c, 3) : "",
        .force = force,
    };
    h->pool_join(h->userdata, &args, class_op_done, call_keep(c));
}

void pool_join(struct call *c) {
    join(c, false);
}

void pool_join_force(struct call *c) {
    join(c, true);
}

/* What this host has against it by itself goes before what the pool has. */
static void on_join_planned(struct error *error, const struct value *result, void *data) {
    struct call *c = data;
    if (error) {
        call_fail(c, error_dup(error));
        return;
    }
    _cleanup_buf_ struct buf refused = BUF_INIT;
    struct value report = value_copy(result);
    for (unsigned i = 0; i < ARRAY_SIZE(own_checks); i++) {
        _cleanup_error_ struct error *e = NULL;
        if (own_checks[i](call_db(c), value_as_bool(call_arg(c, 5)), &e))
            continue;
        const struct error_def *def = model_error_by_code(error_code(e));
        buf_addf(&refused, "%s: %s%s%s\n", error_code(e), def ? def->text : "", error_n_params(e) ? " " : "",
                 error_param(e, 0));
    }
    buf_add_str(&refused, str_or_empty(value_map_str(result, "refused")));
    value_map_put(&report, "refused", value_string(buf_str(&refused)));
    call_return(c, report);
}

void pool_join_plan(struct call *c) {
    const struct api_hooks *h = api_hooks(call_api(c));
    if (!h->pool_join_plan) {
        api_fail_unavailable(c, call_def(c)->name);
        return;
    }
    if (db_count(call_db(c), CLASS_host) > 1) {
        call_fail_code(c, ERR_JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS, NULL);
        return;
    }
    struct api_join_args args = {.address = call_arg_str(c, 0),
                                 .user = call_arg_str(c, 1),
                                 .password = call_arg_str(c, 2),
                                 .fingerprint = call_arg_str(c, 3),
                                 .prove = value_as_bool(call_arg(c, 4)),
                                 .force = value_as_bool(call_arg(c, 5))};
    h->pool_join_plan(h->userdata, &args, on_join_planned, call_keep(c));
}

void pool_eject(struct call *c) {
    const struct row *host = call_arg_row(c, 0);
    const struct api_hooks *h = api_hooks(call_api(c));
    if (!host)
        return;
    if (uuid_eq(&host->uuid, api_own_host(call_api(c))))
        call_fail_code(c, ERR_OPERATION_NOT_ALLOWED,
                       "the coordinator cannot be ejected; make another host the coordinator first: "
                       "xe pool-designate-new-master host-uuid=...",
                       NULL);
    else if (!class_check_no_guests(c, host))
        return;
    else if (lonely_storage(call_db(c), host)) {
        _cleanup_free_ char *why =
            strf("disks in '%s' are on this host alone: copy or delete them, or forget the storage (xe sr-forget)",
                 row_str(lonely_storage(call_db(c), host), FIELD_SR_name_label));
        call_fail_code(c, ERR_OPERATION_NOT_ALLOWED, why, NULL);
    } else if (!h->pool_eject)
        api_fail_unavailable(c, call_def(c)->name);
    else
        h->pool_eject(h->userdata, &host->uuid, class_op_done, call_keep(c));
}

/* ---- the coordinator ---- */

void pool_designate_new_master(struct call *c) {
    const struct row *host = call_arg_row(c, 0);
    const struct api_hooks *h = api_hooks(call_api(c));
    char ref[REF_TEXT_SIZE];
    if (!host)
        return;
    if (uuid_eq(&host->uuid, api_own_host(call_api(c))))
        call_return_void(c); /* it is */
    else if (!api_host_is_live(call_api(c), &host->uuid))
        call_fail_code(c, ERR_HOST_OFFLINE, ref_text(&host->uuid, ref), NULL);
    else if (!h->pool_set_coordinator)
        api_fail_unavailable(c, call_def(c)->name);
    else
        h->pool_set_coordinator(h->userdata, &host->uuid, class_op_done, call_keep(c));
}

static void emergency(struct call *c, const char *address) {
    const struct api_hooks *h = api_hooks(call_api(c));
    if (h->pool_emergency)
        h->pool_emergency(h->userdata, address, class_op_done, call_keep(c));
    else
        api_fail_unavailable(c, call_def(c)->name);
}

void pool_rotate_secret(struct call *c) {
    const struct api_hooks *h = api_hooks(call_api(c));
    if (h->pool_rotate)
        h->pool_rotate(h->userdata, class_op_done, call_keep(c));
    else
        api_fail_unavailable(c, call_def(c)->name);
}

void pool_emergency_transition_to_master(struct call *c) {
    emergency(c, NULL);
}

void pool_emergency_reset_master(struct call *c) {
    emergency(c, call_arg_str(c, 0));
}

static void members_told(struct error *error, void *data) {
    struct call *c = data;
    if (error) {
        call_fail(c, error_dup(error));
        return;
    }
    struct value live = value_set();
    struct db *d = call_db(c);
    for (const struct row *h = db_first(d, CLASS_host); h; h = db_next(d, h)) {
        if (!uuid_eq(&h->uuid, api_own_host(call_api(c))) && api_host_is_live(call_api(c), &h->uuid))
            value_set_add(&live, value_ref(&h->uuid));
    }
    call_return(c, live);
}

void pool_recover_slaves(struct call *c) {
    const struct api_hooks *h = api_hooks(call_api(c));
    if (h->pool_recover_members)
        h->pool_recover_members(h->userdata, members_told, call_keep(c));
    else
        api_fail_unavailable(c, call_def(c)->name);
}

void pool_sync_database(struct call *c) {
    /* Every acknowledged write is on a majority of the voters already; what is left to say is whether there is one. */
    struct db_status status = db_get_status(call_db(c));
    if (status.has_quorum)
        call_return_void(c);
    else
        call_fail_code(c, ERR_DB_NO_QUORUM, str_or_empty(status.text), NULL);
}

/* ---- management of all hosts ---- */

static bool management_reconfigure(struct call *c, struct net_change *ch) {
    struct db *d = call_db(c);
    const struct row *network = call_arg_row(c, 0);
    struct error *e = NULL;
    char host_ref[REF_TEXT_SIZE], network_ref[REF_TEXT_SIZE];
    if (!network)
        return false;
    for (const struct row *h = db_first(d, CLASS_host); h && !e; h = db_next(d, h)) {
        const struct row *pif = net_rows_pif_on(d, &h->uuid, &network->uuid);
        const struct row *old = net_rows_management_pif(d, &h->uuid);
        if (!pif)
            error_set(&e, ERR_PIF_NOT_PRESENT, ref_text(&h->uuid, host_ref), ref_text(&network->uuid, network_ref),
                      NULL);
        else if (pif != old && class_check_management(d, pif, old, &e))
            class_move_management(ch, old, pif);
    }
    if (e) {
        call_fail(c, e);
        return false;
    }
    net_change_all_at_once(ch); /* the two networks may not reach each other */
    net_change_commit(ch, (struct value){.type = VALUE_VOID});
    return true;
}

void pool_management_reconfigure(struct call *c) {
    size_t n;
    _cleanup_free_ struct uuid *hosts = class_all_hosts(call_db(c), &n);
    net_change_start(c, hosts, n, NET_CHANGE_ALL_LIVE, management_reconfigure);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two halves of a move as clients ask for it: host.migrate_receive where the VM is to go, and VM.migrate_send (or
 * VM.assert_can_migrate) with what that returned, by this pool or another (class_vm_pools.h).
 */
#include "api/session.h"
#include "base/str.h"
#include "classes/class_vm_migrate.h"
#include "classes/class_vm_pools.h"
#include "classes/net_rows.h"
#include "classes/vm_allowed_core.h"
#include "gen_handlers.h"

#define SESSION_MS (60 * 60 * 1000) /* from migrate_receive until the other pool has made use of it */
#define CONTROL_SIZE 1500           /* what every route of the management network is locked to */

static struct value url(const char *address, const char *path, const char *session) {
    address = str_or_empty(address);
    bool is_v6 = strchr(address, ':') != NULL;
    return value_stringf("http://%s%s%s%s%s", is_v6 ? "[" : "", address, is_v6 ? "]" : "", path, session);
}

void host_migrate_receive(struct call *c) {
    const struct row *host = call_arg_row(c, 0), *network = host ? call_arg_row(c, 1) : NULL;
    struct error *e = NULL;
    char ref[REF_TEXT_SIZE], session[REF_TEXT_SIZE];
    if (!network)
        return;
    if (!api_host_is_live(call_api(c), &host->uuid)) {
        call_fail_code(c, ERR_HOST_OFFLINE, ref_text(&host->uuid, ref), NULL);
        return;
    }
    const char *address = vm_move_address(call_db(c), host, network, &e);
    const struct row *pool = db_pool(call_db(c)),
                     *master = pool ? db_follow(call_db(c), pool, FIELD_pool_master) : NULL;
    char fingerprint[TLS_FINGERPRINT_SIZE];
    const char *authorities = pool ? row_str(pool, FIELD_pool_ca_certificates) : "";
    if (e || !tls_fingerprint_pem(authorities, strlen(authorities), fingerprint, &e)) {
        call_fail(c, e);
        return;
    }
    /* What other pools need to know lies inside of what clients hand on unread: whom to believe, and how large frames
     * may be on that network. */
    const struct row *pif = net_rows_pif_on(call_db(c), &host->uuid, &network->uuid);
    int64_t mtu = !pif || row_bool(pif, FIELD_PIF_management) ? CONTROL_SIZE : row_int(pif, FIELD_PIF_MTU);
    struct uuid lent = api_session_lend(call_api(c), call_session(c), ROLE_VM_POWER_ADMIN, SESSION_MS);
    _cleanup_free_ char *xenops = strf("%s&mtu=%lld", ref_text(&lent, session), (long long)mtu),
                        *believe = strf("?authority=%s", fingerprint);
    struct value token = value_map();
    value_map_add(&token, "SM", url(address, "/services/SM?session_id=", session));
    value_map_add(&token, "host", value_string(ref_text(&host->uuid, ref)));
    value_map_add(&token, "xenops", url(address, "/services/xenops?session_id=", xenops));
    value_map_add(&token, "session_id", value_string(session));
    value_map_add(&token, "master", url(master ? row_str(master, FIELD_host_address) : "", "/", believe));
    call_return(c, token);
}

/* The address in a URL as above; NULL when it is none. The caller frees. */
static char *address_of(const char *text) {
    const char *start = str_starts(text, "http://") ? text + 7 : NULL, *end;
    if (!start)
        return NULL;
    if (*start == '[') {
        end = strchr(++start, ']');
        return end ? xstrndup(start, (size_t)(end - start)) : NULL;
    }
    end = start + strcspn(start, ":/");
    return end > start ? xstrndup(start, (size_t)(end - start)) : NULL;
}

static bool is_address_of(struct db *d, const struct row *host, const char *address) {
    if (str_eq(address, row_str(host, FIELD_host_address)))
        return true;
    for (const struct row *p = db_first(d, CLASS_PIF); p; p = db_next(d, p))
        if (uuid_eq(row_ref(p, FIELD_PIF_host), &host->uuid) && str_eq(row_str(p, FIELD_PIF_IP), address))
            return true;
    return false;
}

static void send(struct call *c, bool only_asks) {
    const struct row *vm = call_arg_row(c, 0);
    const struct value *dest = call_arg(c, 1);
    struct uuid u;
    if (!vm)
        return;
    const char *ref = str_or_empty(value_map_str(dest, "host")), *xenops = str_or_empty(value_map_str(dest, "xenops"));
    const struct row *to = ref_parse(ref, &u) ? db_get(call_db(c), CLASS_host, &u) : NULL;
    _cleanup_free_ char *address = address_of(xenops);
    if (!*ref || !*xenops) {
        call_fail_code(c, ERR_INVALID_VALUE, "dest", "what host.migrate_receive returned", NULL);
    } else if (!to) {
        class_vm_pools_send(c, vm, dest, only_asks);
    } else if (!str_eq(row_str(vm, FIELD_VM_power_state), "Running") &&
               !str_eq(row_str(vm, FIELD_VM_power_state), "Paused")) {
        const char *state = vm_power_text(vm_power_of(row_str(vm, FIELD_VM_power_state)));
        char vm_ref[REF_TEXT_SIZE];
        call_fail_code(c, ERR_VM_BAD_POWER_STATE, ref_text(&vm->uuid, vm_ref), "running", state, NULL);
    } else if (!call_arg_bool(c, 2)) {
        call_fail_code(c, ERR_VALUE_NOT_SUPPORTED, "live", "false",
                       "a running VM moves while it runs; one that is halted starts on any host that has its disks",
                       NULL);
    } else if (!address || !is_address_of(call_db(c), to, address)) {
        call_fail_code(c, ERR_INVALID_VALUE, "dest", xenops, NULL);
    } else {
        struct class_vm_wish wish = {.vm = vm,
                                     .to = to,
                                     .vdi_map = call_arg(c, 3),
                                     .vif_map = call_arg(c, 4),
                                     .options = call_arg(c, 5),
                                     .data_address = address,
                                     .operation = "migrate_send",
                                     .only_asks = only_asks,
                                     .returns_ref = !only_asks};
        class_vm_move(c, &wish);
    }
}

void vm_migrate_send(struct call *c) {
    send(c, /* only_asks= */ false);
}

void vm_assert_can_migrate(struct call *c) {
    send(c, /* only_asks= */ true);
}

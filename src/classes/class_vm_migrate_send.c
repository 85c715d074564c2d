/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two halves of a move as clients ask for it: host.migrate_receive where the VM is to go, and VM.migrate_send (or
 * VM.assert_can_migrate) with what that returned. Both must be of this pool.
 */
#include "api/session.h"
#include "base/str.h"
#include "classes/class_vm_migrate.h"
#include "classes/net_rows.h"
#include "gen_handlers.h"

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
    if (e) {
        call_fail(c, e);
        return;
    }
    ref_text(&call_session(c)->uuid, session);
    struct value token = value_map();
    value_map_add(&token, "SM", url(address, "/services/SM?session_id=", session));
    value_map_add(&token, "host", value_string(ref_text(&host->uuid, ref)));
    value_map_add(&token, "xenops", url(address, "/services/xenops?session_id=", session));
    value_map_add(&token, "session_id", value_string(session));
    value_map_add(&token, "master", url(master ? row_str(master, FIELD_host_address) : "", "/", ""));
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
        call_fail_code(c, ERR_NOT_IMPLEMENTED,
                       only_asks ? "VM.assert_can_migrate (to a host of another pool)"
                                 : "VM.migrate_send (to a host of another pool)",
                       NULL);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Moving VMs to another host: vm-migrate. */
#include "cli/commands.h"
#include "cli/select.h"

#define OWN                                                                                                            \
    "host,host-uuid,live,force,copy,compress,bandwidth,stall-seconds,remote-master,remote-username,remote-password,"   \
    "remote-network,"

static bool no_host(struct error **errp) {
    error_setf(errp, "CLI_FAILURE", "Failure: No matching hosts found");
    return false;
}

/* host= by name or uuid, host-uuid= by uuid; its reference (borrowed). */
static bool find_host(struct xe *x, const char **ret_ref, struct error **errp) {
    const char *name = args_get(&x->args, "host"), *uuid = args_get(&x->args, "host-uuid");
    const struct value *all = records_all(x->records, CLASS_host, errp);
    if (!all)
        return false;
    if (!name && !uuid) {
        error_set(errp, "CLI_MISSING", "host", NULL);
        return false;
    }
    for (size_t i = 0; i < all->map.n; i++) {
        const struct value *r = &all->map.pairs[i].value;
        const char *own = str_or_empty(value_map_str(r, "uuid"));
        if (uuid ? !str_eq(own, uuid)
                 : !str_eq(own, name) && !str_eq(str_or_empty(value_map_str(r, "name_label")), name))
            continue;
        *ret_ref = all->map.pairs[i].key;
        return true;
    }
    return no_host(errp);
}

static void add_option(struct xe *x, struct value *options, const char *word, const char *key) {
    const char *text = args_get(&x->args, word);
    if (text)
        value_map_put(options, key, value_string(text));
}

/* "vdi:UUID=UUID": references to references; false when one of them is not there. */
static bool add_pairs(struct xe *x, const char *prefix, int from_class, int to_class, struct value *map,
                      struct error **errp) {
    for (unsigned i = 0; i < x->args.n; i++) {
        struct arg *a = &x->args.list[i];
        _cleanup_value_ struct value from = {.type = VALUE_VOID};
        struct value to = {.type = VALUE_VOID};
        if (!str_starts(a->key, prefix))
            continue;
        a->used = true;
        if (!xe_object(x, from_class, a->key + strlen(prefix), &from, errp) ||
            !xe_object(x, to_class, a->value, &to, errp))
            return false;
        value_map_put(map, value_str(&from), to);
    }
    return true;
}

/* The network that the host's management is on, unless another is named. */
static bool network_of(struct xe *x, const char *host, struct value *ret, struct error **errp) {
    const char *named = args_get(&x->args, "remote-network");
    const struct value *all = named ? NULL : records_all(x->records, CLASS_PIF, errp);
    if (named)
        return xe_object(x, CLASS_network, named, ret, errp);
    for (size_t i = 0; all && i < all->map.n; i++) {
        const struct value *r = &all->map.pairs[i].value, *management = value_map_get(r, "management");
        if (!management || !value_as_bool(management) || !str_eq(str_or_empty(value_map_str(r, "host")), host))
            continue;
        *ret = value_string(str_or_empty(value_map_str(r, "network")));
        return true;
    }
    if (all)
        error_setf(errp, "CLI_FAILURE", "Failure: the host has no management network");
    return false;
}

/* Disks or interfaces are to be elsewhere afterwards. */
static bool send(struct xe *x, const struct value *vms, const char *host, struct value *options, struct value *vdi_map,
                 struct value *vif_map, struct error **errp) {
    _cleanup_value_ struct value network = {.type = VALUE_VOID}, token = {.type = VALUE_VOID};
    if (!network_of(x, host, &network, errp))
        return false;
    struct value params[] = {value_string(host), network, value_map()};
    bool ok = xe_call(x, "host.migrate_receive", params, ARRAY_SIZE(params), &token, errp);
    value_done(&params[0]);
    value_done(&params[2]);
    if (!ok)
        return false;
    struct value extra[] = {token, value_bool(true), *vdi_map, *vif_map, *options, value_map()};
    ok = select_call(x, vms, "VM.migrate_send", extra, ARRAY_SIZE(extra), errp);
    value_done(&extra[5]);
    return ok;
}

static bool vm_migrate(struct xe *x, struct error **errp) {
    static const char *const words[] = {"live", "force", "copy", "compress", "bandwidth"};
    _cleanup_value_ struct value vms = {.type = VALUE_VOID}, options = value_map(), vdi_map = value_map(),
                                 vif_map = value_map();
    const char *host = NULL;
    if (args_get(&x->args, "remote-master")) {
        (void)args_get(&x->args, "remote-username");
        (void)args_get(&x->args, "remote-password");
        error_setf(errp, "CLI_FAILURE",
                   "Failure: VMs move within a pool only, in this version; to another pool by export and "
                   "import of their disks");
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        add_option(x, &options, words[i], words[i]);
    add_option(x, &options, "stall-seconds", "stall_s");
    if (!find_host(x, &host, errp) || !add_pairs(x, "vdi:", CLASS_VDI, CLASS_SR, &vdi_map, errp) ||
        !add_pairs(x, "vif:", CLASS_VIF, CLASS_network, &vif_map, errp) ||
        !select_objects(x, "vm", OWN "vdi:,vif:", &vms, errp))
        return false;
    if (vdi_map.map.n || vif_map.map.n)
        return send(x, &vms, host, &options, &vdi_map, &vif_map, errp);
    _cleanup_value_ struct value network = {.type = VALUE_VOID};
    if (args_get(&x->args, "remote-network")) {
        if (!network_of(x, host, &network, errp))
            return false;
        value_map_put(&options, "network", value_copy(&network));
    }
    struct value extra[] = {value_string(host), options};
    bool ok = select_call(x, &vms, "VM.pool_migrate", extra, ARRAY_SIZE(extra), errp);
    value_done(&extra[0]);
    return ok;
}

static const struct command list[] = {
    {"vm-migrate", "", OWN "vdi:,vif:,vm", "move a running one to another host, while it runs", vm_migrate,
     COMMAND_SELECTS_VMS},
};
const struct command_group commands_vm_migrate = {list, ARRAY_SIZE(list)};

/* SPDX-License-Identifier: Apache-2.0 */
/* Moving VMs to another host: vm-migrate. */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "cli/commands.h"
#include "cli/select.h"

#define OWN                                                                                                            \
    "host,host-uuid,live,force,copy,compress,bandwidth,stall-seconds,remote-master,remote-username,remote-password,"   \
    "remote-password-file,remote-fingerprint,remote-network,"

#define FILE_MAX 65536

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

/* ---- to another pool: this xe logs in there as well, and hands what it is told to the pool of the VM ---- */

static char *ask_remote(void *userdata) {
    return xe_ask_password("Password of the other pool");
}

static void tell_remote(const char *line, void *userdata) {
    fprintf(stderr, "%s\n", line);
}

static struct client *open_remote(struct xe *x, struct error **errp) {
    const char *path = args_get(&x->args, "remote-password-file"), *given = args_get(&x->args, "remote-password");
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (path && !xe_may_use_files(path, errp))
        return NULL;
    int r = path ? fs_read(path, FILE_MAX, &text) : 0;
    if (r < 0) {
        error_set(errp, "CLI_FILE", path, strerror(-r), NULL);
        return NULL;
    }
    if (text.data)
        text.data[strcspn(text.data, "\r\n")] = 0;
    struct client_config config = {.server = args_get(&x->args, "remote-master"),
                                   .user = xe_need(x, "remote-username", errp),
                                   .password = given  ? given
                                               : path ? buf_str(&text)
                                                      : NULL,
                                   .fingerprint = args_get(&x->args, "remote-fingerprint"),
                                   .ask_password = ask_remote,
                                   .on_new_server = tell_remote,
                                   .interrupt = &xe_interrupt};
    struct client *c = config.user ? client_open(&config, errp) : NULL;
    if (text.data)
        explicit_bzero(text.data, text.size);
    return c;
}

/* What is named over there, looked up over there. */
struct remote {
    struct client *client;
    struct records *records;
};

static void swap(struct xe *x, struct remote *r) {
    struct remote here = {.client = x->client, .records = x->records};
    x->client = r->client;
    x->records = r->records;
    *r = here;
}

/* "vdi:UUID=UUID": the first is here, the second there; while x is connected to the other pool. */
static bool add_pairs_between(struct xe *x, struct remote *here, const char *prefix, int from_class, int to_class,
                              struct value *map, struct error **errp) {
    for (unsigned i = 0; i < x->args.n; i++) {
        struct arg *a = &x->args.list[i];
        _cleanup_value_ struct value from = {.type = VALUE_VOID};
        struct value to = {.type = VALUE_VOID};
        if (!str_starts(a->key, prefix))
            continue;
        a->used = true;
        if (!xe_object(x, to_class, a->value, &to, errp))
            return false;
        swap(x, here);
        bool ok = xe_object(x, from_class, a->key + strlen(prefix), &from, errp);
        swap(x, here);
        if (!ok) {
            value_done(&to);
            return false;
        }
        value_map_put(map, value_str(&from), to);
    }
    return true;
}

/* The host that was named; else the first that is enabled. */
static bool choose_remote_host(struct xe *x, const char **ret, struct error **errp) {
    if (args_get(&x->args, "host") || args_get(&x->args, "host-uuid"))
        return find_host(x, ret, errp);
    const struct value *all = records_all(x->records, CLASS_host, errp);
    for (size_t i = 0; all && i < all->map.n; i++) {
        const struct value *enabled = value_map_get(&all->map.pairs[i].value, "enabled");
        if (!enabled || !value_as_bool(enabled))
            continue;
        *ret = all->map.pairs[i].key;
        return true;
    }
    return all ? no_host(errp) : false;
}

static bool receive_remote(struct xe *x, struct remote *here, struct value *token, struct value *vdi_map,
                           struct value *vif_map, struct error **errp) {
    _cleanup_value_ struct value network = {.type = VALUE_VOID};
    const char *host = NULL;
    if (!add_pairs_between(x, here, "vdi:", CLASS_VDI, CLASS_SR, vdi_map, errp) ||
        !add_pairs_between(x, here, "vif:", CLASS_VIF, CLASS_network, vif_map, errp) ||
        !choose_remote_host(x, &host, errp) || !network_of(x, host, &network, errp))
        return false;
    struct value params[] = {value_string(host), network, value_map()};
    bool ok = client_call(x->client, "host.migrate_receive", params, ARRAY_SIZE(params), token, errp);
    value_done(&params[0]);
    value_done(&params[2]);
    return ok;
}

static bool migrate_remote(struct xe *x, struct value *options, struct error **errp) {
    _cleanup_value_ struct value vms = {.type = VALUE_VOID}, vdi_map = value_map(), vif_map = value_map(),
                                 token = {.type = VALUE_VOID};
    if (!select_objects(x, "vm", OWN "vdi:,vif:", &vms, errp))
        return false;
    struct remote r = {.client = open_remote(x, errp)};
    if (!r.client)
        return false;
    r.records = records_new(r.client);
    swap(x, &r); /* r is what is here, now */
    bool ok = receive_remote(x, &r, &token, &vdi_map, &vif_map, errp);
    swap(x, &r);
    if (ok) {
        const char *live = args_get(&x->args, "live"); /* of a running one, anything else is refused */
        struct value extra[] = {token,      value_bool(!live || !str_eq(live, "false")), vdi_map, vif_map, *options,
                                value_map()};
        ok = select_call(x, &vms, "VM.migrate_send", extra, ARRAY_SIZE(extra), errp);
        value_done(&extra[5]);
    }
    records_free(r.records);
    client_free(r.client);
    return ok;
}

static bool vm_migrate(struct xe *x, struct error **errp) {
    static const char *const words[] = {"live", "force", "copy", "compress", "bandwidth"};
    _cleanup_value_ struct value vms = {.type = VALUE_VOID}, options = value_map(), vdi_map = value_map(),
                                 vif_map = value_map();
    const char *host = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        add_option(x, &options, words[i], words[i]);
    add_option(x, &options, "stall-seconds", "stall_s");
    if (args_get(&x->args, "remote-master"))
        return migrate_remote(x, &options, errp);
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
    {"vm-migrate", "", OWN "vdi:,vif:,vm", "move a running one to another host, or one with its disks to another pool",
     vm_migrate, COMMAND_SELECTS_VMS},
};
const struct command_group commands_vm_migrate = {list, ARRAY_SIZE(list)};

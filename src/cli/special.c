/* SPDX-License-Identifier: Apache-2.0 */
/* Commands with a life of their own. Each reads its parameters, makes one call, prints what XenServer's xe prints. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/commands.h"

#define MAX_PARAMS 8

/* ---- building calls ---- */
struct request {
    struct xe *x;
    struct value params[MAX_PARAMS];
    unsigned n;
    struct error **errp;
    bool failed;
};

static struct request request_new(struct xe *x, struct error **errp) {
    return (struct request){.x = x, .errp = errp};
}

static void add(struct request *r, struct value v) {
    if (r->n < MAX_PARAMS)
        r->params[r->n++] = v;
    else
        value_done(&v);
}

static void add_need(struct request *r, const char *key) {
    const char *v = r->failed ? NULL : xe_need(r->x, key, r->errp);
    r->failed |= !v;
    add(r, value_string(v));
}

static void add_text(struct request *r, const char *key, const char *fallback) {
    const char *v = args_get(&r->x->args, key);
    add(r, value_string(v ? v : fallback));
}

static void add_object(struct request *r, int class_id, const char *key) {
    struct value ref = {.type = VALUE_VOID};
    const char *uuid = r->failed ? NULL : xe_need(r->x, key, r->errp);
    if (!uuid || !xe_object(r->x, class_id, uuid, &ref, r->errp))
        r->failed = true;
    add(r, ref);
}

static void add_objects(struct request *r, int class_id, const char *key) {
    struct value set = value_set();
    const char *list = r->failed ? NULL : xe_need(r->x, key, r->errp);
    _cleanup_strv_ struct strv uuids = {0};
    r->failed |= !list;
    if (list)
        strv_split(&uuids, list, ',');
    for (size_t i = 0; i < uuids.n && !r->failed; i++) {
        struct value ref = {.type = VALUE_VOID};
        if (!xe_object(r->x, class_id, uuids.items[i], &ref, r->errp))
            r->failed = true;
        value_set_add(&set, ref);
    }
    add(r, set);
}

static bool finish(struct request *r, const char *method, struct value *ret) {
    bool ok = !r->failed && xe_call_long(r->x, method, r->params, r->n, ret, r->errp);
    for (unsigned i = 0; i < r->n; i++)
        value_done(&r->params[i]);
    return ok;
}

static bool finish_void(struct request *r, const char *method) {
    _cleanup_value_ struct value result = {.type = VALUE_VOID};
    return finish(r, method, &result);
}

/* Prints the uuids behind one reference or a set of them. */
static bool finish_uuids(struct request *r, const char *method) {
    _cleanup_value_ struct value result = {.type = VALUE_VOID};
    if (!finish(r, method, &result))
        return false;
    if (result.type == VALUE_SET) {
        for (size_t i = 0; i < result.set.n; i++) {
            _cleanup_free_ char *text = records_text(&result.set.items[i]);
            printf("%s%s", i ? "," : "", text);
        }
        putchar('\n');
    } else {
        _cleanup_free_ char *text = records_text(&result);
        printf("%s\n", text);
    }
    return true;
}

/* The hosts that a command is about: host=, uuid=, host-uuid= (uuid or name), or any field of a host; more than one
 * needs --multiple. */
static bool on_hosts(struct xe *x, const char *method, struct error **errp) {
    const struct cli_class *c = cli_class_by_name("host");
    const struct value *all = records_all(x->records, c->class_id, errp);
    _cleanup_value_ struct value chosen = value_set();
    for (size_t i = 0; all && i < all->map.n; i++) {
        const struct value *record = &all->map.pairs[i].value;
        bool match = true;
        for (unsigned k = 0; k < x->args.n && match; k++) {
            struct arg *a = &x->args.list[k];
            a->used = true;
            if (str_eq(a->key, "host") || str_eq(a->key, "uuid") || str_eq(a->key, "host-uuid"))
                match = str_eq(str_or_empty(value_map_str(record, "uuid")), a->value) ||
                        str_eq(str_or_empty(value_map_str(record, "name_label")), a->value);
            else if (!records_match(x->records, c, record, a->key, a->value, &match, errp))
                return false;
        }
        if (match)
            value_set_add(&chosen, value_string(all->map.pairs[i].key));
    }
    if (*errp)
        return false;
    if (!chosen.set.n || (chosen.set.n > 1 && !x->args.multiple)) {
        error_set(errp, "CLI_SELECTION",
                  chosen.set.n ? "Multiple matching hosts found. --multiple required to complete the operation"
                               : "No matching hosts found",
                  NULL);
        return false;
    }
    bool ok = true;
    for (size_t i = 0; i < chosen.set.n; i++) {
        _cleanup_value_ struct value result = {.type = VALUE_VOID};
        _cleanup_error_ struct error *e = NULL;
        if (xe_call_long(x, method, &chosen.set.items[i], 1, &result, &e))
            continue;
        if (chosen.set.n == 1) {
            error_propagate(errp, TAKE(e));
            return false;
        }
        ok = false;
        _cleanup_free_ char *uuid = records_text(&chosen.set.items[i]);
        printf("operation failed on %s: %s\n", uuid, error_text(e));
    }
    if (!ok)
        error_set(errp, "CLI_PARTLY", NULL);
    return ok;
}

/* ---- pool ---- */
static bool pool_join(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    bool force = x->args.force || args_flag(&x->args, "force");
    add_need(&r, "master-address");
    add_need(&r, "master-username");
    add_need(&r, "master-password");
    add_text(&r, "master-fingerprint", "");
    if (!finish_void(&r, force ? "pool.join_force" : "pool.join"))
        return false;
    if (!x->args.minimal)
        printf("Host agent will restart and attempt to join pool in a few seconds...\n");
    return true;
}

static bool confirm(struct xe *x, const char *question, struct error **errp) {
    if (x->args.force || args_flag(&x->args, "force"))
        return true;
    char line[16] = "";
    fprintf(stderr, "%s\nType 'yes' to continue\n", question);
    if (fgets(line, sizeof(line), stdin) && (str_eq(line, "yes\n") || str_eq(line, "yes")))
        return true;
    error_set(errp, "CLI_ABORTED", NULL);
    return false;
}

static bool pool_eject(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    add_object(&r, CLASS_host, "host-uuid");
    if (!r.failed && !confirm(x,
                              "WARNING: the host leaves the pool and starts again alone; what only it holds stays on "
                              "it but is not of this pool any more.",
                              errp))
        r.failed = true;
    return finish_void(&r, "pool.eject");
}

static bool pool_designate(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    add_object(&r, CLASS_host, "host-uuid");
    return finish_void(&r, "pool.designate_new_master");
}

static bool pool_emergency_transition(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    args_get(&x->args, "force");
    return finish_void(&r, "pool.emergency_transition_to_master");
}

static bool pool_emergency_reset(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    add_need(&r, "master-address");
    return finish_void(&r, "pool.emergency_reset_master");
}

static bool pool_recover(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    return finish_uuids(&r, "pool.recover_slaves");
}

static bool pool_management(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    add_object(&r, CLASS_network, "network-uuid");
    return finish_void(&r, "pool.management_reconfigure");
}

static bool pool_sync(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    return finish_void(&r, "pool.sync_database");
}

static bool pool_vlan_create(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    int64_t tag = -1;
    add_object(&r, CLASS_PIF, "pif-uuid");
    add_object(&r, CLASS_network, "network-uuid");
    const char *text = r.failed ? NULL : xe_need(x, "vlan", errp);
    if (text && !str_parse_int(text, 0, 4094, &tag))
        error_set(errp, "VLAN_TAG_INVALID", text, NULL);
    r.failed |= tag < 0;
    add(&r, value_int(tag));
    return finish_uuids(&r, "pool.create_VLAN_from_PIF");
}

static bool pool_fingerprint(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    _cleanup_value_ struct value result = {.type = VALUE_VOID};
    if (!finish(&r, "pool.get_fingerprint", &result))
        return false;
    printf("%s\n", value_str(&result));
    return true;
}

/* ---- host ---- */
#define HOST_COMMAND(name, method)                                                                                     \
    static bool name(struct xe *x, struct error **errp) {                                                              \
        return on_hosts(x, method, errp);                                                                              \
    }
HOST_COMMAND(host_reboot, "host.reboot")
HOST_COMMAND(host_shutdown, "host.shutdown")
HOST_COMMAND(host_enable, "host.enable")
HOST_COMMAND(host_disable, "host.disable")
HOST_COMMAND(host_restart_agent, "host.restart_agent")
HOST_COMMAND(host_declare_dead, "host.declare_dead")
HOST_COMMAND(host_forget, "host.forget")

static bool host_management(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    add_object(&r, CLASS_PIF, "pif-uuid");
    return finish_void(&r, "host.management_reconfigure");
}

static bool host_emergency_management(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    add_need(&r, "interface");
    return finish_void(&r, "host.local_management_reconfigure");
}

static bool host_is_in_emergency(struct xe *x, struct error **errp) {
    _cleanup_value_ struct value result = {.type = VALUE_VOID};
    if (!client_call(x->client, "host.is_in_emergency_mode", NULL, 0, &result, errp))
        return false;
    printf("%s\n", value_as_bool(&result) ? "true" : "false");
    return true;
}

static bool host_certificate(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    _cleanup_value_ struct value result = {.type = VALUE_VOID};
    add_object(&r, CLASS_host, "uuid");
    if (!finish(&r, "host.get_server_certificate", &result))
        return false;
    printf("%s", value_str(&result));
    return true;
}

/* ---- network, PIF, bond, VLAN ---- */
static bool network_create(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    struct value record = value_map(), mtu = {.type = VALUE_VOID};
    const char *label = xe_need(x, "name-label", errp), *size = args_get(&x->args, "MTU"),
               *bridge = args_get(&x->args, "bridge"), *description = args_get(&x->args, "name-description");
    int64_t bytes = 1500;
    r.failed = !label;
    if (!size)
        size = args_get(&x->args, "mtu");
    if (label && size && !str_parse_int(size, 68, 65535, &bytes)) {
        error_setf(errp, "INVALID_VALUE", "MTU %s", size);
        r.failed = true;
    }
    mtu = value_int(bytes);
    value_map_add(&record, "name_label", value_string(label));
    value_map_add(&record, "name_description", value_string(str_or_empty(description)));
    value_map_add(&record, "MTU", mtu);
    value_map_add(&record, "other_config", value_map());
    if (bridge)
        value_map_add(&record, "bridge", value_string(bridge));
    add(&r, record);
    return finish_uuids(&r, "network.create");
}

static bool one_object(struct xe *x, int class_id, const char *method, struct error **errp) {
    struct request r = request_new(x, errp);
    add_object(&r, class_id, "uuid");
    return finish_void(&r, method);
}

#define OBJECT_COMMAND(name, class_id, method)                                                                         \
    static bool name(struct xe *x, struct error **errp) {                                                              \
        return one_object(x, class_id, method, errp);                                                                  \
    }
OBJECT_COMMAND(network_destroy, CLASS_network, "network.destroy")
OBJECT_COMMAND(pif_plug, CLASS_PIF, "PIF.plug")
OBJECT_COMMAND(pif_unplug, CLASS_PIF, "PIF.unplug")
OBJECT_COMMAND(pif_forget, CLASS_PIF, "PIF.forget")
OBJECT_COMMAND(bond_destroy, CLASS_Bond, "Bond.destroy")
OBJECT_COMMAND(vlan_destroy, CLASS_VLAN, "VLAN.destroy")
OBJECT_COMMAND(task_cancel, CLASS_task, "task.cancel")
OBJECT_COMMAND(message_destroy, CLASS_message, "message.destroy")

static bool pif_scan(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    add_object(&r, CLASS_host, "host-uuid");
    return finish_void(&r, "PIF.scan");
}

static bool pif_introduce(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    add_object(&r, CLASS_host, "host-uuid");
    add_text(&r, "mac", "");
    add_need(&r, "device");
    return finish_uuids(&r, "PIF.introduce");
}

static bool pif_reconfigure(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    add_object(&r, CLASS_PIF, "uuid");
    const char *mode = r.failed ? NULL : xe_need(x, "mode", errp);
    r.failed |= !mode;
    add(&r, value_string(mode && !strcasecmp(mode, "dhcp")     ? "DHCP"
                         : mode && !strcasecmp(mode, "static") ? "Static"
                         : mode && !strcasecmp(mode, "none")   ? "None"
                                                               : mode));
    add_text(&r, "IP", "");
    add_text(&r, "netmask", "");
    add_text(&r, "gateway", "");
    add_text(&r, "DNS", "");
    return finish_void(&r, "PIF.reconfigure_ip");
}

static bool bond_create(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    struct value properties = value_map();
    add_object(&r, CLASS_network, "network-uuid");
    add_objects(&r, CLASS_PIF, "pif-uuids");
    add_text(&r, "mac", "");
    add_text(&r, "mode", "balance-slb");
    for (unsigned i = 0; i < x->args.n; i++)
        if (str_starts(x->args.list[i].key, "properties:")) {
            x->args.list[i].used = true;
            value_map_put(&properties, x->args.list[i].key + strlen("properties:"),
                          value_string(x->args.list[i].value));
        }
    add(&r, properties);
    return finish_uuids(&r, "Bond.create");
}

static bool bond_set_mode(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    add_object(&r, CLASS_Bond, "uuid");
    add_need(&r, "mode");
    return finish_void(&r, "Bond.set_mode");
}

static bool vlan_create(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    int64_t tag = -1;
    add_object(&r, CLASS_PIF, "pif-uuid");
    const char *text = r.failed ? NULL : xe_need(x, "vlan", errp);
    if (text && !str_parse_int(text, 0, 4094, &tag))
        error_set(errp, "VLAN_TAG_INVALID", text, NULL);
    r.failed |= tag < 0;
    add(&r, value_int(tag));
    add_object(&r, CLASS_network, "network-uuid");
    return finish_uuids(&r, "VLAN.create");
}

/* ---- waiting ---- */
static bool event_wait(struct xe *x, struct error **errp) {
    const char *name = xe_need(x, "class", errp);
    const struct cli_class *c = name ? cli_class_by_name(name) : NULL;
    if (!name)
        return false;
    if (!c) {
        error_set(errp, "CLI_UNKNOWN_CLASS", name, NULL);
        return false;
    }
    struct value token = value_string("");
    bool ok = true, done = false;
    while (ok && !done && !xe_was_interrupted()) {
        struct value classes = value_set();
        value_set_add(&classes, value_string(model_classes[c->class_id].event_name));
        struct value params[3] = {classes, value_take(&token), value_float(30.0)};
        _cleanup_value_ struct value batch = {.type = VALUE_VOID};
        ok = client_call(x->client, "event.from", params, 3, &batch, errp);
        for (unsigned i = 0; i < 3; i++)
            value_done(&params[i]);
        const struct value *events = ok ? value_map_get(&batch, "events") : NULL,
                           *next = ok ? value_map_get(&batch, "token") : NULL;
        records_free(x->records); /* what references lead to may have changed as well */
        x->records = records_new(x->client);
        for (size_t i = 0; events && i < events->set.n && ok && !done; i++) {
            const struct value *snapshot = value_map_get(&events->set.items[i], "snapshot");
            done = snapshot != NULL;
            for (unsigned k = 0; k < x->args.n && done && ok; k++) {
                struct arg *a = &x->args.list[k];
                bool negative = a->value[0] == '/' && a->value[1] == '=', match;
                a->used = true;
                if (str_eq(a->key, "class"))
                    continue;
                ok = records_match(x->records, c, snapshot, a->key, a->value + (negative ? 2 : 0), &match, errp);
                done = ok && match != negative;
            }
        }
        if (next)
            token = value_copy(next);
    }
    value_done(&token);
    return ok;
}

static bool log_get(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    _cleanup_value_ struct value result = {.type = VALUE_VOID};
    add_object(&r, CLASS_host, "host-uuid");
    if (!finish(&r, "host.get_log", &result))
        return false;
    printf("%s", value_str(&result));
    return true;
}

const struct command commands[] = {
    {"bond-create", "network-uuid,pif-uuids", "mac,mode,properties:", "bond NICs of one host", bond_create, false},
    {"bond-destroy", "uuid", "", "undo a bond", bond_destroy, false},
    {"bond-set-mode", "uuid,mode", "", "balance-slb, active-backup or lacp", bond_set_mode, false},
    {"event-wait", "class", "", "wait until an object of the class is as field=value (or field=/=value) says",
     event_wait, false},
    {"host-declare-dead", "uuid", "", "state that a host is off", host_declare_dead, false},
    {"host-disable", "", "host,uuid", "place no more VMs on it", host_disable, false},
    {"host-emergency-management-reconfigure", "interface", "", "without a coordinator: choose the management bridge",
     host_emergency_management, false},
    {"host-enable", "", "host,uuid", "place VMs on it again", host_enable, false},
    {"host-forget", "uuid", "", "remove the records of a dead host", host_forget, false},
    {"host-get-server-certificate", "uuid", "", "print its certificate", host_certificate, false},
    {"host-is-in-emergency-mode", "", "", "true or false, of this host", host_is_in_emergency, false},
    {"host-management-reconfigure", "pif-uuid", "", "move management to a PIF", host_management, false},
    {"host-reboot", "", "host,uuid", "reboot a disabled host", host_reboot, false},
    {"host-restart-agent", "", "host,uuid", "restart its daemon", host_restart_agent, false},
    {"host-shutdown", "", "host,uuid", "power a disabled host off", host_shutdown, false},
    {"log-get", "host-uuid", "", "the daemon's latest lines", log_get, false},
    {"message-destroy", "uuid", "", "remove a message", message_destroy, false},
    {"network-create", "name-label", "name-description,MTU,bridge", "make a network", network_create, false},
    {"network-destroy", "uuid", "", "remove a network", network_destroy, false},
    {"pif-forget", "uuid", "", "drop the record of a NIC", pif_forget, false},
    {"pif-introduce", "host-uuid,device", "mac", "make the record of a NIC", pif_introduce, false},
    {"pif-plug", "uuid", "", "bring an interface up", pif_plug, false},
    {"pif-reconfigure-ip", "uuid,mode", "IP,netmask,gateway,DNS", "set its IPv4 address: dhcp, static or none",
     pif_reconfigure, false},
    {"pif-scan", "host-uuid", "", "look for new NICs", pif_scan, false},
    {"pif-unplug", "uuid", "", "bring an interface down", pif_unplug, false},
    {"pool-designate-new-master", "host-uuid", "", "hand coordination to a host", pool_designate, false},
    {"pool-eject", "host-uuid", "force", "take a host out of the pool", pool_eject, false},
    {"pool-emergency-reset-master", "master-address", "", "without a coordinator: look for it there",
     pool_emergency_reset, false},
    {"pool-emergency-transition-to-master", "", "force", "without a coordinator: become it", pool_emergency_transition,
     false},
    {"pool-fingerprint", "", "", "fingerprint of the pool's certificate authority, for pool-join", pool_fingerprint,
     false},
    {"pool-join", "master-address,master-username,master-password", "master-fingerprint,force",
     "make this host a member of another pool", pool_join, false},
    {"pool-management-reconfigure", "network-uuid", "", "move management of all hosts to a network", pool_management,
     false},
    {"pool-recover-slaves", "", "", "tell members where the new coordinator is", pool_recover, false},
    {"pool-sync-database", "", "", "wait until every host has the database as it is now", pool_sync, false},
    {"pool-vlan-create", "pif-uuid,vlan,network-uuid", "", "a VLAN on every host", pool_vlan_create, false},
    {"task-cancel", "uuid", "", "ask a task to stop", task_cancel, false},
    {"vlan-create", "pif-uuid,vlan,network-uuid", "", "a VLAN on one host", vlan_create, false},
    {"vlan-destroy", "uuid", "", "remove a VLAN", vlan_destroy, false},
};
const unsigned n_commands = ARRAY_SIZE(commands);

const struct command *command_find(const char *name) {
    for (unsigned i = 0; i < n_commands; i++)
        if (str_eq(commands[i].name, name))
            return &commands[i];
    return NULL;
}

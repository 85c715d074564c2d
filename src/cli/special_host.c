/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about hosts. */
#include "cli/commands.h"
#include "cli/request.h"
#include "cli/select.h"

static bool on_hosts(struct xe *x, const char *method, struct error **errp) {
    _cleanup_value_ struct value hosts = {.type = VALUE_VOID};
    return select_hosts(x, "", &hosts, errp) && select_call(x, &hosts, method, NULL, 0, errp);
}

static bool host_reboot(struct xe *x, struct error **errp) {
    return on_hosts(x, "host.reboot", errp);
}

static bool host_shutdown(struct xe *x, struct error **errp) {
    return on_hosts(x, "host.shutdown", errp);
}

static bool host_enable(struct xe *x, struct error **errp) {
    return on_hosts(x, "host.enable", errp);
}

static bool host_disable(struct xe *x, struct error **errp) {
    _cleanup_value_ struct value hosts = {.type = VALUE_VOID};
    const char *text = args_get(&x->args, "auto-enable");
    if (text && !str_eq(text, "true") && !str_eq(text, "false")) {
        error_set(errp, "INVALID_VALUE", "auto-enable", text, NULL);
        return false;
    }
    struct value auto_enable = value_bool(!text || str_eq(text, "true"));
    return select_hosts(x, "auto-enable", &hosts, errp) &&
           select_call(x, &hosts, "host.disable", &auto_enable, 1, errp);
}

static bool host_evacuate(struct xe *x, struct error **errp) {
    _cleanup_value_ struct value hosts = {.type = VALUE_VOID};
    const char *network = args_get(&x->args, "network-uuid"), *batch = args_get(&x->args, "batch-size");
    struct value extra[2] = {value_string(REF_NULL_TEXT), value_int(0)};
    int64_t size = 0;
    bool ok = !network || xe_object(x, CLASS_network, network, &extra[0], errp);
    if (ok && batch && !str_parse_int(batch, 0, INT32_MAX, &size)) {
        error_set(errp, "INVALID_VALUE", "batch-size", batch, NULL);
        ok = false;
    }
    extra[1].integer = size;
    ok = ok && select_hosts(x, "network-uuid,batch-size", &hosts, errp) &&
         select_call(x, &hosts, "host.evacuate", extra, ARRAY_SIZE(extra), errp);
    value_done(&extra[0]);
    return ok;
}

static bool host_restart_agent(struct xe *x, struct error **errp) {
    return on_hosts(x, "host.restart_agent", errp);
}

static bool on_host(struct xe *x, const char *key, const char *method, const char *question, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_host, key);
    if (question && request_is_good(&r) && !xe_confirm(x, question, errp)) {
        /* the error is there; the end below sees it */
    }
    return request_call_void(&r, method);
}

static bool host_declare_dead(struct xe *x, struct error **errp) {
    return on_host(x, "uuid", "host.declare_dead",
                   "WARNING: the host must be off for certain. One that still runs may go on writing to shared disks.",
                   errp);
}

static bool host_forget(struct xe *x, struct error **errp) {
    return on_host(x, "uuid", "host.destroy",
                   "WARNING: the pool forgets the host and what is known of it. Use this only when it will not come "
                   "back.",
                   errp);
}

static bool host_management(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_PIF, "pif-uuid");
    return request_call_void(&r, "host.management_reconfigure");
}

static bool host_emergency_management(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_text(&r, "interface", NULL);
    return request_call_void(&r, "host.local_management_reconfigure");
}

static bool host_is_in_emergency(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    return request_print_text(&r, "host.is_in_emergency_mode");
}

static bool host_certificate(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_host, "uuid");
    return request_print_text(&r, "host.get_server_certificate");
}

static bool host_set_hostname(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_host, "host-uuid");
    request_add_text(&r, "host-name", NULL);
    return request_call_void(&r, "host.set_hostname_live");
}

static bool log_get(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_host, "host-uuid");
    return request_print_text(&r, "host.get_log");
}

#define HOST_SELECTORS "host,uuid,host-uuid"

static const struct command list[] = {
    {"host-declare-dead", "uuid", "force", "state that a host is off; asks for a yes unless force", host_declare_dead,
     0},
    {"host-disable", "", "auto-enable," HOST_SELECTORS, "place no more VMs on it", host_disable, COMMAND_SELECTS_HOSTS},
    {"host-emergency-management-reconfigure", "interface", "",
     "on a host without a coordinator: choose the management bridge", host_emergency_management, COMMAND_HOST_ONLY},
    {"host-enable", "", HOST_SELECTORS, "place VMs on it again", host_enable, COMMAND_SELECTS_HOSTS},
    {"host-evacuate", "", "network-uuid,batch-size," HOST_SELECTORS, "move all VMs off it", host_evacuate,
     COMMAND_SELECTS_HOSTS},
    {"host-forget", "uuid", "force", "remove the records of a dead host; asks for a yes unless force", host_forget, 0},
    {"host-get-server-certificate", "uuid", "", "print its certificate", host_certificate, 0},
    {"host-is-in-emergency-mode", "", "", "true or false, of the host that is asked", host_is_in_emergency,
     COMMAND_HOST_ONLY},
    {"host-management-reconfigure", "pif-uuid", "", "move management to a PIF", host_management,
     COMMAND_CHANGES_NETWORKS},
    {"host-reboot", "", HOST_SELECTORS, "reboot a disabled host", host_reboot, COMMAND_SELECTS_HOSTS},
    {"host-restart-agent", "", HOST_SELECTORS, "restart its daemon", host_restart_agent, COMMAND_SELECTS_HOSTS},
    {"host-set-hostname-live", "host-uuid,host-name", "", "give its operating system a name", host_set_hostname, 0},
    {"host-shutdown", "", HOST_SELECTORS, "power a disabled host off", host_shutdown, COMMAND_SELECTS_HOSTS},
    {"log-get", "host-uuid", "", "the daemon's latest lines", log_get, 0},
};
const struct command_group commands_host = {list, ARRAY_SIZE(list)};

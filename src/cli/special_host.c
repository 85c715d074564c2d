/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about hosts. */
#include <string.h>

#include "base/fs.h"
#include "cli/commands.h"
#include "cli/request.h"
#include "cli/select.h"

static bool on_hosts(struct xe *x, const char *method, struct error **errp) {
    _cleanup_value_ struct value hosts = {.type = VALUE_VOID};
    return select_hosts(x, "", &hosts, errp) && select_call(x, &hosts, method, NULL, 0, errp);
}

static bool power(struct xe *x, const char *method, struct error **errp) {
    _cleanup_value_ struct value hosts = {.type = VALUE_VOID};
    struct value force = value_bool(args_is(&x->args, ARGS_FORCE));
    return select_hosts(x, "", &hosts, errp) && select_call(x, &hosts, method, &force, 1, errp);
}

static bool host_reboot(struct xe *x, struct error **errp) {
    return power(x, "host.reboot", errp);
}

static bool host_shutdown(struct xe *x, struct error **errp) {
    return power(x, "host.shutdown", errp);
}

/* One line per verdict; false when one of them is a blocker. */
static bool print_verdicts(const struct value *verdicts) {
    bool is_clear = true;
    for (size_t i = 0; verdicts->type == VALUE_SET && i < verdicts->set.n; i++) {
        const struct value *v = &verdicts->set.items[i];
        if (v->type != VALUE_MAP)
            continue;
        const char *severity = str_or_empty(value_map_str(v, "severity")),
                   *cure = str_or_empty(value_map_str(v, "cure"));
        _cleanup_free_ char *line = strf("%s %s: %s%s%s", severity, str_or_empty(value_map_str(v, "code")),
                                         str_or_empty(value_map_str(v, "text")), *cure ? "; cure: " : "", cure);
        xe_print_line(line);
        is_clear = is_clear && !str_eq(severity, "blocker");
    }
    return is_clear;
}

static bool host_reboot_check(struct xe *x, struct error **errp) {
    _cleanup_value_ struct value hosts = {.type = VALUE_VOID};
    const char *repair = args_get(&x->args, "repair");
    bool is_clear = true;
    if (repair && !str_eq(repair, "true") && !str_eq(repair, "false")) {
        error_set(errp, "INVALID_VALUE", "repair", repair, NULL);
        return false;
    }
    struct value params[2] = {[1] = value_bool(repair && str_eq(repair, "true"))};
    if (!select_hosts(x, "repair", &hosts, errp))
        return false;
    for (size_t i = 0; i < hosts.set.n && !xe_was_interrupted(); i++) {
        _cleanup_value_ struct value verdicts = {.type = VALUE_VOID};
        params[0] = hosts.set.items[i]; /* borrowed */
        if (!xe_call(x, "host.check_reboot", params, ARRAY_SIZE(params), &verdicts, errp))
            return false;
        is_clear = print_verdicts(&verdicts) && is_clear;
    }
    if (is_clear)
        xe_print_message(x, hosts.set.n > 1 ? "The hosts would come back." : "The host would come back.");
    else
        error_set(errp, "CLI_SAID", NULL);
    return is_clear;
}

/* ---- repairs of a host's network ---- */

/* The network that the host had proven before, as a repair. */
static bool add_before(struct xe *x, const struct value *host, struct value *what, struct error **errp) {
    _cleanup_value_ struct value text = {.type = VALUE_VOID};
    struct value param = *host; /* borrowed */
    if (!xe_call(x, "host.get_network_before", &param, 1, &text, errp))
        return false;
    value_map_put(what, "whole", value_string(value_str(&text)));
    return true;
}

static bool host_network_repair(struct xe *x, struct error **errp) {
    static const char *const keys[][2] = {
        {"set-mtu", "set_mtu"}, {"drop-leg", "drop_leg"}, {"management-on", "management_on"}};
    const char *last = args_get(&x->args, "last-proven");
    _cleanup_value_ struct value hosts = {.type = VALUE_VOID}, what = value_map();
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
        if (args_get(&x->args, keys[i][0]))
            value_map_put(&what, keys[i][1], value_string(args_get(&x->args, keys[i][0])));
    if (last && (!str_eq(last, "true") || what.map.n)) {
        error_set(errp, "INVALID_VALUE", "last-proven",
                  what.map.n ? "it takes all of the network back and goes with no other repair" : last, NULL);
        return false;
    }
    if (!last && !what.map.n) {
        error_set(errp, "INVALID_VALUE", "set-mtu",
                  "it is not said what to repair: set-mtu=, drop-leg=, management-on= or last-proven=true", NULL);
        return false;
    }
    return select_hosts(x, "set-mtu,drop-leg,management-on,last-proven", &hosts, errp) &&
           (!last || add_before(x, &hosts.set.items[0], &what, errp)) &&
           select_call(x, &hosts, "host.network_repair", &what, 1, errp);
}

static bool host_network_repair_keep(struct xe *x, struct error **errp) {
    return on_hosts(x, "host.network_repair_keep", errp);
}

static bool host_network_repair_withdraw(struct xe *x, struct error **errp) {
    return on_hosts(x, "host.network_repair_withdraw", errp);
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

static bool host_refresh_certificate(struct xe *x, struct error **errp) {
    return on_hosts(x, "host.refresh_server_certificate", errp);
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

static bool host_install_certificate(struct xe *x, struct error **errp) {
    static const char *const files[] = {"certificate", "private-key", "certificate-chain"};
    _cleanup_value_ struct value hosts = {.type = VALUE_VOID};
    struct request r = request_new(x, errp);
    for (unsigned i = 0; request_is_good(&r) && i < ARRAY_SIZE(files); i++)
        request_add_file(&r, files[i], /* is_optional= */ i == 2);
    bool ok = request_is_good(&r) && select_hosts(x, "certificate,private-key,certificate-chain", &hosts, errp) &&
              select_call(x, &hosts, "host.install_server_certificate", r.params, r.n, errp);
    for (unsigned i = 0; i < r.n; i++) {
        if (r.params[i].type == VALUE_STRING)
            explicit_bzero(r.params[i].string, strlen(r.params[i].string));
        value_done(&r.params[i]);
    }
    return ok;
}

static bool host_reset_certificate(struct xe *x, struct error **errp) {
    return on_hosts(x, "host.reset_server_certificate", errp);
}

static bool host_emergency_reset_certificate(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    return request_call_void(&r, "host.emergency_reset_server_certificate");
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
    {"host-emergency-reset-server-certificate", "", "", "on any host: show clients the pool's certificate again",
     host_emergency_reset_certificate, COMMAND_HOST_ONLY},
    {"host-enable", "", HOST_SELECTORS, "place VMs on it again", host_enable, COMMAND_SELECTS_HOSTS},
    {"host-evacuate", "", "network-uuid,batch-size," HOST_SELECTORS, "move all VMs off it", host_evacuate,
     COMMAND_SELECTS_HOSTS},
    {"host-forget", "uuid", "force", "remove the records of a dead host; asks for a yes unless force", host_forget, 0},
    {"host-get-server-certificate", "uuid", "", "print its certificate", host_certificate, 0},
    {"host-is-in-emergency-mode", "", "", "true or false, of the host that is asked", host_is_in_emergency,
     COMMAND_HOST_ONLY},
    {"host-management-reconfigure", "pif-uuid", "", "move management to a PIF", host_management,
     COMMAND_CHANGES_NETWORKS},
    {"host-network-repair", "", "set-mtu,drop-leg,management-on,last-proven," HOST_SELECTORS,
     "change one thing of its network, against what the pool wants; kept until -keep or -withdraw", host_network_repair,
     COMMAND_SELECTS_HOSTS | COMMAND_CHANGES_NETWORKS},
    {"host-network-repair-keep", "", HOST_SELECTORS, "make its repairs the pool's own", host_network_repair_keep,
     COMMAND_SELECTS_HOSTS | COMMAND_CHANGES_NETWORKS},
    {"host-network-repair-withdraw", "", HOST_SELECTORS, "take its repairs back, to what the pool wants",
     host_network_repair_withdraw, COMMAND_SELECTS_HOSTS | COMMAND_CHANGES_NETWORKS},
    {"host-reboot", "", "force," HOST_SELECTORS, "reboot a disabled host, unless it would not come back", host_reboot,
     COMMAND_SELECTS_HOSTS},
    {"host-reboot-check", "", "repair," HOST_SELECTORS,
     "rehearse its next boot: would it come back? Fails when something speaks against it", host_reboot_check,
     COMMAND_SELECTS_HOSTS},
    {"host-refresh-server-certificate", "", HOST_SELECTORS, "give it a new certificate", host_refresh_certificate,
     COMMAND_SELECTS_HOSTS},
    {"host-reset-server-certificate", "", HOST_SELECTORS, "show clients the pool's certificate again",
     host_reset_certificate, COMMAND_SELECTS_HOSTS},
    {"host-restart-agent", "", HOST_SELECTORS, "restart its daemon", host_restart_agent, COMMAND_SELECTS_HOSTS},
    {"host-server-certificate-install", "certificate,private-key", "certificate-chain," HOST_SELECTORS,
     "show clients this certificate (PEM files), not the pool's", host_install_certificate, COMMAND_SELECTS_HOSTS},
    {"host-set-hostname-live", "host-uuid,host-name", "", "give its operating system a name", host_set_hostname, 0},
    {"host-shutdown", "", "force," HOST_SELECTORS, "power a disabled host off, unless the pool cannot spare it",
     host_shutdown, COMMAND_SELECTS_HOSTS},
    {"log-get", "host-uuid", "", "the daemon's latest lines", log_get, 0},
};
const struct command_group commands_host = {list, ARRAY_SIZE(list)};

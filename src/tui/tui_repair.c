/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network repair: each line of the table mends one thing. With a daemon, repairs go through it, so that the change is
 * proven and taken back when it is not; without one, through muster-netboot.
 */
#include <stdio.h>
#include <string.h>

#include "tui/tui_work.h"

#define NETBOOT_TIMEOUT_MS 60000
#define START_TIMEOUT_MS 30000
#define MAX_WORDS 24

/* ---- by muster-netboot ---- */
static bool netboot(struct tui_work *w, const char *command) {
    const char *const argv[] = {tui_work_netboot(), "--quiet", command, NULL};
    return tui_work_program(w, argv, NETBOOT_TIMEOUT_MS);
}

static void say_plan(struct tui_work *w) {
    const char *const argv[] = {tui_work_netboot(), "--quiet", "plan", NULL};
    tui_said_add(&w->said, TUI_PLAIN, "What would be done:");
    w->ok = tui_work_program(w, argv, NETBOOT_TIMEOUT_MS);
}

static void put_right(struct tui_work *w) {
    w->ok = netboot(w, "verify");
    if (w->ok)
        tui_said_add(&w->said, TUI_GOOD, "The network is as the last proven configuration says.");
}

static void go_back(struct tui_work *w) {
    w->ok = netboot(w, "rollback") && netboot(w, "boot") && netboot(w, "verify");
    if (w->ok)
        tui_said_add(&w->said, TUI_GOOD,
                     "The host has the network from before its latest change. A daemon that starts asks the pool "
                     "again; undo the change there as well (xe network-change-list, network-change-undo).");
}

enum { DEVICE, ADDRESS, GATEWAY, DNS, VLAN };

static void reset_network(struct tui_work *w) {
    const char *argv[MAX_WORDS] = {tui_work_netboot(), "--quiet", "init", "--device", w->values[DEVICE]};
    unsigned n = 5;
    static const char *const options[] = {
        [ADDRESS] = "--ip", [GATEWAY] = "--gateway", [DNS] = "--dns", [VLAN] = "--vlan"};
    bool is_dhcp = str_eq(w->values[ADDRESS], "dhcp");
    if (is_dhcp) {
        argv[n++] = "--mode";
        argv[n++] = "dhcp";
    }
    for (unsigned i = ADDRESS; i <= VLAN; i++) {
        if (!w->values[i][0] || (i == ADDRESS && is_dhcp))
            continue;
        argv[n++] = options[i];
        argv[n++] = w->values[i];
    }
    w->ok = tui_work_program(w, argv, NETBOOT_TIMEOUT_MS) && netboot(w, "boot") && netboot(w, "verify");
    if (w->ok)
        tui_said_add(&w->said, TUI_GOOD, "The host has a management network of its own on '%s'.", w->values[DEVICE]);
}

static void start_daemon(struct tui_work *w) {
    static const char *const argv[] = {"systemctl", "start", "musterd", NULL};
    w->ok = tui_work_program(w, argv, START_TIMEOUT_MS);
    if (w->ok)
        tui_said_add(&w->said, TUI_GOOD, "musterd was started.");
}

/* ---- by the daemon ---- */
static void call_simple(struct tui_work *w, const char *method, const char *text, bool is_host_only, bool as_task,
                        const char *done) {
    w->ok = false;
    _cleanup_(client_freep) struct client *c = tui_work_connect(w, is_host_only);
    _cleanup_value_ struct value param = text ? value_string(text) : (struct value){.type = VALUE_VOID};
    _cleanup_value_ struct value nothing = {.type = VALUE_VOID};
    if (c)
        w->ok = tui_work_call(w, c, method, &param, text ? 1 : 0, as_task, &nothing);
    if (w->ok)
        tui_said_add(&w->said, TUI_GOOD, "%s", done);
}

static void confirm_change(struct tui_work *w) {
    call_simple(w, "pool.network_change_confirm", "", /* is_host_only= */ false, /* as_task= */ false,
                "The change stays.");
}

static void revert_change(struct tui_work *w) {
    call_simple(w, "pool.network_change_revert", "", /* is_host_only= */ false, /* as_task= */ false,
                "The change is taken back.");
}

/* The latest change that was applied; "" none. The changes come oldest first. */
static void latest_change(struct tui_work *w, char ret[static TUI_FIELD_SIZE]) {
    _cleanup_(client_freep) struct client *c = tui_work_connect(w, /* is_host_only= */ false);
    _cleanup_value_ struct value list = {.type = VALUE_VOID};
    ret[0] = 0;
    if (!c || !tui_work_call(w, c, "pool.get_network_changes", NULL, 0, /* as_task= */ false, &list))
        return;
    for (size_t i = list.type == VALUE_SET ? list.set.n : 0; i > 0; i--) {
        const struct value *v = &list.set.items[i - 1];
        if (v->type != VALUE_MAP || !str_eq(str_or_empty(value_map_str(v, "outcome")), "applied"))
            continue;
        static const char *const keys[] = {"time", "who", "what", "hosts", "diff"};
        tui_said_add(&w->said, TUI_PLAIN, "The latest change:");
        for (unsigned k = 0; k < ARRAY_SIZE(keys); k++) {
            _cleanup_strv_ struct strv lines = {0};
            strv_split(&lines, str_or_empty(value_map_str(v, keys[k])), '\n');
            for (size_t l = 0; l < lines.n; l++)
                if (*lines.items[l])
                    tui_said_add(&w->said, TUI_PLAIN, "  %-6s %s", l ? "" : keys[k], lines.items[l]);
        }
        str_copy(ret, TUI_FIELD_SIZE, str_or_empty(value_map_str(v, "id")));
        return;
    }
    tui_said_add(&w->said, TUI_PLAIN, "There is no change that could be undone.");
}

/* What is shown is what is undone, even if another change comes in between: the id travels with the job. */
static void show_change(struct tui_work *w) {
    latest_change(w, w->values[0]);
    w->ok = w->values[0][0];
}

static void undo_change(struct tui_work *w) {
    call_simple(w, "pool.network_change_undo", w->values[0], /* is_host_only= */ false, /* as_task= */ true,
                "The change was undone.");
}

/* A PIF by its device, or "device.tag", or uuid; an owned reference. */
static char *find_pif(struct tui_work *w, struct client *c, const char *name) {
    _cleanup_value_ struct value query = value_stringf("field \"host\"=\"%s\"", w->host_ref),
                                 pifs = {.type = VALUE_VOID};
    if (!tui_work_call(w, c, "PIF.get_all_records_where", &query, 1, /* as_task= */ false, &pifs))
        return NULL;
    for (size_t i = 0; pifs.type == VALUE_MAP && i < pifs.map.n; i++) {
        const struct value *pif = &pifs.map.pairs[i].value, *tag = value_map_get(pif, "VLAN");
        const char *device = str_or_empty(value_map_str(pif, "device"));
        int64_t vlan = tag ? value_as_int(tag) : -1;
        _cleanup_free_ char *own = vlan >= 0 ? strf("%s.%lld", device, (long long)vlan) : xstrdup(device);
        if (str_eq(own, name) || str_eq(str_or_empty(value_map_str(pif, "uuid")), name))
            return xstrdup(pifs.map.pairs[i].key);
    }
    tui_said_add(&w->said, TUI_BAD, "This host has no interface '%s'; the network screen names them.", name);
    return NULL;
}

static void move_management(struct tui_work *w) {
    if (w->is_emergency) {
        call_simple(w, "host.local_management_reconfigure", w->values[0], /* is_host_only= */ true,
                    /* as_task= */ false, "Management has moved.");
        return;
    }
    _cleanup_(client_freep) struct client *c = tui_work_connect(w, /* is_host_only= */ false);
    _cleanup_free_ char *ref = c ? find_pif(w, c, w->values[0]) : NULL;
    if (!ref)
        return;
    _cleanup_value_ struct value param = value_string(ref), nothing = {.type = VALUE_VOID};
    w->ok = tui_work_call(w, c, "host.management_reconfigure", &param, 1, /* as_task= */ true, &nothing);
    if (w->ok)
        tui_said_add(&w->said, TUI_GOOD, "Management has moved, and the pool hears the host.");
}

static void find_coordinator(struct tui_work *w) {
    call_simple(w, "pool.emergency_reset_master", w->values[0], /* is_host_only= */ true, /* as_task= */ false,
                "The host looks for its coordinator there.");
}

static void become_coordinator(struct tui_work *w) {
    call_simple(w, "pool.emergency_transition_to_master", NULL, /* is_host_only= */ true, /* as_task= */ false,
                "This host coordinates the pool. Tell the others: xe pool-recover-slaves");
}

const struct tui_action tui_repair_actions[] = {
    {.screen = "repair",
     .title = "Put the network right",
     .about = "Compares kernel and switch with the last proven configuration and mends what differs: sizes of legs, "
              "addresses, locked routes.",
     .question = "Do this?",
     .prepare = say_plan,
     .run = put_right},
    {.screen = "repair",
     .title = "Keep the change that waits",
     .about = "Confirms a network change that is held until a person says that it is good.",
     .needs = TUI_NEEDS_POOL,
     .question = "Keep the change?",
     .run = confirm_change},
    {.screen = "repair",
     .title = "Take back the change that waits",
     .about = "The opposite: the hosts return to the network before it, at once.",
     .needs = TUI_NEEDS_POOL,
     .question = "Take the change back?",
     .run = revert_change},
    {.screen = "repair",
     .title = "Undo the latest change",
     .about = "Changes the pool's network back to what it was before the latest change, proven like any other change.",
     .needs = TUI_NEEDS_POOL,
     .question = "Undo it?",
     .prepare = show_change,
     .run = undo_change},
    {.screen = "repair",
     .title = "Move management to another interface",
     .about = "The pool reaches the host over another NIC, bond or VLAN. The host goes back by itself when the pool "
              "does not hear it there.",
     .needs = TUI_NEEDS_DAEMON,
     .fields = {{.label = "Interface", .hint = "as eth1, bond0 or bond0.42; without a coordinator the bridge"}},
     .question = "Move management there?",
     .run = move_management},
    {.screen = "repair",
     .title = "Go back to the network before",
     .about = "Makes the previous proven configuration of this host the last known good one and puts it to work.",
     .needs = TUI_NEEDS_NO_DAEMON,
     .question = "Go back?",
     .run = go_back},
    {.screen = "repair",
     .title = "Emergency network reset",
     .about = "Replaces the whole network of this host by one management interface. Bonds and VLANs are gone from the "
              "host; the pool still has them, and asks for them again once the host is back in it.",
     .needs = TUI_NEEDS_NO_DAEMON,
     .fields = {[DEVICE] = {.label = "NIC", .hint = "as eth0; several with commas are a bond"},
                [ADDRESS] = {.label = "Address", .hint = "as 10.0.0.11/24, or dhcp"},
                [GATEWAY] = {.label = "Gateway", .may_be_empty = true},
                [DNS] = {.label = "DNS", .hint = "with commas", .may_be_empty = true},
                [VLAN] = {.label = "VLAN", .hint = "tag, or empty", .may_be_empty = true}},
     .question = "Replace the network of this host?",
     .run = reset_network},
    {.screen = "repair",
     .title = "Look for the coordinator elsewhere",
     .about = "For a host without a coordinator: the address where it is now.",
     .needs = TUI_NEEDS_EMERGENCY,
     .fields = {{.label = "Coordinator", .hint = "its address"}},
     .question = "Look for it there?",
     .run = find_coordinator},
    {.screen = "repair",
     .title = "Make this host the coordinator",
     .about = "For a host without a coordinator, when the old one is lost for good. Two coordinators would be two "
              "pools: be certain that the old one is off.",
     .needs = TUI_NEEDS_EMERGENCY,
     .question = "Is the old coordinator off, and shall this host take over?",
     .run = become_coordinator},
    {.screen = "repair",
     .title = "Start musterd",
     .about = "When the daemon does not run.",
     .needs = TUI_NEEDS_NO_DAEMON | TUI_NEEDS_SYSTEMD,
     .question = "Start it?",
     .run = start_daemon},
    {0},
};

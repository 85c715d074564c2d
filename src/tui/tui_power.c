/* SPDX-License-Identifier: Apache-2.0 */
/* Reboot and power off: what speaks against it first, then a person's word. */
#include <string.h>

#include "tui/tui_work.h"

#define REHEARSE_TIMEOUT_MS 15000
#define COMMAND_TIMEOUT_MS 20000
#define COMMAND_MAX_WORDS 16

/* ---- what speaks against it ---- */
static void say_verdicts(struct tui_work *w, const struct value *verdicts) {
    bool any = false;
    for (size_t i = 0; verdicts->type == VALUE_SET && i < verdicts->set.n; i++) {
        const struct value *v = &verdicts->set.items[i];
        if (v->type != VALUE_MAP)
            continue;
        bool is_blocker = str_eq(str_or_empty(value_map_str(v, "severity")), "blocker");
        const char *cure = value_map_str(v, "cure");
        tui_said_add(&w->said, is_blocker ? TUI_BAD : TUI_PLAIN, "%s %s: %s", is_blocker ? "BLOCKER" : "Warning",
                     str_or_empty(value_map_str(v, "code")), str_or_empty(value_map_str(v, "text")));
        if (!str_empty(cure))
            tui_said_add(&w->said, TUI_CURE, "  Cure: %s", cure);
        w->has_blockers |= is_blocker;
        any = true;
    }
    if (!any)
        tui_said_add(&w->said, TUI_GOOD, "Nothing speaks against it: the host would come back.");
}

static void check(struct tui_work *w) {
    w->ok = true;
    if (!w->has_daemon || w->is_emergency) {
        const char *const argv[] = {tui_work_netboot(), "--quiet", "rehearse", NULL};
        tui_said_add(&w->said, TUI_BAD, "%s, so only this host's own boot was rehearsed, not its way into the pool:",
                     w->is_emergency ? "The host is without a coordinator" : "musterd is not running");
        w->has_blockers = !tui_work_program(w, argv, REHEARSE_TIMEOUT_MS) || w->is_emergency;
        return;
    }
    _cleanup_(client_freep) struct client *c = tui_work_connect(w, /* is_host_only= */ false);
    struct value params[2] = {value_string(w->host_ref), value_bool(false)};
    _cleanup_value_ struct value verdicts = {.type = VALUE_VOID};
    if (c && tui_work_call(w, c, "host.check_reboot", params, 2, /* as_task= */ false, &verdicts)) {
        say_verdicts(w, &verdicts);
    } else {
        w->has_blockers = true; /* nobody knows: it takes a person's word */
    }
    value_done(&params[0]);
}

/* ---- doing it ---- */

/* As musterd does; without it, or without a coordinator to ask. */
static void by_command(struct tui_work *w, bool is_reboot) {
    const char *set = getenv(is_reboot ? "MUSTER_REBOOT_COMMAND" : "MUSTER_POWEROFF_COMMAND");
    const char *command = !str_empty(set) ? set : is_reboot ? "systemctl reboot" : "systemctl poweroff";
    _cleanup_strv_ struct strv words = {0};
    strv_split(&words, command, ' ');
    const char *argv[COMMAND_MAX_WORDS + 1] = {0};
    for (size_t i = 0; i < words.n && i < COMMAND_MAX_WORDS; i++)
        argv[i] = words.items[i];
    w->ok = tui_work_program(w, argv, COMMAND_TIMEOUT_MS);
}

static bool call_host(struct tui_work *w, struct client *c, const char *method, const struct value *more) {
    struct value params[2] = {value_string(w->host_ref), more ? *more : value_bool(false)};
    _cleanup_value_ struct value nothing = {.type = VALUE_VOID};
    bool ok = tui_work_call(w, c, method, params, more ? 2 : 1, /* as_task= */ false, &nothing);
    value_done(&params[0]);
    return ok;
}

/* A host is taken out of service first, and put back when it does not go down after all. */
static void power(struct tui_work *w, bool is_reboot) {
    if (w->has_daemon && !w->is_emergency) {
        _cleanup_(client_freep) struct client *c = tui_work_connect(w, /* is_host_only= */ false);
        struct value yes = value_bool(true), force = value_bool(w->is_forced);
        w->ok = c && (!w->is_enabled || call_host(w, c, "host.disable", &yes));
        if (w->ok && !call_host(w, c, is_reboot ? "host.reboot" : "host.shutdown", &force)) {
            w->ok = false;
            if (w->is_enabled && !call_host(w, c, "host.enable", NULL))
                tui_said_add(&w->said, TUI_BAD, "It stays disabled; enable it: xe host-enable uuid=%s", w->host_uuid);
        }
    } else {
        by_command(w, is_reboot);
    }
    if (w->ok)
        tui_said_add(&w->said, TUI_GOOD, is_reboot ? "The host restarts." : "The host goes down.");
}

static void reboot_host(struct tui_work *w) {
    power(w, /* is_reboot= */ true);
}

static void shut_down_host(struct tui_work *w) {
    power(w, /* is_reboot= */ false);
}

const struct tui_action tui_power_actions[] = {
    {.screen = "power",
     .title = "Reboot this host",
     .about = "Rehearses its next boot first and says what speaks against it. VMs that run on it must be moved or shut "
              "down before.",
     .question = "Reboot this host?",
     .prepare = check,
     .run = reboot_host},
    {.screen = "power",
     .title = "Shut this host down",
     .about = "The same checks; somebody must switch it on again.",
     .question = "Shut this host down?",
     .prepare = check,
     .run = shut_down_host},
    {0},
};

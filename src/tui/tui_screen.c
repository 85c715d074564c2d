/* SPDX-License-Identifier: Apache-2.0 */
#include "tui/tui_screen.h"

#include "tui/tui_action.h"

const struct tui_screen tui_screens[TUI_N_SCREENS] = {
    {.name = "status", .title = "Status", .about = "who the host is and where it stands", .write = tui_screen_status},
    {.name = "network", .title = "Network", .about = "each interface and what it carries", .write = tui_screen_network},
    {.name = "alerts", .title = "Alerts", .about = "what is wrong, and the cure", .write = tui_screen_alerts},
    {.name = "paths", .title = "Paths", .about = "what passes to each host", .write = tui_screen_paths},
    {.name = "join", .title = "Join", .about = "become a member of a pool", .has_actions = true},
    {.name = "power", .title = "Power", .about = "reboot, shut down", .has_actions = true},
    {.name = "logs",
     .title = "Logs",
     .about = "the latest lines of the logs",
     .is_log = true,
     .write = tui_screen_logs},
    {.name = "repair", .title = "Repair", .about = "mend the network", .has_actions = true},
};

int tui_screen_find(const char *name) {
    for (int i = 0; i < TUI_N_SCREENS; i++)
        if (str_eq(tui_screens[i].name, name))
            return i;
    return -1;
}

const char *tui_screen_state(const struct tui_facts *f) {
    if (f->late_s)
        return "musterd does not answer";
    if (f->pool)
        return *f->pool->state ? f->pool->state : "state not known";
    return f->pool_trouble ? "musterd is not running" : "asking musterd";
}

static void write_trouble(const struct tui_facts *f, struct tui_page *p) {
    if (tui_facts_has_pool(f) || (!f->late_s && !f->pool_trouble))
        return;
    if (f->late_s) {
        tui_page_add(p, TUI_BAD, 0,
                     "musterd has not answered for %u s. What follows is from this host's disk and kernel.", f->late_s);
        tui_page_add(p, TUI_CURE, 2, "  Restart it: systemctl restart musterd (VMs do not notice)");
    } else if (f->disk && !f->disk->is_root) {
        tui_page_add(p, TUI_BAD, 0,
                     "Only root may ask musterd here. What follows is from this host's disk and kernel.");
        tui_page_add(p, TUI_CURE, 2, "  Start muster-console as root.");
    } else if (str_starts(f->pool_trouble, "!")) { /* it answers, with an error */
        tui_page_add(p, TUI_BAD, 0, "musterd cannot say: %s", f->pool_trouble + 1);
    } else {
        tui_page_add(p, TUI_BAD, 0, "musterd is not running. What follows is from this host's disk and kernel.");
        tui_page_add(p, TUI_CURE, 2, "  Start it: systemctl start musterd (its last words are on the screen Logs)");
    }
    tui_page_space(p);
}

static void write_actions(const struct tui_screen *s, const struct tui_facts *f, int selected, struct tui_page *p) {
    const struct tui_action *a;
    for (unsigned i = 0; (a = tui_action_at(s->name, i)); i++) {
        const char *obstacle = tui_action_obstacle(a, f);
        p->item = (int)i;
        if ((int)i == selected)
            p->keep_at = p->n;
        tui_page_add(p,
                     (int)i == selected ? TUI_SELECTED
                     : obstacle         ? TUI_PLAIN
                                        : TUI_HEAD,
                     4, "%s %s", (int)i == selected ? ">" : " ", a->title);
        if (obstacle)
            tui_page_add(p, TUI_PLAIN, 4, "    Not now: %s", obstacle);
        else
            tui_page_add(p, TUI_PLAIN, 4, "    %s", a->about);
        p->item = -1;
        tui_page_space(p);
    }
}

void tui_screen_page(const struct tui_screen *s, const struct tui_facts *f, int selected, struct tui_page *p) {
    write_trouble(f, p);
    if (!f->disk)
        tui_page_add(p, TUI_PLAIN, 0, "Looking at this host ...");
    else if (s->write)
        s->write(f, p);
    if (s->has_actions && f->disk)
        write_actions(s, f, selected, p);
}

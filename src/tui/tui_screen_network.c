/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces with what they carry, and the configuration behind them. */
#include <stdio.h>

#include "tui/tui_screen.h"

static void number(char *ret, size_t size, int n) {
    if (n)
        snprintf(ret, size, "%d", n);
    else
        str_copy(ret, size, "-");
}

static void write_row(struct tui_table *t, const struct tui_interface *i) {
    char name[32], link[16], mtu[24], proven[24], port[160] = "";
    bool is_small = i->mtu && i->wanted_mtu && i->mtu < i->wanted_mtu,
         is_unproven = i->proven_size && i->wanted_mtu && i->proven_size < i->wanted_mtu,
         is_idle = i->kind == TUI_NIC && !*i->parent && !i->is_up;
    snprintf(name, sizeof(name), "%s%s", *i->parent ? "  " : "", i->name);
    str_copy(link, sizeof(link), i->has_link ? "up" : i->kind == TUI_VLAN && i->is_up ? "up" : "down");
    number(mtu, sizeof(mtu), i->mtu);
    number(proven, sizeof(proven), i->proven_size);
    if (is_small)
        snprintf(mtu, sizeof(mtu), "%d<%d", i->mtu, i->wanted_mtu);
    if (is_unproven)
        snprintf(proven, sizeof(proven), "%d<%d", i->proven_size, i->wanted_mtu);
    if (*i->switch_name || *i->switch_port)
        snprintf(port, sizeof(port), "%s: %s", *i->switch_name ? i->switch_name : "?", i->switch_port);
    else if (*i->mode)
        snprintf(port, sizeof(port), "%s", i->mode);
    bool is_bad = !is_idle && (str_eq(link, "down") || is_small || is_unproven);
    tui_table_add(t, is_bad ? TUI_BAD : TUI_PLAIN,
                  i->is_management ? "*"
                  : is_bad         ? "!"
                                   : " ",
                  name, link, mtu, proven, port, i->network, NULL);
}

static void write_addresses(const struct tui_interfaces *v, struct tui_page *p) {
    bool any = false;
    for (size_t i = 0; i < v->n; i++) {
        const struct tui_interface *t = &v->items[i];
        if (!*t->ip && !*t->ipv6)
            continue;
        if (!any)
            tui_page_heading(p, "Addresses");
        any = true;
        tui_page_field(p, TUI_PLAIN, t->name, "%s%s%s%s", t->ip, *t->ip && *t->ipv6 ? ", " : "", t->ipv6,
                       t->is_management ? " (management)" : "");
    }
}

/* Addresses are the kernel's: rows know those that were given, not those that a server gave. */
void tui_screen_network(const struct tui_facts *f, struct tui_page *p) {
    const struct tui_disk *d = f->disk;
    const struct tui_interfaces *v =
        tui_facts_has_pool(f) && f->pool->interfaces.n ? &f->pool->interfaces : &d->interfaces;
    struct tui_table t = {.n_columns = 7, .cuts_last = true};
    tui_table_add(&t, TUI_HEAD, " ", "Interface", "Link", "MTU", "Proven", "Switch: port", "Network", NULL);
    for (size_t i = 0; i < v->n; i++)
        write_row(&t, &v->items[i]);
    tui_page_table(p, &t);
    tui_page_add(p, TUI_PLAIN, 0, "* management   Proven: the size that every peer acknowledged");
    write_addresses(&d->interfaces, p);
    tui_page_heading(p, "Configuration");
    if (d->network_trouble)
        tui_page_field(p, TUI_BAD, "Last proven", "%s", d->network_trouble);
    else
        tui_page_field(p, TUI_PLAIN, "Last proven", "%s", str_or_empty(d->network_text));
    if (d->is_change_pending)
        tui_page_field(p, TUI_BAD, "Change", "one is being tried; it is taken back unless it proves itself");
    if (tui_facts_has_pool(f) && *f->pool->outcome)
        tui_page_field(p, str_eq(f->pool->outcome, "applied") ? TUI_PLAIN : TUI_BAD, "Latest change", "%s%s%s",
                       f->pool->outcome, *f->pool->outcome_text ? ": " : "", f->pool->outcome_text);
    if (d->refused)
        tui_page_field(p, TUI_BAD, "Taken back", "%s", d->refused);
    if (d->boot_result)
        tui_page_field(p, str_eq(d->boot_result, "ok") ? TUI_PLAIN : TUI_BAD, "At boot", "%s", d->boot_result);
}

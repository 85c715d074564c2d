/* SPDX-License-Identifier: Apache-2.0 */
/* Who the host is, where it stands in its pool, and how it is known. */
#include "tui/tui_screen.h"

static char *uptime(int64_t s) {
    long long days = s / 86400, hours = s / 3600 % 24, minutes = s / 60 % 60;
    return days ? strf("%lld d %lld h %lld min", days, hours, minutes) : strf("%lld h %lld min", hours, minutes);
}

static bool is_good_state(const char *state) {
    return str_eq(state, "ready");
}

/* "20261129T14:45:32Z" as "2026-11-29 14:45:32 UTC"; what is no such time as it is. */
static char *when(const char *t) {
    if (strlen(t) < 17 || t[8] != 'T')
        return xstrdup(t);
    return strf("%.4s-%.2s-%.2s %.8s UTC", t, t + 4, t + 6, t + 9);
}

static void write_pool(const struct tui_pool *p, struct tui_page *out) {
    unsigned n_live = 0;
    for (unsigned i = 0; i < p->n_hosts; i++)
        n_live += p->hosts[i].is_live;
    tui_page_heading(out, "Pool");
    tui_page_field(out, TUI_PLAIN, "Name", "%s", *p->pool_name ? p->pool_name : p->pool_uuid);
    if (p->is_coordinator)
        tui_page_field(out, TUI_PLAIN, "Role", "coordinator");
    else
        tui_page_field(out, TUI_PLAIN, "Role", "member; the coordinator is %s (%s)", p->coordinator,
                       p->coordinator_address);
    bool is_alone = str_eq(p->state, "emergency"); /* what it last heard of the others is of the past */
    if (p->n_hosts == 1)
        tui_page_field(out, TUI_PLAIN, "Hosts", "this one alone");
    else if (is_alone)
        tui_page_field(out, TUI_PLAIN, "Hosts", "%u; which of them live is not known here", p->n_hosts);
    else
        tui_page_field(out, n_live < p->n_hosts ? TUI_BAD : TUI_PLAIN, "Hosts", "%u, %u of them heard", p->n_hosts,
                       n_live);
    for (unsigned i = 0; i < p->n_hosts && !is_alone; i++)
        if (!p->hosts[i].is_live || !is_good_state(p->hosts[i].state))
            tui_page_field(out, TUI_BAD, "", "%s: %s", p->hosts[i].name,
                           !p->hosts[i].is_live ? "not heard"
                           : *p->hosts[i].state ? p->hosts[i].state
                                                : "on its way");
    _cleanup_free_ char *since = when(p->since);
    tui_page_field(out, is_good_state(p->state) ? TUI_GOOD : TUI_BAD, "State", "%s since %s", p->state, since);
    tui_page_field(out, TUI_PLAIN, "", "%s", p->reason);
    if (!p->is_enabled)
        tui_page_field(out, TUI_BAD, "Maintenance", "disabled: no VMs are placed here (xe host-enable uuid=%s)",
                       p->host_uuid);
    if (p->alerts.n)
        tui_page_field(out, TUI_BAD, "Alerts", "%zu, see the screen Alerts", p->alerts.n);
    else
        tui_page_field(out, TUI_GOOD, "Alerts", "none");
}

/* What the host remembers of its pool. */
static void write_memory(const struct tui_disk *d, struct tui_page *out) {
    tui_page_heading(out, "Pool, as this host remembers it");
    if (!d->has_identity) {
        tui_page_field(out, TUI_BAD, "Pool", "%s", str_or_empty(d->identity_trouble));
        return;
    }
    tui_page_field(out, TUI_PLAIN, "Pool", "%s", *d->pool_uuid ? d->pool_uuid : "none yet");
    if (d->is_coordinator)
        tui_page_field(out, TUI_PLAIN, "Role", "coordinator");
    else if (*d->coordinator_address)
        tui_page_field(out, TUI_PLAIN, "Role", "member; the coordinator was at %s", d->coordinator_address);
    tui_page_field(out, TUI_PLAIN, "Hosts", "%u", d->n_hosts);
    if (d->identity_trouble)
        tui_page_field(out, TUI_BAD, "Identity", "%s", d->identity_trouble);
}

void tui_screen_status(const struct tui_facts *f, struct tui_page *p) {
    const struct tui_disk *d = f->disk;
    bool has_pool = tui_facts_has_pool(f);
    const char *address = *d->address ? d->address : has_pool ? f->pool->address : "";
    tui_page_heading(p, "Host");
    tui_page_field(p, TUI_PLAIN, "Name", "%s", has_pool ? f->pool->host_name : d->host_name);
    if (has_pool && !str_eq(f->pool->host_name, d->host_name))
        tui_page_field(p, TUI_PLAIN, "Host name", "%s", d->host_name);
    tui_page_field(p, *address ? TUI_PLAIN : TUI_BAD, "Management address", "%s",
                   *address ? address : "none: the pool cannot reach this host");
    for (size_t i = 0; i < d->interfaces.n; i++)
        if (d->interfaces.items[i].is_management)
            tui_page_field(p, TUI_PLAIN, "Over", "%s (bridge %s)", d->interfaces.items[i].name,
                           d->interfaces.items[i].network);
    tui_page_field(p, TUI_PLAIN, "Version", "Muster %s",
                   has_pool && *f->pool->version ? f->pool->version : MUSTER_VERSION);
    _cleanup_free_ char *up = uptime(d->uptime_s);
    tui_page_field(p, TUI_PLAIN, "Uptime", "%s", up);
    if (has_pool)
        write_pool(f->pool, p);
    else
        write_memory(d, p);
    tui_page_heading(p, "Certificate fingerprints (SHA-256)");
    tui_page_field(p, TUI_PLAIN, "This host", "%s", *d->certificate ? d->certificate : "no certificate yet");
    tui_page_field(p, TUI_PLAIN, "Its pool, for a join", "%s", *d->authority ? d->authority : "no authority yet");
}

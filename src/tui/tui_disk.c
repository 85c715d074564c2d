/* SPDX-License-Identifier: Apache-2.0 */
#include "tui/tui_disk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "base/fs.h"
#include "net/net_fault.h"
#include "net/net_store.h"
#include "pool/pool_identity.h"
#include "tui/tui_tail.h"
#include "wire/tls.h"
#include "wire/value_json.h"

#define REPORT_MAX (1024 * 1024)
#define REPORT_MAX_DEPTH 16
#define REPORT_MAX_VALUES 100000
#define DAEMON_LOG_LINES 300
#define NETBOOT_LOG_LINES 40

static const char *env_or(const char *name, const char *fallback) {
    const char *v = getenv(name);
    return str_empty(v) ? fallback : v;
}

struct tui_places tui_places(void) {
    return (struct tui_places){.state_dir = env_or("MUSTER_STATE_DIR", "/var/lib/muster"),
                               .run_dir = env_or("MUSTER_RUN_DIR", "/run/muster"),
                               .log_dir = env_or("MUSTER_LOG_DIR", "/var/log")};
}

/* ---- who it is ---- */
static void read_identity(struct tui_disk *d, const char *state_dir) {
    struct identity *id = xnew0(struct identity);
    struct error *e = NULL;
    bool found, previous;
    if (identity_load(state_dir, id, &found, &previous, &e)) {
        const struct identity_host *coordinator = identity_find(id, &id->coordinator);
        d->has_identity = true;
        uuid_text(&id->host, d->host_uuid);
        if (!uuid_is_null(&id->pool))
            uuid_text(&id->pool, d->pool_uuid);
        d->is_coordinator = uuid_eq(&id->host, &id->coordinator);
        d->n_hosts = id->n_hosts;
        if (coordinator)
            str_copy(d->coordinator_address, sizeof(d->coordinator_address), coordinator->address);
        if (previous)
            d->identity_trouble = xstrdup("host.json is damaged; the one before it is used");
    } else {
        d->identity_trouble = xstrdup(error_param(e, 0));
        error_free(e);
    }
    free(id);
}

static void read_fingerprint(const char *state_dir, const char *file, char *ret, size_t size) {
    _cleanup_free_ char *path = strf("%s/pki/%s", state_dir, file);
    char fingerprint[TLS_FINGERPRINT_SIZE];
    struct error *e = NULL;
    if (tls_fingerprint_file(path, fingerprint, &e))
        str_copy(ret, size, fingerprint);
    error_free(e);
}

/* ---- interfaces ---- */
static const struct link_info *find_link(const struct link_infos *links, const char *name) {
    for (size_t i = 0; i < links->n; i++)
        if (str_eq(links->items[i].name, name))
            return &links->items[i];
    return NULL;
}

static void set_addresses(struct tui_interface *t, const struct link_info *port, const struct link_addresses *list) {
    for (size_t i = 0; i < list->n; i++) {
        const struct link_address *a = &list->items[i];
        char text[LINK_IP_TEXT_SIZE];
        if (a->index != port->index || a->link_scope)
            continue;
        char *into = a->ip.family == AF_INET ? t->ip : t->ipv6;
        if (!*into)
            snprintf(into, sizeof(t->ip), "%s/%u", link_ip_text(&a->ip, text), a->prefix_len);
    }
}

static struct tui_interface *add_nic(struct tui_interfaces *v, const struct link_infos *links, const char *name,
                                     const char *parent, int wanted) {
    const struct link_info *l = find_link(links, name);
    struct tui_interface *t = tui_interfaces_add(v, name, TUI_NIC);
    if (!t)
        return NULL;
    str_copy(t->parent, sizeof(t->parent), parent);
    t->wanted_mtu = wanted;
    t->has_link = l && l->carrier;
    t->is_up = l && l->up;
    t->mtu = l ? (int)l->mtu : 0;
    return t;
}

static const char *base_name(const struct net_config *c, const struct net_bridge *b) {
    const struct net_bridge *base = net_config_base(c, b);
    return !base ? "" : base->purpose == NET_PURPOSE_BOND ? base->bond.name : base->n_legs ? base->legs[0] : "";
}

static void add_bridge(struct tui_disk *d, const struct net_config *c, const struct net_bridge *b,
                       const struct link_infos *links, const struct link_addresses *addresses) {
    const struct link_info *port = find_link(links, b->name);
    struct tui_interfaces *v = &d->interfaces;
    struct tui_interface *t;
    char name[32];
    if (b->purpose == NET_PURPOSE_NIC) {
        t = b->n_legs ? add_nic(v, links, b->legs[0], "", b->mtu) : NULL;
    } else if (b->purpose == NET_PURPOSE_VLAN) {
        snprintf(name, sizeof(name), "%s.%d", base_name(c, b), b->tag);
        t = tui_interfaces_add(v, name, TUI_VLAN);
        if (t) {
            str_copy(t->parent, sizeof(t->parent), base_name(c, b));
            t->vlan = b->tag;
        }
    } else {
        bool is_bond = b->purpose == NET_PURPOSE_BOND;
        t = tui_interfaces_add(v, is_bond ? b->bond.name : b->name, is_bond ? TUI_BOND : TUI_INTERNAL);
        if (t && is_bond)
            str_copy(t->mode, sizeof(t->mode), net_bond_mode_text(b->bond.mode));
    }
    if (!t)
        return;
    str_copy(t->network, sizeof(t->network), b->name);
    t->is_management = str_eq(c->management, b->name);
    t->wanted_mtu = b->mtu;
    if (port)
        set_addresses(t, port, addresses);
    if (t->kind != TUI_NIC) {
        t->mtu = port ? (int)port->mtu : 0;
        t->is_up = port && port->up;
        t->has_link = t->is_up;
    }
    if (t->is_management) {
        str_copy(d->address, sizeof(d->address), *t->ip ? t->ip : t->ipv6);
        d->address[strcspn(d->address, "/")] = 0;
    }
    if (b->purpose != NET_PURPOSE_BOND)
        return;
    bool any = false;
    for (unsigned i = 0; i < b->n_legs; i++) {
        const struct tui_interface *leg = add_nic(v, links, b->legs[i], b->bond.name, b->mtu);
        any |= leg && leg->has_link;
    }
    t = tui_interfaces_find(v, b->bond.name); /* adding may have moved it */
    if (t)
        t->has_link = any;
}

void tui_disk_interfaces(struct tui_disk *d, const struct net_config *config, const struct link_infos *links,
                         const struct link_addresses *addresses, const struct tui_lldp *lldp) {
    static const enum net_purpose order[] = {NET_PURPOSE_BOND, NET_PURPOSE_NIC, NET_PURPOSE_VLAN, NET_PURPOSE_INTERNAL};
    for (unsigned k = 0; config && k < ARRAY_SIZE(order); k++)
        for (unsigned i = 0; i < config->n_bridges; i++)
            if (config->bridges[i].purpose == order[k])
                add_bridge(d, config, &config->bridges[i], links, addresses);
    for (size_t i = 0; i < links->n; i++) {
        const struct link_info *l = &links->items[i];
        /* Hardware has no kind; a veth stands for a NIC in the lab. */
        if (!l->loopback && (!*l->kind || str_eq(l->kind, "veth")) && !tui_interfaces_find(&d->interfaces, l->name)) {
            struct tui_interface *t = add_nic(&d->interfaces, links, l->name, "", 0);
            if (t)
                set_addresses(t, l, addresses);
        }
    }
    for (unsigned i = 0; i < lldp->n; i++) {
        struct tui_interface *t = tui_interfaces_find(&d->interfaces, lldp->items[i].nic);
        if (!t)
            continue;
        str_copy(t->switch_name, sizeof(t->switch_name), lldp->items[i].switch_name);
        str_copy(t->switch_port, sizeof(t->switch_port), lldp->items[i].switch_port);
    }
}

static void find_leg_faults(const struct tui_disk *d, const struct net_bridge *b, const char *leg,
                            const struct link_infos *links, struct net_problems *ps) {
    const struct link_info *l = find_link(links, leg);
    struct net_fault_facts facts = {.host = d->host_name, .nic = leg, .bridge = b->name, .size_wanted = b->mtu};
    const struct tui_interface *t = tui_interfaces_find(&d->interfaces, leg);
    if (b->purpose == NET_PURPOSE_BOND)
        facts.bond = b->bond.name;
    if (t) {
        facts.switch_name = t->switch_name;
        facts.switch_port = t->switch_port;
    }
    if (!l) {
        net_problems_add(ps, NET_FAULT_NIC_MISSING, &facts);
        return;
    }
    if (!l->carrier)
        net_problems_add(ps, NET_FAULT_NO_CARRIER, &facts);
    if ((int)l->mtu < b->mtu) {
        facts.size_passes = (int)l->mtu;
        net_problems_add(ps, NET_FAULT_LEGS_BELOW_PORT, &facts);
    }
}

void tui_disk_faults(struct tui_disk *d, const struct net_config *config, const struct link_infos *links) {
    struct net_problems ps = {0};
    for (unsigned i = 0; i < config->n_bridges; i++)
        for (unsigned k = 0; k < config->bridges[i].n_legs; k++)
            find_leg_faults(d, &config->bridges[i], config->bridges[i].legs[k], links, &ps);
    for (size_t i = 0; i < ps.n; i++) {
        char code[NET_FAULT_CODE_SIZE];
        bool is_small = ps.items[i].code == NET_FAULT_LEGS_BELOW_PORT; /* nobody has mended it yet */
        tui_alerts_add(&d->alerts, net_fault_code_text(ps.items[i].code, code), d->host_name, ps.items[i].text,
                       is_small ? "muster-netboot verify (screen Repair: Put the network right)" : ps.items[i].cure);
    }
    net_problems_done(&ps);
}

static void read_network(struct tui_disk *d, const char *folder, const struct tui_lldp *lldp) {
    struct net_problems problems = {0};
    enum net_store_source source;
    struct error *e = NULL;
    _cleanup_net_config_ struct net_config *c = net_store_load(folder, &source, &problems, &e);
    if (c)
        d->network_text = strf("generation %llu%s%s%s", (unsigned long long)c->generation, c->provenance ? ", " : "",
                               str_or_empty(c->provenance),
                               source == NET_STORE_PREVIOUS ? " (good.json is damaged; this is the one before)" : "");
    else
        d->network_trouble = xstrdup(error_text(e));
    error_free(e);
    net_problems_done(&problems);

    struct net_pending pending;
    d->is_change_pending = net_store_get_pending(folder, &pending);
    if (d->is_change_pending)
        net_pending_done(&pending);
    struct net_refusal refusal;
    net_store_get_refused(folder, &refusal);
    if (*refusal.hash)
        d->refused = xstrdup(refusal.sentence);

    _cleanup_(link_freep) struct link *l = NULL;
    struct link_infos links = {0};
    struct link_addresses addresses = {0};
    if (link_kernel_open(&l) == 0 && link_list(l, &links) == 0 && link_list_addresses(l, &addresses) == 0) {
        tui_disk_interfaces(d, c, &links, &addresses, lldp);
        if (c)
            tui_disk_faults(d, c, &links);
    }
    link_infos_done(&links);
    link_addresses_done(&addresses);
}

/* ---- the boot ---- */
bool tui_disk_boot_report(struct tui_disk *d, const char *text, size_t size) {
    _cleanup_value_ struct value v = {.type = VALUE_VOID};
    _cleanup_error_ struct error *e = NULL;
    if (!value_json_parse(text, size, REPORT_MAX_DEPTH, REPORT_MAX_VALUES, &v, &e) || v.type != VALUE_MAP)
        return false;
    const char *result = value_map_str(&v, "result"), *rolled_back = value_map_str(&v, "rolled_back");
    const struct value *problems = value_map_get(&v, "problems");
    if (!result || !problems || problems->type != VALUE_SET)
        return false;
    d->boot_result = xstrdup(result);
    static const char *const phases[] = {"boot", "verify"};
    for (unsigned i = 0; i < ARRAY_SIZE(phases); i++) {
        const struct value *phase = value_map_get(&v, phases[i]);
        const char *error = phase && phase->type == VALUE_MAP ? value_map_str(phase, "error") : NULL;
        if (error)
            tui_alerts_add(&d->alerts, "muster-netboot", d->host_name, error, "muster-netboot verify");
    }
    if (!str_empty(rolled_back))
        tui_alerts_add(&d->alerts, "MUSTER-N214", d->host_name,
                       "The host restarted in the middle of a network change and went back to the network before it.",
                       "make the change again");
    for (size_t i = 0; i < problems->set.n; i++) {
        const struct value *p = &problems->set.items[i];
        if (p->type != VALUE_MAP)
            continue;
        const struct value *healed = value_map_get(p, "healed");
        if (!healed || !value_as_bool(healed))
            tui_alerts_add(&d->alerts, str_or_empty(value_map_str(p, "code")), d->host_name,
                           str_or_empty(value_map_str(p, "text")), str_or_empty(value_map_str(p, "cure")));
    }
    return true;
}

static void read_boot_report(struct tui_disk *d, const char *run_dir) {
    _cleanup_free_ char *path = strf("%s/netboot.json", run_dir);
    _cleanup_buf_ struct buf text = BUF_INIT;
    int r = fs_read(path, REPORT_MAX, &text);
    if (r == -ENOENT)
        return;
    if (r < 0 || !tui_disk_boot_report(d, buf_str(&text), text.size)) {
        free(d->boot_result);
        d->boot_result = strf("'%s' cannot be read", path);
    }
}

struct tui_disk *tui_disk_read(const struct tui_places *places, const struct tui_lldp *lldp) {
    struct tui_disk *d = xnew0(struct tui_disk);
    _cleanup_free_ char *folder = strf("%s/network", places->state_dir);
    struct sysinfo info;
    if (gethostname(d->host_name, sizeof(d->host_name) - 1) < 0)
        str_copy(d->host_name, sizeof(d->host_name), "localhost");
    d->uptime_s = sysinfo(&info) == 0 ? info.uptime : 0;
    d->is_root = geteuid() == 0;
    d->can_systemd = fs_exists("/run/systemd/system");
    read_identity(d, places->state_dir);
    read_network(d, folder, lldp);
    read_boot_report(d, places->run_dir);
    read_fingerprint(places->state_dir, "host.pem", d->certificate, sizeof(d->certificate));
    read_fingerprint(places->state_dir, "ca.pem", d->authority, sizeof(d->authority));
    tui_tail_read(places->log_dir, "musterd", DAEMON_LOG_LINES, &d->daemon_log);
    tui_tail_read(places->log_dir, "muster-netboot", NETBOOT_LOG_LINES, &d->netboot_log);
    return d;
}

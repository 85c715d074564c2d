/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hostinfo.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "link/link.h"

#define PRODUCT_VERSION "8.3.0" /* what clients of this API generation expect; ours is platform_version */
#define MUSTER_VERSION "0.1.0"

static void copy_address(const struct net_bridge *b, struct rows_address *n) {
    char text[NET_ADDR_TEXT_SIZE];
    str_copy(n->mode, sizeof(n->mode),
             b->ip4.mode == NET_IP_STATIC ? "Static"
             : b->ip4.mode == NET_IP_DHCP ? "DHCP"
                                          : "None");
    str_copy(n->ipv6_mode, sizeof(n->ipv6_mode),
             b->ip6.mode == NET_IP_STATIC     ? "Static"
             : b->ip6.mode == NET_IP_DHCP     ? "DHCP"
             : b->ip6.mode == NET_IP_AUTOCONF ? "Autoconf"
                                              : "None");
    if (b->ip4.mode == NET_IP_STATIC) {
        str_copy(n->ip, sizeof(n->ip), net_addr_text(&b->ip4.address, /* with_prefix= */ false, text));
        str_copy(n->netmask, sizeof(n->netmask), net_prefix_to_netmask(b->ip4.address.prefix, text));
        str_copy(n->gateway, sizeof(n->gateway), net_addr_text(&b->ip4.gateway, false, text));
    }
    if (b->ip6.mode == NET_IP_STATIC) {
        str_copy(n->ipv6, sizeof(n->ipv6), net_addr_text(&b->ip6.address, true, text));
        str_copy(n->ipv6_gateway, sizeof(n->ipv6_gateway), net_addr_text(&b->ip6.gateway, false, text));
    }
    _cleanup_buf_ struct buf dns = BUF_INIT;
    for (unsigned i = 0; i < b->n_dns; i++)
        buf_addf(&dns, "%s%s", i ? "," : "", net_addr_text(&b->dns[i], false, text));
    str_copy(n->dns, sizeof(n->dns), buf_str(&dns));
}

/* An address given by a server: what the management bridge has now. */
static void read_given_address(struct link *l, const struct net_bridge *b, struct rows_address *n) {
    struct link_info info;
    struct link_addresses addresses = {0};
    char text[NET_ADDR_TEXT_SIZE];
    if (link_find(l, b->name, &info) < 0 || link_list_addresses(l, &addresses) < 0)
        return;
    for (size_t i = 0; i < addresses.n; i++) {
        const struct link_address *a = &addresses.items[i];
        if (a->index != info.index || a->link_scope)
            continue;
        if (a->ip.family == AF_INET && !n->ip[0]) {
            inet_ntop(AF_INET, a->ip.b, n->ip, sizeof(n->ip));
            str_copy(n->netmask, sizeof(n->netmask), net_prefix_to_netmask(a->prefix_len, text));
        } else if (a->ip.family == AF_INET6 && !n->ipv6[0]) {
            char ipv6[INET6_ADDRSTRLEN];
            inet_ntop(AF_INET6, a->ip.b, ipv6, sizeof(ipv6));
            snprintf(n->ipv6, sizeof(n->ipv6), "%s/%u", ipv6, a->prefix_len);
        }
    }
    link_addresses_done(&addresses);
}

static bool is_nic(const struct link_info *i) {
    /* Hardware has no kind; the lab's NICs are veth ends with a NIC's name. */
    return !i->loopback && (!i->kind[0] || str_eq(i->kind, "veth"));
}

static void read_address(struct link *l, const struct net_bridge *b, struct rows_address *ret) {
    copy_address(b, ret);
    read_given_address(l, b, ret);
}

static int nic_named(const struct rows_host *h, const char *device) {
    for (unsigned i = 0; i < h->n_nics; i++)
        if (str_eq(h->nics[i].device, device))
            return (int)i;
    return -1;
}

static bool read_bond(const struct net_bridge *b, const struct rows_host *h, struct rows_port *p) {
    p->tag = -1;
    str_copy(p->device, sizeof(p->device), b->bond.name);
    str_copy(p->mode, sizeof(p->mode), net_bond_mode_text(b->bond.mode));
    p->lacp_fast = b->bond.lacp_fast;
    p->no_fallback = !b->bond.fallback_ab;
    p->hash_src_mac = b->bond.hash_src_mac;
    int primary = nic_named(h, net_bridge_primary_leg(b));
    for (unsigned i = 0; i < b->n_legs && p->n_legs < ROWS_MAX_LEGS; i++) {
        int nic = nic_named(h, b->legs[i]);
        if (nic >= 0) /* one that is missing now comes back with its PIF, once there is one: pif-scan */
            p->legs[p->n_legs++] = (unsigned)nic;
    }
    if (!p->n_legs)
        return false;
    p->primary = primary >= 0 ? (unsigned)primary : p->legs[0];
    return true;
}

static bool read_vlan(const struct net_config *c, const struct net_bridge *b, struct rows_port *p) {
    const struct net_bridge *base = net_config_base(c, b);
    if (!base || !base->n_legs)
        return false;
    p->tag = b->tag;
    str_copy(p->parent, sizeof(p->parent), b->parent);
    str_copy(p->device, sizeof(p->device), base->purpose == NET_PURPOSE_BOND ? base->bond.name : base->legs[0]);
    return true;
}

/* Bonds before VLANs, since these lie on them. */
static void read_ports(struct link *l, const struct net_config *c, enum net_purpose purpose, struct rows_host *h) {
    for (unsigned i = 0; i < c->n_bridges; i++) {
        const struct net_bridge *b = &c->bridges[i];
        if (b->purpose != purpose || h->n_ports == ROWS_MAX_PORTS)
            continue;
        struct rows_port *p = &h->ports[h->n_ports];
        *p = (struct rows_port){.network_mtu = b->mtu, .management = str_eq(b->name, c->management)};
        str_copy(p->bridge, sizeof(p->bridge), b->name);
        if (purpose == NET_PURPOSE_BOND ? !read_bond(b, h, p) : !read_vlan(c, b, p))
            continue;
        read_address(l, b, &p->address);
        h->n_ports++;
        for (unsigned k = 0; k < p->n_legs; k++) {
            h->nics[p->legs[k]].network_mtu = b->mtu;
            str_copy(h->nics[p->legs[k]].bond, sizeof(h->nics[0].bond), p->device);
        }
    }
}

static void read_nic(const struct link_info *info, const struct net_config *c, struct rows_nic *n) {
    *n = (struct rows_nic){.mtu = info->mtu, .address = {.mode = "None", .ipv6_mode = "None"}};
    str_copy(n->device, sizeof(n->device), info->name);
    const uint8_t *m = info->permanent_mac.b;
    snprintf(n->mac, sizeof(n->mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
    for (unsigned i = 0; i < c->n_bridges; i++)
        if (c->bridges[i].purpose == NET_PURPOSE_NIC && str_eq(c->bridges[i].legs[0], info->name))
            n->network_mtu = c->bridges[i].mtu;
}

/* The NIC that management runs over, and its address. */
static void read_management(struct link *l, const struct net_config *c, struct rows_host *h) {
    const struct net_bridge *management = net_config_management(c);
    const struct net_bridge *base = management ? net_config_base(c, management) : NULL;
    int nic = management ? nic_named(h, net_bridge_primary_leg(base ? base : management)) : -1;
    for (unsigned i = 0; base && nic < 0 && i < base->n_legs; i++)
        nic = nic_named(h, base->legs[i]); /* the primary leg is missing, the bond has others */
    h->management_vlan = management && management->purpose == NET_PURPOSE_VLAN ? management->tag : -1;
    if (nic < 0)
        return;
    struct rows_nic *n = &h->nics[nic];
    n->management = true;
    read_address(l, management, &n->address);
    str_copy(h->address, sizeof(h->address), n->address.ip[0] ? n->address.ip : n->address.ipv6);
    h->address[strcspn(h->address, "/")] = 0;
}

bool hostinfo_read(const struct net_config *config, struct rows_host *ret, struct error **errp) {
    struct rows_host h = {.n_nics = 0};
    if (gethostname(h.hostname, sizeof(h.hostname) - 1) < 0)
        str_copy(h.hostname, sizeof(h.hostname), "localhost");
    _cleanup_(link_freep) struct link *l = NULL;
    struct link_infos links = {0};
    int r = link_kernel_open(&l);
    if (r == 0)
        r = link_list(l, &links);
    if (r < 0) {
        error_errno(errp, r, "reading the NICs");
        return false;
    }
    for (size_t i = 0; i < links.n && h.n_nics < ROWS_MAX_NICS; i++)
        if (is_nic(&links.items[i]))
            read_nic(&links.items[i], config, &h.nics[h.n_nics++]);
    link_infos_done(&links);
    read_management(l, config, &h);
    read_ports(l, config, NET_PURPOSE_BOND, &h);
    read_ports(l, config, NET_PURPOSE_VLAN, &h);
    if (!h.address[0]) {
        error_set(errp, ERR_HOST_HAS_NO_MANAGEMENT_IP, NULL);
        return false;
    }
    *ret = h;
    return true;
}

/* The value of the first line "key : value" of a file in the manner of /proc/cpuinfo. */
static void read_key(const char *text, const char *key, char *ret, size_t size) {
    ret[0] = 0;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (!str_starts(line, key))
            continue;
        const char *colon = strchr(line, ':');
        size_t len = colon ? strcspn(colon + 1, "\n") : 0;
        while (len && colon[1] == ' ') {
            colon++;
            len--;
        }
        _cleanup_free_ char *found = xstrndup(colon ? colon + 1 : "", len);
        str_copy(ret, size, found);
        return;
    }
}

static void put_if_changed(struct db_txn *t, const struct row *host, unsigned field, struct value v) {
    if (value_equal(row_value(host, field), &v))
        value_done(&v);
    else
        db_txn_set(t, CLASS_host, &host->uuid, field, v);
}

void hostinfo_write(struct db *d, const struct uuid *self, struct db_txn *t) {
    const struct row *host = db_get(d, CLASS_host, self);
    if (!host)
        return;
    struct utsname os;
    if (uname(&os) < 0)
        memset(&os, 0, sizeof(os));
    struct value versions = value_map();
    value_map_add(&versions, "product_version", value_string(PRODUCT_VERSION));
    value_map_add(&versions, "product_brand", value_string("Muster"));
    value_map_add(&versions, "platform_name", value_string("Muster"));
    value_map_add(&versions, "platform_version", value_string(MUSTER_VERSION));
    value_map_add(&versions, "build_number", value_string(MUSTER_VERSION));
    value_map_add(&versions, "xapi", value_string("2.23"));
    value_map_add(&versions, "xapi_build", value_string(MUSTER_VERSION));
    value_map_add(&versions, "linux", value_string(os.release));
    value_map_add(&versions, "hostname", value_string(os.nodename));
    value_map_add(&versions, "network_backend", value_string("openvswitch"));
    value_map_add(&versions, "db_schema", value_string(model_schema_version));
    put_if_changed(t, host, FIELD_host_software_version, versions);

    _cleanup_buf_ struct buf cpuinfo = BUF_INIT;
    char text[256];
    struct value cpu = value_map();
    int r = fs_read("/proc/cpuinfo", 1 << 20, &cpuinfo);
    value_map_add(&cpu, "cpu_count", value_stringf("%ld", sysconf(_SC_NPROCESSORS_ONLN)));
    value_map_add(&cpu, "socket_count", value_string("1"));
    static const char *const keys[][2] = {{"vendor_id", "vendor"},  {"model name", "modelname"},
                                          {"cpu family", "family"}, {"model\t", "model"},
                                          {"stepping", "stepping"}, {"flags", "flags"}};
    for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(keys); i++) {
        read_key(buf_str(&cpuinfo), keys[i][0], text, sizeof(text));
        value_map_add(&cpu, keys[i][1], value_string(text));
    }
    put_if_changed(t, host, FIELD_host_cpu_info, cpu);
    put_if_changed(t, host, FIELD_host_API_version_major, value_int(2));
    put_if_changed(t, host, FIELD_host_API_version_minor, value_int(23));
    put_if_changed(t, host, FIELD_host_API_version_vendor, value_string("Muster"));
    put_if_changed(t, host, FIELD_host_hostname, value_string(os.nodename));
    db_txn_map_put(t, CLASS_host, self, FIELD_host_other_config, "agent_start_time",
                   value_stringf("%lld.", (long long)time(NULL)));
}

void hostinfo_metrics(struct db *d, const struct uuid *self) {
    _cleanup_(link_freep) struct link *l = NULL;
    struct link_infos links = {0};
    if (link_kernel_open(&l) < 0 || link_list(l, &links) < 0)
        return;
    for (const struct row *r = db_first(d, CLASS_PIF); r; r = db_next(d, r)) {
        if (!uuid_eq(row_ref(r, FIELD_PIF_host), self))
            continue;
        const struct uuid *metrics = row_ref(r, FIELD_PIF_metrics);
        if (!db_get(d, CLASS_PIF_metrics, metrics))
            db_volatile_put(d, self, CLASS_PIF_metrics, metrics);
        bool carrier = false;
        for (size_t i = 0; i < links.n; i++)
            carrier |= str_eq(links.items[i].name, row_str(r, FIELD_PIF_device)) && links.items[i].carrier;
        const struct row *bond = NULL;
        const struct value *bonds = row_value(r, FIELD_PIF_bond_master_of);
        if (bonds->set.n)
            bond = db_get(d, CLASS_Bond, &bonds->set.items[0].ref);
        const struct value *members = bond ? row_value(bond, FIELD_Bond_slaves) : NULL;
        for (size_t k = 0; members && k < members->set.n; k++) {
            const struct row *member = db_get(d, CLASS_PIF, &members->set.items[k].ref);
            for (size_t i = 0; member && i < links.n; i++)
                carrier |= str_eq(links.items[i].name, row_str(member, FIELD_PIF_device)) && links.items[i].carrier;
        }
        db_volatile_set(d, self, CLASS_PIF_metrics, metrics, FIELD_PIF_metrics_carrier, value_bool(carrier));
    }
    link_infos_done(&links);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The first configuration of a host: from arguments, or from the address that the machine already has. */
#define LOG_MODULE "netboot"
#include "netboot/netboot.h"

#include "base/log.h"
#include "base/nic_bridge.h"
#include "base/str.h"

#include <getopt.h>
#include <stdio.h>

struct request {
    const char *device; /* a NIC, or several with commas: a bond */
    const char *mode, *ip, *netmask, *gateway, *dns;
    enum net_bond_mode bond_mode;
    int vlan; /* -1 none */
    int mtu;
    int control_size;
    enum net_datapath datapath;
};

enum {
    OPT_DEVICE = 512,
    OPT_MODE,
    OPT_IP,
    OPT_NETMASK,
    OPT_GATEWAY,
    OPT_DNS,
    OPT_VLAN,
    OPT_MTU,
    OPT_DATAPATH,
    OPT_CONTROL_SIZE,
    OPT_BOND_MODE
};

static const struct option options[] = {{"device", required_argument, NULL, OPT_DEVICE},
                                        {"mode", required_argument, NULL, OPT_MODE},
                                        {"ip", required_argument, NULL, OPT_IP},
                                        {"netmask", required_argument, NULL, OPT_NETMASK},
                                        {"gateway", required_argument, NULL, OPT_GATEWAY},
                                        {"dns", required_argument, NULL, OPT_DNS},
                                        {"vlan", required_argument, NULL, OPT_VLAN},
                                        {"mtu", required_argument, NULL, OPT_MTU},
                                        {"datapath", required_argument, NULL, OPT_DATAPATH},
                                        {"control-size", required_argument, NULL, OPT_CONTROL_SIZE},
                                        {"bond-mode", required_argument, NULL, OPT_BOND_MODE},
                                        {0}};

static bool usage(struct error **errp, const char *option, const char *wants) {
    error_internal(errp, "--%s wants %s", option, wants);
    return false;
}

static bool parse_number(const char *option, int min, int max, const char *wants, int *ret, struct error **errp) {
    int64_t v;
    if (!str_parse_int(optarg, min, max, &v))
        return usage(errp, option, wants);
    *ret = (int)v;
    return true;
}

static bool parse(int argc, char *const argv[], struct request *ret, struct error **errp) {
    *ret = (struct request){.mode = str_eq(argv[0], "adopt") ? "adopt" : NULL,
                            .vlan = -1,
                            .mtu = NET_MTU_DEFAULT,
                            .control_size = NET_MTU_DEFAULT};
    optind = 0; /* a new vector, from its start */
    bool ok = true;
    for (int opt; ok && (opt = getopt_long(argc, argv, "+", options, NULL)) != -1;)
        switch (opt) {
        case OPT_DEVICE:
            ret->device = optarg;
            break;
        case OPT_MODE:
            ret->mode = optarg;
            break;
        case OPT_IP:
            ret->ip = optarg;
            break;
        case OPT_NETMASK:
            ret->netmask = optarg;
            break;
        case OPT_GATEWAY:
            ret->gateway = optarg;
            break;
        case OPT_DNS:
            ret->dns = optarg;
            break;
        case OPT_VLAN:
            ok = parse_number("vlan", 1, 4094, "a tag from 1 to 4094", &ret->vlan, errp);
            break;
        case OPT_MTU:
            ok = parse_number("mtu", NET_MTU_MIN, NET_MTU_MAX, "a number from 576 to 65535", &ret->mtu, errp);
            break;
        case OPT_CONTROL_SIZE:
            ok = parse_number("control-size", NET_CONTROL_SIZE_MIN, NET_MTU_MAX, "a number from 576 to 65535",
                              &ret->control_size, errp);
            break;
        case OPT_BOND_MODE:
            ok = net_bond_mode_parse(optarg, &ret->bond_mode) ||
                 usage(errp, "bond-mode", "'active-backup', 'balance-slb' or 'lacp'");
            break;
        case OPT_DATAPATH:
            ok = net_datapath_parse(optarg, &ret->datapath) || usage(errp, "datapath", "'system' or 'netdev'");
            break;
        default:
            error_internal(errp, "see --help for the arguments of init");
            ok = false;
        }
    if (ok && optind < argc) {
        error_internal(errp, "'%s' is too much; see --help", argv[optind]);
        ok = false;
    }
    return ok;
}

static bool parse_addr(const char *option, const char *text, struct net_addr *ret, struct error **errp) {
    return net_addr_parse(text, ret) || usage(errp, option, "an IPv4 or IPv6 address");
}

static bool add_dns(struct net_bridge *b, const char *list, struct error **errp) {
    _cleanup_strv_ struct strv parts = {0};
    strv_split(&parts, list, ',');
    for (size_t i = 0; i < parts.n; i++) {
        if (b->n_dns == NET_MAX_DNS)
            return usage(errp, "dns", "at most six addresses");
        if (!parse_addr("dns", parts.items[i], &b->dns[b->n_dns], errp))
            return false;
        b->n_dns++;
    }
    return true;
}

/* --ip may carry its prefix, else --netmask gives it. */
static bool set_static(struct net_bridge *b, const struct request *q, struct error **errp) {
    struct net_addr address, gateway = {0};
    if (str_empty(q->ip))
        return usage(errp, "ip", "an address with --mode static");
    if (!parse_addr("ip", q->ip, &address, errp) || (q->gateway && !parse_addr("gateway", q->gateway, &gateway, errp)))
        return false;
    if (q->netmask) {
        int64_t prefix = net_netmask_to_prefix(q->netmask);
        int bits = address.family == NET_FAMILY_IPV6 ? 128 : 32;
        if (prefix < 0 && !str_parse_int(q->netmask, 0, bits, &prefix))
            return usage(errp, "netmask", "a netmask such as 255.255.255.0, or a length such as 24");
        address.prefix = (uint8_t)prefix;
    } else if (!strchr(q->ip, '/'))
        return usage(errp, "netmask", "to be given when --ip has no length");
    struct net_ip *ip = address.family == NET_FAMILY_IPV6 ? &b->ip6 : &b->ip4;
    *ip = (struct net_ip){.mode = NET_IP_STATIC, .address = address, .gateway = gateway};
    return true;
}

/* The NIC below `link`: itself, or the physical interface in the switch's bridge of that name. */
static const char *nic_below(const struct net_observed *is, const char *link) {
    const struct net_obs_link *l = net_observed_link(is, link);
    if (l && l->kind == NET_LINK_PHYSICAL)
        return l->name;
    for (unsigned i = 0; i < is->n_ports; i++)
        if (str_eq(is->ports[i].bridge, link))
            for (unsigned j = 0; j < is->ports[i].n_ifaces; j++) {
                l = net_observed_link(is, is->ports[i].ifaces[j]);
                if (l && l->kind == NET_LINK_PHYSICAL)
                    return l->name;
            }
    return NULL;
}

static const struct net_route *default_route(const struct net_observed *is, const char *dev, enum net_family family) {
    const struct net_route *best = NULL;
    for (unsigned i = 0; i < is->n_routes; i++) {
        const struct net_route *r = &is->routes[i];
        if (r->dst.prefix == 0 && r->dst.family == family && r->gateway.family && (!dev || str_eq(r->dev, dev)) &&
            (!best || r->metric < best->metric))
            best = r;
    }
    return best;
}

/* Takes over the addresses of `link`. False when it has none. */
static bool adopt_addresses(struct net_bridge *b, const struct net_observed *is, const char *link) {
    for (unsigned i = 0; i < is->n_addrs; i++) {
        const struct net_obs_addr *a = &is->addrs[i];
        if (!str_eq(a->link, link) || net_addr_is_link_local(&a->addr))
            continue;
        struct net_ip *ip = a->addr.family == NET_FAMILY_IPV6 ? &b->ip6 : &b->ip4;
        if (ip->mode != NET_IP_NONE)
            continue; /* the first one is the primary */
        if (a->dynamic && a->addr.family == NET_FAMILY_IPV6) {
            ip->mode = NET_IP_AUTOCONF;
            continue;
        }
        if (a->dynamic) {
            ip->mode = NET_IP_DHCP;
            continue;
        }
        const struct net_route *gateway = default_route(is, link, a->addr.family);
        *ip = (struct net_ip){.mode = NET_IP_STATIC, .address = a->addr};
        if (gateway)
            ip->gateway = gateway->gateway;
    }
    return b->ip4.mode != NET_IP_NONE || b->ip6.mode != NET_IP_NONE;
}

static bool set_addresses(struct net_bridge *b, const struct request *q, const struct net_observed *is,
                          const char *link, struct error **errp) {
    const char *mode = q->mode ? q->mode : q->ip ? "static" : "adopt";
    if (q->dns && !add_dns(b, q->dns, errp))
        return false;
    if (str_eq(mode, "static"))
        return set_static(b, q, errp);
    if (str_eq(mode, "dhcp")) {
        b->ip4.mode = NET_IP_DHCP;
        return true;
    }
    if (str_eq(mode, "none"))
        return true;
    if (!str_eq(mode, "adopt"))
        return usage(errp, "mode", "static, dhcp, none or adopt");
    if (!q->dns)
        for (unsigned i = 0; i < is->n_dns; i++)
            b->dns[b->n_dns++] = is->dns[i];
    if (adopt_addresses(b, is, link))
        return true;
    error_internal(errp, "'%s' has no address to take over; give one with --mode static --ip", link);
    return false;
}

/* The bridge over the NICs of `list`: that of the one NIC, or a new one of a bond. NULL with an error. */
static struct net_bridge *add_base(struct net_config *c, const struct request *q, const struct net_observed *is,
                                   const char *list, struct error **errp) {
    _cleanup_strv_ struct strv devices = {0};
    strv_split(&devices, list, ',');
    if (devices.n > NET_MAX_LEGS) {
        error_internal(errp, "a bond has at most %d legs", NET_MAX_LEGS);
        return NULL;
    }
    for (size_t i = 0; i < devices.n; i++) {
        const char *name = nic_below(is, devices.items[i]);
        if (!name || net_config_nic(c, name)) {
            error_internal(errp, name ? "'%s' is named twice" : "'%s' is no NIC of this host", devices.items[i]);
            return NULL;
        }
        const struct net_obs_link *nic = net_observed_link(is, name);
        net_config_add_nic(c, name, net_mac_is_zero(&nic->permanent_mac) ? &nic->mac : &nic->permanent_mac);
    }
    net_name name;
    nic_bridge_name(c->nics[0].name, name);
    struct net_bridge *b =
        net_config_add_bridge(c, devices.n > 1 ? "xapi0" : name, devices.n > 1 ? NET_PURPOSE_BOND : NET_PURPOSE_NIC);
    b->mtu = q->mtu;
    for (unsigned i = 0; i < c->n_nics; i++)
        net_bridge_add_leg(b, c->nics[i].name);
    if (devices.n > 1) {
        (void)net_name_set(b->bond.name, "bond0");
        b->bond.mode = q->bond_mode;
    }
    return b;
}

/* The link that bears the address now: the bridge over the NIC, or the NIC itself. */
static const char *bearer(const struct net_observed *is, const char *device, const char *nic) {
    const struct net_obs_port *port = net_observed_port_of_iface(is, nic);
    return !str_eq(device, nic) ? device : port ? port->bridge : nic;
}

static struct net_config *make(struct netboot *n, const struct request *q, struct error **errp) {
    _cleanup_net_observed_ struct net_observed *is = netboot_observe(n, errp);
    if (!is)
        return NULL;
    const struct net_route *route = default_route(is, NULL, NET_FAMILY_IPV4);
    if (!route)
        route = default_route(is, NULL, NET_FAMILY_IPV6);
    const char *device = q->device ? q->device : route ? route->dev : NULL;
    if (!device) {
        error_internal(errp, "no device has a default route; name the management NIC with --device");
        return NULL;
    }
    _cleanup_net_config_ struct net_config *c = net_config_new();
    c->datapath = q->datapath;
    c->control_size = q->control_size;
    struct net_bridge *b = add_base(c, q, is, device, errp);
    if (!b)
        return NULL;
    if (q->vlan >= 0) {
        net_name parent;
        (void)net_name_set(parent, b->name);
        b = net_config_add_bridge(c, str_eq(parent, "xapi0") ? "xapi1" : "xapi0", NET_PURPOSE_VLAN);
        b->mtu = q->mtu;
        b->tag = q->vlan;
        (void)net_name_set(b->parent, parent);
    }
    (void)net_name_set(c->management, b->name);
    bool is_list = strchr(device, ',') != NULL;
    const char *nic = c->nics[0].name;
    if (!set_addresses(b, q, is, bearer(is, is_list ? nic : device, nic), errp))
        return NULL;
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) == 0)
        net_config_set_host_name(c, host);
    net_config_set_provenance(c, "muster-netboot init");
    return net_config_validate(c, errp) ? TAKE(c) : NULL;
}

int netboot_init(struct netboot *n, int argc, char *const argv[]) {
    struct request q;
    struct error *e = NULL;
    int code = NETBOOT_USAGE;
    _cleanup_net_config_ struct net_config *c = NULL;
    if (parse(argc, argv, &q, &e)) {
        code = NETBOOT_FAILED;
        if (netboot_open(n, /* need_switch= */ false, &e))
            c = make(n, &q, &e);
    }
    if (c && net_store_commit(n->net_dir, c, &e) && net_store_clear_pending(n->net_dir, &e) &&
        net_store_clear_refused(n->net_dir, &e)) {
        log_notice("generation %llu: management on '%s'", (unsigned long long)c->generation, c->management);
        return NETBOOT_OK;
    }
    log_err("%s: %s", argv[0], error_text(e));
    error_free(e);
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_reset.h"

#include "base/str.h"

#define FAIL(...)                                                                                                      \
    do {                                                                                                               \
        error_setf(errp, ERR_NET_REPAIR_INVALID, __VA_ARGS__);                                                         \
        return false;                                                                                                  \
    } while (0)
#define MAX_VALUE 256

static const char *const keys[N_NET_RESET_WORDS] = {
    [NET_RESET_DEVICE] = "DEVICE",
    [NET_RESET_MODE] = "MODE",
    [NET_RESET_IP] = "IP",
    [NET_RESET_NETMASK] = "NETMASK",
    [NET_RESET_GATEWAY] = "GATEWAY",
    [NET_RESET_DNS] = "DNS",
    [NET_RESET_VLAN] = "VLAN",
    [NET_RESET_MTU] = "MTU",
    [NET_RESET_MODE_V6] = "MODE_V6",
    [NET_RESET_IPV6] = "IPV6",
    [NET_RESET_GATEWAY_V6] = "GATEWAY_V6",
    [NET_RESET_MASTER] = "MASTER",
};

void net_reset_words_done(struct net_reset_words *w) {
    for (unsigned i = 0; i < N_NET_RESET_WORDS; i++)
        free(w->text[i]);
    *w = (struct net_reset_words){0};
}

void net_reset_words_set(struct net_reset_words *w, enum net_reset_word which, const char *text) {
    char *copy = str_empty(text) ? NULL : xstrdup(text);
    free(w->text[which]);
    w->text[which] = copy;
}

/* ---- what they mean ---- */

static bool parse_addr(const char *option, const char *text, enum net_family family, struct net_addr *ret,
                       struct error **errp) {
    if (net_addr_parse(text, ret) && ret->family == family)
        return true;
    FAIL("--%s is '%.60s', which is no IPv%d address; give one such as %s", option, text, (int)family,
         family == NET_FAMILY_IPV4 ? "10.0.0.11" : "fd00::11/64");
}

static bool build_gateway(const char *option, const char *text, struct net_ip *ip, struct error **errp) {
    char network[NET_ADDR_TEXT_SIZE];
    if (!text)
        return true;
    if (!parse_addr(option, text, ip->address.family, &ip->gateway, errp))
        return false;
    if (net_addr_contains(&ip->address, &ip->gateway) || net_addr_is_link_local(&ip->gateway))
        return true;
    struct net_addr n = net_addr_network(&ip->address);
    FAIL("--%s is '%s', which is not in the network %s of the address, so it could never be reached; give the router's "
         "address there, or correct the netmask",
         option, text, net_addr_text(&n, /* with_prefix= */ true, network));
}

static bool build_static(const struct net_reset_words *w, struct net_reset *r, struct error **errp) {
    const char *ip = w->text[NET_RESET_IP], *netmask = w->text[NET_RESET_NETMASK];
    int64_t prefix;
    r->ip4.mode = NET_IP_STATIC;
    if (!ip)
        FAIL("--mode=static needs an address; give it with --ip=, or use --mode=dhcp");
    if (!parse_addr("ip", ip, NET_FAMILY_IPV4, &r->ip4.address, errp))
        return false;
    if (netmask) {
        prefix = net_netmask_to_prefix(netmask);
        if (prefix <= 0 && !str_parse_int(netmask, 1, 32, &prefix))
            FAIL("--netmask is '%.60s'; give one such as 255.255.255.0", netmask);
        r->ip4.address.prefix = (uint8_t)prefix;
    } else if (!strchr(ip, '/'))
        FAIL("--ip=%s has no netmask; add --netmask=, such as --netmask=255.255.255.0", ip);
    return build_gateway("gateway", w->text[NET_RESET_GATEWAY], &r->ip4, errp);
}

static bool build_ip4(const struct net_reset_words *w, struct net_reset *r, struct error **errp) {
    const char *mode = w->text[NET_RESET_MODE], *ip = w->text[NET_RESET_IP];
    if (!mode)
        mode = ip ? "static" : w->text[NET_RESET_MODE_V6] ? "none" : "dhcp";
    if (str_eq(mode, "static"))
        return build_static(w, r, errp);
    if (!str_eq(mode, "dhcp") && !str_eq(mode, "none"))
        FAIL("--mode is '%.40s'; it is 'static' or 'dhcp' (or 'none' with --mode-v6)", mode);
    if (ip || w->text[NET_RESET_NETMASK] || w->text[NET_RESET_GATEWAY])
        FAIL("--mode=%s takes no --ip, --netmask or --gateway; leave them out, or use --mode=static", mode);
    r->ip4.mode = str_eq(mode, "dhcp") ? NET_IP_DHCP : NET_IP_NONE;
    return true;
}

static bool build_ip6(const struct net_reset_words *w, struct net_reset *r, struct error **errp) {
    const char *mode = w->text[NET_RESET_MODE_V6], *ip = w->text[NET_RESET_IPV6];
    if (!mode)
        mode = ip ? "static" : "none";
    if (str_eq(mode, "static")) {
        r->ip6.mode = NET_IP_STATIC;
        if (!ip || !strchr(ip, '/'))
            FAIL("--mode-v6=static needs an address with its length; give it with --ipv6=, such as --ipv6=fd00::11/64");
        return parse_addr("ipv6", ip, NET_FAMILY_IPV6, &r->ip6.address, errp) &&
               build_gateway("gateway-v6", w->text[NET_RESET_GATEWAY_V6], &r->ip6, errp);
    }
    if (ip || w->text[NET_RESET_GATEWAY_V6])
        FAIL("--mode-v6=%.40s takes no --ipv6 and no --gateway-v6; leave them out, or use --mode-v6=static", mode);
    if (str_eq(mode, "dhcp"))
        r->ip6.mode = NET_IP_DHCP;
    else if (str_eq(mode, "autoconf"))
        r->ip6.mode = NET_IP_AUTOCONF;
    else if (!str_eq(mode, "none"))
        FAIL("--mode-v6 is '%.40s'; it is 'static', 'dhcp', 'autoconf' or 'none'", mode);
    return true;
}

static bool build_dns(const char *list, struct net_reset *r, struct error **errp) {
    _cleanup_strv_ struct strv parts = {0};
    strv_split(&parts, list, ',');
    for (size_t i = 0; i < parts.n; i++) {
        if (!*parts.items[i])
            continue;
        if (r->n_dns == NET_MAX_DNS)
            FAIL("--dns names more than %d servers; leave some out", NET_MAX_DNS);
        if (!net_addr_parse(parts.items[i], &r->dns[r->n_dns]) || strchr(parts.items[i], '/'))
            FAIL("--dns has '%.60s', which is no IP address; give addresses with commas between them", parts.items[i]);
        r->n_dns++;
    }
    return true;
}

static bool build_number(const char *option, const char *text, int min, int max, int *ret, struct error **errp) {
    int64_t v;
    if (!text)
        return true;
    if (!str_parse_int(text, min, max, &v))
        FAIL("--%s is '%.40s'; it is a number from %d to %d", option, text, min, max);
    *ret = (int)v;
    return true;
}

bool net_reset_build(const struct net_reset_words *w, struct net_reset *ret, struct error **errp) {
    struct net_reset r = {.mtu = NET_MTU_DEFAULT};
    struct net_addr master;
    const char *device = w->text[NET_RESET_DEVICE];
    if (!device)
        FAIL("it is not said which NIC is to carry management; name it with --device=, such as --device=eth0");
    if (!net_name_set(r.device, device))
        FAIL("--device is '%.40s', which no NIC can be named; give one such as eth0", device);
    if (!build_number("vlan", w->text[NET_RESET_VLAN], 1, 4094, &r.vlan, errp) ||
        !build_number("mtu", w->text[NET_RESET_MTU], NET_MTU_DEFAULT, NET_MTU_MAX, &r.mtu, errp) ||
        !build_ip4(w, &r, errp) || !build_ip6(w, &r, errp) ||
        (w->text[NET_RESET_DNS] && !build_dns(w->text[NET_RESET_DNS], &r, errp)))
        return false;
    if (r.ip4.mode == NET_IP_NONE && r.ip6.mode == NET_IP_NONE)
        FAIL("management would have no address; give --mode=dhcp, or --mode=static with --ip= and --netmask=");
    if (w->text[NET_RESET_MASTER] &&
        (!net_addr_parse(w->text[NET_RESET_MASTER], &master) || strchr(w->text[NET_RESET_MASTER], '/')))
        FAIL("--master is '%.60s', which is no IP address; give the address of the pool's coordinator",
             w->text[NET_RESET_MASTER]);
    *ret = r;
    return true;
}

/* ---- the trigger file ---- */

char *net_reset_words_text(const struct net_reset_words *w) {
    struct buf b = BUF_INIT;
    for (unsigned i = 0; i < N_NET_RESET_WORDS; i++)
        if (w->text[i])
            buf_addf(&b, "%s='%s'\n", keys[i], w->text[i]);
    return buf_take(&b);
}

static bool is_plain(const char *s) {
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || (unsigned char)*s > '~' || *s == '\'' || *s == '"')
            return false;
    return true;
}

/* The value of a line in place, without its quotes; NULL when it is not one. */
static char *unquote(char *value) {
    size_t n = strlen(value);
    if (n >= 2 && (value[0] == '\'' || value[0] == '"') && value[n - 1] == value[0]) {
        value[n - 1] = 0;
        value++;
    }
    return strlen(value) <= MAX_VALUE && is_plain(value) ? value : NULL;
}

bool net_reset_words_parse(const char *text, size_t size, struct net_reset_words *ret, struct error **errp) {
    _cleanup_net_reset_words_ struct net_reset_words w = {0};
    _cleanup_strv_ struct strv lines = {0};
    if (size > NET_RESET_MAX_SIZE || strlen(text) != size) {
        error_setf(errp, ERR_NET_REPAIR_CORRUPT, "it is no text of at most %d bytes", NET_RESET_MAX_SIZE);
        return false;
    }
    strv_split(&lines, text, '\n');
    for (size_t i = 0; i < lines.n; i++) {
        char *line = lines.items[i] + strspn(lines.items[i], " \t");
        for (size_t n = strlen(line); n && strchr(" \t\r", line[n - 1]);)
            line[--n] = 0;
        if (!*line || *line == '#')
            continue;
        char *equals = strchr(line, '='), *value = equals ? unquote(equals + 1) : NULL;
        unsigned k = 0;
        if (equals)
            *equals = 0;
        while (k < N_NET_RESET_WORDS && !str_eq(line, keys[k]))
            k++;
        if (!value || k == N_NET_RESET_WORDS) {
            error_setf(errp, ERR_NET_REPAIR_CORRUPT,
                       "line %zu ('%.40s') is not KEY=value with a key such as DEVICE, MODE, IP, NETMASK, GATEWAY, DNS",
                       i + 1, is_plain(line) ? line : "?");
            return false;
        }
        net_reset_words_set(&w, k, value);
    }
    *ret = w;
    w = (struct net_reset_words){0};
    return true;
}

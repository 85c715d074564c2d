/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/net_file_value.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define NETWORK (1u << NET_SECTION_NETWORK)
#define NIC (1u << NET_SECTION_NIC)
#define BOND (1u << NET_SECTION_BOND)
#define VLAN (1u << NET_SECTION_VLAN)
#define INTERFACE (NIC | BOND | VLAN)
#define MAX_TEXT 1024

static void split_words(const char *text, struct strv *ret) {
    _cleanup_strv_ struct strv parts = {0};
    strv_split(&parts, text, ' ');
    for (size_t i = 0; i < parts.n; i++)
        if (*parts.items[i])
            strv_add(ret, parts.items[i]);
}

/* ---- addresses ---- */

static bool parse_static(const struct strv *w, enum net_family family, struct net_file_ip *ip) {
    bool has_gateway = w->n == 4 && str_eq(w->items[2], "gateway");
    if (w->n != 2 && !has_gateway)
        return false;
    if (!strchr(w->items[1], '/') || !net_addr_parse(w->items[1], &ip->address) || ip->address.family != family)
        return false;
    return !has_gateway ||
           (!strchr(w->items[3], '/') && net_addr_parse(w->items[3], &ip->gateway) && ip->gateway.family == family);
}

bool net_file_ip_parse(const char *text, enum net_family family, struct net_file_ip *ret) {
    static const char *const modes[] = {"none", "static", "dhcp", "autoconf"};
    _cleanup_strv_ struct strv w = {0};
    struct net_file_ip ip = {0};
    unsigned mode = 0;
    split_words(text, &w);
    while (mode < ARRAY_SIZE(modes) && !(w.n && str_eq(w.items[0], modes[mode])))
        mode++;
    if (mode == ARRAY_SIZE(modes) || (mode == NET_WORD_AUTOCONF && family == NET_FAMILY_IPV4))
        return false;
    ip.mode = (enum net_ip_mode_word)mode;
    if (mode == NET_WORD_STATIC ? !parse_static(&w, family, &ip) : w.n != 1)
        return false;
    *ret = ip;
    return true;
}

char *net_file_ip_text(const struct net_file_ip *ip) {
    static const char *const modes[] = {"none", "static", "dhcp", "autoconf"};
    char address[NET_ADDR_TEXT_SIZE], gateway[NET_ADDR_TEXT_SIZE];
    if (ip->mode != NET_WORD_STATIC)
        return xstrdup(modes[ip->mode]);
    net_addr_text(&ip->address, /* with_prefix= */ true, address);
    if (!ip->gateway.family)
        return strf("static %s", address);
    return strf("static %s gateway %s", address, net_addr_text(&ip->gateway, /* with_prefix= */ false, gateway));
}

static char *normal_ip(const char *text, enum net_family family) {
    struct net_file_ip ip;
    return net_file_ip_parse(text, family, &ip) ? net_file_ip_text(&ip) : NULL;
}

static char *normal_ipv4(const char *text) {
    return normal_ip(text, NET_FAMILY_IPV4);
}

static char *normal_ipv6(const char *text) {
    return normal_ip(text, NET_FAMILY_IPV6);
}

static char *normal_dns(const char *text) {
    _cleanup_strv_ struct strv w = {0}, out = {0};
    split_words(text, &w);
    for (size_t i = 0; i < w.n; i++) {
        struct net_addr a;
        char address[NET_ADDR_TEXT_SIZE];
        if (strchr(w.items[i], '/') || !net_addr_parse(w.items[i], &a))
            return NULL;
        strv_add(&out, net_addr_text(&a, /* with_prefix= */ false, address));
    }
    return out.n <= NET_MAX_DNS ? strv_join(&out, " ") : NULL;
}

/* ---- others ---- */

static char *normal_text(const char *text) {
    return strlen(text) <= MAX_TEXT && str_is_utf8(text, strlen(text)) ? xstrdup(text) : NULL;
}

static char *normal_mtu(const char *text) {
    int64_t mtu;
    return str_parse_int(text, NET_MTU_MIN, NET_MTU_MAX, &mtu) ? strf("%lld", (long long)mtu) : NULL;
}

static char *normal_own_mtu(const char *text) {
    return *text ? normal_mtu(text) : xstrdup("");
}

static char *normal_flag(const char *text) {
    return str_eq(text, "yes") || str_eq(text, "no") ? xstrdup(text) : NULL;
}

static char *normal_name(const char *text) {
    return !*text || net_name_is_valid(text) ? xstrdup(text) : NULL;
}

static char *normal_mac(const char *text) {
    struct net_mac mac;
    char lower[NET_MAC_TEXT_SIZE];
    if (!*text)
        return xstrdup("");
    return net_mac_parse(text, &mac) && !net_mac_is_zero(&mac) && !(mac.b[0] & 1) ? xstrdup(net_mac_text(&mac, lower))
                                                                                  : NULL;
}

static int by_name(const void *a, const void *b) {
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    size_t n = strlen(x), m = strlen(y);
    return n != m ? (n < m ? -1 : 1) : strcmp(x, y);
}

static char *sorted(const char *text, bool (*is_sound)(const char *word)) {
    _cleanup_strv_ struct strv w = {0};
    split_words(text, &w);
    if (w.n)
        qsort(w.items, w.n, sizeof(*w.items), by_name);
    for (size_t i = 0; i < w.n; i++)
        if (!is_sound(w.items[i]) || (i && str_eq(w.items[i], w.items[i - 1])))
            return NULL;
    return strv_join(&w, " ");
}

static bool is_nic(const char *word) {
    return net_name_is_valid(word);
}

static char *normal_nics(const char *text) {
    char *list = sorted(text, is_nic);
    if (list && *list)
        return list;
    free(list);
    return NULL;
}

static bool is_property(const char *word) {
    const char *equals = strchr(word, '=');
    return equals && equals != word && equals[1];
}

static char *normal_properties(const char *text) {
    return sorted(text, is_property);
}

static char *normal_mode(const char *text) {
    static const char *const modes[] = {"balance-slb", "active-backup", "lacp"};
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
        if (str_eq(text, modes[i]))
            return xstrdup(text);
    return NULL;
}

/* In the order in which they are written. */
static const struct net_key_def keys[] = {
    {"name", "", "any text", normal_text, NETWORK, false},
    {"description", "", "any text", normal_text, NETWORK, false},
    {"mtu", "1500", "a number from 576 to 65535", normal_mtu, NETWORK, false},
    {"mac", "", "a MAC, as 02:00:00:00:00:01", normal_mac, NIC, true},
    {"nics", "", "names of NICs with blanks between them", normal_nics, BOND, false},
    {"mode", "balance-slb", "balance-slb, active-backup or lacp", normal_mode, BOND, false},
    {"primary", "", "the name of a NIC", normal_name, BOND, false},
    {"mac", "", "a MAC, as 02:00:00:00:00:01", normal_mac, BOND, false},
    {"properties", "", "key=value with blanks between them", normal_properties, BOND, false},
    {"network", "", "the bridge of a network", normal_name, INTERFACE, false},
    {"plugged", "yes", "yes or no", normal_flag, INTERFACE, false},
    {"management", "no", "yes or no", normal_flag, INTERFACE, false},
    {"ipv4", "none", "none, dhcp, or static ADDRESS/PREFIX [gateway ADDRESS]", normal_ipv4, INTERFACE, false},
    {"ipv6", "none", "none, dhcp, autoconf, or static ADDRESS/PREFIX [gateway ADDRESS]", normal_ipv6, INTERFACE, false},
    {"dns", "", "addresses with blanks between them", normal_dns, INTERFACE, false},
    {"own-mtu", "", "a number from 576 to 65535, in place of its network's", normal_own_mtu, INTERFACE, false},
};

const struct net_key_def *net_key_def(enum net_section_kind kind, const char *name) {
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if ((keys[i].kinds & (1u << kind)) && str_eq(keys[i].name, name))
            return &keys[i];
    return NULL;
}

const struct net_key_def *net_key_at(enum net_section_kind kind, unsigned i) {
    for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
        if ((keys[k].kinds & (1u << kind)) && !i--)
            return &keys[k];
    return NULL;
}

const char *net_key_names(enum net_section_kind kind) {
    static const char *const names[] = {
        [NET_SECTION_NETWORK] = "name, description, mtu",
        [NET_SECTION_NIC] = "mac, network, plugged, management, ipv4, ipv6, dns, own-mtu",
        [NET_SECTION_BOND] =
            "nics, mode, primary, mac, properties, network, plugged, management, ipv4, ipv6, dns, own-mtu",
        [NET_SECTION_VLAN] = "network, plugged, management, ipv4, ipv6, dns, own-mtu"};
    return names[kind];
}

char *net_key_normal(const struct net_key_def *def, const char *text) {
    return def->normal(text);
}

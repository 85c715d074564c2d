/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/net_file_rows.h"

#include <assert.h>
#include <stdio.h>

#include "base/str.h"
#include "classes/net_file_value.h"
#include "classes/net_rows.h"

/* ---- from rows ---- */

char *net_file_host_word(struct db *d, const struct row *host) {
    const char *name = row_str(host, FIELD_host_name_label);
    unsigned n = 0;
    char uuid[UUID_TEXT_SIZE];
    for (const struct row *h = db_first(d, CLASS_host); h; h = db_next(d, h))
        n += str_eq(row_str(h, FIELD_host_name_label), name);
    return xstrdup(n == 1 && *name ? name : uuid_text(&host->uuid, uuid));
}

static void set_ip4(struct net_section *s, const struct row *pif) {
    const char *mode = row_str(pif, FIELD_PIF_ip_configuration_mode);
    struct net_file_ip ip = {.mode = str_eq(mode, "Static") ? NET_WORD_STATIC
                                     : str_eq(mode, "DHCP") ? NET_WORD_DHCP
                                                            : NET_WORD_NONE};
    if (ip.mode == NET_WORD_STATIC && net_addr_parse(row_str(pif, FIELD_PIF_IP), &ip.address)) {
        int prefix = net_netmask_to_prefix(row_str(pif, FIELD_PIF_netmask));
        ip.address.prefix = (uint8_t)(prefix > 0 ? prefix : 32);
        if (!net_addr_parse(row_str(pif, FIELD_PIF_gateway), &ip.gateway))
            ip.gateway = (struct net_addr){0};
    }
    _cleanup_free_ char *text = net_file_ip_text(&ip);
    net_section_set(s, "ipv4", text);
}

static void set_ip6(struct net_section *s, const struct row *pif) {
    const char *mode = row_str(pif, FIELD_PIF_ipv6_configuration_mode);
    const struct value *list = row_value(pif, FIELD_PIF_IPv6);
    struct net_file_ip ip = {.mode = str_eq(mode, "Static")     ? NET_WORD_STATIC
                                     : str_eq(mode, "DHCP")     ? NET_WORD_DHCP
                                     : str_eq(mode, "Autoconf") ? NET_WORD_AUTOCONF
                                                                : NET_WORD_NONE};
    if (ip.mode == NET_WORD_STATIC && list->set.n && net_addr_parse(value_str(&list->set.items[0]), &ip.address)) {
        if (!net_addr_parse(row_str(pif, FIELD_PIF_ipv6_gateway), &ip.gateway))
            ip.gateway = (struct net_addr){0};
    }
    _cleanup_free_ char *text = net_file_ip_text(&ip);
    net_section_set(s, "ipv6", text);
}

static void set_common(struct db *d, struct net_section *s, const struct row *pif) {
    const struct row *network = db_follow(d, pif, FIELD_PIF_network);
    _cleanup_strv_ struct strv dns = {0}, words = {0};
    net_section_set(s, "network", network ? row_str(network, FIELD_network_bridge) : "");
    net_section_set(s, "plugged", row_bool(pif, FIELD_PIF_plugged) ? "yes" : "no");
    net_section_set(s, "management", row_bool(pif, FIELD_PIF_management) ? "yes" : "no");
    set_ip4(s, pif);
    set_ip6(s, pif);
    strv_split(&dns, row_str(pif, FIELD_PIF_DNS), ',');
    for (size_t i = 0; i < dns.n; i++)
        if (*dns.items[i])
            strv_add(&words, dns.items[i]);
    _cleanup_free_ char *list = strv_join(&words, " ");
    net_section_set(s, "dns", list);
    net_section_set(s, "own-mtu", str_or_empty(value_map_str(row_value(pif, FIELD_PIF_other_config), "mtu")));
}

static void set_normal(struct net_section *s, const char *key, const char *text) {
    char *value = net_key_normal(net_key_def(s->kind, key), text);
    net_section_set(s, key, value ? value : text);
    free(value);
}

static void set_bond(struct db *d, struct net_section *s, const struct row *pif, const struct row *bond) {
    const struct value *slaves = row_value(bond, FIELD_Bond_slaves),
                       *properties = row_value(bond, FIELD_Bond_properties);
    const struct row *primary = db_follow(d, bond, FIELD_Bond_primary_slave);
    _cleanup_strv_ struct strv nics = {0}, list = {0};
    for (size_t i = 0; i < slaves->set.n; i++) {
        const struct row *leg = db_get(d, CLASS_PIF, &slaves->set.items[i].ref);
        if (leg)
            strv_add(&nics, row_str(leg, FIELD_PIF_device));
    }
    for (size_t i = 0; i < properties->map.n; i++)
        strv_take(&list, strf("%s=%s", properties->map.pairs[i].key, value_str(&properties->map.pairs[i].value)));
    _cleanup_free_ char *nic_text = strv_join(&nics, " "), *property_text = strv_join(&list, " ");
    set_normal(s, "nics", nic_text);
    net_section_set(s, "mode", row_str(bond, FIELD_Bond_mode));
    net_section_set(s, "primary", primary ? row_str(primary, FIELD_PIF_device) : "");
    if (!row_bool(bond, FIELD_Bond_auto_update_mac))
        set_normal(s, "mac", row_str(pif, FIELD_PIF_MAC));
    set_normal(s, "properties", property_text);
}

static void add_pif(struct db *d, struct net_file *f, const char *host, const struct row *pif) {
    const char *device = row_str(pif, FIELD_PIF_device);
    const struct row *bond = net_rows_bond_of(d, &pif->uuid);
    struct net_section *s = NULL;
    char tag[24];
    if (!row_bool(pif, FIELD_PIF_managed))
        return;
    if (row_int(pif, FIELD_PIF_VLAN) >= 0) {
        snprintf(tag, sizeof(tag), "%lld", (long long)row_int(pif, FIELD_PIF_VLAN));
        s = net_file_add(f, NET_SECTION_VLAN, host, device, tag);
    } else if (bond) {
        s = net_file_add(f, NET_SECTION_BOND, host, device, NULL);
        set_bond(d, s, pif, bond);
    } else if (row_bool(pif, FIELD_PIF_physical)) {
        s = net_file_add(f, NET_SECTION_NIC, host, device, NULL);
        set_normal(s, "mac", row_str(pif, FIELD_PIF_MAC));
    }
    if (s)
        set_common(d, s, pif);
}

static int natural(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    return n != m ? (n < m ? -1 : 1) : strcmp(a, b);
}

static int by_place(const void *a, const void *b) {
    const struct net_section *x = a, *y = b;
    bool x_is_network = x->kind == NET_SECTION_NETWORK, y_is_network = y->kind == NET_SECTION_NETWORK;
    if (x_is_network != y_is_network)
        return x_is_network ? -1 : 1;
    int order = natural(net_section_word(x, 0), net_section_word(y, 0));
    if (!order && x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    for (unsigned i = 1; !order && i < NET_FILE_MAX_WORDS; i++)
        order = natural(net_section_word(x, i), net_section_word(y, i));
    return order;
}

struct net_file net_file_of_rows(struct db *d) {
    struct net_file f = {0};
    char mtu[24];
    for (const struct row *n = db_first(d, CLASS_network); n; n = db_next(d, n)) {
        if (!row_bool(n, FIELD_network_managed) || !*row_str(n, FIELD_network_bridge))
            continue;
        struct net_section *s = net_file_add(&f, NET_SECTION_NETWORK, row_str(n, FIELD_network_bridge), NULL, NULL);
        snprintf(mtu, sizeof(mtu), "%lld", (long long)row_int(n, FIELD_network_MTU));
        net_section_set(s, "name", row_str(n, FIELD_network_name_label));
        net_section_set(s, "description", row_str(n, FIELD_network_name_description));
        net_section_set(s, "mtu", mtu);
    }
    for (const struct row *h = db_first(d, CLASS_host); h; h = db_next(d, h)) {
        _cleanup_free_ char *host = net_file_host_word(d, h);
        for (const struct row *p = db_first(d, CLASS_PIF); p; p = db_next(d, p))
            if (uuid_eq(row_ref(p, FIELD_PIF_host), &h->uuid))
                add_pif(d, &f, host, p);
    }
    if (f.n)
        qsort(f.sections, f.n, sizeof(*f.sections), by_place);
    return f;
}

/* ---- to row operations ---- */

/* Each section of the file and the row that it is, there already or to come. */
struct place {
    const struct net_section *s;
    const struct row *host;
    const struct row *row; /* network or PIF; NULL: new */
    struct uuid uuid;      /* of the row, also when it is new */
    struct uuid link;      /* Bond or VLAN; null for others */
};

struct writer {
    const struct net_file *f;
    struct db *d;
    struct net_ops *ops;
    struct place *places;
    size_t n;
    struct error **errp;
};

static const struct row *host_by_word(struct db *d, const char *word) {
    const struct row *found = NULL;
    for (const struct row *h = db_first(d, CLASS_host); h; h = db_next(d, h)) {
        char uuid[UUID_TEXT_SIZE];
        if (str_eq(uuid_text(&h->uuid, uuid), word))
            return h;
        if (str_eq(row_str(h, FIELD_host_name_label), word)) {
            if (found)
                return NULL;
            found = h;
        }
    }
    return found;
}

static const struct row *vlan_pif(struct db *d, const struct uuid *host, const char *device, int64_t tag) {
    for (const struct row *p = db_first(d, CLASS_PIF); p; p = db_next(d, p))
        if (uuid_eq(row_ref(p, FIELD_PIF_host), host) && row_int(p, FIELD_PIF_VLAN) == tag &&
            str_eq(row_str(p, FIELD_PIF_device), device))
            return p;
    return NULL;
}

static struct place *find_place(struct writer *w, enum net_section_kind kind, const char *word1, const char *word2) {
    for (size_t i = 0; i < w->n; i++)
        if (w->places[i].s->kind == kind && str_eq(net_section_word(w->places[i].s, 0), word1) &&
            (!word2 || str_eq(net_section_word(w->places[i].s, 1), word2)))
            return &w->places[i];
    return NULL;
}

/* The NIC or bond of a host by its device. */
static struct place *find_base(struct writer *w, const char *host, const char *device) {
    struct place *p = find_place(w, NET_SECTION_NIC, host, device);
    return p ? p : find_place(w, NET_SECTION_BOND, host, device);
}

static void set(struct writer *w, struct place *p, int class_id, unsigned field, struct value v) {
    if (p->row)
        net_ops_set(w->ops, p->row, field, v);
    else
        net_ops_set_new(w->ops, class_id, &p->uuid, field, v);
}

static bool place_nic(struct writer *w, struct place *p) {
    const char *device = net_section_word(p->s, 1), *mac = net_section_get(p->s, "mac");
    p->row = net_rows_pif_by_device(w->d, &p->host->uuid, device);
    if (!p->row || !row_bool(p->row, FIELD_PIF_physical))
        return net_file_fail(w->errp, p->s->line, "host '%s' has no NIC '%s'; new NICs are found with: xe pif-scan",
                             net_section_word(p->s, 0), device);
    if (*mac && strcasecmp(mac, row_str(p->row, FIELD_PIF_MAC)) != 0)
        return net_file_fail(w->errp, net_section_line(p->s, "mac"),
                             "the NIC has MAC %s, which is its own and cannot be set; correct or remove this line",
                             row_str(p->row, FIELD_PIF_MAC));
    return true;
}

static bool place_bond(struct writer *w, struct place *p) {
    const char *device = net_section_word(p->s, 1);
    int64_t number;
    p->row = net_rows_pif_by_device(w->d, &p->host->uuid, device);
    const struct row *bond = p->row ? net_rows_bond_of(w->d, &p->row->uuid) : NULL;
    if (!str_starts(device, "bond") || !str_parse_int(device + 4, 0, 9999, &number))
        return net_file_fail(w->errp, p->s->line, "a bond is named bond0, bond1 ..., not '%s'", device);
    if (p->row && !bond)
        return net_file_fail(w->errp, p->s->line, "'%s' of host '%s' is no bond", device, net_section_word(p->s, 0));
    p->link = bond ? bond->uuid : uuid_random();
    if (p->row)
        return true;
    net_ops_insert(w->ops, CLASS_Bond, &p->link);
    net_ops_insert(w->ops, CLASS_PIF, &p->uuid);
    return true;
}

static bool place_vlan(struct writer *w, struct place *p) {
    const char *device = net_section_word(p->s, 1);
    int64_t tag;
    if (!str_parse_int(net_section_word(p->s, 2), 0, 4094, &tag))
        return net_file_fail(w->errp, p->s->line, "a VLAN tag is a number from 0 to 4094, not '%s'",
                             net_section_word(p->s, 2));
    p->row = vlan_pif(w->d, &p->host->uuid, device, tag);
    const struct row *vlan = p->row ? db_follow(w->d, p->row, FIELD_PIF_VLAN_master_of) : NULL;
    p->link = vlan ? vlan->uuid : uuid_random();
    if (p->row)
        return true;
    net_ops_insert(w->ops, CLASS_VLAN, &p->link);
    net_ops_insert(w->ops, CLASS_PIF, &p->uuid);
    return true;
}

/* Which row each section is. */
static bool place_all(struct writer *w) {
    w->places = xcalloc(w->f->n + 1, sizeof(*w->places));
    for (size_t i = 0; i < w->f->n; i++) {
        struct place *p = &w->places[w->n++];
        *p = (struct place){.s = &w->f->sections[i], .uuid = uuid_random()};
        if (p->s->kind == NET_SECTION_NETWORK) {
            const char *bridge = net_section_word(p->s, 0);
            p->row = net_rows_network_by_bridge(w->d, bridge);
            if (!net_name_is_valid(bridge))
                return net_file_fail(w->errp, p->s->line, "no bridge can be named '%s'", bridge);
            if (p->row && !row_bool(p->row, FIELD_network_managed))
                return net_file_fail(w->errp, p->s->line, "network '%s' is kept by its administrator", bridge);
            if (!p->row)
                net_ops_insert(w->ops, CLASS_network, &p->uuid);
        } else {
            p->host = host_by_word(w->d, net_section_word(p->s, 0));
            if (!p->host)
                return net_file_fail(w->errp, p->s->line, "there is no host '%s' in this pool, or more than one",
                                     net_section_word(p->s, 0));
            if (!(p->s->kind == NET_SECTION_NIC    ? place_nic(w, p)
                  : p->s->kind == NET_SECTION_BOND ? place_bond(w, p)
                                                   : place_vlan(w, p)))
                return false;
        }
        if (p->row)
            p->uuid = p->row->uuid;
    }
    return true;
}

static void write_network(struct writer *w, struct place *p) {
    int64_t mtu = 1500;
    if (!str_parse_int(net_section_get(p->s, "mtu"), 1, UINT16_MAX, &mtu))
        mtu = 1500; /* the parser has looked at it */
    set(w, p, CLASS_network, FIELD_network_name_label, value_string(net_section_get(p->s, "name")));
    set(w, p, CLASS_network, FIELD_network_name_description, value_string(net_section_get(p->s, "description")));
    set(w, p, CLASS_network, FIELD_network_MTU, value_int(mtu));
    if (!p->row)
        net_ops_set_new(w->ops, CLASS_network, &p->uuid, FIELD_network_bridge, value_string(net_section_word(p->s, 0)));
}

static void write_ip(struct writer *w, struct place *p) {
    static const char *const modes[] = {"None", "Static", "DHCP", "Autoconf"};
    struct net_file_ip v4 = {0}, v6 = {0};
    char ip[NET_ADDR_TEXT_SIZE] = "", netmask[NET_ADDR_TEXT_SIZE] = "", gateway[NET_ADDR_TEXT_SIZE] = "";
    bool is_sound = net_file_ip_parse(net_section_get(p->s, "ipv4"), NET_FAMILY_IPV4, &v4) &&
                    net_file_ip_parse(net_section_get(p->s, "ipv6"), NET_FAMILY_IPV6, &v6);
    struct value addresses = value_set();
    if (!is_sound) { /* the parser has looked at it */
        value_done(&addresses);
        return;
    }
    set(w, p, CLASS_PIF, FIELD_PIF_ip_configuration_mode, value_string(modes[v4.mode]));
    if (v4.mode == NET_WORD_STATIC) {
        net_addr_text(&v4.address, /* with_prefix= */ false, ip);
        net_prefix_to_netmask(v4.address.prefix, netmask);
        if (v4.gateway.family)
            net_addr_text(&v4.gateway, /* with_prefix= */ false, gateway);
    }
    if (v4.mode != NET_WORD_DHCP) { /* a server's answer is the host's to write */
        set(w, p, CLASS_PIF, FIELD_PIF_IP, value_string(ip));
        set(w, p, CLASS_PIF, FIELD_PIF_netmask, value_string(netmask));
        set(w, p, CLASS_PIF, FIELD_PIF_gateway, value_string(gateway));
    }
    gateway[0] = 0;
    if (v6.mode == NET_WORD_STATIC) {
        value_set_add(&addresses, value_string(net_addr_text(&v6.address, /* with_prefix= */ true, ip)));
        if (v6.gateway.family)
            net_addr_text(&v6.gateway, /* with_prefix= */ false, gateway);
    }
    set(w, p, CLASS_PIF, FIELD_PIF_ipv6_configuration_mode, value_string(modes[v6.mode]));
    set(w, p, CLASS_PIF, FIELD_PIF_IPv6, addresses);
    set(w, p, CLASS_PIF, FIELD_PIF_ipv6_gateway, value_string(gateway));
}

static bool write_interface(struct writer *w, struct place *p) {
    const char *bridge = net_section_get(p->s, "network"), *mtu = net_section_get(p->s, "own-mtu");
    const struct place *network = find_place(w, NET_SECTION_NETWORK, bridge, NULL);
    if (!*bridge)
        return net_file_fail(w->errp, p->s->line, "this section needs a line 'network = BRIDGE'");
    if (!network)
        return net_file_fail(w->errp, net_section_line(p->s, "network"), "the file has no section [network %s]",
                             bridge);
    if (p->s->kind == NET_SECTION_NIC && !uuid_eq(&network->uuid, row_ref(p->row, FIELD_PIF_network)))
        return net_file_fail(w->errp, net_section_line(p->s, "network"),
                             "a NIC keeps the network that it was found with; put what it carries on a bond or a VLAN");
    set(w, p, CLASS_PIF, FIELD_PIF_network, value_ref(&network->uuid));
    set(w, p, CLASS_PIF, FIELD_PIF_plugged, value_bool(str_eq(net_section_get(p->s, "plugged"), "yes")));
    set(w, p, CLASS_PIF, FIELD_PIF_management, value_bool(str_eq(net_section_get(p->s, "management"), "yes")));
    write_ip(w, p);
    _cleanup_strv_ struct strv dns = {0};
    strv_split(&dns, net_section_get(p->s, "dns"), ' ');
    set(w, p, CLASS_PIF, FIELD_PIF_DNS, value_string_take(strv_join(&dns, ",")));
    struct value config = p->row ? value_copy(row_value(p->row, FIELD_PIF_other_config)) : value_map();
    if (*mtu)
        value_map_put(&config, "mtu", value_string(mtu));
    else
        value_map_remove(&config, "mtu");
    set(w, p, CLASS_PIF, FIELD_PIF_other_config, config);
    return true;
}

static bool write_members(struct writer *w, struct place *p, const struct place **ret_first,
                          const struct place **ret_primary) {
    const char *host = net_section_word(p->s, 0), *primary = net_section_get(p->s, "primary");
    _cleanup_strv_ struct strv nics = {0};
    strv_split(&nics, net_section_get(p->s, "nics"), ' ');
    if (!*net_section_get(p->s, "nics"))
        return net_file_fail(w->errp, p->s->line, "this bond needs a line 'nics = NIC NIC'");
    for (size_t i = 0; i < nics.n; i++) {
        struct place *nic = find_place(w, NET_SECTION_NIC, host, nics.items[i]);
        if (!nic)
            return net_file_fail(w->errp, net_section_line(p->s, "nics"), "the file has no section [nic %s %s]", host,
                                 nics.items[i]);
        if (!uuid_is_null(&nic->link))
            return net_file_fail(w->errp, net_section_line(p->s, "nics"), "NIC '%s' is in another bond already",
                                 nics.items[i]);
        if (!str_eq(net_section_get(nic->s, "ipv4"), "none") || !str_eq(net_section_get(nic->s, "ipv6"), "none") ||
            str_eq(net_section_get(nic->s, "management"), "yes"))
            return net_file_fail(w->errp, nic->s->line,
                                 "a NIC in a bond has no address and no management of its own; the bond has them");
        nic->link = p->link;
        *ret_first = *ret_first ? *ret_first : nic;
        if (str_eq(nics.items[i], primary))
            *ret_primary = nic;
    }
    if (*primary && !*ret_primary)
        return net_file_fail(w->errp, net_section_line(p->s, "primary"), "'%s' is none of the bond's NICs", primary);
    return true;
}

static bool write_bond(struct writer *w, struct place *p) {
    const struct place *first = NULL, *primary = NULL;
    const char *mac = net_section_get(p->s, "mac");
    struct value properties = value_map();
    _cleanup_strv_ struct strv list = {0};
    if (!write_members(w, p, &first, &primary)) {
        value_done(&properties);
        return false;
    }
    assert(first); /* "nics" is not empty */
    strv_split(&list, net_section_get(p->s, "properties"), ' ');
    for (size_t i = 0; i < list.n; i++) {
        char *equals = strchr(list.items[i], '=');
        if (!equals)
            continue;
        *equals = 0;
        value_map_put(&properties, list.items[i], value_string(equals + 1));
    }
    const struct row *bond_row = db_get(w->d, CLASS_Bond, &p->link);
    struct place bond = {.row = bond_row, .uuid = p->link};
    set(w, &bond, CLASS_Bond, FIELD_Bond_mode, value_string(net_section_get(p->s, "mode")));
    set(w, &bond, CLASS_Bond, FIELD_Bond_properties, properties);
    set(w, &bond, CLASS_Bond, FIELD_Bond_primary_slave,
        value_ref(primary  ? &primary->uuid
                  : p->row ? NULL
                           : &first->uuid));
    set(w, &bond, CLASS_Bond, FIELD_Bond_auto_update_mac, value_bool(!*mac));
    if (*mac)
        set(w, p, CLASS_PIF, FIELD_PIF_MAC, value_string(mac));
    if (p->row)
        return true;
    net_ops_set_new(w->ops, CLASS_Bond, &p->link, FIELD_Bond_master, value_ref(&p->uuid));
    net_ops_set_new(w->ops, CLASS_PIF, &p->uuid, FIELD_PIF_device, value_string(net_section_word(p->s, 1)));
    net_ops_set_new(w->ops, CLASS_PIF, &p->uuid, FIELD_PIF_host, value_ref(&p->host->uuid));
    net_ops_set_new(w->ops, CLASS_PIF, &p->uuid, FIELD_PIF_MTU, value_int(-1));
    net_ops_set_new(w->ops, CLASS_PIF, &p->uuid, FIELD_PIF_VLAN, value_int(-1));
    net_ops_set_new(w->ops, CLASS_PIF, &p->uuid, FIELD_PIF_physical, value_bool(false));
    net_ops_set_new(w->ops, CLASS_PIF, &p->uuid, FIELD_PIF_currently_attached, value_bool(false));
    if (!*mac) /* the bond wears the MAC of its first */
        net_ops_set_new(w->ops, CLASS_PIF, &p->uuid, FIELD_PIF_MAC,
                        value_copy(row_value((primary ? primary : first)->row, FIELD_PIF_MAC)));
    return true;
}

static bool write_vlan(struct writer *w, struct place *p) {
    const char *host = net_section_word(p->s, 0), *device = net_section_word(p->s, 1);
    const struct place *base = find_base(w, host, device);
    const struct row *vlan_row = db_get(w->d, CLASS_VLAN, &p->link);
    struct place vlan = {.row = vlan_row, .uuid = p->link};
    int64_t tag = 0;
    if (!base)
        return net_file_fail(w->errp, p->s->line, "the file has neither [nic %s %s] nor [bond %s %s] below this VLAN",
                             host, device, host, device);
    if (base->s->kind == NET_SECTION_NIC && !uuid_is_null(&base->link))
        return net_file_fail(w->errp, p->s->line, "NIC '%s' is in a bond; put the VLAN on the bond", device);
    set(w, &vlan, CLASS_VLAN, FIELD_VLAN_tagged_PIF, value_ref(&base->uuid));
    if (p->row)
        return true;
    if (!str_parse_int(net_section_word(p->s, 2), 0, 4094, &tag))
        return false; /* place_vlan has looked at it */
    net_ops_set_new(w->ops, CLASS_VLAN, &p->link, FIELD_VLAN_untagged_PIF, value_ref(&p->uuid));
    net_ops_set_new(w->ops, CLASS_VLAN, &p->link, FIELD_VLAN_tag, value_int(tag));
    net_ops_set_new(w->ops, CLASS_PIF, &p->uuid, FIELD_PIF_VLAN_master_of, value_ref(&p->link));
    net_ops_set_new(w->ops, CLASS_PIF, &p->uuid, FIELD_PIF_device, value_string(device));
    net_ops_set_new(w->ops, CLASS_PIF, &p->uuid, FIELD_PIF_host, value_ref(&p->host->uuid));
    net_ops_set_new(w->ops, CLASS_PIF, &p->uuid, FIELD_PIF_MAC, value_string(PIF_VLAN_MAC));
    net_ops_set_new(w->ops, CLASS_PIF, &p->uuid, FIELD_PIF_MTU, value_int(-1));
    net_ops_set_new(w->ops, CLASS_PIF, &p->uuid, FIELD_PIF_VLAN, value_int(tag));
    net_ops_set_new(w->ops, CLASS_PIF, &p->uuid, FIELD_PIF_physical, value_bool(false));
    net_ops_set_new(w->ops, CLASS_PIF, &p->uuid, FIELD_PIF_currently_attached, value_bool(false));
    return true;
}

/* Bonds and VLANs of hosts that the file names, but does not name themselves. */
static void remove_interfaces(struct writer *w, const struct net_file *now) {
    for (size_t i = 0; i < now->n; i++) {
        const struct net_section *s = &now->sections[i];
        if ((s->kind != NET_SECTION_BOND && s->kind != NET_SECTION_VLAN) || !net_file_covers(w->f, s) ||
            net_file_find(w->f, s->kind, s->words[0], s->words[1], s->words[2]))
            continue;
        const struct row *host = host_by_word(w->d, s->words[0]);
        int64_t tag = -1;
        if (s->kind == NET_SECTION_VLAN && !str_parse_int(s->words[2], 0, 4094, &tag))
            continue;
        const struct row *pif = !host                         ? NULL
                                : s->kind == NET_SECTION_BOND ? net_rows_pif_by_device(w->d, &host->uuid, s->words[1])
                                                              : vlan_pif(w->d, &host->uuid, s->words[1], tag);
        const struct row *link = !pif                          ? NULL
                                 : s->kind == NET_SECTION_BOND ? net_rows_bond_of(w->d, &pif->uuid)
                                                               : db_follow(w->d, pif, FIELD_PIF_VLAN_master_of);
        if (link)
            net_ops_delete(w->ops, link);
        if (pif)
            net_ops_delete(w->ops, pif);
    }
}

static bool is_deleted(const struct net_ops *ops, const struct uuid *uuid) {
    for (size_t i = 0; i < ops->n; i++)
        if (ops->items[i].kind == NET_OP_ROW_DELETE && uuid_eq(&ops->items[i].uuid, uuid))
            return true;
    return false;
}

/* Networks that the file does not name go when nothing is on them; something may be: of a host that it leaves alone. */
static void remove_networks(struct writer *w) {
    for (const struct row *n = db_first(w->d, CLASS_network); n; n = db_next(w->d, n)) {
        bool is_used = !row_bool(n, FIELD_network_managed) || !*row_str(n, FIELD_network_bridge) ||
                       row_value(n, FIELD_network_VIFs)->set.n ||
                       net_file_find(w->f, NET_SECTION_NETWORK, row_str(n, FIELD_network_bridge), NULL, NULL);
        for (const struct row *p = db_first(w->d, CLASS_PIF); p && !is_used; p = db_next(w->d, p))
            is_used = uuid_eq(row_ref(p, FIELD_PIF_network), &n->uuid) && !is_deleted(w->ops, &p->uuid);
        if (!is_used)
            net_ops_delete(w->ops, n);
    }
}

/* A network has one interface of each host at most, and a host one that carries management. */
static bool check_places(struct writer *w) {
    for (size_t i = 0; i < w->n; i++) {
        const struct place *p = &w->places[i];
        if (!p->host)
            continue;
        unsigned n_management = 0;
        for (size_t k = 0; k < w->n; k++) {
            const struct place *q = &w->places[k];
            if (q->host != p->host)
                continue;
            n_management += str_eq(net_section_get(q->s, "management"), "yes");
            if (k < i && str_eq(net_section_get(p->s, "network"), net_section_get(q->s, "network")))
                return net_file_fail(w->errp, net_section_line(p->s, "network"),
                                     "host '%s' has another interface on network '%s', in line %d",
                                     net_section_word(p->s, 0), net_section_get(p->s, "network"), q->s->line);
        }
        if (n_management != 1)
            return net_file_fail(w->errp, p->s->line,
                                 "host '%s' has %u interfaces with 'management = yes'; it needs one",
                                 net_section_word(p->s, 0), n_management);
    }
    return true;
}

static bool write_all(struct writer *w) {
    for (size_t i = 0; i < w->n; i++)
        if (w->places[i].s->kind == NET_SECTION_NETWORK)
            write_network(w, &w->places[i]);
    for (size_t i = 0; i < w->n; i++)
        if (w->places[i].s->kind == NET_SECTION_BOND && !write_bond(w, &w->places[i]))
            return false;
    for (size_t i = 0; i < w->n; i++)
        if (w->places[i].s->kind == NET_SECTION_NIC) /* in the bond that claims it, or in none */
            set(w, &w->places[i], CLASS_PIF, FIELD_PIF_bond_slave_of, value_ref(&w->places[i].link));
    for (size_t i = 0; i < w->n; i++) {
        struct place *p = &w->places[i];
        if (p->s->kind == NET_SECTION_NETWORK)
            continue;
        if (!write_interface(w, p) || (p->s->kind == NET_SECTION_VLAN && !write_vlan(w, p)))
            return false;
    }
    return check_places(w);
}

bool net_file_to_ops(const struct net_file *f, struct db *d, struct net_ops *ret, struct error **errp) {
    struct net_ops ops = {0};
    _cleanup_net_file_ struct net_file now = net_file_of_rows(d);
    struct writer w = {.f = f, .d = d, .ops = &ops, .errp = errp};
    bool ok = place_all(&w) && write_all(&w);
    if (ok) {
        remove_interfaces(&w, &now);
        remove_networks(&w);
        *ret = ops;
    } else {
        net_ops_done(&ops);
    }
    free(w.places);
    return ok;
}

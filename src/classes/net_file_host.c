/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/net_file_host.h"

#include <stdio.h>

#include "base/str.h"
#include "classes/net_file_rows.h"
#include "classes/net_file_value.h"
#include "classes/net_rows.h"

struct rewrite {
    struct net_file *file;
    struct db *db;
    char *word; /* the host's */
    const struct net_config *wanted, *is;
};

/* ---- values ---- */

static char *ip_text(const struct net_ip *ip) {
    struct net_file_ip v = {.mode = ip->mode == NET_IP_STATIC     ? NET_WORD_STATIC
                                    : ip->mode == NET_IP_DHCP     ? NET_WORD_DHCP
                                    : ip->mode == NET_IP_AUTOCONF ? NET_WORD_AUTOCONF
                                                                  : NET_WORD_NONE,
                            .address = ip->address,
                            .gateway = ip->gateway};
    return net_file_ip_text(&v);
}

static void set_common(const struct rewrite *w, struct net_section *s, const struct net_bridge *b) {
    const struct row *network = net_rows_network_by_bridge(w->db, b->name);
    _cleanup_free_ char *ip4 = ip_text(&b->ip4), *ip6 = ip_text(&b->ip6);
    _cleanup_buf_ struct buf dns = BUF_INIT;
    char text[NET_ADDR_TEXT_SIZE];
    for (unsigned i = 0; i < b->n_dns; i++)
        buf_addf(&dns, "%s%s", i ? " " : "", net_addr_text(&b->dns[i], /* with_prefix= */ false, text));
    net_section_replace(s, "network", b->name);
    net_section_replace(s, "plugged", "yes");
    net_section_replace(s, "management", str_eq(w->is->management, b->name) ? "yes" : "no");
    net_section_replace(s, "ipv4", ip4);
    net_section_replace(s, "ipv6", ip6);
    net_section_replace(s, "dns", buf_str(&dns));
    snprintf(text, sizeof(text), "%d", b->mtu);
    net_section_replace(s, "own-mtu", network && row_int(network, FIELD_network_MTU) == b->mtu ? "" : text);
}

static void set_bond(struct net_section *s, const struct net_bridge *b) {
    _cleanup_buf_ struct buf nics = BUF_INIT;
    for (unsigned i = 0; i < b->n_legs; i++)
        buf_addf(&nics, "%s%s", i ? " " : "", b->legs[i]);
    net_section_replace(s, "nics", buf_str(&nics));
    net_section_replace(s, "primary", net_bridge_primary_leg(b));
    net_section_replace(s, "mode", net_bond_mode_text(b->bond.mode));
}

/* Not in use any more, though its NIC is there. */
static void set_idle(struct net_section *s) {
    net_section_replace(s, "plugged", "no");
    net_section_replace(s, "management", "no");
    net_section_replace(s, "ipv4", "none");
    net_section_replace(s, "ipv6", "none");
    net_section_replace(s, "dns", "");
    net_section_replace(s, "own-mtu", "");
}

/* ---- sections ---- */

/* The bridge that a section of the host is about; NULL when this configuration has none. */
static const struct net_bridge *bridge_of(const struct net_config *c, const struct net_section *s) {
    const struct net_bridge *b = net_config_bridge(c, net_section_get(s, "network"));
    static const enum net_purpose purposes[] = {[NET_SECTION_NIC] = NET_PURPOSE_NIC,
                                                [NET_SECTION_BOND] = NET_PURPOSE_BOND,
                                                [NET_SECTION_VLAN] = NET_PURPOSE_VLAN};
    return b && b->purpose == purposes[s->kind] ? b : NULL;
}

static bool is_of_host(const struct rewrite *w, const struct net_section *s) {
    return s->kind != NET_SECTION_NETWORK && str_eq(net_section_word(s, 0), w->word);
}

static void section_done(struct net_section *s) {
    struct net_file one = {.sections = xcalloc(1, sizeof(*s)), .n = 1};
    one.sections[0] = *s;
    net_file_done(&one);
}

/* The device below a VLAN: NIC or bond. */
static const char *device_below(const struct net_config *c, const struct net_bridge *vlan) {
    const struct net_bridge *base = net_config_base(c, vlan);
    return !base ? "" : base->purpose == NET_PURPOSE_BOND ? base->bond.name : base->legs[0];
}

static bool is_leg(const struct net_config *c, const char *nic) {
    for (unsigned i = 0; i < c->n_bridges; i++)
        for (unsigned k = 0; k < c->bridges[i].n_legs; k++)
            if (str_eq(c->bridges[i].legs[k], nic))
                return true;
    return false;
}

/* Bonds and VLANs that are not there go, unless nothing said that they should be; those above another interface than
 * before come anew below. */
static void sweep(struct rewrite *w) {
    size_t n = 0;
    for (size_t i = 0; i < w->file->n; i++) {
        struct net_section *s = &w->file->sections[i];
        const struct net_bridge *is = is_of_host(w, s) ? bridge_of(w->is, s) : NULL,
                                *was = is_of_host(w, s) ? bridge_of(w->wanted, s) : NULL;
        bool moved = is && s->kind == NET_SECTION_VLAN && !str_eq(net_section_word(s, 1), device_below(w->is, is));
        if (is_of_host(w, s) && s->kind != NET_SECTION_NIC && ((was && !is) || moved)) {
            section_done(s);
            continue;
        }
        if (is)
            set_common(w, s, is);
        if (is && s->kind == NET_SECTION_BOND)
            set_bond(s, is);
        bool is_left = s->kind == NET_SECTION_NIC && is_of_host(w, s) && is_leg(w->wanted, net_section_word(s, 1)) &&
                       !is_leg(w->is, net_section_word(s, 1)); /* as of a bond: plugged, it would stand alone now */
        if ((was && !is) || is_left)
            set_idle(s);
        w->file->sections[n++] = *s;
    }
    w->file->n = n;
}

static bool add_missing(struct rewrite *w, const struct net_bridge *b, struct error **errp) {
    char tag[16];
    const char *device = b->purpose == NET_PURPOSE_BOND  ? b->bond.name
                         : b->purpose == NET_PURPOSE_NIC ? b->legs[0]
                                                         : device_below(w->is, b);
    snprintf(tag, sizeof(tag), "%d", b->tag);
    enum net_section_kind kind = b->purpose == NET_PURPOSE_BOND   ? NET_SECTION_BOND
                                 : b->purpose == NET_PURPOSE_VLAN ? NET_SECTION_VLAN
                                                                  : NET_SECTION_NIC;
    if (b->purpose == NET_PURPOSE_INTERNAL)
        return true;
    for (size_t i = 0; i < w->file->n; i++)
        if (is_of_host(w, &w->file->sections[i]) && bridge_of(w->is, &w->file->sections[i]) == b)
            return true;
    if (!net_rows_network_by_bridge(w->db, b->name) ||
        net_file_find(w->file, kind, w->word, device, kind == NET_SECTION_VLAN ? tag : NULL)) {
        error_set(errp, ERR_OPERATION_NOT_ALLOWED,
                  "the host's network cannot be made the pool's own, for the pool has no network for it; make it with "
                  "'xe network-config-apply' or take the repair back with 'xe host-network-repair-withdraw'",
                  NULL);
        return false;
    }
    struct net_section *s = net_file_add(w->file, kind, w->word, device, kind == NET_SECTION_VLAN ? tag : NULL);
    set_common(w, s, b);
    if (kind == NET_SECTION_BOND)
        set_bond(s, b);
    return true;
}

bool net_file_set_host(struct net_file *f, struct db *d, const struct row *host, const struct net_config *wanted,
                       const struct net_config *is, struct error **errp) {
    _cleanup_free_ char *word = net_file_host_word(d, host);
    struct rewrite w = {.file = f, .db = d, .word = word, .wanted = wanted, .is = is};
    bool ok = true;
    sweep(&w);
    for (unsigned i = 0; ok && i < is->n_bridges; i++)
        ok = add_missing(&w, &is->bridges[i], errp);
    return ok;
}

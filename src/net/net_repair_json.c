/* SPDX-License-Identifier: Apache-2.0 */
/* The text form of a repair: on the host's disk, and in the pool's row of the host. */
#include "base/str.h"
#include "net/net_config_value.h"
#include "net/net_repair.h"

#define FORMAT_NAME "muster-repair"
#define VERSION 1

static const char *const states[] = {"local", "recorded", "withdrawn"};

static void put(json_t *o, const char *key, json_t *v) {
    if (!v || json_object_set_new(o, key, v) < 0)
        abort();
}

static void put_ip(json_t *o, const char *key, const struct net_ip *ip) {
    char text[NET_ADDR_TEXT_SIZE];
    if (ip->mode == NET_IP_NONE)
        return;
    json_t *v = json_object();
    put(v, "mode", json_string(net_ip_mode_text(ip->mode)));
    if (ip->mode == NET_IP_STATIC)
        put(v, "address", json_string(net_addr_text(&ip->address, /* with_prefix= */ true, text)));
    if (ip->mode == NET_IP_STATIC && ip->gateway.family)
        put(v, "gateway", json_string(net_addr_text(&ip->gateway, /* with_prefix= */ false, text)));
    put(o, key, v);
}

static json_t *reset_value(const struct net_reset *r) {
    char text[NET_ADDR_TEXT_SIZE];
    json_t *o = json_object(), *dns = json_array();
    put(o, "device", json_string(r->device));
    put(o, "vlan", json_integer(r->vlan));
    put(o, "mtu", json_integer(r->mtu));
    put_ip(o, "ip4", &r->ip4);
    put_ip(o, "ip6", &r->ip6);
    for (unsigned i = 0; i < r->n_dns; i++)
        json_array_append_new(dns, json_string(net_addr_text(&r->dns[i], /* with_prefix= */ false, text)));
    put(o, "dns", dns);
    return o;
}

char *net_repair_to_json(const struct net_repair *r) {
    json_t *o = json_object();
    put(o, "format", json_string(FORMAT_NAME));
    put(o, "version", json_integer(VERSION));
    put(o, "state", json_string(states[r->state]));
    put(o, "base", json_string(r->base));
    put(o, "id", json_string(r->id));
    put(o, "since", json_integer(r->since));
    put(o, "by", json_string(str_is_utf8(r->by, strlen(r->by)) ? r->by : "?"));
    if (r->whole)
        put(o, "whole", net_config_content_value(r->whole));
    if (r->reset.device[0])
        put(o, "reset", reset_value(&r->reset));
    if (r->management_on[0])
        put(o, "management_on", json_string(r->management_on));
    if (r->n_drops) {
        json_t *drops = json_array();
        for (unsigned i = 0; i < r->n_drops; i++)
            json_array_append_new(drops, json_string(r->drops[i]));
        put(o, "drop_legs", drops);
    }
    if (r->mtu)
        put(o, "mtu", json_integer(r->mtu));
    char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(o);
    if (!text)
        abort();
    char *ret = xstrdup(text);
    free(text);
    return ret;
}

/* ---- reading ---- */

static void read_reset(struct net_json *root, struct net_reset *r) {
    struct net_json j;
    if (!net_json_object(root, "reset", &j))
        return;
    net_json_name(&j, "device", r->device);
    if (!r->device[0])
        net_json_fail(&j, "device", "is missing");
    r->vlan = (int)net_json_int(&j, "vlan", 0, 4094, 0);
    r->mtu = (int)net_json_int(&j, "mtu", NET_MTU_MIN, NET_MTU_MAX, NET_MTU_DEFAULT);
    net_config_read_ip(&j, "ip4", NET_FAMILY_IPV4, &r->ip4);
    net_config_read_ip(&j, "ip6", NET_FAMILY_IPV6, &r->ip6);
    size_t n = net_json_array(&j, "dns", NET_MAX_DNS);
    for (size_t i = 0; i < n && !j.reader->failed; i++)
        if (!net_addr_parse(net_json_element_str(&j, "dns", i, NET_ADDR_TEXT_SIZE), &r->dns[r->n_dns++]))
            net_json_fail(&j, "dns", "has what is no IP address");
    net_json_end(&j);
}

static void read_whole(struct net_json *root, struct net_repair *r) {
    struct net_json j;
    if (!net_json_object(root, "whole", &j))
        return;
    r->whole = net_config_new();
    net_config_read(&j, r->whole);
    net_json_end(&j);
}

static void read_all(struct net_json *j, struct net_repair *r) {
    r->state = (enum net_repair_state)net_json_enum(j, "state", states, ARRAY_SIZE(states), NET_REPAIR_LOCAL);
    (void)str_copy(r->base, sizeof(r->base), net_json_str(j, "base", sizeof(r->base) - 1, ""));
    (void)str_copy(r->id, sizeof(r->id), net_json_str(j, "id", sizeof(r->id) - 1, ""));
    (void)str_copy(r->by, sizeof(r->by), net_json_str(j, "by", sizeof(r->by) - 1, ""));
    r->since = net_json_int(j, "since", 0, INT64_MAX, 0);
    read_whole(j, r);
    read_reset(j, &r->reset);
    net_json_name(j, "management_on", r->management_on);
    size_t n = net_json_array(j, "drop_legs", NET_MAX_NICS);
    for (size_t i = 0; i < n && !j->reader->failed; i++) {
        if (net_name_set(r->drops[r->n_drops], net_json_element_str(j, "drop_legs", i, 1024)))
            r->n_drops++;
        else
            net_json_fail(j, "drop_legs", "has what is no name for an interface");
    }
    if (net_json_has(j, "mtu"))
        r->mtu = (int)net_json_int(j, "mtu", NET_MTU_MIN, NET_MTU_MAX, 0);
}

bool net_repair_from_json(const char *text, size_t size, struct net_repair *ret, struct error **errp) {
    json_t *o = net_json_parse(text, size, NET_REPAIR_MAX_SIZE, "repair", ERR_NET_REPAIR_CORRUPT, errp);
    if (!o)
        return false;
    struct net_json_reader reader = {.code = ERR_NET_REPAIR_CORRUPT, .errp = errp};
    struct net_json j;
    struct net_repair r = {0};
    net_json_root(&j, &reader, o);
    if (!str_eq(net_json_str(&j, "format", 64, ""), FORMAT_NAME))
        net_json_fail(&j, "format", "is not '%s'", FORMAT_NAME);
    if (net_json_int(&j, "version", 1, VERSION, 0) != VERSION)
        net_json_fail(&j, "version", "is not %d", VERSION);
    if (!reader.failed)
        read_all(&j, &r);
    net_json_end(&j);
    json_decref(o);
    if (reader.failed) {
        net_repair_done(&r);
        return false;
    }
    *ret = r;
    return true;
}

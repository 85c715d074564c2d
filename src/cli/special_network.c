/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about networks, interfaces, bonds and VLANs. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/layout.h"
#include "cli/request.h"

#define DEFAULT_MTU 1500

static bool on_object(struct xe *x, int class_id, const char *method, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, class_id, "uuid");
    return request_call_void(&r, method);
}

/* ---- networks ---- */
static bool network_create(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    struct value record = value_map();
    const char *label = xe_need(x, "name-label", errp), *description = args_get(&x->args, "name-description"),
               *size = args_get(&x->args, "MTU"), *bridge = args_get(&x->args, "bridge"),
               *managed = args_get(&x->args, "managed");
    int64_t mtu = DEFAULT_MTU;
    if (!size)
        size = args_get(&x->args, "mtu");
    if (size && !str_parse_int(size, 1, UINT16_MAX, &mtu) && request_is_good(&r))
        error_set(errp, "INVALID_VALUE", "MTU", size, NULL);
    if (managed && !str_eq(managed, "true") && !str_eq(managed, "false") && request_is_good(&r))
        error_set(errp, "INVALID_VALUE", "managed", managed, NULL);
    value_map_add(&record, "name_label", value_string(label ? label : ""));
    value_map_add(&record, "name_description", value_string(description ? description : ""));
    value_map_add(&record, "MTU", value_int(mtu));
    value_map_add(&record, "other_config", value_map());
    if (bridge)
        value_map_add(&record, "bridge", value_string(bridge));
    if (managed)
        value_map_add(&record, "managed", value_bool(str_eq(managed, "true")));
    request_add(&r, record);
    return request_print_uuids(&r, "network.create");
}

static bool network_destroy(struct xe *x, struct error **errp) {
    return on_object(x, CLASS_network, "network.destroy", errp);
}

/* ---- interfaces ---- */
static bool pif_plug(struct xe *x, struct error **errp) {
    return on_object(x, CLASS_PIF, "PIF.plug", errp);
}

static bool pif_unplug(struct xe *x, struct error **errp) {
    return on_object(x, CLASS_PIF, "PIF.unplug", errp);
}

static bool pif_forget(struct xe *x, struct error **errp) {
    return on_object(x, CLASS_PIF, "PIF.forget", errp);
}

static bool pif_db_forget(struct xe *x, struct error **errp) {
    return on_object(x, CLASS_PIF, "PIF.db_forget", errp);
}

static bool pif_scan(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_host, "host-uuid");
    return request_call_void(&r, "PIF.scan");
}

static bool pif_introduce(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_host, "host-uuid");
    request_add_text(&r, "mac", "");
    request_add_text(&r, "device", NULL);
    request_add_bool(&r, "managed", true);
    return request_print_uuids(&r, "PIF.introduce");
}

/* "dhcp" as people write it, "DHCP" as the API does. */
static void add_mode(struct request *r) {
    static const char *const modes[] = {"None", "DHCP", "Static", "Autoconf"};
    const char *mode = xe_need(r->x, "mode", r->errp);
    for (unsigned i = 0; mode && i < ARRAY_SIZE(modes); i++)
        if (!strcasecmp(mode, modes[i]))
            mode = modes[i];
    request_add(r, value_string(mode));
}

static bool pif_reconfigure_ip(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_PIF, "uuid");
    add_mode(&r);
    request_add_text(&r, "IP", "");
    request_add_text(&r, "netmask", "");
    request_add_text(&r, "gateway", "");
    request_add_text(&r, "DNS", "");
    return request_call_void(&r, "PIF.reconfigure_ip");
}

static bool pif_reconfigure_ipv6(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_PIF, "uuid");
    add_mode(&r);
    request_add_text(&r, "IPv6", "");
    request_add_text(&r, "gateway", "");
    request_add_text(&r, "DNS", "");
    return request_call_void(&r, "PIF.reconfigure_ipv6");
}

static bool pif_set_primary(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_PIF, "uuid");
    request_add_text(&r, "primary_address_type", NULL);
    return request_call_void(&r, "PIF.set_primary_address_type");
}

/* ---- bonds and VLANs ---- */
static bool bond_create(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_network, "network-uuid");
    request_add_objects(&r, CLASS_PIF, "pif-uuids");
    request_add_text(&r, "mac", "");
    request_add_text(&r, "mode", "balance-slb");
    request_add_map(&r, "properties:");
    return request_print_uuids(&r, "Bond.create");
}

static bool bond_destroy(struct xe *x, struct error **errp) {
    return on_object(x, CLASS_Bond, "Bond.destroy", errp);
}

static bool bond_set_mode(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_Bond, "uuid");
    request_add_text(&r, "mode", NULL);
    return request_call_void(&r, "Bond.set_mode");
}

/* Prints the uuid of the PIF that the VLAN is, not of the VLAN. */
static bool vlan_create(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    struct value vlan = {.type = VALUE_VOID};
    request_add_object(&r, CLASS_PIF, "pif-uuid");
    request_add_int(&r, "vlan", 0, INT16_MAX); /* the server says which are VLANs */
    request_add_object(&r, CLASS_network, "network-uuid");
    if (!request_call(&r, "VLAN.create", &vlan))
        return false;
    if (x->is_said)
        return true;
    struct request second = request_new(x, errp);
    request_add(&second, vlan);
    return request_print_uuids(&second, "VLAN.get_untagged_PIF");
}

static bool vlan_destroy(struct xe *x, struct error **errp) {
    return on_object(x, CLASS_VLAN, "VLAN.destroy", errp);
}

static const struct command list[] = {
    {"bond-create", "network-uuid,pif-uuids", "mac,mode,properties:", "bond NICs of one host; prints the bond's uuid",
     bond_create, COMMAND_CHANGES_NETWORKS},
    {"bond-destroy", "uuid", "", "undo a bond", bond_destroy, COMMAND_CHANGES_NETWORKS},
    {"bond-set-mode", "uuid,mode", "", "balance-slb, active-backup or lacp", bond_set_mode, COMMAND_CHANGES_NETWORKS},
    {"network-create", "name-label", "name-description,MTU,mtu,bridge,managed", "make a network; prints its uuid",
     network_create, 0},
    {"network-destroy", "uuid", "", "remove a network", network_destroy, 0},
    {"pif-db-forget", "uuid", "", "drop the record of a NIC and touch nothing else", pif_db_forget, 0},
    {"pif-forget", "uuid", "", "drop the record of a NIC", pif_forget, COMMAND_CHANGES_NETWORKS},
    {"pif-introduce", "host-uuid,device", "mac,managed", "make the record of a NIC; prints its uuid", pif_introduce,
     COMMAND_CHANGES_NETWORKS},
    {"pif-plug", "uuid", "", "bring an interface up", pif_plug, COMMAND_CHANGES_NETWORKS},
    {"pif-reconfigure-ip", "uuid,mode", "IP,netmask,gateway,DNS", "set its IPv4 address: dhcp, static or none",
     pif_reconfigure_ip, COMMAND_CHANGES_NETWORKS},
    {"pif-reconfigure-ipv6", "uuid,mode", "IPv6,gateway,DNS", "set its IPv6 address: dhcp, static, autoconf or none",
     pif_reconfigure_ipv6, COMMAND_CHANGES_NETWORKS},
    {"pif-scan", "host-uuid", "", "look for new NICs", pif_scan, 0},
    {"pif-set-primary-address-type", "uuid,primary_address_type", "", "IPv4 or IPv6", pif_set_primary, 0},
    {"pif-unplug", "uuid", "", "bring an interface down", pif_unplug, COMMAND_CHANGES_NETWORKS},
    {"vlan-create", "pif-uuid,vlan,network-uuid", "", "a VLAN on one host; prints the uuid of its PIF", vlan_create,
     COMMAND_CHANGES_NETWORKS},
    {"vlan-destroy", "uuid", "", "remove a VLAN", vlan_destroy, COMMAND_CHANGES_NETWORKS},
};
const struct command_group commands_network = {list, ARRAY_SIZE(list)};

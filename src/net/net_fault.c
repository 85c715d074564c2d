/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_fault.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "net/net_fault_text.h"

struct fault_def {
    enum net_fault fault;
    const char *name;
    const char *summary;
};

/* In the order of their numbers, which are for ever. */
static const struct fault_def faults[] = {
    {NET_FAULT_LEG_DEAD, "leg dead", "Nothing passes one leg of a bond, of any size."},
    {NET_FAULT_LEG_SIZE_LIMITED, "leg size-limited", "Small frames pass one leg, frames of the wanted size do not."},
    {NET_FAULT_LEG_ONE_WAY, "one direction only", "Frames pass a leg one way and are lost the other way."},
    {NET_FAULT_VLAN_NOT_CARRIED, "VLAN not carried", "A switch port does not carry a VLAN that a network needs."},
    {NET_FAULT_ISL_SIZE_LIMITED, "inter-switch link limited",
     "Full-size frames pass each switch but not between them."},
    {NET_FAULT_FABRIC_SIZE_LIMITED, "whole fabric limited", "No path between any hosts carries the wanted size."},
    {NET_FAULT_PEER_DOWN, "peer host down", "Another host of the pool answers on none of its legs."},
    {NET_FAULT_BOTH_LEGS_SIZE_LIMITED, "all legs size-limited",
     "Every leg of a bond of one host loses frames of the wanted size."},
    {NET_FAULT_NIC_MISSING, "NIC missing", "A NIC that the configuration names is not in the host."},
    {NET_FAULT_NIC_REPLACED, "NIC replaced", "A NIC has its old name but another MAC."},
    {NET_FAULT_NIC_MOVED, "NIC moved", "A NIC has its old MAC but another name."},
    {NET_FAULT_MTU_REFUSED, "driver refused MTU", "A NIC's driver does not take the wanted MTU."},
    {NET_FAULT_LEGS_BELOW_PORT, "legs below port MTU", "A port accepts larger frames than the legs under it."},
    {NET_FAULT_DHCP_MTU, "DHCP MTU differs", "A DHCP server offers another MTU than the network wants."},
    {NET_FAULT_CONFIG_CORRUPT, "network file corrupt", "The network configuration on the host's disk is damaged."},
    {NET_FAULT_INTENT_INVALID, "inconsistent intent", "The wanted network contradicts itself."},
    {NET_FAULT_BRIDGE_FOREIGN, "bridge not ours", "A bridge with a wanted name exists and was made by something else."},
    {NET_FAULT_NIC_FOREIGN, "NIC in use elsewhere", "A wanted NIC sits in a bridge that was made by something else."},
    {NET_FAULT_NO_CARRIER, "no carrier", "A NIC has no link."},
    {NET_FAULT_CONTROL_UNLOCKED, "control traffic not size-locked",
     "A route out of the management bridge allows large frames."},
    {NET_FAULT_STEP_FAILED, "network step failed", "A step of a network change did not have its effect."},
    {NET_FAULT_ROLLED_BACK, "network change undone", "A network change did not prove itself and was undone."},
    {NET_FAULT_REPAIRED, "repaired otherwise than wanted",
     "Somebody repaired the host's network, and it stays otherwise than the pool wants it."},
    {NET_FAULT_BRIDGE_IN_USE, "bridge kept", "A bridge that is not wanted any more still has ports of guests."},
    {NET_FAULT_ADDRESS_TAKEN, "address in use twice",
     "Another machine has an address of this host, or one it is to get."},
    {NET_FAULT_GATEWAY_SILENT, "gateway silent", "The gateway of a network does not answer on the link."},
    {NET_FAULT_LACP_DOWN, "LACP not aggregating", "A bond that wants LACP has not agreed on it with its switch."},
};

static const struct fault_def *fault_def(enum net_fault f) {
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
        if (faults[i].fault == f)
            return &faults[i];
    return NULL;
}

const char *net_fault_code_text(enum net_fault f, char text[static NET_FAULT_CODE_SIZE]) {
    snprintf(text, NET_FAULT_CODE_SIZE, "MUSTER-N%03u", (unsigned)f % 1000);
    return text;
}

bool net_fault_code_parse(const char *text, enum net_fault *ret) {
    int64_t n;
    if (!str_starts(text, "MUSTER-N") || strlen(text) != 11 || !str_parse_int(text + 8, 1, 999, &n) || !fault_def(n))
        return false;
    *ret = (enum net_fault)n;
    return true;
}

const char *net_fault_name(enum net_fault f) {
    const struct fault_def *d = fault_def(f);
    return d ? d->name : NULL;
}

const char *net_fault_summary(enum net_fault f) {
    const struct fault_def *d = fault_def(f);
    return d ? d->summary : NULL;
}

const enum net_fault *net_fault_all(size_t *ret_n) {
    static enum net_fault all[ARRAY_SIZE(faults)];
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
        all[i] = faults[i].fault; /* the same values from any thread */
    *ret_n = ARRAY_SIZE(faults);
    return all;
}

struct net_problem *net_problems_add(struct net_problems *ps, enum net_fault f, const struct net_fault_facts *facts) {
    struct buf text = BUF_INIT, cure = BUF_INIT;
    net_fault_sentence(f, facts, &text, &cure);
    ps->items = xrealloc_array(ps->items, ps->n + 1, sizeof(*ps->items));
    struct net_problem *p = &ps->items[ps->n++];
    *p = (struct net_problem){.code = f, .text = buf_take(&text), .cure = buf_take(&cure)};
    if (!str_empty(facts->nic))
        str_copy(p->nic, sizeof(p->nic), facts->nic);
    if (!str_empty(facts->bridge))
        str_copy(p->bridge, sizeof(p->bridge), facts->bridge);
    return p;
}

const struct net_problem *net_problems_find(const struct net_problems *ps, enum net_fault f, const char *nic) {
    for (size_t i = 0; i < ps->n; i++)
        if (ps->items[i].code == f && (!nic || str_eq(ps->items[i].nic, nic)))
            return &ps->items[i];
    return NULL;
}

void net_problems_done(struct net_problems *ps) {
    for (size_t i = 0; i < ps->n; i++) {
        free(ps->items[i].text);
        free(ps->items[i].cure);
    }
    free(ps->items);
    *ps = (struct net_problems){0};
}

char *net_problem_line(const struct net_problem *p) {
    char code[NET_FAULT_CODE_SIZE];
    return strf("%s %s: %s Cure: %s", net_fault_code_text(p->code, code), str_or_empty(net_fault_name(p->code)),
                p->text, p->cure);
}

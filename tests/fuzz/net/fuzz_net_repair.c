/* SPDX-License-Identifier: Apache-2.0 */
/* A repair's text comes from the host's disk and from the pool's rows: what parses must write and parse to the same,
 * and laying it over a network must give a valid one or leave it as it was. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "net/net_repair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct net_config *host(void) {
    struct net_config *c = net_config_new();
    for (unsigned i = 0; i < 3; i++) {
        struct net_mac mac = {{2, 0, 0, 0, 0, (uint8_t)(i + 1)}};
        char name[8] = "eth0";
        name[3] = (char)('0' + i);
        net_config_add_nic(c, name, &mac);
    }
    struct net_bridge *b = net_config_add_bridge(c, "xapi0", NET_PURPOSE_BOND);
    net_bridge_add_leg(b, "eth0");
    net_bridge_add_leg(b, "eth1");
    str_copy(b->bond.name, sizeof(b->bond.name), "bond0");
    b->ip4.mode = NET_IP_DHCP;
    b = net_config_add_bridge(c, "xapi1", NET_PURPOSE_VLAN);
    str_copy(b->parent, sizeof(b->parent), "xapi0");
    b->tag = 42;
    str_copy(c->management, sizeof(c->management), "xapi0");
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error *e = NULL;
    struct net_repair r, again;
    if (!net_repair_from_json((const char *)data, size, &r, &e)) {
        error_free(e);
        return 0;
    }
    char *text = net_repair_to_json(&r);
    if (!net_repair_from_json(text, strlen(text), &again, &e))
        abort();
    char *text2 = net_repair_to_json(&again);
    if (!str_eq(text, text2))
        abort();
    struct net_config *c = host();
    if (net_repair_apply(&r, c, &e)) {
        if (!net_config_validate(c, &e))
            abort();
    } else {
        error_free(e);
    }
    free(net_repair_words(&r));
    net_repair_add(&again, &r);
    net_config_free(c);
    free(text);
    free(text2);
    net_repair_done(&r);
    net_repair_done(&again);
    return 0;
}

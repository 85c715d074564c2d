/* SPDX-License-Identifier: Apache-2.0 */
/* Any state of kernel and switch, however odd, must give a plan (or a named problem), never a crash. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "net/net_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void set_addr(struct net_bridge *b) {
    b->ip4.mode = NET_IP_STATIC;
    if (!net_addr_parse("10.1.0.11/24", &b->ip4.address) || !net_addr_parse("10.1.0.1", &b->ip4.gateway))
        abort();
}

static struct net_config *wanted(unsigned which) {
    struct net_config *c = net_config_new();
    for (unsigned i = 0; i < 2; i++) {
        struct net_mac mac = {{0x52, 0x54, 0, 0, 0, (uint8_t)(i + 1)}};
        net_config_add_nic(c, i ? "eth1" : "eth0", &mac);
    }
    struct net_bridge *b =
        net_config_add_bridge(c, which ? "xapi0" : "xenbr0", which ? NET_PURPOSE_BOND : NET_PURPOSE_NIC);
    net_bridge_add_leg(b, "eth0");
    if (which) {
        net_bridge_add_leg(b, "eth1");
        str_copy(b->bond.name, sizeof(b->bond.name), "bond0");
    }
    set_addr(b);
    str_copy(c->management, sizeof(c->management), b->name);
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error *e = NULL;
    struct net_observed *is = size < 65536 ? net_observed_from_json((const char *)data, size, &e) : NULL;
    error_free(e);
    if (!is)
        return 0;
    char *text = net_observed_to_json(is);
    free(text);
    for (unsigned i = 0; i < 4; i++) {
        struct net_config *c = wanted(i & 1);
        struct net_plan_options options = {.mode = i & 2 ? NET_PLAN_BOOT : NET_PLAN_LIVE};
        struct net_plan p = {0};
        e = NULL;
        if (!net_plan_compute(c, is, &options, &p, &e))
            abort();
        free(net_plan_text(&p));
        net_plan_done(&p);
        net_config_free(c);
    }
    net_observed_free(is);
    return 0;
}

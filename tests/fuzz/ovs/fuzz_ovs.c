/* SPDX-License-Identifier: Apache-2.0 */
/* What the switch answers: its database when the input begins with '[', else the text of bond/show. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "ovs/ovs_txn.h"

static void try_rows(const char *text, size_t size) {
    _cleanup_(json_decrefp) json_t *result = json_loadb(text, size, 0, NULL);
    _cleanup_error_ struct error *e = NULL;
    struct ovs_state s = {0};
    if (!result)
        return;
    (void)ovs_txn_cfg(result);
    if (!ovs_txn_parse(result, &s, &e)) {
        if (!e)
            abort();
        return;
    }
    /* Whatever is there can be looked up and worked on. */
    for (size_t i = 0; i < s.n_ports; i++) {
        const struct ovs_port *p = &s.ports[i];
        if (p->n_ifaces > OVS_MAX_LEGS || !ovs_state_port(&s, p->name))
            abort();
        const struct ovs_op op = {.kind = OVS_PORT_DEL, .bridge = p->bridge, .port = p->name, .tag = -1};
        json_t *params = NULL;
        if (ovs_txn_build(&s, &op, 1, "fuzz", &params, &e))
            json_decref(params);
        error_free(TAKE(e));
    }
    for (size_t i = 0; i < s.n_ifaces; i++) {
        if (!ovs_state_iface(&s, s.ifaces[i].name))
            abort();
        (void)ovs_state_port_of_iface(&s, s.ifaces[i].name);
    }
    ovs_state_done(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    struct ovs_bond_status bond;
    if (size && data[0] == '[') {
        try_rows((const char *)data, size);
        return 0;
    }
    ovs_bond_parse(text, &bond);
    if (bond.n_legs > OVS_MAX_LEGS)
        abort();
    for (unsigned i = 0; i < bond.n_legs; i++)
        if (strlen(bond.legs[i].name) >= OVS_NAME_SIZE)
            abort();
    return 0;
}

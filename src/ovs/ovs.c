/* SPDX-License-Identifier: Apache-2.0 */
#include "ovs/ovs.h"

#include "base/str.h"

#define COUNTS_PROCESSORS_MS 10100 /* ten seconds, and a little for a clock that is read twice */

void ovs_free(struct ovs *o) {
    if (o)
        o->ops->free(o);
}

bool ovs_read(struct ovs *o, struct ovs_state *ret, struct error **errp) {
    return o->ops->read(o, ret, errp);
}

bool ovs_commit(struct ovs *o, const struct ovs_op *ops, size_t n, const char *comment, int64_t *ret_cfg,
                struct error **errp) {
    return o->ops->commit(o, ops, n, comment, ret_cfg, errp);
}

bool ovs_wait_cfg(struct ovs *o, int64_t cfg, unsigned timeout_ms, struct error **errp) {
    return o->ops->wait_cfg(o, cfg, timeout_ms, errp);
}

bool ovs_wait_change(struct ovs *o, unsigned timeout_ms, struct error **errp) {
    return o->ops->wait_change(o, timeout_ms, errp);
}

bool ovs_is_running(struct ovs *o) {
    return o->ops->running(o);
}

bool ovs_bond_status(struct ovs *o, const char *port, struct ovs_bond_status *ret, struct error **errp) {
    return o->ops->bond_status(o, port, ret, errp);
}

char *ovs_handler_problem(struct ovs *o) {
    return o->ops->handler_problem(o);
}

unsigned ovs_start_pause_ms(uint64_t up_ms) {
    return up_ms < COUNTS_PROCESSORS_MS ? (unsigned)(COUNTS_PROCESSORS_MS - up_ms) : 0;
}

void ovs_state_done(struct ovs_state *s) {
    free(s->bridges);
    free(s->ports);
    free(s->ifaces);
    *s = (struct ovs_state){0};
}

const struct ovs_bridge *ovs_state_bridge(const struct ovs_state *s, const char *name) {
    for (size_t i = 0; i < s->n_bridges; i++)
        if (str_eq(s->bridges[i].name, name))
            return &s->bridges[i];
    return NULL;
}

const struct ovs_port *ovs_state_port(const struct ovs_state *s, const char *name) {
    for (size_t i = 0; i < s->n_ports; i++)
        if (str_eq(s->ports[i].name, name))
            return &s->ports[i];
    return NULL;
}

const struct ovs_port *ovs_state_port_of_iface(const struct ovs_state *s, const char *iface) {
    for (size_t i = 0; i < s->n_ports; i++)
        for (unsigned j = 0; j < s->ports[i].n_ifaces; j++)
            if (str_eq(s->ports[i].ifaces[j], iface))
                return &s->ports[i];
    return NULL;
}

const struct ovs_iface *ovs_state_iface(const struct ovs_state *s, const char *name) {
    for (size_t i = 0; i < s->n_ifaces; i++)
        if (str_eq(s->ifaces[i].name, name))
            return &s->ifaces[i];
    return NULL;
}

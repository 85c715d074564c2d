/* SPDX-License-Identifier: Apache-2.0 */
#include "ovs/ovs_fake.h"

#include "base/buf.h"
#include "base/str.h"

#include <assert.h>
#include <stdio.h>

#define MAX_FAKE 64
#define DEFAULT_MTU 1500

struct ovs_fake {
    struct ovs ovs;
    struct ovs_state state; /* its arrays have MAX_FAKE places */
    char limited[OVS_NAME_SIZE];
    int limit;
    char *fail_next;
    bool stuck, running, lacp_refused;
    unsigned n_rows;
    void (*on_commit)(const struct ovs_state *s, void *userdata);
    void *userdata;
};

#define FAKE(o) container_of(o, struct ovs_fake, ovs)

static struct ovs_state copy_state(const struct ovs_state *s) {
    struct ovs_state c = *s;
    c.bridges = xcalloc(MAX_FAKE, sizeof *c.bridges);
    c.ports = xcalloc(MAX_FAKE, sizeof *c.ports);
    c.ifaces = xcalloc(MAX_FAKE, sizeof *c.ifaces);
    if (s->n_bridges)
        memcpy(c.bridges, s->bridges, s->n_bridges * sizeof *c.bridges);
    if (s->n_ports)
        memcpy(c.ports, s->ports, s->n_ports * sizeof *c.ports);
    if (s->n_ifaces)
        memcpy(c.ifaces, s->ifaces, s->n_ifaces * sizeof *c.ifaces);
    return c;
}

static void text(char *dst, size_t size, const char *src) {
    (void)str_copy(dst, size, str_or_empty(src));
}

static struct ovs_bridge *bridge(struct ovs_state *s, const char *name) {
    return (struct ovs_bridge *)ovs_state_bridge(s, str_or_empty(name));
}
static struct ovs_port *port(struct ovs_state *s, const char *name) {
    return (struct ovs_port *)ovs_state_port(s, str_or_empty(name));
}
static struct ovs_iface *iface(struct ovs_state *s, const char *name) {
    return (struct ovs_iface *)ovs_state_iface(s, str_or_empty(name));
}

static void make_uuid(struct ovs_fake *f, char ret[static OVS_UUID_SIZE]) {
    snprintf(ret, OVS_UUID_SIZE, "00000000-0000-4000-8000-%012u", ++f->n_rows);
}

static void add_iface(struct ovs_fake *f, struct ovs_state *s, const char *name, const char *type,
                      const struct ovs_op *op) {
    assert(s->n_ifaces < MAX_FAKE);
    struct ovs_iface *i = &s->ifaces[s->n_ifaces++];
    *i = (struct ovs_iface){.ofport = (int)s->n_ifaces, .mtu = DEFAULT_MTU, .mtu_request = op->mtu};
    make_uuid(f, i->uuid);
    text(i->name, sizeof i->name, name);
    text(i->type, sizeof i->type, type);
    text(i->role, sizeof i->role, op->role);
    text(i->peer, sizeof i->peer, op->peer);
    text(i->mac, sizeof i->mac, op->kind == OVS_BRIDGE_ADD ? "" : op->mac);
}

static struct ovs_port *add_port(struct ovs_fake *f, struct ovs_state *s, const char *on, const char *name,
                                 const struct ovs_op *op) {
    assert(s->n_ports < MAX_FAKE);
    struct ovs_port *p = &s->ports[s->n_ports++];
    *p = (struct ovs_port){.tag = op->tag, .fake_bridge = op->fake_bridge};
    make_uuid(f, p->uuid);
    text(p->name, sizeof p->name, name);
    text(p->bridge, sizeof p->bridge, on);
    text(p->role, sizeof p->role, op->role);
    return p;
}

static void del_iface(struct ovs_state *s, const char *name) {
    struct ovs_iface *i = iface(s, name);
    assert(i);
    *i = s->ifaces[--s->n_ifaces];
}

static void del_port(struct ovs_state *s, const char *name) {
    struct ovs_port *p = port(s, name);
    for (unsigned i = 0; i < p->n_ifaces; i++)
        del_iface(s, p->ifaces[i]);
    *p = s->ports[--s->n_ports];
}

static void set_bond(struct ovs_port *p, const struct ovs_bond *bond) {
    p->bond = bond ? *bond : (struct ovs_bond){0};
    p->has_bond = bond || p->n_ifaces > 1;
}

/* NULL, or what the database would say. */
static char *perform(struct ovs_fake *f, struct ovs_state *s, const struct ovs_op *op) {
    struct ovs_bridge *b = bridge(s, op->bridge);
    struct ovs_port *p = port(s, op->port);
    struct ovs_iface *i = op->n_ifaces ? iface(s, op->ifaces[0]) : NULL;
    bool wants_port = op->kind == OVS_PORT_DEL || op->kind == OVS_PORT_MOVE || op->kind == OVS_PORT_BOND ||
                      op->kind == OVS_PORT_TAG || op->kind == OVS_PORT_ADD_IFACE || op->kind == OVS_PORT_DEL_IFACE;
    if (wants_port && !p)
        return strf("Port '%s' is not there", str_or_empty(op->port));
    if ((op->kind == OVS_BRIDGE_DEL || op->kind == OVS_BRIDGE_MAC || op->kind == OVS_PORT_ADD) && !b)
        return strf("Bridge '%s' is not there", str_or_empty(op->bridge));
    if ((op->kind == OVS_IFACE_MTU || op->kind == OVS_IFACE_MAC || op->kind == OVS_PORT_DEL_IFACE) && !i)
        return strf("Interface '%s' is not there", op->n_ifaces ? op->ifaces[0] : "");
    switch (op->kind) {
    case OVS_BRIDGE_ADD: {
        if (b || iface(s, op->bridge))
            return strf("'%s' is there already", op->bridge);
        b = &s->bridges[s->n_bridges++];
        *b = (struct ovs_bridge){0};
        make_uuid(f, b->uuid);
        text(b->name, sizeof b->name, op->bridge);
        text(b->datapath_type, sizeof b->datapath_type, op->datapath_type);
        text(b->hwaddr, sizeof b->hwaddr, op->mac);
        text(b->role, sizeof b->role, op->role);
        struct ovs_op local = *op;
        local.tag = -1;
        p = add_port(f, s, op->bridge, op->bridge, &local);
        add_iface(f, s, op->bridge, "internal", &local);
        text(p->ifaces[p->n_ifaces++], OVS_NAME_SIZE, op->bridge);
        return NULL;
    }
    case OVS_BRIDGE_DEL:
        for (size_t n = s->n_ports; n-- > 0;)
            if (str_eq(s->ports[n].bridge, op->bridge))
                del_port(s, s->ports[n].name);
        *b = s->bridges[--s->n_bridges];
        return NULL;
    case OVS_BRIDGE_MAC:
        text(b->hwaddr, sizeof b->hwaddr, op->mac);
        return NULL;
    case OVS_PORT_ADD:
        if (p)
            return strf("Port '%s' is there already", op->port);
        p = add_port(f, s, op->bridge, op->port, op);
        for (unsigned n = 0; n < op->n_ifaces; n++) {
            if (iface(s, op->ifaces[n]))
                return strf("Interface '%s' is there already", op->ifaces[n]);
            add_iface(f, s, op->ifaces[n], op->iface_type, op);
            text(p->ifaces[p->n_ifaces++], OVS_NAME_SIZE, op->ifaces[n]);
        }
        set_bond(p, op->bond);
        return NULL;
    case OVS_PORT_DEL:
        del_port(s, op->port);
        return NULL;
    case OVS_PORT_MOVE:
        if (!bridge(s, op->to_bridge))
            return strf("Bridge '%s' is not there", str_or_empty(op->to_bridge));
        text(p->bridge, sizeof p->bridge, op->to_bridge);
        return NULL;
    case OVS_PORT_BOND:
        set_bond(p, op->bond);
        return NULL;
    case OVS_PORT_TAG:
        p->tag = op->tag;
        return NULL;
    case OVS_PORT_ADD_IFACE:
        if (i)
            return strf("Interface '%s' is there already", op->ifaces[0]);
        add_iface(f, s, op->ifaces[0], op->iface_type, op);
        text(p->ifaces[p->n_ifaces++], OVS_NAME_SIZE, op->ifaces[0]);
        p->has_bond = true;
        return NULL;
    case OVS_PORT_DEL_IFACE:
        for (unsigned n = 0; n < p->n_ifaces; n++)
            if (str_eq(p->ifaces[n], op->ifaces[0])) {
                memmove(p->ifaces[n], p->ifaces[n + 1], (p->n_ifaces - n - 1) * OVS_NAME_SIZE);
                p->n_ifaces--;
                del_iface(s, op->ifaces[0]);
                return NULL;
            }
        return strf("'%s' is not in '%s'", op->ifaces[0], op->port);
    case OVS_IFACE_MTU:
        i->mtu_request = op->mtu;
        return NULL;
    case OVS_IFACE_MAC:
        text(i->mac, sizeof i->mac, op->mac);
        return NULL;
    }
    abort();
}

/* What the daemon does with a configuration: MTUs that were asked for, then ports of a bridge that follow the rest. */
static void work_through(struct ovs_fake *f) {
    struct ovs_state *s = &f->state;
    for (size_t n = 0; n < s->n_ifaces; n++) {
        struct ovs_iface *i = &s->ifaces[n];
        bool refused = f->limit && str_eq(i->name, f->limited) && i->mtu_request > f->limit;
        if (i->mtu_request && !refused)
            i->mtu = i->mtu_request;
    }
    for (size_t n = 0; n < s->n_ifaces; n++) {
        struct ovs_iface *i = &s->ifaces[n];
        const struct ovs_port *own = ovs_state_port_of_iface(s, i->name);
        if (i->mtu_request || !str_eq(i->type, "internal") || !own)
            continue;
        int smallest = 0;
        for (size_t m = 0; m < s->n_ports; m++)
            for (unsigned k = 0; str_eq(s->ports[m].bridge, own->bridge) && k < s->ports[m].n_ifaces; k++) {
                const struct ovs_iface *leg = ovs_state_iface(s, s->ports[m].ifaces[k]);
                if (leg && leg != i && str_empty(leg->type) && (!smallest || leg->mtu < smallest))
                    smallest = leg->mtu;
            }
        i->mtu = smallest ? smallest : DEFAULT_MTU;
    }
    s->cur_cfg = s->next_cfg;
    if (f->on_commit)
        f->on_commit(s, f->userdata);
}

static bool fake_read(struct ovs *o, struct ovs_state *ret, struct error **errp) {
    *ret = copy_state(&FAKE(o)->state);
    return true;
}

static bool fake_commit(struct ovs *o, const struct ovs_op *ops, size_t n, const char *comment, int64_t *ret_cfg,
                        struct error **errp) {
    struct ovs_fake *f = FAKE(o);
    struct ovs_state next = copy_state(&f->state);
    char *problem = TAKE(f->fail_next);
    for (size_t i = 0; !problem && i < n; i++)
        problem = perform(f, &next, &ops[i]);
    if (problem) {
        error_set(errp, ERR_OVS_REFUSED, problem, NULL);
        free(problem);
        ovs_state_done(&next);
        return false;
    }
    ovs_state_done(&f->state);
    f->state = next;
    *ret_cfg = ++f->state.next_cfg;
    if (f->running && !f->stuck)
        work_through(f);
    return true;
}

static bool fake_wait_change(struct ovs *o, unsigned timeout_ms, struct error **errp) {
    return true;
}

static bool fake_wait_cfg(struct ovs *o, int64_t cfg, unsigned timeout_ms, struct error **errp) {
    if (FAKE(o)->state.cur_cfg >= cfg)
        return true;
    error_setf(errp, ERR_OVS_TIMEOUT, "ovs-vswitchd did not take configuration %lld", (long long)cfg);
    return false;
}

static bool fake_running(struct ovs *o) {
    return FAKE(o)->running;
}

static bool fake_bond_status(struct ovs *o, const char *name, struct ovs_bond_status *ret, struct error **errp) {
    struct ovs_port *p = port(&FAKE(o)->state, name);
    if (!p || !p->has_bond) {
        error_set(errp, ERR_OVS_REFUSED, "no such bond", NULL);
        return false;
    }
    *ret = (struct ovs_bond_status){.n_legs = p->n_ifaces, .lacp_negotiated = p->bond.lacp && !FAKE(o)->lacp_refused};
    text(ret->mode, sizeof ret->mode, p->bond.mode);
    for (unsigned i = 0; i < p->n_ifaces; i++) {
        text(ret->legs[i].name, OVS_NAME_SIZE, p->ifaces[i]);
        ret->legs[i].enabled = !p->bond.lacp || ret->lacp_negotiated;
        ret->legs[i].active = p->bond.primary[0] ? str_eq(p->bond.primary, p->ifaces[i]) : i == 0;
    }
    return true;
}

static char *fake_handler_problem(struct ovs *o) {
    return NULL;
}

static void fake_free(struct ovs *o) {
    struct ovs_fake *f = FAKE(o);
    ovs_state_done(&f->state);
    free(f->fail_next);
    free(f);
}

static const struct ovs_ops fake_ops = {
    .free = fake_free,
    .read = fake_read,
    .commit = fake_commit,
    .wait_change = fake_wait_change,
    .wait_cfg = fake_wait_cfg,
    .running = fake_running,
    .bond_status = fake_bond_status,
    .handler_problem = fake_handler_problem,
};

struct ovs *ovs_fake_new(void) {
    struct ovs_fake *f = xnew0(struct ovs_fake);
    f->ovs.ops = &fake_ops;
    f->running = true;
    struct ovs_state empty = {0};
    f->state = copy_state(&empty);
    return &f->ovs;
}

void ovs_fake_on_commit(struct ovs *o, void (*fn)(const struct ovs_state *s, void *userdata), void *userdata) {
    FAKE(o)->on_commit = fn;
    FAKE(o)->userdata = userdata;
}

void ovs_fake_fail_next(struct ovs *o, const char *sentence) {
    free(FAKE(o)->fail_next);
    FAKE(o)->fail_next = xstrdup(sentence);
}

void ovs_fake_set_stuck(struct ovs *o, bool stuck) {
    FAKE(o)->stuck = stuck;
}

void ovs_fake_set_lacp(struct ovs *o, bool agreed) {
    FAKE(o)->lacp_refused = !agreed;
}

void ovs_fake_set_running(struct ovs *o, bool running) {
    FAKE(o)->running = running;
    if (running)
        work_through(FAKE(o));
}

void ovs_fake_limit_mtu(struct ovs *o, const char *name, int mtu) {
    text(FAKE(o)->limited, OVS_NAME_SIZE, name);
    FAKE(o)->limit = mtu;
}

const struct ovs_state *ovs_fake_state(const struct ovs *o) {
    return &FAKE((struct ovs *)o)->state;
}

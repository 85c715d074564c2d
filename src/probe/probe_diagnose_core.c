/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/probe_diagnose_core.h"

#include <string.h>

/* One leg of one host on one VLAN of one network, with what its port is known to pass each way. */
struct port {
    unsigned report;
    unsigned leg;
    uint16_t vlan;
    uint16_t wanted;
    uint16_t out, in;                    /* the largest size of any edge through it */
    unsigned n_out, n_in;                /* edges measured through it */
    unsigned n_rest, n_shaky, n_doubted; /* see count_rest */
};

struct work {
    const struct probe_report *reports;
    unsigned n_reports;
    struct port *ports;
    unsigned n_ports, capacity;
    struct probe_fault *faults;
    unsigned n_faults;
};

static const struct probe_leg_fact *leg_of(const struct work *w, const struct port *p) {
    return &w->reports[p->report].legs[p->leg];
}

static int find_report(const struct work *w, const struct uuid *host) {
    for (unsigned i = 0; i < w->n_reports; i++)
        if (uuid_eq(&w->reports[i].host, host))
            return (int)i;
    return -1;
}

static int find_leg(const struct probe_report *r, const char *name) {
    for (unsigned i = 0; i < r->n_legs; i++)
        if (!strcmp(r->legs[i].name, name))
            return (int)i;
    return -1;
}

static struct port *port_at(struct work *w, unsigned report, unsigned leg, uint16_t vlan) {
    for (unsigned i = 0; i < w->n_ports; i++)
        if (w->ports[i].report == report && w->ports[i].leg == leg && w->ports[i].vlan == vlan)
            return &w->ports[i];
    if (w->n_ports == w->capacity) {
        w->capacity = w->capacity ? w->capacity * 2 : 64;
        w->ports = xrealloc_array(w->ports, w->capacity, sizeof(*w->ports));
    }
    struct port *p = &w->ports[w->n_ports++];
    *p = (struct port){.report = report, .leg = leg, .vlan = vlan};
    return p;
}

/* An edge that says something: both hosts live and probing, measured, and its end points known. */
static bool edge_counts(const struct work *w, unsigned from, const struct probe_edge *e, int *ret_to, int *ret_leg,
                        int *ret_peer_leg) {
    const struct probe_report *r = &w->reports[from];
    if (!r->live || !r->fresh || e->state == PROBE_UNKNOWN)
        return false;
    int to = find_report(w, &e->peer);
    if (to < 0 || !w->reports[to].live || !w->reports[to].fresh)
        return false;
    *ret_to = to;
    *ret_leg = find_leg(r, e->leg);
    *ret_peer_leg = find_leg(&w->reports[to], e->peer_leg);
    return *ret_leg >= 0 && *ret_peer_leg >= 0;
}

static struct probe_fault *add_fault(struct work *w, enum probe_fault_kind kind) {
    static struct probe_fault overflow;
    struct probe_fault *f = w->n_faults < PROBE_MAX_FAULTS ? &w->faults[w->n_faults++] : &overflow;
    *f = (struct probe_fault){.kind = kind};
    return f;
}

static void collect_ports(struct work *w) {
    for (unsigned i = 0; i < w->n_reports; i++)
        for (unsigned n = 0; n < w->reports[i].n_edges; n++) {
            const struct probe_edge *e = &w->reports[i].edges[n];
            int to, leg, peer_leg;
            if (!edge_counts(w, i, e, &to, &leg, &peer_leg))
                continue;
            struct port *a = port_at(w, i, (unsigned)leg, e->vlan);
            a->wanted = MAX(a->wanted, e->wanted);
            a->out = MAX(a->out, e->size);
            a->n_out++;
            struct port *b = port_at(w, (unsigned)to, (unsigned)peer_leg, e->vlan);
            b->wanted = MAX(b->wanted, e->wanted);
            b->in = MAX(b->in, e->size);
            b->n_in++;
        }
}

static bool port_limited(const struct port *p) {
    return (p->n_out && p->out < p->wanted) || (p->n_in && p->in < p->wanted);
}
static bool port_dead(const struct port *p) {
    return (!p->n_out || !p->out) && (!p->n_in || !p->in);
}

/* Something passes this leg, on whatever VLAN. */
static bool leg_alive(const struct work *w, const struct port *p) {
    for (unsigned i = 0; i < w->n_ports; i++)
        if (w->ports[i].report == p->report && w->ports[i].leg == p->leg && !port_dead(&w->ports[i]))
            return true;
    return false;
}

/* What a leg's other VLANs are compared with: its first one on which something passes, untagged before tagged. */
static const struct port *reference(const struct work *w, const struct port *p) {
    const struct port *first = p;
    for (unsigned i = 0; i < w->n_ports; i++) {
        const struct port *o = &w->ports[i];
        if (o->report == p->report && o->leg == p->leg && o->vlan < first->vlan && !port_dead(o))
            first = o;
    }
    return first;
}

/* All ports of one group and VLAN. Calls the group "everywhere limited" when not one of them passes what is wanted. */
static bool group_verdict(struct work *w, const struct uuid *group, uint16_t vlan) {
    unsigned n = 0, n_limited = 0, n_dead = 0, n_hosts = 0;
    uint16_t best = 0, wanted = 0;
    unsigned last_report = UINT32_MAX;
    for (unsigned i = 0; i < w->n_ports; i++) {
        const struct port *p = &w->ports[i];
        if (p->vlan != vlan || !uuid_eq(&leg_of(w, p)->group, group))
            continue;
        n++;
        n_hosts += p->report != last_report;
        last_report = p->report;
        n_dead += port_dead(p);
        n_limited += (!p->n_out || p->out < p->wanted) && (!p->n_in || p->in < p->wanted);
        best = MAX(best, p->out);
        best = MAX(best, p->in);
        wanted = MAX(wanted, p->wanted);
    }
    if (n < 2 || n_hosts < 2 || n_limited < n)
        return false;
    struct probe_fault *f;
    if (n_dead == n) {
        if (!vlan)
            return false; /* nothing at all passes: each leg speaks for itself */
        f = add_fault(w, PROBE_FAULT_VLAN_NOWHERE);
    } else {
        f = add_fault(w, PROBE_FAULT_FABRIC_LIMITED);
    }
    f->group = *group;
    f->vlan = vlan;
    f->passes = best;
    f->fails = wanted;
    return true;
}

static void name_port(const struct work *w, const struct port *p, struct probe_fault *f) {
    const struct probe_leg_fact *leg = leg_of(w, p);
    f->host = w->reports[p->report].host;
    f->group = leg->group;
    memcpy(f->leg, leg->name, sizeof(f->leg));
    memcpy(f->switch_name, leg->switch_name, sizeof(f->switch_name));
    memcpy(f->switch_port, leg->switch_port, sizeof(f->switch_port));
    f->vlan = p->vlan;
    f->fails = p->wanted;
}

static void port_verdict(struct work *w, const struct port *p) {
    if (port_dead(p)) {
        bool alive = leg_alive(w, p);
        if (!alive && p->vlan)
            return; /* the leg is dead; said once, without the VLAN */
        if (alive && !p->vlan && !leg_of(w, p)->untagged)
            return; /* a port for tagged VLANs alone, and nobody here sends anything else */
        name_port(w, p, add_fault(w, alive ? PROBE_FAULT_VLAN_MISSING : PROBE_FAULT_LEG_DEAD));
        return;
    }
    bool out = p->n_out && p->out < p->wanted, in = p->n_in && p->in < p->wanted;
    const struct port *first = reference(w, p);
    if (first != p) {
        /* The same limit has been said already; a further VLAN only speaks where it is worse. */
        bool same_out = !out || (first->n_out && first->out < first->wanted && p->out + 4 >= first->out);
        bool same_in = !in || (first->n_in && first->in < first->wanted && p->in + 4 >= first->in);
        if (same_out && same_in)
            return;
    }
    struct probe_fault *f = add_fault(w, PROBE_FAULT_LEG_LIMITED);
    name_port(w, p, f);
    f->direction = out && in ? PROBE_BOTH : out ? PROBE_OUT : PROBE_IN;
    f->passes = out && in ? MIN(p->out, p->in) : out ? p->out : p->in;
}

/* A port that loses what is wanted and passes something, both ways. */
static bool port_accused(const struct port *p) {
    return p->n_out && p->n_in && p->out && p->in && p->out < p->wanted && p->in < p->wanted;
}

/* Of the paths that cross no accused port: how many there are, are not as they should be, are in doubt. */
static void count_rest(struct work *w) {
    for (unsigned i = 0; i < w->n_reports; i++)
        for (unsigned n = 0; n < w->reports[i].n_edges; n++) {
            const struct probe_edge *e = &w->reports[i].edges[n];
            int to, leg, peer_leg;
            if (!edge_counts(w, i, e, &to, &leg, &peer_leg))
                continue;
            struct port *a = port_at(w, i, (unsigned)leg, e->vlan);
            if (port_accused(a) || port_accused(port_at(w, (unsigned)to, (unsigned)peer_leg, e->vlan)))
                continue;
            a->n_rest++;
            a->n_shaky += e->doubted || e->size < e->wanted;
            a->n_doubted += e->doubted;
        }
}

/*
 * The signs are those of the network as a whole, and it is not all measured yet: half of what does not cross an accused
 * port is not as it should be, either, and some of it is being measured. When one port is to blame, nothing else is in
 * doubt, and it is told at once; this waits for the measurements that run, a few seconds at most.
 */
static bool may_be_everywhere(const struct work *w, const struct port *p) {
    unsigned n_rest = 0, n_shaky = 0, n_doubted = 0;
    for (unsigned i = 0; i < w->n_ports; i++) {
        const struct port *o = &w->ports[i];
        if (o->vlan != p->vlan || !uuid_eq(&leg_of(w, o)->group, &leg_of(w, p)->group))
            continue;
        n_rest += o->n_rest;
        n_shaky += o->n_shaky;
        n_doubted += o->n_doubted;
    }
    return n_doubted && n_shaky * 2 >= n_rest;
}

static int end_order(const struct probe_fault_end *a, const struct probe_fault_end *b) {
    int r = memcmp(a->host.b, b->host.b, sizeof(a->host.b));
    return r ? r : strcmp(a->leg, b->leg);
}

/* One path over the link is told: which one must not depend on what was measured first. */
static void see_path(const struct work *w, struct probe_fault *f, const struct port *a, const struct port *b) {
    struct probe_fault_end ends[2];
    const struct port *ports[2] = {a, b};
    for (unsigned i = 0; i < 2; i++) {
        const struct probe_leg_fact *leg = leg_of(w, ports[i]);
        ends[i] = (struct probe_fault_end){.host = w->reports[ports[i]->report].host};
        memcpy(ends[i].leg, leg->name, sizeof(ends[i].leg));
        memcpy(ends[i].switch_port, leg->switch_port, sizeof(ends[i].switch_port));
    }
    int order = f->seen[0].leg[0] ? end_order(&ends[0], &f->seen[0]) : -1;
    if (order < 0 || (order == 0 && end_order(&ends[1], &f->seen[1]) < 0))
        memcpy(f->seen, ends, sizeof(ends));
}

/*
 * Of the paths from the one switch to the other so few are worse than their ports that it is a trouble of these pairs
 * of legs: a link stops all, and a group of links those that go over one of them. Eight links are the most in a group.
 * One path alone of more than two is never the link.
 */
static bool are_few(struct work *w, const struct probe_leg_fact *from, const struct probe_leg_fact *at, uint16_t vlan) {
    unsigned n_all = 0, n_bad = 0;
    for (unsigned i = 0; i < w->n_reports; i++)
        for (unsigned n = 0; n < w->reports[i].n_edges; n++) {
            const struct probe_edge *e = &w->reports[i].edges[n];
            int to, leg, peer_leg;
            if (e->vlan != vlan || !edge_counts(w, i, e, &to, &leg, &peer_leg))
                continue;
            const struct probe_leg_fact *a = &w->reports[i].legs[leg], *b = &w->reports[to].legs[peer_leg];
            if (!uuid_eq(&a->group, &from->group) || strcmp(a->switch_name, from->switch_name) != 0 ||
                strcmp(b->switch_name, at->switch_name) != 0)
                continue;
            n_all++;
            n_bad += e->size < e->wanted && e->size < MIN(port_at(w, i, (unsigned)leg, vlan)->out,
                                                          port_at(w, (unsigned)to, (unsigned)peer_leg, vlan)->in);
        }
    return n_bad * 8 < n_all || (n_bad == 1 && n_all > 2);
}

/* Edges that are worse than both of their ports: between switches it is the link between them. Said once per pair of
 * switches. */
static void link_verdicts(struct work *w) {
    for (unsigned i = 0; i < w->n_reports; i++)
        for (unsigned n = 0; n < w->reports[i].n_edges; n++) {
            const struct probe_edge *e = &w->reports[i].edges[n];
            int to, leg, peer_leg;
            if (!edge_counts(w, i, e, &to, &leg, &peer_leg) || e->size >= e->wanted)
                continue;
            const struct port *a = port_at(w, i, (unsigned)leg, e->vlan),
                              *b = port_at(w, (unsigned)to, (unsigned)peer_leg, e->vlan);
            if (e->size >= MIN(a->out, b->in))
                continue;
            const struct probe_leg_fact *la = leg_of(w, a), *lb = leg_of(w, b);
            if (la->switch_name[0] && lb->switch_name[0] && !strcmp(la->switch_name, lb->switch_name))
                continue; /* one switch: a passing trouble of this pair, not a link */
            bool swap = strcmp(la->switch_name, lb->switch_name) > 0;
            const char *one = swap ? lb->switch_name : la->switch_name, *two = swap ? la->switch_name : lb->switch_name;
            bool said = false;
            for (unsigned k = 0; k < w->n_faults; k++) {
                struct probe_fault *f = &w->faults[k];
                if ((f->kind == PROBE_FAULT_ISL_LIMITED || f->kind == PROBE_FAULT_ISL_DEAD) &&
                    uuid_eq(&f->group, &la->group) && !strcmp(f->switch_name, one) && !strcmp(f->other_switch, two)) {
                    if (f->vlan && !e->vlan) { /* the untagged figures are the ones to tell */
                        f->vlan = 0;
                        f->passes = e->size;
                        f->fails = e->wanted;
                    } else if (f->vlan == e->vlan) {
                        f->passes = MIN(f->passes, e->size);
                    }
                    see_path(w, f, swap ? b : a, swap ? a : b);
                    said = true;
                }
            }
            if (said || are_few(w, la, lb, e->vlan))
                continue;
            struct probe_fault *f = add_fault(w, e->size ? PROBE_FAULT_ISL_LIMITED : PROBE_FAULT_ISL_DEAD);
            f->group = la->group;
            f->vlan = e->vlan;
            f->passes = e->size;
            f->fails = e->wanted;
            memcpy(f->switch_name, one, sizeof(f->switch_name));
            memcpy(f->other_switch, two, sizeof(f->other_switch));
            see_path(w, f, swap ? b : a, swap ? a : b);
        }
}

static bool verdict_given(const struct work *w, const struct port *p, unsigned n_groups) {
    for (unsigned i = 0; i < n_groups; i++) {
        const struct probe_fault *f = &w->faults[i];
        if (!uuid_eq(&f->group, &leg_of(w, p)->group))
            continue;
        if (f->vlan == p->vlan)
            return f->kind == PROBE_FAULT_VLAN_NOWHERE || MAX(p->out, p->in) + 4 >= f->passes;
        if (!f->vlan && f->kind == PROBE_FAULT_FABRIC_LIMITED && !port_dead(p) && MAX(p->out, p->in) + 4 >= f->passes)
            return true; /* the same limit inside a VLAN */
    }
    return false;
}

static int fault_order(const void *x, const void *y) {
    const struct probe_fault *a = x, *b = y;
    int r = memcmp(a->group.b, b->group.b, 16);
    if (!r)
        r = memcmp(a->host.b, b->host.b, 16);
    if (!r)
        r = strcmp(a->leg, b->leg);
    if (!r)
        r = (int)a->vlan - (int)b->vlan;
    return r ? r : (int)a->kind - (int)b->kind;
}

unsigned probe_diagnose(const struct probe_report *reports, unsigned n_reports,
                        struct probe_fault ret[static PROBE_MAX_FAULTS]) {
    struct work w = {.reports = reports, .n_reports = n_reports, .faults = ret};
    for (unsigned i = 0; i < n_reports; i++)
        if (!reports[i].live)
            add_fault(&w, PROBE_FAULT_HOST_DOWN)->host = reports[i].host;
    unsigned first_group = w.n_faults;
    collect_ports(&w);
    for (unsigned i = 0; i < w.n_ports; i++) {
        bool seen = false;
        for (unsigned k = 0; k < i && !seen; k++)
            seen = w.ports[k].vlan == w.ports[i].vlan &&
                   uuid_eq(&leg_of(&w, &w.ports[k])->group, &leg_of(&w, &w.ports[i])->group);
        if (!seen)
            group_verdict(&w, &leg_of(&w, &w.ports[i])->group, w.ports[i].vlan);
    }
    /* A limit repeats inside the VLANs: keep the verdict of the lowest alone, the untagged one where that passes. */
    for (unsigned i = first_group; i < w.n_faults;) {
        const struct probe_fault *f = &w.faults[i];
        bool repeats = false;
        for (unsigned k = first_group; k < w.n_faults && f->vlan && f->kind == PROBE_FAULT_FABRIC_LIMITED; k++)
            repeats |= w.faults[k].kind == PROBE_FAULT_FABRIC_LIMITED && w.faults[k].vlan < f->vlan &&
                       uuid_eq(&w.faults[k].group, &f->group) && f->passes + 4 >= w.faults[k].passes;
        if (repeats)
            w.faults[i] = w.faults[--w.n_faults];
        else
            i++;
    }
    unsigned n_groups = w.n_faults;
    unsigned n_ports = w.n_ports;
    count_rest(&w);
    for (unsigned i = 0; i < n_ports; i++)
        if (port_limited(&w.ports[i]) && !verdict_given(&w, &w.ports[i], n_groups) &&
            !may_be_everywhere(&w, &w.ports[i]))
            port_verdict(&w, &w.ports[i]);
    link_verdicts(&w);
    qsort(w.faults, w.n_faults, sizeof(*w.faults), fault_order);
    free(w.ports);
    return w.n_faults;
}

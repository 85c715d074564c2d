/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe/probe_port.h over simulated wires: each leg hangs at a switch port that passes frames up to a size in each
 * direction. The names of switch ports (probe/lldp.h) and the guard (probe/probe_guard.h) are there as on a real host.
 */
#include "probe/probe_port.h"

#include <stdio.h>
#include <string.h>

#include "probe/lldp.h"
#include "probe/probe_guard.h"
#include "sim_daemon.h"

#define HEADER_SIZE 14

struct probe_port {
    struct probe_port *next;
    unsigned host;
    struct inbox *inbox;
    probe_port_frame_fn *frame;
    probe_port_idle_fn *idle;
    void *userdata;
};

static struct probe_port *ports;

struct probe_port *probe_port_new(struct loop *l, const char *leg, probe_port_frame_fn *frame, probe_port_idle_fn *idle,
                                  void *userdata) {
    struct probe_port *p = xnew0(struct probe_port);
    *p = (struct probe_port){.next = ports, .frame = frame, .idle = idle, .userdata = userdata};
    for (unsigned i = 0; i < sim->n_hosts; i++)
        if (sim->hosts[i].daemon && sim->hosts[i].daemon->loop == l)
            p->host = i;
    p->inbox = inbox_new(l, p);
    ports = p;
    return p;
}

void probe_port_free(struct probe_port *p) {
    if (!p)
        return;
    for (struct probe_port **at = &ports; *at; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            break;
        }
    inbox_free(p->inbox);
    free(p);
}

static void on_frame(void *data, void *owner) {
    struct probe_port *p = owner;
    struct probe_frame f = *(struct probe_frame *)data;
    free(data);
    p->frame(p, &f, p->userdata);
    p->idle(p, p->userdata);
}

static bool passes(unsigned from, unsigned to, size_t size) {
    const struct sim_path *way = &sim->path[from][to];
    unsigned limit = MIN(sim->hosts[from].limit_out, sim->hosts[to].limit_in);
    return sim_reaches(from, to) && size <= limit + HEADER_SIZE && !(way->loss && sim_chance(way->loss));
}

void probe_port_send(struct probe_port *p, const uint8_t *frame, size_t size) {
    struct probe_frame f;
    if (!probe_frame_read(frame, size, 0, &f))
        return; /* there are no VLANs here */
    for (struct probe_port *to = ports; to; to = to->next) {
        uint8_t nic[6] = {2, 0, 0, 0, 0, (uint8_t)to->host}, mac[6];
        probe_derive_mac(nic, mac);
        if (to == p || memcmp(mac, f.dst, sizeof(mac)) != 0 || !passes(p->host, to->host, size))
            continue;
        struct probe_frame *copy = xnew0(struct probe_frame);
        *copy = f;
        inbox_push(to->inbox, 100 + sim_luck(400) + sim->path[p->host][to->host].delay_us, on_frame, copy, free);
    }
}

unsigned lldp_read(struct lldp_neighbour ret[static LLDP_MAX_NEIGHBOURS]) {
    return 0;
}

int probe_guard_install(const char *socket_path, int timeout_ms) {
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/lldp.h"

#include <lldpctl.h>
#include <stdatomic.h>
#include <string.h>
#include <syslog.h>

#include "base/str.h"

#define LOG_MODULE "lldp"
#include "base/log.h"

/* A host without lldpd is asked again and again: said once, until it has answered in between. */
static atomic_bool is_said;

static void on_log(int severity, const char *message) {
    if (severity > LOG_WARNING) /* syslog's numbers: larger is less */
        log_debug("%s", message);
    else if (atomic_exchange(&is_said, true))
        log_debug("lldpd still does not answer: %s", message);
    else
        log_warn("lldpd does not answer (%s): switches and their ports have no names until it does", message);
}

/* Names come from the wire: only printable ASCII is kept, the rest becomes '?'. */
static void copy_name(char *dst, size_t size, const char *src) {
    str_copy(dst, size, str_or_empty(src));
    for (char *c = dst; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
}

static void read_port(lldpctl_atom_t *port, struct lldp_neighbour *n) {
    lldpctl_atom_t *neighbours = lldpctl_atom_get(port, lldpctl_k_port_neighbors);
    if (!neighbours)
        return;
    lldpctl_atom_t *neighbour;
    lldpctl_atom_foreach(neighbours, neighbour) {
        lldpctl_atom_t *chassis = lldpctl_atom_get(neighbour, lldpctl_k_port_chassis);
        if (chassis) {
            copy_name(n->switch_name, sizeof(n->switch_name), lldpctl_atom_get_str(chassis, lldpctl_k_chassis_name));
            lldpctl_atom_dec_ref(chassis);
        }
        const char *port_name = lldpctl_atom_get_str(neighbour, lldpctl_k_port_descr);
        if (str_empty(port_name))
            port_name = lldpctl_atom_get_str(neighbour, lldpctl_k_port_id);
        copy_name(n->switch_port, sizeof(n->switch_port), port_name);
    }
    lldpctl_atom_dec_ref(neighbours);
}

unsigned lldp_read(struct lldp_neighbour ret[static LLDP_MAX_NEIGHBOURS]) {
    unsigned n = 0;
    lldpctl_log_callback(on_log);
    lldpctl_conn_t *connection = lldpctl_new(NULL, NULL, NULL);
    if (!connection)
        return 0;
    lldpctl_atom_t *interfaces = lldpctl_get_interfaces(connection);
    if (interfaces) {
        atomic_store(&is_said, false);
        lldpctl_atom_t *interface;
        lldpctl_atom_foreach(interfaces, interface) {
            lldpctl_atom_t *port = n < LLDP_MAX_NEIGHBOURS ? lldpctl_get_port(interface) : NULL;
            if (!port)
                continue;
            struct lldp_neighbour found = {0};
            copy_name(found.nic, sizeof(found.nic), lldpctl_atom_get_str(interface, lldpctl_k_interface_name));
            read_port(port, &found);
            if (found.switch_name[0] || found.switch_port[0])
                ret[n++] = found;
            lldpctl_atom_dec_ref(port);
        }
        lldpctl_atom_dec_ref(interfaces);
    }
    lldpctl_release(connection);
    return n;
}

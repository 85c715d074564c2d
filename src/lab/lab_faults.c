/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_faults.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define UNTAGGED_HEADER 14 /* two addresses and the type */
#define TAGGED_HEADER 18   /* and the VLAN tag */

const struct port_fault *faults_find(const struct faults *f, const char *port) {
    for (unsigned i = 0; i < f->n_ports; i++) {
        if (str_eq(f->ports[i].port, port))
            return &f->ports[i];
    }
    return NULL;
}

struct port_fault *faults_port(struct faults *f, const char *port) {
    struct port_fault *p = (struct port_fault *)faults_find(f, port);
    if (p || f->n_ports >= FAULTS_MAX_PORTS)
        return p;
    p = &f->ports[f->n_ports++];
    *p = (struct port_fault){0};
    str_copy(p->port, sizeof(p->port), port);
    return p;
}

void faults_forget(struct faults *f, const char *port) {
    for (unsigned i = 0; i < f->n_ports; i++) {
        if (!str_eq(f->ports[i].port, port))
            continue;
        memmove(&f->ports[i], &f->ports[i + 1], (f->n_ports - i - 1) * sizeof(f->ports[0]));
        f->n_ports--;
        return;
    }
}

static unsigned smaller_limit(unsigned a, unsigned b) {
    if (a == 0 || b == 0)
        return a + b;
    return MIN(a, b);
}

/* One port's rules for frames that come in: table 0 measures, table 1 drops or forwards. */
static void ingress_rules(struct buf *out, const char *port, unsigned mtu, bool drop) {
    if (drop) {
        buf_addf(out, "add table=0,priority=200,in_port=\"%s\",actions=drop\n", port);
        return;
    }
    if (mtu == 0)
        return;
    buf_addf(out,
             "add table=0,priority=110,in_port=\"%s\",vlan_tci=0x1000/0x1000,"
             "actions=check_pkt_larger(%u)->NXM_NX_REG0[0],resubmit(,1)\n",
             port, mtu + TAGGED_HEADER);
    buf_addf(out,
             "add table=0,priority=100,in_port=\"%s\","
             "actions=check_pkt_larger(%u)->NXM_NX_REG0[0],resubmit(,1)\n",
             port, mtu + UNTAGGED_HEADER);
}

void faults_flows(const struct faults *f, const struct topology *t, unsigned sw, struct buf *out) {
    static const struct port_fault none;
    buf_add_str(out, "delete\n");
    for (unsigned i = 0; i < t->n_hosts; i++) {
        const struct topo_host *h = &t->hosts[i];
        for (unsigned k = 0; k < h->n_nics; k++) {
            char port[TOPO_PORT_SIZE];
            if (h->nics[k].sw != sw)
                continue;
            topology_port(h, &h->nics[k], port);
            const struct port_fault *p = faults_find(f, port);
            p = p ? p : &none;
            ingress_rules(out, port, smaller_limit(p->mtu_from_host, f->fabric_mtu), p->drop_from_host);
        }
    }
    ingress_rules(out, TOPO_ISL_PORT, smaller_limit(f->isl_mtu, f->fabric_mtu), /* drop= */ false);
    if (sw == 0)
        ingress_rules(out, TOPO_DESK_PORT, f->fabric_mtu, /* drop= */ false);
    buf_add_str(out, "add table=0,priority=0,actions=resubmit(,1)\n"
                     "add table=1,priority=10,reg0=1,actions=drop\n"
                     "add table=1,priority=0,actions=NORMAL\n");
}

void faults_nft(const struct faults *f, const struct topology *t, unsigned sw, struct buf *out) {
    /* Naming the table before deleting it makes the script work whether or not it was there, in one transaction. */
    buf_add_str(out, "table netdev muster_lab_faults\ndelete table netdev muster_lab_faults\n");
    buf_add_str(out, "table netdev muster_lab_faults {\n");
    unsigned n_chains = 0;
    for (unsigned i = 0; i < t->n_hosts; i++) {
        const struct topo_host *h = &t->hosts[i];
        for (unsigned k = 0; k < h->n_nics; k++) {
            char port[TOPO_PORT_SIZE];
            if (h->nics[k].sw != sw)
                continue;
            const struct port_fault *p = faults_find(f, topology_port(h, &h->nics[k], port));
            if (!p || (p->mtu_to_host == 0 && !p->drop_to_host && !p->lacp_silent))
                continue;
            buf_addf(out, "  chain to_%u {\n    type filter hook egress device \"%s\" priority 0; policy accept;\n",
                     n_chains++, port);
            if (p->lacp_silent)
                buf_add_str(out, "    @ll,96,16 0x8809 counter drop\n");
            if (p->drop_to_host) {
                buf_add_str(out, "    counter drop\n");
            } else if (p->mtu_to_host > 0) {
                buf_addf(out, "    @ll,96,16 0x8100 meta length > %u counter drop\n", p->mtu_to_host + TAGGED_HEADER);
                buf_addf(out, "    @ll,96,16 != 0x8100 meta length > %u counter drop\n",
                         p->mtu_to_host + UNTAGGED_HEADER);
            }
            buf_add_str(out, "  }\n");
        }
    }
    buf_add_str(out, "}\n");
}

void faults_format(const struct faults *f, struct buf *out) {
    json_t *ports = json_array();
    for (unsigned i = 0; i < f->n_ports; i++) {
        const struct port_fault *p = &f->ports[i];
        json_array_append_new(
            ports, json_pack("{s:s, s:i, s:i, s:b, s:b, s:b, s:b, s:b, s:b, s:s}", "port", p->port, "mtu_from_host",
                             (int)p->mtu_from_host, "mtu_to_host", (int)p->mtu_to_host, "drop_from_host",
                             p->drop_from_host, "drop_to_host", p->drop_to_host, "lacp_silent", p->lacp_silent, "down",
                             p->down, "host_down", p->host_down, "lldp_off", p->lldp_off, "trunks", p->trunks));
    }
    json_t *root = json_pack("{s:i, s:i, s:b, s:o}", "isl_mtu", (int)f->isl_mtu, "fabric_mtu", (int)f->fabric_mtu,
                             "isl_down", f->isl_down, "ports", ports);
    char *text = json_dumps(root, JSON_INDENT(1));
    if (!text)
        abort();
    buf_add_str(out, text);
    buf_add_char(out, '\n');
    free(text);
    json_decref(root);
}

static unsigned json_size(json_t *object, const char *key) {
    json_int_t v = json_integer_value(json_object_get(object, key));
    return v > 0 && v <= 65535 ? (unsigned)v : 0;
}

bool faults_parse(struct faults *ret, const char *text, size_t size, struct error **errp) {
    json_error_t problem;
    json_t *root = json_loadb(text, size, 0, &problem);
    if (!root) {
        error_setf(errp, LAB_ERROR, "line %d: %s", problem.line, problem.text);
        return false;
    }
    struct faults *f = xnew0(struct faults);
    f->isl_mtu = json_size(root, "isl_mtu");
    f->fabric_mtu = json_size(root, "fabric_mtu");
    f->isl_down = json_is_true(json_object_get(root, "isl_down"));
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(root, "ports"), i, item) {
        const char *port = json_string_value(json_object_get(item, "port"));
        const char *trunks = json_string_value(json_object_get(item, "trunks"));
        struct port_fault *p = port ? faults_port(f, port) : NULL;
        if (!p)
            continue;
        p->mtu_from_host = json_size(item, "mtu_from_host");
        p->mtu_to_host = json_size(item, "mtu_to_host");
        p->drop_from_host = json_is_true(json_object_get(item, "drop_from_host"));
        p->drop_to_host = json_is_true(json_object_get(item, "drop_to_host"));
        p->lacp_silent = json_is_true(json_object_get(item, "lacp_silent"));
        p->down = json_is_true(json_object_get(item, "down"));
        p->host_down = json_is_true(json_object_get(item, "host_down"));
        p->lldp_off = json_is_true(json_object_get(item, "lldp_off"));
        if (trunks && !str_copy(p->trunks, sizeof(p->trunks), trunks))
            p->trunks[0] = '\0';
    }
    json_decref(root);
    *ret = *f;
    free(f);
    return true;
}

bool faults_trunks_parse(const char *text, char *ret, size_t size, struct error **errp) {
    _cleanup_strv_ struct strv parts = {0};
    _cleanup_buf_ struct buf list = BUF_INIT;
    strv_split(&parts, text, ',');
    for (size_t i = 0; i < parts.n; i++) {
        char *dash = strchr(parts.items[i], '-');
        int64_t from, to;
        if (dash)
            *dash = '\0';
        if (!str_parse_int(parts.items[i], 0, 4094, &from) ||
            !str_parse_int(dash ? dash + 1 : parts.items[i], from, 4094, &to)) {
            error_setf(errp, LAB_ERROR, "'%s' is not a list of VLANs such as 0,101,102 (0 means untagged).", text);
            return false;
        }
        for (int64_t v = from; v <= to; v++)
            buf_addf(&list, "%s%d", list.size > 0 ? "," : "", (int)v);
    }
    if (!str_copy(ret, size, buf_str(&list))) {
        error_setf(errp, LAB_ERROR, "The list of VLANs '%s' is too long.", text);
        return false;
    }
    return true;
}

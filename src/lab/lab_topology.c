/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_topology.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/str.h"

#define DEFAULT_DISK_MIB 256
#define MIN_DISK_MIB 32
#define MAX_DISK_MIB 65536
#define MAX_FILE_SIZE (256 * 1024)

const char *const topo_switch_names[TOPO_N_SWITCHES] = {"swA", "swB"};

static bool host_init(struct topo_host *h, const char *name, const char *pool, unsigned number, struct error **errp);
static bool hosts_check(const struct topology *t, struct error **errp);

bool topology_generate(struct topology *ret, unsigned n_hosts, unsigned n_nics, struct error **errp) {
    if (n_hosts < 1 || n_hosts > TOPO_MAX_HOSTS) {
        error_setf(errp, LAB_ERROR, "A lab has 1 to %d hosts, not %u.", TOPO_MAX_HOSTS, n_hosts);
        return false;
    }
    if (n_nics < 1 || n_nics > TOPO_MAX_NICS) {
        error_setf(errp, LAB_ERROR, "A host has 1 to %d NICs, not %u.", TOPO_MAX_NICS, n_nics);
        return false;
    }
    struct topology t = {.name = "generated", .disk_mib = DEFAULT_DISK_MIB};
    for (unsigned i = 0; i < n_hosts; i++) {
        struct topo_host *h = &t.hosts[t.n_hosts++];
        char name[10];
        snprintf(name, sizeof(name), "h%u", (i + 1) % 1000);
        if (!host_init(h, name, "p1", i + 1, errp))
            return false;
        for (unsigned k = 0; k < n_nics; k++) {
            char nic[8];
            snprintf(nic, sizeof(nic), "eth%u", k % 1000);
            if (!topology_add_nic(h, nic, (int)(k % TOPO_N_SWITCHES), errp))
                return false;
        }
    }
    *ret = t;
    return true;
}

static bool host_init(struct topo_host *h, const char *name, const char *pool, unsigned number, struct error **errp) {
    *h = (struct topo_host){.number = number};
    bool good = isalpha((unsigned char)name[0]) != 0;
    for (const char *c = name; *c; c++)
        good = good && isalnum((unsigned char)*c);
    if (!good || !str_copy(h->name, sizeof(h->name), name)) {
        error_setf(errp, LAB_ERROR,
                   "'%s' cannot be the name of a host: at most 9 letters and digits, a letter in front.", name);
        return false;
    }
    if (!str_copy(h->pool, sizeof(h->pool), pool)) {
        error_setf(errp, LAB_ERROR, "The name of pool '%s' is longer than 15 characters.", pool);
        return false;
    }
    snprintf(h->address, sizeof(h->address), TOPO_PREFIX "%u", 10 + number);
    return true;
}

bool topology_add_nic(struct topo_host *h, const char *name, int sw, struct error **errp) {
    int64_t number;
    if (!str_starts(name, "eth") || !str_parse_int(name + 3, 0, 99, &number) || strlen(name) > 5) {
        error_setf(errp, LAB_ERROR, "'%s' cannot be the name of a NIC: NICs are eth0 to eth99.", name);
        return false;
    }
    if (topology_nic(h, name)) {
        error_setf(errp, LAB_ERROR, "Host '%s' already has a NIC '%s'.", h->name, name);
        return false;
    }
    if (h->n_nics >= TOPO_MAX_NICS) {
        error_setf(errp, LAB_ERROR, "Host '%s' already has %d NICs, which is the most.", h->name, TOPO_MAX_NICS);
        return false;
    }
    struct topo_nic *n = &h->nics[h->n_nics++];
    *n = (struct topo_nic){.sw = sw < 0 ? (unsigned)(number % TOPO_N_SWITCHES) : (unsigned)sw};
    str_copy(n->name, sizeof(n->name), name);
    return true;
}

void topology_remove_nic(struct topo_host *h, const char *name) {
    for (unsigned i = 0; i < h->n_nics; i++) {
        if (!str_eq(h->nics[i].name, name))
            continue;
        memmove(&h->nics[i], &h->nics[i + 1], (h->n_nics - i - 1) * sizeof(h->nics[0]));
        h->n_nics--;
        return;
    }
}

/* One NIC of a file: "eth0", or {"name": "eth0", "switch": "swA", "serial": 0}. */
static bool nic_parse(struct topo_host *h, json_t *item, struct error **errp) {
    if (json_is_string(item))
        return topology_add_nic(h, json_string_value(item), -1, errp);
    const char *name = json_string_value(json_object_get(item, "name"));
    const char *sw_name = json_string_value(json_object_get(item, "switch"));
    json_t *serial = json_object_get(item, "serial");
    int sw = sw_name ? topology_switch(sw_name) : -1;
    if (!name || (sw_name && sw < 0)) {
        error_setf(errp, LAB_ERROR, "A NIC of host '%s' needs a \"name\", and its \"switch\" is swA or swB.", h->name);
        return false;
    }
    if (!topology_add_nic(h, name, sw, errp))
        return false;
    if (json_is_integer(serial) && json_integer_value(serial) >= 0 && json_integer_value(serial) < 256)
        h->nics[h->n_nics - 1].serial = (unsigned)json_integer_value(serial);
    return true;
}

static bool host_parse(struct topology *t, json_t *item, const char *pool, json_t *pool_nics, struct error **errp) {
    const char *name =
        json_is_string(item) ? json_string_value(item) : json_string_value(json_object_get(item, "name"));
    json_t *number = json_object_get(item, "number");
    json_t *nics = json_object_get(item, "nics");
    if (!name) {
        error_setf(errp, LAB_ERROR, "A host of pool '%s' has no \"name\".", pool);
        return false;
    }
    if (t->n_hosts >= TOPO_MAX_HOSTS) {
        error_setf(errp, LAB_ERROR, "The topology has more than %d hosts.", TOPO_MAX_HOSTS);
        return false;
    }
    struct topo_host *h = &t->hosts[t->n_hosts];
    int64_t n = number ? (int64_t)json_integer_value(number) : (int64_t)t->n_hosts + 1;
    if (n < 1 || n > 200) {
        error_setf(errp, LAB_ERROR, "The \"number\" of host '%s' is not between 1 and 200.", name);
        return false;
    }
    if (!host_init(h, name, pool, (unsigned)n, errp))
        return false;
    if (!nics)
        nics = pool_nics;
    if (!nics || json_is_integer(nics)) {
        json_int_t count = nics ? json_integer_value(nics) : 4;
        if (count < 1 || count > TOPO_MAX_NICS) {
            error_setf(errp, LAB_ERROR, "Host '%s' has 1 to %d NICs.", name, TOPO_MAX_NICS);
            return false;
        }
        for (unsigned k = 0; k < (unsigned)count; k++) {
            char nic[8];
            snprintf(nic, sizeof(nic), "eth%u", k % 1000);
            if (!topology_add_nic(h, nic, -1, errp))
                return false;
        }
    } else {
        size_t i;
        json_t *nic;
        json_array_foreach(nics, i, nic) {
            if (!nic_parse(h, nic, errp))
                return false;
        }
        if (h->n_nics == 0) {
            error_setf(errp, LAB_ERROR, "The \"nics\" of host '%s' are neither a count nor a list.", name);
            return false;
        }
    }
    t->n_hosts++;
    return true;
}

static bool hosts_check(const struct topology *t, struct error **errp) {
    if (t->n_hosts == 0) {
        error_setf(errp, LAB_ERROR, "The topology has no hosts: \"pools\": [{\"name\": \"p1\", \"hosts\": [\"h1\"]}]");
        return false;
    }
    for (unsigned i = 0; i < t->n_hosts; i++) {
        const char *name = t->hosts[i].name;
        if (str_eq(name, TOPO_DESK) || str_eq(name, TOPO_ARRAY) ||
            (str_starts(name, "sw") && topology_switch(name) >= 0)) {
            error_setf(errp, LAB_ERROR, "'%s' cannot be the name of a host, the lab uses it itself.", name);
            return false;
        }
        for (unsigned k = 0; k < i; k++) {
            if (str_eq(name, t->hosts[k].name) || t->hosts[i].number == t->hosts[k].number) {
                error_setf(errp, LAB_ERROR, "Hosts '%s' and '%s' share a name or a number.", t->hosts[k].name, name);
                return false;
            }
        }
    }
    return true;
}

bool topology_parse(struct topology *ret, const char *text, size_t size, struct error **errp) {
    json_error_t problem;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
    if (!root) {
        error_setf(errp, LAB_ERROR, "line %d: %s", problem.line, problem.text);
        return false;
    }
    struct topology t = {.disk_mib = DEFAULT_DISK_MIB};
    const char *name = json_string_value(json_object_get(root, "name"));
    json_t *disk = json_object_get(root, "disk_mib");
    bool ok = true;
    str_copy(t.name, sizeof(t.name), name ? name : "unnamed");
    if (disk) {
        json_int_t mib = json_integer_value(disk);
        ok = mib >= MIN_DISK_MIB && mib <= MAX_DISK_MIB;
        if (ok)
            t.disk_mib = (unsigned)mib;
        else
            error_setf(errp, LAB_ERROR, "\"disk_mib\" is a whole number from %d to %d.", MIN_DISK_MIB, MAX_DISK_MIB);
    }
    size_t i, k;
    json_t *pool, *host;
    json_array_foreach(json_object_get(root, "pools"), i, pool) {
        const char *pool_name = json_string_value(json_object_get(pool, "name"));
        json_t *hosts = json_object_get(pool, "hosts");
        if (ok && (!pool_name || !json_is_array(hosts))) {
            error_setf(errp, LAB_ERROR, "Each of \"pools\" needs a \"name\" and a list of \"hosts\".");
            ok = false;
        }
        json_array_foreach(hosts, k, host) {
            ok = ok && host_parse(&t, host, pool_name, json_object_get(pool, "nics"), errp);
        }
    }
    ok = ok && hosts_check(&t, errp);
    json_decref(root);
    if (ok)
        *ret = t;
    return ok;
}

bool topology_load(struct topology *ret, const char *path, struct error **errp) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    int r = fs_read(path, MAX_FILE_SIZE, &text);
    if (r < 0) {
        error_setf(errp, LAB_ERROR, "Cannot read topology '%s': %s", path, strerror(-r));
        return false;
    }
    _cleanup_error_ struct error *inner = NULL;
    if (topology_parse(ret, buf_str(&text), text.size, &inner))
        return true;
    error_setf(errp, LAB_ERROR, "Topology '%s': %s", path, error_param(inner, 0));
    return false;
}

void topology_format(const struct topology *t, struct buf *out) {
    json_t *pools = json_array();
    for (unsigned i = 0; i < t->n_hosts; i++) {
        const struct topo_host *h = &t->hosts[i];
        json_t *nics = json_array();
        for (unsigned k = 0; k < h->n_nics; k++)
            json_array_append_new(nics, json_pack("{s:s, s:s, s:i}", "name", h->nics[k].name, "switch",
                                                  topo_switch_names[h->nics[k].sw], "serial", (int)h->nics[k].serial));
        json_t *host = json_pack("{s:s, s:i, s:o}", "name", h->name, "number", (int)h->number, "nics", nics);
        json_t *last = json_array_size(pools) > 0 ? json_array_get(pools, json_array_size(pools) - 1) : NULL;
        if (!last || !str_eq(json_string_value(json_object_get(last, "name")), h->pool)) {
            last = json_pack("{s:s, s:[]}", "name", h->pool, "hosts");
            json_array_append_new(pools, last);
        }
        json_array_append_new(json_object_get(last, "hosts"), host);
    }
    json_t *root = json_pack("{s:s, s:i, s:o}", "name", t->name, "disk_mib", (int)t->disk_mib, "pools", pools);
    char *text = json_dumps(root, JSON_INDENT(1));
    if (!text)
        abort();
    buf_add_str(out, text);
    buf_add_char(out, '\n');
    free(text);
    json_decref(root);
}

bool topology_save(const struct topology *t, const char *path, struct error **errp) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    topology_format(t, &text);
    int r = fs_write_atomic(path, text.data, text.size, 0644);
    if (r < 0)
        error_setf(errp, LAB_ERROR, "Cannot write '%s': %s", path, strerror(-r));
    return r >= 0;
}

struct topo_host *topology_host(const struct topology *t, const char *name) {
    for (unsigned i = 0; i < t->n_hosts; i++) {
        if (str_eq(t->hosts[i].name, name))
            return (struct topo_host *)&t->hosts[i];
    }
    return NULL;
}

struct topo_nic *topology_nic(const struct topo_host *h, const char *name) {
    for (unsigned i = 0; i < h->n_nics; i++) {
        if (str_eq(h->nics[i].name, name))
            return (struct topo_nic *)&h->nics[i];
    }
    return NULL;
}

int topology_switch(const char *name) {
    const char *letter = str_starts(name, "sw") ? name + 2 : name;
    for (int i = 0; i < TOPO_N_SWITCHES; i++) {
        if (toupper((unsigned char)letter[0]) == topo_switch_names[i][2] && !letter[1])
            return i;
    }
    return -1;
}

const char *topology_port(const struct topo_host *h, const struct topo_nic *n, char port[static TOPO_PORT_SIZE]) {
    snprintf(port, TOPO_PORT_SIZE, "%.9s-%.5s", h->name, n->name);
    return port;
}

void topology_mac(const struct topo_host *h, const struct topo_nic *n, char mac[static 18]) {
    int64_t number = 0;
    if (!str_parse_int(n->name + 3, 0, 99, &number))
        number = 0;
    snprintf(mac, 18, "02:4d:4c:%02x:%02x:%02x", h->number & 0xff, (unsigned)number & 0xff, n->serial & 0xff);
}

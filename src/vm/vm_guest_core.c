/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/vm_guest_core.h"

#include <strings.h>

#include "base/str.h"

#define IFS_MAX 64
#define ADDRESSES_MAX 16 /* of one kind on one interface */

static const char *text_of(const struct value *facts, const char *key) {
    const struct value *v = value_map_get(facts, key);
    return v && v->type == VALUE_STRING ? value_str(v) : "";
}

static void put(struct value *map, const char *key, const char *text) {
    if (*text)
        value_map_put(map, key, value_string(text));
}

struct value vm_guest_os(const struct value *facts) {
    struct value os = value_map();
    const char *version = text_of(facts, "os.version-id");
    _cleanup_free_ char *major = xstrndup(version, strcspn(version, "."));
    put(&os, "name", *text_of(facts, "os.pretty-name") ? text_of(facts, "os.pretty-name") : text_of(facts, "os.name"));
    put(&os, "distro", text_of(facts, "os.id"));
    put(&os, "uname", text_of(facts, "os.kernel-release"));
    put(&os, "major", major);
    if (strchr(version, '.'))
        put(&os, "minor", strchr(version, '.') + 1);
    return os;
}

static const char *device_of(const struct vm_guest_nic *nics, size_t n, const char *mac) {
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(nics[i].mac, mac) == 0)
            return nics[i].device;
    return NULL;
}

static void put_addresses(struct value *networks, const struct value *facts, unsigned i, const char *device) {
    unsigned n4 = 0, n6 = 0;
    for (unsigned k = 0; k < 2 * ADDRESSES_MAX; k++) {
        _cleanup_free_ char *type_key = strf("if.%u.addr.%u.type", i, k), *key = strf("if.%u.addr.%u.addr", i, k);
        const char *address = text_of(facts, key);
        bool is_v6 = str_eq(text_of(facts, type_key), "ipv6");
        unsigned number = is_v6 ? n6 : n4;
        if (!*address || number == ADDRESSES_MAX)
            continue;
        _cleanup_free_ char *name = strf("%s/%s/%u", device, is_v6 ? "ipv6" : "ipv4", number),
                            *first = strf("%s/ip", device);
        value_map_put(networks, name, value_string(address));
        if (!is_v6 && n4 == 0)
            value_map_put(networks, first, value_string(address));
        *(is_v6 ? &n6 : &n4) += 1;
    }
}

struct value vm_guest_networks(const struct value *facts, const struct vm_guest_nic *nics, size_t n) {
    struct value networks = value_map();
    for (unsigned i = 0; i < IFS_MAX; i++) {
        _cleanup_free_ char *key = strf("if.%u.hwaddr", i);
        const char *device = device_of(nics, n, text_of(facts, key));
        if (device)
            put_addresses(&networks, facts, i, device);
    }
    return networks;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/bond_properties.h"

#include "base/str.h"
#include "model/model.h"

struct property {
    const char *name;
    const char *fallback;   /* NULL: none, absent unless given */
    const char *choices[3]; /* NULL: a whole number */
};

/* Only LACP has any. */
static const struct property properties[] = {
    {"hashing_algorithm", "tcpudp_ports", {"src_mac", "tcpudp_ports"}},
    {"lacp-time", "slow", {"fast", "slow"}},
    {"lacp-aggregation-key", NULL, {0}},
    {"lacp-fallback-ab", "true", {"true", "false"}},
};

#define MAX_AGGREGATION_KEY 65535

static bool is_sound(const struct property *p, const char *value) {
    int64_t number;
    if (!p->choices[0])
        return str_parse_int(value, 0, MAX_AGGREGATION_KEY, &number);
    for (size_t i = 0; i < ARRAY_SIZE(p->choices) && p->choices[i]; i++) {
        if (str_eq(p->choices[i], value))
            return true;
    }
    return false;
}

bool bond_properties_for_mode(const char *mode, const struct value *given, struct value *ret, struct error **errp) {
    struct value v = value_map();
    for (size_t i = 0; str_eq(mode, "lacp") && i < ARRAY_SIZE(properties); i++) {
        const struct property *p = &properties[i];
        const char *value = value_map_str(given, p->name);
        if (value && !is_sound(p, value)) {
            error_set(errp, ERR_INVALID_VALUE, p->name, value, NULL);
            value_done(&v);
            return false;
        }
        if (value || p->fallback)
            value_map_add(&v, p->name, value_string(value ? value : p->fallback));
    }
    *ret = v;
    return true;
}

bool bond_property_check(const char *mode, const char *name, const char *value, struct error **errp) {
    for (size_t i = 0; str_eq(mode, "lacp") && i < ARRAY_SIZE(properties); i++) {
        if (!str_eq(properties[i].name, name))
            continue;
        if (is_sound(&properties[i], value))
            return true;
        error_set(errp, ERR_INVALID_VALUE, name, value, NULL);
        return false;
    }
    error_set(errp, ERR_INVALID_VALUE, "name", name, NULL);
    error_wrap(errp, "a bond of mode '%s' has no property '%s'", mode, name);
    return false;
}

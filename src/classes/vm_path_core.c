/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/vm_path_core.h"

/* "eth0>HOST/eth1@101": false for an entry of another form, or about another peer or VLAN. */
static bool fits(const char *key, const struct strv *legs, const struct uuid *peer, const struct strv *peer_legs,
                 int vlan) {
    const char *arrow = strchr(key, '>'), *slash = arrow ? strchr(arrow, '/') : NULL,
               *at = slash ? strchr(slash, '@') : NULL;
    struct uuid u;
    int64_t tag = 0;
    if (!slash)
        return false;
    _cleanup_free_ char *first = xstrndup(key, (size_t)(arrow - key)),
                        *middle = xstrndup(arrow + 1, (size_t)(slash - arrow - 1)),
                        *last = at ? xstrndup(slash + 1, (size_t)(at - slash - 1)) : xstrdup(slash + 1);
    if (at && !str_parse_int(at + 1, 1, 4094, &tag))
        return false;
    return tag == vlan && uuid_parse(middle, &u) && uuid_eq(&u, peer) && strv_has(legs, first) &&
           strv_has(peer_legs, last);
}

int vm_path_best(const struct value *table, const struct strv *legs, const struct uuid *peer,
                 const struct strv *peer_legs, int vlan) {
    int best = -1;
    for (size_t i = 0; table->type == VALUE_MAP && i < table->map.n; i++) {
        const char *text = value_str(&table->map.pairs[i].value), *slash = strchr(text, '/');
        int64_t size;
        if (!slash || !fits(table->map.pairs[i].key, legs, peer, peer_legs, vlan))
            continue;
        _cleanup_free_ char *number = xstrndup(text, (size_t)(slash - text));
        if (str_parse_int(number, 0, 65536, &size))
            best = MAX(best, (int)size);
    }
    return best;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "client/path_entry.h"

#include <string.h>

#include "base/str.h"

#define UUID_LEN (UUID_TEXT_SIZE - 1)
#define MAX_SIZE 65535

bool path_entry_parse(const char *key, const char *sizes, struct path_entry *ret) {
    struct path_entry p = {.vlan = 0};
    const char *arrow = strchr(key, '>'), *slash = arrow ? strchr(arrow, '/') : NULL,
               *at = slash ? strchr(slash, '@') : NULL;
    int64_t vlan = 0, passes, wanted;
    if (!slash || slash - arrow != UUID_LEN + 1 || (at && !str_parse_int(at + 1, 1, 4094, &vlan)))
        return false;
    size_t leg = (size_t)(arrow - key), peer_leg = at ? (size_t)(at - slash - 1) : strlen(slash + 1);
    const char *bar = strchr(sizes, '/');
    if (!leg || leg >= sizeof(p.leg) || !peer_leg || peer_leg >= sizeof(p.peer_leg) || !bar || bar - sizes > 5)
        return false;
    char number[8] = "", whole[8] = "";
    size_t len = strlen(bar + 1);
    len -= len && bar[len] == '?'; /* in doubt: what was proven last counts */
    if (len >= sizeof(whole))
        return false;
    memcpy(number, sizes, (size_t)(bar - sizes));
    memcpy(whole, bar + 1, len);
    if (!str_parse_int(number, 0, MAX_SIZE, &passes) || !str_parse_int(whole, 0, MAX_SIZE, &wanted))
        return false;
    memcpy(p.leg, key, leg);
    memcpy(p.peer, arrow + 1, UUID_LEN);
    memcpy(p.peer_leg, slash + 1, peer_leg);
    p.vlan = (int)vlan;
    p.passes = (int)passes;
    p.wanted = (int)wanted;
    *ret = p;
    return true;
}

const char *path_entry_state(int passes, int wanted) {
    return passes == 0 ? "dead" : passes < wanted ? "limited" : "proven";
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_lease_core.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *lease_format(const struct lease_id *id, uint32_t nonce, char name[static LEASE_NAME_SIZE]) {
    char host[UUID_TEXT_SIZE], vm[UUID_TEXT_SIZE];
    (void)snprintf(name, LEASE_NAME_SIZE, "%s.%" PRId64 ".%s.%08" PRIx32, uuid_text(&id->host, host), id->generation,
                   uuid_text(&id->vm, vm), nonce);
    return name;
}

bool lease_parse(const char *name, struct lease_id *ret) {
    _cleanup_strv_ struct strv parts = {0};
    struct lease_id id;
    if (strlen(name) >= LEASE_NAME_SIZE)
        return false;
    strv_split(&parts, name, '.');
    if (parts.n != 4 || !uuid_parse(parts.items[0], &id.host) ||
        !str_parse_int(parts.items[1], 1, INT64_MAX, &id.generation) || !uuid_parse(parts.items[2], &id.vm) ||
        strlen(parts.items[3]) != 8 || strspn(parts.items[3], "0123456789abcdef") != 8 || uuid_is_null(&id.host))
        return false;
    *ret = id;
    return true;
}

enum lease_verdict lease_judge(const struct strv *names, const struct lease_id *me, const char **ret_name,
                               struct lease_id *ret_holder) {
    struct lease_id id;
    *ret_name = names->n ? names->items[0] : NULL;
    if (names->n == 0)
        return LEASE_FREE;
    if (names->n > 1 || !lease_parse(names->items[0], &id))
        return LEASE_DAMAGED;
    *ret_holder = id;
    if (!uuid_eq(&id.host, &me->host) || id.generation > me->generation)
        return LEASE_OTHERS;
    if (id.generation < me->generation)
        return LEASE_OLDER;
    return uuid_eq(&id.vm, &me->vm) ? LEASE_MINE : LEASE_OTHERS;
}

bool lease_is_stale(const struct lease_id *lease, const struct uuid *host, int64_t generation,
                    const struct uuid *running, size_t n_running) {
    if (!uuid_eq(&lease->host, host) || lease->generation > generation)
        return false;
    if (lease->generation < generation)
        return true;
    for (size_t i = 0; i < n_running; i++)
        if (uuid_eq(&running[i], &lease->vm))
            return false;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/vm_pools_untold_core.h"

#include <string.h>

#include "base/str.h"

static bool is_word(const char *s) {
    return *s && !strpbrk(s, " \t\n");
}

char *pools_untold_text(const struct pools_untold *u) {
    char vm[UUID_TEXT_SIZE];
    if (!is_word(u->id) || !is_word(u->secret) || !is_word(u->authority) || !is_word(u->master))
        return NULL;
    return strf("%s %s %s %s %lld", uuid_text(&u->vm, vm), u->secret, u->authority, u->master, (long long)u->until_s);
}

bool pools_untold_read(const char *id, const char *text, struct pools_untold *ret) {
    _cleanup_strv_ struct strv words = {0};
    struct pools_untold u = {0};
    strv_split(&words, text, ' ');
    if (words.n != 5 || !uuid_parse(words.items[0], &u.vm) || !str_copy(u.id, sizeof(u.id), id) ||
        !str_copy(u.secret, sizeof(u.secret), words.items[1]) || !tls_fingerprint_parse(words.items[2], u.authority) ||
        !str_copy(u.master, sizeof(u.master), words.items[3]) || !*u.master || !*u.secret ||
        !str_parse_int(words.items[4], 0, INT64_MAX, &u.until_s))
        return false;
    *ret = u;
    return true;
}

enum pools_untold_step pools_untold_step(const struct pools_untold *u, enum pools_peer peer, int64_t now_s,
                                         uint64_t tried_ms) {
    if (peer == POOLS_PEER_NONE || peer == POOLS_PEER_TAKEN)
        return UNTOLD_OVER;
    return now_s >= u->until_s && tried_ms >= UNTOLD_TRIES_MS ? UNTOLD_GIVE_UP : UNTOLD_SAY;
}

uint64_t pools_untold_pause_ms(unsigned n_said) {
    uint64_t ms = UNTOLD_PAUSE_MIN_MS;
    for (unsigned i = 1; i < n_said && ms < UNTOLD_PAUSE_MAX_MS; i++)
        ms *= 2;
    return ms < UNTOLD_PAUSE_MAX_MS ? ms : UNTOLD_PAUSE_MAX_MS;
}

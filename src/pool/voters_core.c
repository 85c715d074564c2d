/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/voters_core.h"

unsigned voters_wanted(unsigned n_hosts) {
    if (n_hosts <= 2)
        return n_hosts;
    return n_hosts <= 6 ? 3 : 5;
}

static bool usable(const struct voter_host *h) {
    return h->live && h->ready && !h->leaving;
}

/* The host to make a voter: the coordinator first (its reads and writes stay local), then in the given order. */
static const struct voter_host *pick_relay(const struct voter_host *hosts, unsigned n) {
    const struct voter_host *best = NULL;
    for (unsigned i = 0; i < n; i++)
        if (hosts[i].role == VOTER_RELAY && usable(&hosts[i]) && (!best || hosts[i].coordinator))
            best = &hosts[i];
    return best;
}

struct voter_action voters_next(const struct voter_host *hosts, unsigned n_hosts, uint64_t replace_after_ms) {
    unsigned n_voters = 0, n_live = 0;
    const struct voter_host *gone = NULL, *surplus = NULL;
    for (unsigned i = 0; i < n_hosts; i++) {
        const struct voter_host *h = &hosts[i];
        if (h->role != VOTER_VOTER)
            continue;
        n_voters++;
        n_live += h->live;
        if (!h->live && !h->leaving && h->dead_for_ms >= replace_after_ms &&
            (!gone || h->dead_for_ms > gone->dead_for_ms))
            gone = h;
        if (usable(h) && !h->coordinator)
            surplus = h;
    }
    struct voter_action nothing = {.kind = VOTER_NOTHING};
    if (!n_voters || n_live * 2 <= n_voters)
        return nothing; /* no quorum: nothing can be changed, and nothing should be */
    unsigned wanted = voters_wanted(n_hosts);
    const struct voter_host *relay = pick_relay(hosts, n_hosts);
    if (n_voters < wanted && relay)
        return (struct voter_action){VOTER_PROMOTE, relay->host, "the pool has fewer voters than its size asks for"};
    /*
     * Kick before promoting the replacement: with the dead one counted, one more voter would raise the majority. A pool
     * that cannot replace it (too few hosts) keeps it, because a voter that comes back is worth more than a smaller
     * count.
     */
    if (gone && relay && n_live * 2 > n_voters)
        return (struct voter_action){VOTER_KICK, gone->host,
                                     "the voter has been away too long and another host can take its place"};
    if (n_voters > wanted && surplus)
        return (struct voter_action){VOTER_DEMOTE, surplus->host, "the pool has more voters than its size asks for"};
    return nothing;
}

enum voter_leave_step voters_leave(const struct voter_host *hosts, unsigned n_hosts, const struct uuid *leaver,
                                   struct uuid *ret_host) {
    unsigned n_voters = 0, n_live = 0;
    const struct voter_host *relay = NULL, *down = NULL, *self = NULL;
    for (unsigned i = 0; i < n_hosts; i++) {
        const struct voter_host *h = &hosts[i];
        if (uuid_eq(&h->host, leaver)) {
            self = h->role == VOTER_VOTER ? h : self;
        } else if (h->role == VOTER_VOTER) {
            n_voters++;
            n_live += h->live;
            down = h->live || uuid_is_null(&h->host) ? down : h;
        } else if (usable(h) && (!relay || h->coordinator)) {
            relay = h;
        }
    }
    /* A majority of those that stay; one that is down may go with a majority of all, itself included. */
    if (!self || n_live * 2 > n_voters)
        return VOTER_LEAVE_NOW;
    bool has_majority = (n_live + self->live) * 2 > n_voters + 1;
    if (has_majority && relay) {
        *ret_host = relay->host;
        return VOTER_LEAVE_PROMOTE_FIRST;
    }
    if (has_majority && down) {
        *ret_host = down->host;
        return VOTER_LEAVE_KICK_FIRST;
    }
    return VOTER_LEAVE_NEVER;
}

enum voter_turn voters_turn(const struct voter_host *hosts, unsigned n_hosts, const struct uuid *leaver) {
    unsigned n_all = 0, n_voters = 0, n_staying = 0, n_others = 0;
    const struct voter_host *first = NULL; /* of those that go, and are still there */
    for (unsigned i = 0; i < n_hosts; i++) {
        const struct voter_host *h = &hosts[i];
        if (h->role != VOTER_VOTER)
            continue;
        n_all++;
        n_voters += h->live || !h->leaving; /* one that has gone has left: the list of voters may be older */
        n_staying += h->live && !h->leaving;
        n_others += h->live && !uuid_eq(&h->host, leaver);
        if (h->live && h->leaving && (!first || first->coordinator))
            first = h;
    }
    bool all_go = n_all > 2 && !n_staying, too_few = n_voters > 2 && n_others * 2 < n_voters;
    if (all_go || too_few)
        return VOTER_TURN_KEEP;
    return !first || uuid_eq(&first->host, leaver) ? VOTER_TURN_GO : VOTER_TURN_WAIT;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which hosts vote in the pool database, decided purely. 1 host: 1 voter; 2: 2; 3-6: 3; 7 and more: 5; the rest relay.
 * One change at a time: each is proposed only when the one before has settled. A voter that stays away is replaced
 * while there is quorum.
 */
#pragma once

#include "base/uuid.h"

enum voter_role { VOTER_RELAY, VOTER_VOTER };

struct voter_host {
    struct uuid host;     /* null: a server of no host, which counts for the majority and answers nobody */
    enum voter_role role; /* what it is now, by the cluster's own list of servers */
    bool live;
    bool ready;           /* has settled: neither booting nor about to go down */
    bool leaving;         /* goes down on purpose */
    uint64_t dead_for_ms; /* since its heartbeats stopped; 0 while live */
    bool coordinator;
};

enum voter_action_kind { VOTER_NOTHING, VOTER_PROMOTE, VOTER_DEMOTE, VOTER_KICK };

struct voter_action {
    enum voter_action_kind kind;
    struct uuid host;
    const char *reason; /* static text */
};

/* How many voters a pool of n hosts should have. */
unsigned voters_wanted(unsigned n_hosts);
/*
 * The next single action. `replace_after_ms`: how long a voter may be dead before another takes its place. Never
 * proposes anything that needs a quorum which is not there (`live` voters must be a majority of all voters).
 */
struct voter_action voters_next(const struct voter_host *hosts, unsigned n_hosts, uint64_t replace_after_ms);

/* What has to be done before the vote of `leaver` may go, so that the pool can still write after it. */
enum voter_leave_step {
    VOTER_LEAVE_NOW,
    VOTER_LEAVE_PROMOTE_FIRST, /* *ret_host gets a vote */
    VOTER_LEAVE_KICK_FIRST,    /* *ret_host, a voter that is down, loses its vote */
    VOTER_LEAVE_NEVER,         /* too few hosts are up */
};
enum voter_leave_step voters_leave(const struct voter_host *hosts, unsigned n_hosts, const struct uuid *leaver,
                                   struct uuid *ret_host);

/*
 * A host goes down on purpose, and others may, too (`leaving`, the leaver among them). Votes are taken out one at a
 * time, the coordinator's last, which orders it. Where nobody of three or more would stay, there is nobody to leave the
 * pool to: each keeps its vote, and any majority of them that comes back goes on; the same where those that are there
 * are no majority of what would be left. Of two, the one that goes last keeps the pool. The coordinator asks for itself
 * without a vote, too: it goes after those that have one.
 */
enum voter_turn { VOTER_TURN_GO, VOTER_TURN_WAIT, VOTER_TURN_KEEP };
enum voter_turn voters_turn(const struct voter_host *hosts, unsigned n_hosts, const struct uuid *leaver);

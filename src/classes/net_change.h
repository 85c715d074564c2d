/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One change of what hosts' networks should be, from the check to the proof. The body of a call checks and records row
 * operations. They are tried on a fork of the replica first: what contradicts itself is refused with its cure, each
 * host plans against what it has, and every path that is new or larger is measured before anything is changed
 * (net_change_prove.c). Then they are committed in one transaction, and the call waits until every host concerned
 * reports what became of the configuration that follows from the rows (host.network_intent is its hash,
 * host.network_outcome the result). When one host rolls back, fails or stays silent, the rows are put back in a
 * compensating transaction and the call fails with that host's sentence. Changes that concern the same host run one
 * after another. Loop thread only.
 *
 * What is to be undone lies in the pool's own rows while a change is under way (pool.other_config:network-change),
 * written in the same transaction: a coordinator that finds it there without knowing the change ends it, one way or the
 * other.
 */
#pragma once

#include "api/api.h"
#include "classes/net_ops.h"

/* How long a host may take on top of its checkpoint: the way there and back, and giving up a vote. */
#define NET_CHANGE_MARGIN_MS 30000
#define NET_CHANGE_CHECKPOINT_MS 60000
/* How long the hosts may take to return to what they had, before the call fails all the same. */
#define NET_CHANGE_BACK_MS 15000
#define NET_CHANGE_MAX_QUEUED 256

struct net_change;

/*
 * Checks and fills; runs when no other change concerns the hosts. True after net_change_commit; false after it has
 * failed or answered the call itself. Rows are looked up here, not before: time may have passed.
 */
typedef bool net_change_body_fn(struct call *c, struct net_change *ch);

enum net_change_offline {
    NET_CHANGE_ALL_LIVE,     /* a host that is not live fails the call before anything is written: HOST_OFFLINE */
    NET_CHANGE_SKIP_OFFLINE, /* it is not waited for: it will do its part when it is back */
};

void net_change_start(struct call *c, const struct uuid *hosts, size_t n_hosts, enum net_change_offline offline,
                      net_change_body_fn *body);

/* Row operations, each with its way back. Values are taken. */
void net_change_set(struct net_change *ch, int class_id, const struct uuid *uuid, unsigned field, struct value v);
struct uuid net_change_insert(struct net_change *ch, int class_id); /* fields get their defaults */
void net_change_set_new(struct net_change *ch, int class_id, const struct uuid *uuid, unsigned field, struct value v);
void net_change_delete(struct net_change *ch, const struct row *r);
void net_change_take_ops(struct net_change *ch, struct net_ops *ops); /* in place of all recorded so far */

/* Every host at the same time, though management is touched: they could not talk in between. */
void net_change_all_at_once(struct net_change *ch);

/* Tries, proves, commits and waits; then the call returns `result` (taken). */
void net_change_commit(struct net_change *ch, struct value result);

/* The hash of what the replica says the host's network should be; false with errp when that makes no sense. */
bool net_change_hash_of_rows(struct db *d, const struct uuid *host, char ret[static 65],
                             struct error **errp) _warn_unused_;

/* Ends changes that a coordinator left behind; once after api_new. */
void net_change_watch(struct api *a);

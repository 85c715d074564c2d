/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host knows of its own network across a power cut, in one folder on its disk:
 *   good.json        last known good: only ever replaced by a configuration that has proven itself
 *   good.prev.json   the one before; used when good.json is damaged
 *   good.before.json the last one of another content: the network to go back to. A generation more is also made when
 *                    only the host's own members change
 *   good.damaged.json  a good.json that could not be read, kept when a proven configuration took its place
 *   pending.json     a change in progress: what to return to, what was tried, until when. Present at boot: the power
 *                    went in the middle of it, and the host returns
 *   witnesses        addresses of the pool's other hosts, for the proof of a repair
 *   lock             held by whoever changes the network
 *   refused.json     the change that was taken back last, so that it is not tried again and again
 * Every file is replaced atomically and durably. Small local files; any thread, one at a time per folder.
 */
#pragma once

#include "base/error.h"
#include "net/net_config.h"
#include "net/net_fault.h"

#define ERR_NET_STORE_EMPTY "NET_STORE_EMPTY" /* no usable configuration: [folder, sentence with the cure] */
#define ERR_NET_STORE_WRITE "NET_STORE_WRITE" /* [path, why] */

enum net_store_source { NET_STORE_GOOD, NET_STORE_PREVIOUS };

/*
 * Loads last known good. A damaged good.json adds NET_FAULT_CONFIG_CORRUPT to `problems` and the previous one is taken.
 * NULL with ERR_NET_STORE_EMPTY when neither can be used.
 */
struct net_config *net_store_load(const char *folder, enum net_store_source *ret_source, struct net_problems *problems,
                                  struct error **errp) _warn_unused_;

/* The network proven before the last known good one, of another content. NULL with an error. */
struct net_config *net_store_load_previous(const char *folder, struct error **errp) _warn_unused_;

/*
 * Makes `proven` the last known good with a generation one above what lies there, the present one the previous.
 * Its generation is changed accordingly. Never moves a damaged file over a whole one. On failure (full disk) the old
 * files are whole and still there.
 */
bool net_store_commit(const char *folder, struct net_config *proven, struct error **errp) _warn_unused_;

/*
 * Who changes the host's network holds this: muster-netboot for as long as it works (a repair and its proof), the
 * daemon for a job. A descriptor to close, or negative errno (-EBUSY when another still has it after `wait_ms`).
 */
int net_store_lock(const char *folder, unsigned wait_ms) _warn_unused_;
/*
 * For a process with threads, in place of close(): a child that another thread is making has the descriptor, too, until
 * it becomes another program, and would keep the lock. Accepts errors of net_store_lock.
 */
void net_store_unlock(int lock);

/* Of the file good.json: another one when it was replaced. */
struct net_store_mark {
    uint64_t inode, changed_ns, size;
};
struct net_store_mark net_store_mark(const char *folder);

/*
 * Addresses that should answer when the way to the pool is there: its other hosts, one a line, written by the daemon
 * for muster-netboot. At most NET_STORE_MAX_WITNESSES are read.
 */
#define NET_STORE_MAX_WITNESSES 64
bool net_store_set_witnesses(const char *folder, const struct net_addr *list, unsigned n,
                             struct error **errp) _warn_unused_;
unsigned net_store_get_witnesses(const char *folder, struct net_addr ret[static NET_STORE_MAX_WITNESSES]);

struct net_pending {
    struct net_config *previous; /* owned: what to return to */
    char tried_hash[NET_HASH_TEXT_SIZE];
    int64_t deadline; /* wall clock, seconds; for people: at boot the change is over anyway */
};
void net_pending_done(struct net_pending *p);

bool net_store_set_pending(const char *folder, const struct net_pending *p, struct error **errp) _warn_unused_;
/* False when there is none. A damaged one counts as there: *ret then has no `previous`. */
bool net_store_get_pending(const char *folder, struct net_pending *ret);
bool net_store_clear_pending(const char *folder, struct error **errp) _warn_unused_;

struct net_refusal {
    char hash[NET_HASH_TEXT_SIZE]; /* "" none */
    char sentence[512];
};
bool net_store_set_refused(const char *folder, const struct net_refusal *r, struct error **errp) _warn_unused_;
void net_store_get_refused(const char *folder, struct net_refusal *ret); /* empty when there is none */
bool net_store_clear_refused(const char *folder, struct error **errp) _warn_unused_;

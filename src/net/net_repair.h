/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repair: what this host's network has otherwise than the pool wants it, because somebody had to get the host back.
 * It changes one thing (the MTU of management, a bond's leg, the NIC that carries management) and keeps the rest, or it
 * replaces everything: by the network proven before, or by one NIC (the emergency network reset). It is laid over what
 * the pool wants, by the host and the coordinator alike, so the pool's changes go on beneath it until it is made
 * permanent or withdrawn. Pure; any thread.
 */
#pragma once

#include "net/net_config.h"

#define NET_REPAIR_MAX_SIZE (256 * 1024) /* of the text form */
#define NET_REPAIR_ID_SIZE 17
#define NET_REPAIR_BY_SIZE 128

#define ERR_NET_REPAIR_CORRUPT "NET_REPAIR_CORRUPT" /* not a repair's text: [what] */
#define ERR_NET_REPAIR_INVALID "NET_REPAIR_INVALID" /* it cannot be done: [sentence with the cure] */

/* Management on one NIC, and nothing else. */
struct net_reset {
    net_name device; /* "" no reset */
    int vlan;        /* 1..4094, 0 untagged */
    int mtu;
    struct net_ip ip4, ip6;
    unsigned n_dns;
    struct net_addr dns[NET_MAX_DNS];
};

/* Where the pool stands. On the host's disk only: what is in the pool's rows is recorded. */
enum net_repair_state {
    NET_REPAIR_LOCAL,     /* the pool does not know it yet */
    NET_REPAIR_RECORDED,  /* the pool has it: when its row loses it, it is over */
    NET_REPAIR_WITHDRAWN, /* taken back on the host itself: the pool's row is to lose it */
};

struct net_repair {
    enum net_repair_state state;
    char base[NET_HASH_TEXT_SIZE]; /* hash of the host's network before the first repair; "" not known */
    char id[NET_REPAIR_ID_SIZE];   /* tells it from the one before */
    int64_t since;                 /* wall clock, seconds */
    char by[NET_REPAIR_BY_SIZE];   /* who, for people */
    /* one of these two, or none, first */
    struct net_config *whole; /* owned: the network as it was proven before; NULL */
    struct net_reset reset;
    /* then these, in this order */
    net_name management_on; /* NIC that is to carry management alone; "" */
    unsigned n_drops;
    net_name drops[NET_MAX_NICS]; /* legs that leave their bonds */
    int mtu;                      /* of management and what it lies on; 0 as it is */
};

void net_repair_done(struct net_repair *r);
#define _cleanup_net_repair_ _cleanup_(net_repair_done)
void net_repair_copy(const struct net_repair *r, struct net_repair *ret);
bool net_repair_is_empty(const struct net_repair *r); /* it changes nothing */
/* What `later` asks for on top of `r`, which becomes both: a whole one replaces everything before. Takes id and by. */
void net_repair_add(struct net_repair *r, const struct net_repair *later);

/*
 * Lays it over `c`, in place. What is the case already is left alone (a leg that is in no bond), so doing it twice is
 * doing it once. False with ERR_NET_REPAIR_INVALID and `c` as it was, when it does not fit (no such NIC, the only leg)
 * or gives what contradicts itself.
 */
bool net_repair_apply(const struct net_repair *r, struct net_config *c, struct error **errp) _warn_unused_;

/* "MTU 1500 on management, leg eth1 out of its bond": what it is, for people; the caller owns it. */
char *net_repair_words(const struct net_repair *r);

/* JSON on one line; the caller owns it. */
char *net_repair_to_json(const struct net_repair *r);
bool net_repair_from_json(const char *text, size_t size, struct net_repair *ret, struct error **errp) _warn_unused_;

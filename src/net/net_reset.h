/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The emergency network reset as people and XenServer's tools say it: options, and the trigger file that the next boot
 * reads (lines KEY=value, quoted or not: DEVICE MODE IP NETMASK GATEWAY DNS VLAN MTU MODE_V6 IPV6 GATEWAY_V6 MASTER).
 * Pure; any thread.
 */
#pragma once

#include "net/net_repair.h"

#define NET_RESET_MAX_SIZE 4096 /* of a trigger file */

enum net_reset_word {
    NET_RESET_DEVICE,
    NET_RESET_MODE,
    NET_RESET_IP,
    NET_RESET_NETMASK,
    NET_RESET_GATEWAY,
    NET_RESET_DNS,
    NET_RESET_VLAN,
    NET_RESET_MTU,
    NET_RESET_MODE_V6,
    NET_RESET_IPV6,
    NET_RESET_GATEWAY_V6,
    NET_RESET_MASTER, /* address of the pool's coordinator, on a member that is to find it elsewhere */
    N_NET_RESET_WORDS
};

struct net_reset_words {
    char *text[N_NET_RESET_WORDS]; /* owned; NULL not said */
};
void net_reset_words_done(struct net_reset_words *w);
#define _cleanup_net_reset_words_ _cleanup_(net_reset_words_done)
void net_reset_words_set(struct net_reset_words *w, enum net_reset_word which, const char *text);

/*
 * What the words mean. False with ERR_NET_REPAIR_INVALID, one sentence that names the option and the cure: a device
 * that is missing, an address without its netmask, a gateway elsewhere. Whether the host has the device is seen when
 * the repair is laid over its network.
 */
bool net_reset_build(const struct net_reset_words *w, struct net_reset *ret, struct error **errp) _warn_unused_;

/* The trigger file's form; the caller owns it. */
char *net_reset_words_text(const struct net_reset_words *w);
/* False with ERR_NET_REPAIR_CORRUPT and the number of the line. */
bool net_reset_words_parse(const char *text, size_t size, struct net_reset_words *ret,
                           struct error **errp) _warn_unused_;

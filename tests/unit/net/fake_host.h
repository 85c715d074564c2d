/* SPDX-License-Identifier: Apache-2.0 */
/* A host in memory for tests of the acting side: kernel and switch fakes that see each other, a scratch folder. */
#pragma once

#include "link/link_fake.h"
#include "net/net_config.h"
#include "ovs/ovs_fake.h"

struct fake_host {
    struct link *link;
    struct ovs *ovs;
    char *dir; /* scratch; net_dir and run_dir below it */
    char *net_dir;
    char *run_dir;
    char *resolv_conf;
};

/* NICs eth0 and eth1 (0a:00:00:00:00:10, :11; limit 9000), both with carrier; a switch that runs. */
void fake_host_init(struct fake_host *h);
void fake_host_done(struct fake_host *h);
/* Management on bridge xenbr0 over eth0 at 10.0.0.2/24, gateway 10.0.0.1. */
struct net_config *fake_host_config(int mtu);
/* The same over a bond of eth0 and eth1. */
struct net_config *fake_host_bond(int mtu);
int fake_host_mtu(const struct fake_host *h, const char *link); /* -1 when absent */

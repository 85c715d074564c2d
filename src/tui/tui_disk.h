/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this host says of itself without its daemon: files of musterd and muster-netboot, the kernel's links and
 * addresses, the tails of the logs. Blocking, some milliseconds; a worker thread.
 */
#pragma once

#include "link/link.h"
#include "net/net_config.h"
#include "probe/lldp.h"
#include "tui/tui_facts.h"

struct tui_places { /* from the environment, or those of a real host; borrowed */
    const char *state_dir, *run_dir, *log_dir;
};
struct tui_places tui_places(void);

struct tui_lldp { /* asked for apart, as lldpd may hang */
    struct lldp_neighbour items[LLDP_MAX_NEIGHBOURS];
    unsigned n;
};

/* Never fails: what cannot be read is said in its place. */
struct tui_disk *tui_disk_read(const struct tui_places *places, const struct tui_lldp *lldp);

/* ---- the pure parts of it ---- */
/* Interfaces of a configuration (NULL: none) as the kernel has them, then the NICs that are in none. */
void tui_disk_interfaces(struct tui_disk *d, const struct net_config *config, const struct link_infos *links,
                         const struct link_addresses *addresses, const struct tui_lldp *lldp);
/* What can be seen to be wrong without a daemon: legs that are missing, without a link, or smaller than they should be.
 */
void tui_disk_faults(struct tui_disk *d, const struct net_config *config, const struct link_infos *links);
/* run/netboot.json. False when it is damaged. */
bool tui_disk_boot_report(struct tui_disk *d, const char *text, size_t size) _warn_unused_;

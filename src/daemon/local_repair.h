/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repair that was made on this host itself, on its way into the pool's rows: as soon as the pool can be written to,
 * the host's row records it (net_wanted lays it over what the pool wants from then on); until then the pool's intent is
 * not taken up, so that nothing undoes the repair in silence. A repair that was taken back on the host leaves the rows
 * the same way. Also leaves the addresses of the pool's other hosts on the disk, for muster-netboot's proofs. Loop
 * thread.
 */
#pragma once

#include "db/db.h"
#include "net/net_agent.h"

struct local_repair;

/* `again`: the rows may be looked at once more. */
struct local_repair *local_repair_new(struct loop *l, struct db *d, const struct uuid *self, const char *net_dir,
                                      void (*again)(void *userdata), void *userdata);
void local_repair_free(struct local_repair *r);
/* Whether the pool's rows may be taken up: they know what was repaired. */
bool local_repair_is_settled(struct local_repair *r, const struct net_agent_state *s);
/* Adds the fault of the repair in force to `list` (host.faults); nothing without one. */
void local_repair_add_fault(const struct local_repair *r, const struct net_agent_state *s, struct value *list);
/* The network proven before the present one as a repair's text; NULL with an error. The caller owns it. */
char *local_repair_before(const struct local_repair *r, struct error **errp) _warn_unused_;
/* Rows of hosts have changed. */
void local_repair_hosts_changed(struct local_repair *r);

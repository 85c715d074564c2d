/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of a change that is not made yet. The coordinator computes from the rows as they would be which legs would meet
 * which on what VLAN at what size, has the legs lifted, and each host measures its half with a prober beside its usual
 * one: what is known and shown of the present network is not touched. Loop thread.
 */
#pragma once

#include "daemon/probing_faults.h"
#include "loop/loop.h"

/*
 * What a host has to measure, because it is new or larger than now: a map of "legs" and "peers" for
 * probing_ahead_start, and "raise", leg to MTU. VALUE_VOID: nothing.
 */
struct value probing_paths(struct db *then, struct db *now, const struct uuid *host,
                           bool (*is_live)(const struct uuid *host, void *userdata), void *userdata);

/*
 * What would be wrong after the change and is not now: a set of sentences; empty when all is well. `tables` maps the
 * uuid of a host to what it measured. Alters host.path_table in the fork.
 */
struct value probing_verdict(struct db *then, struct db *now, const struct value *tables,
                             bool (*is_live)(const struct uuid *host, void *userdata), void *userdata);

struct probing_aheads; /* the measurements of one host */
struct probing_aheads *probing_aheads_new(struct loop *l, const struct uuid *self);
void probing_aheads_free(struct probing_aheads *as);
/* `table` as host.path_table, borrowed; NULL with a problem. Once. */
typedef void probing_ahead_fn(const struct value *table, const char *problem, void *userdata);
/*
 * Measures, and goes on answering others until probing_ahead_end or `lease_ms` have passed: they may be slower. The
 * same id again ends the earlier measurement.
 */
void probing_ahead_start(struct probing_aheads *as, const char *id, const struct value *paths, uint64_t deadline_ms,
                         uint64_t lease_ms, probing_ahead_fn *done, void *userdata);
void probing_ahead_renew(struct probing_aheads *as, const char *id, uint64_t lease_ms);
void probing_ahead_end(struct probing_aheads *as, const char *id);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with this host now, gathered from all who find faults here (prober, network start, network agent,
 * watch), and shown in host.faults of the volatile store. Each source states its whole list again whenever it changes.
 * A fault is shown after it has held for a moment and withdrawn after it has been gone for one, so that nothing flaps.
 * Loop thread.
 */
#pragma once

#include "db/db.h"

enum fault_source { FAULTS_PROBE, FAULTS_NETBOOT, FAULTS_AGENT, FAULTS_POOL, FAULTS_WATCH, N_FAULT_SOURCES };

struct faults;
struct faults *faults_new(struct loop *l, struct db *d, const struct uuid *self);
void faults_free(struct faults *f);
/* `list`: a map from key ("MUSTER-N101/eth1") to sentence; taken. */
void faults_state(struct faults *f, enum fault_source source, struct value list);
/* What is shown now: a map; borrowed until the next turn. */
const struct value *faults_shown(const struct faults *f);
/* The sentence of one that is shown and limits what the paths of this host carry; NULL: none does. Borrowed likewise.
 */
const char *faults_limit(const struct faults *f);
/* One of that kind has been stated and has not held long enough to be shown yet. */
bool faults_is_settling(const struct faults *f);
/* Calls `fn` after each look at what is stated, also when nothing that is shown has changed. NULL: nobody. */
typedef void faults_looked_fn(void *userdata);
void faults_on_look(struct faults *f, faults_looked_fn *fn, void *userdata);

/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold at every moment, whatever happens. A violation is said once and ends the run. */
#pragma once

#include "pool/pool_private.h"
#include "sim_daemon.h"
#include "sim_server.h"

/* A sentence; the run has failed. */
void violate(const char *fmt, ...) _printf_(1, 2);
bool violated(void);
const char *violation(void);

void checks_init(void);
void checks_done(void);
void checks_step(void);                /* after each step */
void checks_note_fault(unsigned host); /* something was done to this host, or to a way from or to it */
void checks_note_stall(unsigned host); /* it stands still, or goes on */
void checks_note_all(void);
void checks_word(void); /* a person has said that hosts are gone for good: two clusters are his word */

/* ---- the pool as it is ---- */
/* The server that leads the pool's cluster with a majority behind it; NULL. */
struct server *truth_leader(void);
/* The pool's row as committed; NULL. */
const json_t *truth_pool_row(const struct server *leader);
const json_t *truth_host_row(const struct server *leader, const struct uuid *host);
unsigned truth_n_hosts(const struct server *leader);
struct sim_host *truth_coordinator(void);       /* runs, leads by the rows, its database takes writes, ready; NULL */
bool host_is_ready(const struct sim_host *h);   /* its daemon says so */
bool host_is_of_pool(const struct sim_host *h); /* by its own identity */

void truth_tell(void); /* how every host stands, for the log of a failed run */
void truth_set_pool(const struct uuid *pool);
const struct uuid *truth_pool(void);

/* ---- writes ---- */
void writes_try(struct sim_host *h);            /* a new one, as coordinator or not */
void writes_check(const struct server *leader); /* what was acknowledged is there, what was refused is not */

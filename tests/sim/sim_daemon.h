/* SPDX-License-Identifier: Apache-2.0 */
/* What a host's daemon consists of in the simulation: it is gone when the process is. */
#pragma once

#include "daemon/alerts.h"
#include "daemon/faults.h"
#include "daemon/first_proof.h"
#include "daemon/probing.h"
#include "db/db.h"
#include "loop/worker.h"
#include "pool/pool.h"
#include "sim.h"

struct sim_daemon {
    struct sim_host *host;
    struct loop *loop;
    struct worker *worker;
    struct db *db;
    struct pool *pool;
    struct inbox *inbox;
    struct faults *faults;
    struct probing *probing;
    struct first_proof *first_proof;
    struct alerts *alerts;
    struct db_watch *own_watch;
    struct loop_source *start_timer, *size_timer;
    struct uuid self;
    bool going_down;
    bool said_ready, said_limited; /* it has been ready; at first it was ready-size-limited */
    bool ending;                   /* the daemon has asked for its own end */
};

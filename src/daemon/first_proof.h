/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first proof after a start: asks the prober, waits for what `first_proof_core` wants, and says once that it has
 * ended. Loop thread.
 */
#pragma once

#include "daemon/faults.h"
#include "daemon/probing.h"

struct first_proof;
typedef void first_proof_ended_fn(void *userdata);
/* Until it has ended it is the one who is told of the looks at `faults`. */
struct first_proof *first_proof_new(struct loop *l, struct db *d, struct probing *p, struct faults *f,
                                    first_proof_ended_fn *ended, void *userdata);
/* Before the prober and the faults. */
void first_proof_free(struct first_proof *f);

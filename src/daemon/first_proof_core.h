/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the first proof after a start has ended, so that a host says "ready" or "ready-size-limited" and means it: its
 * own measurements, those of its peers towards it, and the verdict over both, which is only believed when it has held.
 * A verdict may be withheld for a moment, while something is measured again: no fault is told then, and none is
 * excluded. Each of these has a deadline: a host is not kept out for what cannot be measured. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FIRST_PROOF_MS 3000         /* for measuring, both ways */
#define FIRST_PROOF_VERDICT_MS 9000 /* from the same start: what is measured last is believed 4 s later */

struct first_proof_facts {
    uint64_t waited_ms;
    bool is_measured_out; /* every edge of this host, since the start; or the time for that is over */
    bool is_measured_in;  /* every edge of its live peers to it */
    bool is_settling;     /* a limit has been found and not held for long enough */
    bool is_unexplained;  /* a path carries less than is wanted, or is doubted, and no fault that is shown says why */
};

bool first_proof_has_ended(const struct first_proof_facts *f);

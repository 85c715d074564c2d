/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/first_proof_core.h"

bool first_proof_has_ended(const struct first_proof_facts *f) {
    if (!f->is_measured_out)
        return false; /* the prober keeps the deadline of that */
    if (!f->is_measured_in && f->waited_ms < FIRST_PROOF_MS)
        return false;
    return (!f->is_settling && !f->is_unexplained) || f->waited_ms >= FIRST_PROOF_VERDICT_MS;
}

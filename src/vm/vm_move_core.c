/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/vm_move_core.h"

enum arrival_step vm_arrival_step(const struct arrival_facts *f) {
    if (f->is_mine) {
        if (f->here == VM_STANDS && f->is_to_run)
            return ARRIVAL_RUN;
        return f->here == VM_ARRIVING ? ARRIVAL_WAIT : ARRIVAL_OVER;
    }
    if (f->is_named)
        return ARRIVAL_WAIT;
    /* A VM that runs is never ended by this: it is left to be complained about. */
    if (f->here == VM_RUNS)
        return ARRIVAL_OVER;
    return f->was_named || f->age_ms > VM_MOVE_GRACE_MS ? ARRIVAL_CLEAN : ARRIVAL_WAIT;
}

static enum leaving_step gone(const struct leaving_facts *f) {
    switch (f->peer) {
    case PEER_STANDS:
        return LEAVING_HAND;
    case PEER_HAS_NONE:
        return LEAVING_DIED;
    default: /* the copy may become whole, or the other host may answer; not for ever */
        return f->absent_ms > VM_MOVE_PATIENCE_MS ? LEAVING_DIED : LEAVING_ASK;
    }
}

enum leaving_step vm_leaving_step(const struct leaving_facts *f) {
    if (!f->is_mine || !f->is_named)
        return LEAVING_OVER;
    if (f->is_open)
        return LEAVING_WAIT;
    if (f->has_moved && !f->is_back)
        return LEAVING_HAND;
    if (!f->is_listed)
        return LEAVING_WAIT;
    if (f->here == VM_ABSENT)
        return f->is_back ? LEAVING_DIED : gone(f);
    if (f->has_job)
        return LEAVING_WAIT;
    /* First the record, so that the other host removes its copy and with it the hold on shared disks; then the VM. */
    if (!f->is_back)
        return LEAVING_BACK;
    return f->here != VM_RUNS && f->is_to_run ? LEAVING_RUN : LEAVING_KEPT;
}

enum far_step vm_far_step(const struct far_facts *f) {
    if (f->is_named || !f->is_listed)
        return FAR_WAIT;
    if (f->has_row && f->is_mine)
        return FAR_BACK;
    /* The rows are removed once the other pool has taken it. What runs is never ended by this. */
    return f->here == VM_STANDS ? FAR_END : FAR_OVER;
}

uint64_t vm_admit_quiet_ms(uint64_t stall_ms) {
    uint64_t ms = stall_ms < VM_ADMIT_QUIET_MAX_MS / 2 ? 2 * stall_ms : VM_ADMIT_QUIET_MAX_MS;
    return ms > VM_ADMIT_QUIET_MIN_MS ? ms : VM_ADMIT_QUIET_MIN_MS;
}

bool vm_stall(struct stall *s, uint64_t bytes, uint64_t now_ms, uint64_t limit_ms) {
    if (!s->is_started || s->bytes != bytes) {
        *s = (struct stall){.bytes = bytes, .since_ms = now_ms, .is_started = true};
        return false;
    }
    return now_ms - s->since_ms >= limit_ms;
}

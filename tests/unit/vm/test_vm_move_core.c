/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM that moves, on a model of two hosts and the pool's rows, with the real decisions of both: every order of what
 * the two do and of what fails in between is tried, and in none does the VM run on both. Then single decisions by name.
 */
#include "vm/vm_agent_move.h"
#include "vm/vm_move_core.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

/* ---- the model ---- */
struct world {
    enum vm_here source, target; /* VM_RUNS, VM_STANDS, ... */
    bool record, back;           /* VM.migration names the target; says that it stays */
    bool is_targets;             /* resident_on */
    bool halted;
    bool streaming;         /* the daemons are at it */
    bool source_knows;      /* the source's musterd has the hypervisor's good answer */
    bool prepared;          /* the target keeps a note */
    bool was_named, is_old; /* it waits for longer than the grace */
    enum vm_peer peer;      /* what the source was told last */
};

enum event {
    SOURCE_STEPS,
    TARGET_STEPS,
    STREAM_ENDS_WELL,
    STREAM_ENDS_LOST, /* the last word from the target was lost: the source goes on, the target has it whole */
    STREAM_BREAKS,
    SOURCE_MUSTERD_DIES,
    TARGET_MUSTERD_DIES,
    SOURCE_QEMU_DIES,
    TARGET_QEMU_DIES,
    SOURCE_ASKS, /* the target is reachable */
    N_EVENTS
};

static void source_steps(struct world *w) {
    struct leaving_facts f = {.is_mine = !w->is_targets && !w->halted,
                              .is_named = w->record || w->back,
                              .is_back = w->back,
                              .is_open = false,
                              .has_moved = w->source_knows,
                              .is_listed = true,
                              .here = w->source,
                              .has_job = w->streaming,
                              .is_to_run = true,
                              .peer = w->peer};
    switch (vm_leaving_step(&f)) {
    case LEAVING_HAND:
        w->is_targets = true;
        w->record = false;
        break;
    case LEAVING_BACK:
        w->record = false;
        w->back = true;
        break;
    case LEAVING_RUN:
        w->source = VM_RUNS;
        break;
    case LEAVING_KEPT:
        w->back = false;
        break;
    case LEAVING_DIED:
        w->halted = true;
        w->record = w->back = false;
        break;
    default:
        break;
    }
}

static void target_steps(struct world *w) {
    if (!w->prepared)
        return;
    w->was_named |= w->record;
    struct arrival_facts f = {.is_mine = w->is_targets,
                              .is_named = w->record,
                              .was_named = w->was_named,
                              .is_to_run = !w->halted,
                              .here = w->target,
                              .age_ms = w->is_old ? VM_MOVE_GRACE_MS + 1 : 0};
    switch (vm_arrival_step(&f)) {
    case ARRIVAL_RUN:
        w->target = VM_RUNS;
        break;
    case ARRIVAL_CLEAN:
        assert_int_not_equal(w->target, VM_RUNS);
        w->target = VM_ABSENT;
        w->prepared = w->streaming = false;
        break;
    case ARRIVAL_OVER:
        w->prepared = false;
        break;
    default:
        break;
    }
}

static void happen(struct world *w, enum event e) {
    switch (e) {
    case SOURCE_STEPS:
        source_steps(w);
        break;
    case TARGET_STEPS:
        target_steps(w);
        break;
    case STREAM_ENDS_WELL:
        if (w->streaming && w->source != VM_ABSENT && w->target == VM_ARRIVING) {
            w->streaming = false;
            w->source = VM_ABSENT;
            w->target = VM_STANDS;
            w->source_knows = true;
        }
        break;
    case STREAM_ENDS_LOST:
        if (w->streaming && w->source != VM_ABSENT && w->target == VM_ARRIVING) {
            w->streaming = false;
            w->target = VM_STANDS;
            w->source = VM_RUNS; /* as libvirt does when it hears nothing */
        }
        break;
    case STREAM_BREAKS:
        if (w->streaming) {
            w->streaming = false;
            w->source = w->source == VM_ABSENT ? VM_ABSENT : VM_STANDS; /* paused, until somebody lets it run */
        }
        break;
    case SOURCE_MUSTERD_DIES:
        w->source_knows = false;
        w->peer = PEER_UNKNOWN;
        break;
    case TARGET_MUSTERD_DIES:
        w->was_named = true; /* as a note that is found */
        break;
    case SOURCE_QEMU_DIES:
        w->source = VM_ABSENT;
        w->streaming = false;
        break;
    case TARGET_QEMU_DIES:
        w->target = VM_ABSENT;
        w->streaming = false;
        break;
    case SOURCE_ASKS:
        w->peer = !w->prepared               ? PEER_HAS_NONE
                  : w->target == VM_ARRIVING ? PEER_ARRIVING
                  : w->target == VM_ABSENT   ? PEER_HAS_NONE
                                             : PEER_STANDS;
        break;
    case N_EVENTS:
        break;
    }
    assert_false(w->source == VM_RUNS && w->target == VM_RUNS);
    assert_true(w->target != VM_RUNS || w->is_targets);
}

/* ---- every order ---- */
#define DEPTH 7

static unsigned long n_worlds;

static void settle(struct world w) {
    bool is_gone = w.source == VM_ABSENT && w.target == VM_ABSENT;
    w.is_old = true;
    for (int i = 0; i < 12; i++) {
        happen(&w, STREAM_BREAKS);
        if (w.target == VM_ARRIVING && w.source == VM_ABSENT)
            w.target = VM_ABSENT; /* its daemon hears that nobody sends */
        happen(&w, SOURCE_ASKS);
        happen(&w, SOURCE_STEPS);
        happen(&w, TARGET_STEPS);
    }
    n_worlds++;
    /* Left alone, it comes to rest: in one place, with nothing left over, and running unless it was killed. */
    assert_false(w.record || w.back);
    assert_true(w.is_targets || w.target == VM_ABSENT);
    if (w.is_targets)
        assert_int_equal(w.source, VM_ABSENT);
    if (is_gone)
        return;
    assert_true(w.halted || w.source == VM_RUNS || w.target == VM_RUNS ||
                (w.source == VM_ABSENT && w.target == VM_ABSENT));
}

static void try_all(struct world w, int depth) {
    settle(w);
    if (depth == 0)
        return;
    for (int e = 0; e < N_EVENTS; e++) {
        struct world next = w;
        happen(&next, (enum event)e);
        if (memcmp(&next, &w, sizeof(w)) != 0)
            try_all(next, depth - 1);
    }
}

static void test_never_on_both_sides(void **state) {
    struct world w;
    memset(&w, 0, sizeof(w));
    w.source = VM_RUNS;
    w.target = VM_ARRIVING;
    w.record = w.streaming = w.prepared = true;
    try_all(w, DEPTH);
    assert_true(n_worlds > 1000);
}

/* ---- by name ---- */
static void test_arrival(void **state) {
    struct arrival_facts f = {.is_mine = true, .is_to_run = true, .here = VM_STANDS};
    assert_int_equal(vm_arrival_step(&f), ARRIVAL_RUN);
    f.is_to_run = false; /* it was paused when it left */
    assert_int_equal(vm_arrival_step(&f), ARRIVAL_OVER);
    f = (struct arrival_facts){.is_named = true, .here = VM_STANDS, .age_ms = VM_MOVE_GRACE_MS * 100};
    assert_int_equal(vm_arrival_step(&f), ARRIVAL_WAIT); /* whole, but not ours: however long it takes */
    f = (struct arrival_facts){.here = VM_ABSENT, .age_ms = 10};
    assert_int_equal(vm_arrival_step(&f), ARRIVAL_WAIT); /* the row does not name us yet */
    f.age_ms = VM_MOVE_GRACE_MS + 1;
    assert_int_equal(vm_arrival_step(&f), ARRIVAL_CLEAN);
    f = (struct arrival_facts){.was_named = true, .here = VM_ARRIVING};
    assert_int_equal(vm_arrival_step(&f), ARRIVAL_CLEAN);
    f.here = VM_RUNS; /* never */
    assert_int_equal(vm_arrival_step(&f), ARRIVAL_OVER);
}

static void test_leaving(void **state) {
    struct leaving_facts f = {.is_mine = true, .is_named = true, .is_open = true, .is_listed = true};
    assert_int_equal(vm_leaving_step(&f), LEAVING_WAIT);
    f.is_open = false;
    f.is_listed = false;
    assert_int_equal(vm_leaving_step(&f), LEAVING_WAIT); /* no list, no word */
    f.is_listed = true;
    assert_int_equal(vm_leaving_step(&f), LEAVING_ASK);
    f.peer = PEER_ARRIVING;
    assert_int_equal(vm_leaving_step(&f), LEAVING_ASK);
    f.absent_ms = VM_MOVE_PATIENCE_MS + 1;
    assert_int_equal(vm_leaving_step(&f), LEAVING_DIED);
    f.peer = PEER_STANDS;
    assert_int_equal(vm_leaving_step(&f), LEAVING_HAND);
    f.is_mine = false;
    assert_int_equal(vm_leaving_step(&f), LEAVING_OVER);
}

static void test_stall(void **state) {
    struct stall s = {0};
    assert_false(vm_stall(&s, 0, 1000, 500)); /* begins */
    assert_false(vm_stall(&s, 0, 1499, 500));
    assert_true(vm_stall(&s, 0, 1500, 500));
    assert_false(vm_stall(&s, 7, 1600, 500));
    assert_false(vm_stall(&s, 8, 2600, 500)); /* late, but it moved */
    assert_true(vm_stall(&s, 8, 3100, 500));
}

/* To another pool, on the host that it leaves. */
static void test_far(void **state) {
    struct far_facts f = {.has_row = true, .is_mine = true, .is_named = true, .is_listed = true, .here = VM_STANDS};
    assert_int_equal(vm_far_step(&f), FAR_WAIT); /* nobody knows yet */
    f.is_named = false;
    assert_int_equal(vm_far_step(&f), FAR_BACK);
    f.here = VM_RUNS; /* what was made in its QEMU goes all the same */
    assert_int_equal(vm_far_step(&f), FAR_BACK);
    f.is_listed = false;
    assert_int_equal(vm_far_step(&f), FAR_WAIT);
    f = (struct far_facts){.is_listed = true, .here = VM_STANDS};
    assert_int_equal(vm_far_step(&f), FAR_END);
    f.here = VM_RUNS; /* never */
    assert_int_equal(vm_far_step(&f), FAR_OVER);
    f.here = VM_ABSENT;
    assert_int_equal(vm_far_step(&f), FAR_OVER);
}

/* A copy whose QEMU is ending runs by the hypervisor's word: it is neither one that runs here by itself, which would be
 * left with its disks, nor whole, to be handed the VM. */
static void test_what_is_here(void **state) {
    struct vm_arrival r = {.is_whole = false}, whole = {.is_whole = true};
    struct virt_domain runs = {.state = VIRT_RUNNING}, comes = {.state = VIRT_PAUSED, .is_arriving = true},
                       stands = {.state = VIRT_PAUSED}, dies = {.state = VIRT_RUNNING, .is_dying = true};
    assert_int_equal(vm_arrival_here(&r, NULL), VM_ABSENT);
    assert_int_equal(vm_arrival_here(&r, &runs), VM_RUNS);
    assert_int_equal(vm_arrival_here(&r, &comes), VM_ARRIVING);
    assert_int_equal(vm_arrival_here(&whole, &comes), VM_STANDS);
    assert_int_equal(vm_arrival_here(&r, &stands), VM_STANDS);
    assert_int_equal(vm_arrival_here(&r, &dies), VM_ARRIVING);
    assert_int_equal(vm_arrival_here(&whole, &dies), VM_ARRIVING);
    struct arrival_facts f = {.was_named = true, .here = vm_arrival_here(&r, &dies)};
    assert_int_equal(vm_arrival_step(&f), ARRIVAL_CLEAN);
}

static void test_waiting_has_an_end(void **state) {
    assert_int_equal(vm_admit_quiet_ms(0), VM_ADMIT_QUIET_MIN_MS);
    assert_int_equal(vm_admit_quiet_ms(30000), VM_ADMIT_QUIET_MIN_MS);
    assert_int_equal(vm_admit_quiet_ms(3600000), 7200000);
    assert_int_equal(vm_admit_quiet_ms(UINT64_MAX), VM_ADMIT_QUIET_MAX_MS);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_never_on_both_sides),
                                       cmocka_unit_test(test_arrival),
                                       cmocka_unit_test(test_leaving),
                                       cmocka_unit_test(test_far),
                                       cmocka_unit_test(test_stall),
                                       cmocka_unit_test(test_what_is_here),
                                       cmocka_unit_test(test_waiting_has_an_end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

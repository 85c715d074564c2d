/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM that goes to another pool, on a model of the two pools' rows and of the words between them, with the real
 * decisions of both. Words are delivered late, twice, or never; daemons die at every point. Every state that can be
 * reached is looked at: in none may the VM be started on both sides, and from each, when the two hear each other, it
 * ends on exactly one side. Then single decisions by name.
 */
#include "classes/vm_pools_core.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define STATES_MAX 20000

/* ---- the model ---- */
struct world { /* bytes only, so that two can be compared */
    uint8_t phase, arrival;
    uint8_t is_gone;                          /* the source's rows are removed */
    uint8_t at_work, copied, failed, gave_up; /* the source's daemon */
    uint8_t peer;                             /* what it was told last */
    uint8_t ready, take, forget;              /* words on their way; they stay, so they also come twice and late */
    uint8_t answers[6];                       /* on their way back, of the question that is open */
    uint8_t is_open;                          /* the source waits for an answer */
};

enum event {
    SOURCE_STEPS,
    COPY_ENDS,
    COPY_FAILS,
    SOURCE_DIES,
    TARGET_DIES, /* it forgets nothing: all it knows is in its rows */
    READY_ARRIVES,
    TAKE_ARRIVES,
    FORGET_ARRIVES,
    ANSWER_ARRIVES,
    ANSWER_LOST,
    TARGET_HEARS_NOTHING,
    SOURCE_GIVES_UP_TELLING,
    TARGET_LOSES_IT,
    N_EVENTS
};

static void ask(struct world *w, uint8_t *word) {
    *word = 1;
    w->is_open = 1;
    memset(w->answers, 0, sizeof(w->answers));
}

static void source_steps(struct world *w) {
    struct pools_leave_facts f = {.phase = (enum pools_phase)w->phase,
                                  .is_at_work = w->at_work,
                                  .is_copied = w->copied,
                                  .has_failed = w->failed,
                                  .gave_up_telling = w->gave_up,
                                  .peer = (enum pools_peer)w->peer};
    if (w->is_open || w->is_gone)
        return;
    switch (pools_leave_step(&f)) {
    case POOLS_LEAVE_ASK_READY:
        ask(w, &w->ready);
        break;
    case POOLS_LEAVE_GIVE:
        w->phase = POOLS_GIVEN;
        break;
    case POOLS_LEAVE_TELL_TAKE:
        ask(w, &w->take);
        break;
    case POOLS_LEAVE_TELL_FORGET:
        ask(w, &w->forget);
        break;
    case POOLS_LEAVE_KEEP:
        w->phase = POOLS_NONE;
        break;
    case POOLS_LEAVE_REMOVE:
        w->is_gone = 1;
        break;
    default:
        break;
    }
}

static void arrives(struct world *w, bool is_there, enum pools_word word) {
    if (!is_there)
        return;
    w->arrival = (uint8_t)pools_arrive((enum pools_arrival)w->arrival, word);
    if (w->is_open)
        w->answers[pools_answer((enum pools_arrival)w->arrival)] = 1;
}

static void happen(struct world *w, enum event e) {
    switch (e) {
    case SOURCE_STEPS:
        source_steps(w);
        break;
    case COPY_ENDS:
        w->copied |= w->at_work && !w->failed;
        break;
    case COPY_FAILS:
        w->failed |= w->at_work && w->phase == POOLS_COPYING;
        break;
    case SOURCE_DIES:
        w->at_work = w->copied = w->failed = w->gave_up = w->is_open = 0;
        w->peer = POOLS_PEER_UNKNOWN;
        memset(w->answers, 0, sizeof(w->answers));
        break;
    case TARGET_DIES:
        break;
    case READY_ARRIVES:
        arrives(w, w->ready, POOLS_ASKED_READY);
        break;
    case TAKE_ARRIVES:
        arrives(w, w->take, POOLS_TOLD_TAKE);
        break;
    case FORGET_ARRIVES:
        arrives(w, w->forget, POOLS_TOLD_FORGET);
        break;
    case ANSWER_ARRIVES:
        for (uint8_t i = POOLS_PEER_NONE; i <= POOLS_PEER_LOST && w->is_open; i++)
            if (w->answers[i]) {
                w->peer = i;
                w->is_open = 0;
                memset(w->answers, 0, sizeof(w->answers));
            }
        break;
    case ANSWER_LOST:
        w->is_open = 0;
        memset(w->answers, 0, sizeof(w->answers));
        break;
    case TARGET_HEARS_NOTHING:
        arrives(w, true, POOLS_HEARD_NOTHING);
        break;
    case SOURCE_GIVES_UP_TELLING:
        w->gave_up |= w->failed || !w->at_work;
        break;
    case TARGET_LOSES_IT:
        arrives(w, true, POOLS_FOUND_LOST);
        break;
    case N_EVENTS:
        break;
    }
}

static bool may_run_here(const struct world *w) {
    return w->phase == POOLS_NONE && !w->is_gone;
}

static bool may_run_there(const struct world *w) {
    return w->arrival == POOLS_OWN;
}

/* The two hear each other, nothing is lost any more: how it ends. */
static void settle(struct world *w) {
    for (int i = 0; i < 40; i++) {
        source_steps(w);
        arrives(w, w->is_open && w->ready && w->phase == POOLS_COPYING && w->at_work && !w->failed, POOLS_ASKED_READY);
        arrives(w, w->is_open && w->take && w->phase == POOLS_GIVEN, POOLS_TOLD_TAKE);
        arrives(w,
                w->is_open && w->forget && w->phase == POOLS_COPYING &&
                    (w->failed || !w->at_work || w->peer == POOLS_PEER_LOST),
                POOLS_TOLD_FORGET);
        happen(w, ANSWER_ARRIVES);
        happen(w, ANSWER_LOST); /* of what was asked before and is answered no more */
        happen(w, COPY_ENDS);
    }
}

static struct world seen[STATES_MAX];

static void every_order(void **state) {
    size_t n = 0, n_taken = 0, n_kept = 0;
    seen[n++] = (struct world){.phase = POOLS_COPYING, .arrival = POOLS_ARRIVING, .at_work = 1};
    for (size_t at = 0; at < n; at++) {
        struct world end = seen[at];
        assert_false(may_run_here(&seen[at]) && may_run_there(&seen[at]));
        if (seen[at].is_gone) /* it is removed here only once it is there */
            assert_true(may_run_there(&seen[at]));
        if (seen[at].phase == POOLS_GIVEN) /* nobody there has lost it by being left alone */
            assert_true(seen[at].arrival == POOLS_READY || seen[at].arrival == POOLS_OWN ||
                        seen[at].arrival == POOLS_LOST);
        settle(&end);
        assert_true(may_run_here(&end) != may_run_there(&end));
        if (seen[at].arrival == POOLS_LOST) /* what is lost there is had here */
            assert_true(may_run_here(&end));
        n_taken += may_run_there(&end);
        n_kept += may_run_here(&end);
        for (int e = 0; e < N_EVENTS; e++) {
            struct world next = seen[at];
            size_t i = 0;
            happen(&next, (enum event)e);
            while (i < n && memcmp(&seen[i], &next, sizeof(next)) != 0)
                i++;
            if (i < n)
                continue;
            assert_true(n < STATES_MAX);
            seen[n++] = next;
        }
    }
    assert_true(n > 100 && n_taken > 10 && n_kept > 10);
}

/* ---- by name ---- */

static void who_began_it_has_died(void **state) {
    struct pools_leave_facts f = {.phase = POOLS_COPYING, .is_copied = true, .peer = POOLS_PEER_READY};
    assert_int_equal(pools_leave_step(&f), POOLS_LEAVE_TELL_FORGET);
    f.peer = POOLS_PEER_NONE;
    assert_int_equal(pools_leave_step(&f), POOLS_LEAVE_KEEP);
    f = (struct pools_leave_facts){.phase = POOLS_GIVEN}; /* but what is given is given, whoever leads */
    assert_int_equal(pools_leave_step(&f), POOLS_LEAVE_TELL_TAKE);
    f.has_failed = f.gave_up_telling = true;
    assert_int_equal(pools_leave_step(&f), POOLS_LEAVE_TELL_TAKE);
    f.peer = POOLS_PEER_NONE;
    assert_int_equal(pools_leave_step(&f), POOLS_LEAVE_STUCK);
}

static void a_promise_is_kept(void **state) {
    assert_int_equal(pools_arrive(POOLS_ARRIVING, POOLS_HEARD_NOTHING), POOLS_ABSENT);
    assert_int_equal(pools_arrive(POOLS_READY, POOLS_HEARD_NOTHING), POOLS_READY);
    assert_int_equal(pools_arrive(POOLS_ARRIVING, POOLS_TOLD_TAKE), POOLS_ARRIVING);
    assert_int_equal(pools_arrive(POOLS_OWN, POOLS_TOLD_FORGET), POOLS_OWN);
}

static void what_is_lost_comes_back(void **state) {
    struct pools_leave_facts f = {.phase = POOLS_GIVEN, .peer = POOLS_PEER_LOST};
    assert_int_equal(pools_leave_step(&f), POOLS_LEAVE_KEEP);
    assert_int_equal(pools_arrive(POOLS_READY, POOLS_FOUND_LOST), POOLS_LOST);
    assert_int_equal(pools_arrive(POOLS_LOST, POOLS_TOLD_TAKE), POOLS_LOST);
    assert_int_equal(pools_arrive(POOLS_LOST, POOLS_ASKED_READY), POOLS_LOST);
    assert_int_equal(pools_arrive(POOLS_LOST, POOLS_HEARD_NOTHING), POOLS_LOST);
    assert_int_equal(pools_arrive(POOLS_OWN, POOLS_FOUND_LOST), POOLS_OWN);
}

static void words_go_there_and_back(void **state) {
    for (int i = POOLS_PEER_NONE; i <= POOLS_PEER_LOST; i++)
        assert_int_equal(pools_peer_of(pools_peer_text((enum pools_peer)i)), i);
    assert_int_equal(pools_peer_of(""), POOLS_PEER_UNKNOWN);
    assert_int_equal(pools_peer_of("mine"), POOLS_PEER_UNKNOWN);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_order), cmocka_unit_test(who_began_it_has_died),
                                       cmocka_unit_test(a_promise_is_kept), cmocka_unit_test(what_is_lost_comes_back),
                                       cmocka_unit_test(words_go_there_and_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What two pools do about a VM that goes from one to the other, from what each has written down and what the other has
 * said. Pure. docs/decisions/0017 has the protocol, docs/migration.md the story.
 *
 * A VM that is halted or suspended runs nowhere meanwhile. One that runs goes on where it is until all of it lies
 * there; from the promise on it stands still, whole on both sides, and runs nowhere until one of them is told to let
 * it. Each pool writes a record at the VM's own row; the rules that keep it on one side: 1 A pool lets nobody start a
 * VM whose row has a record. 2 The pool that it comes to takes the record away (the VM is its own then) only when it is
 * told to take it. 3 The pool that it leaves says so only once its own record says "given", and from then on only that:
 * whoever leads it never takes the word back. 4 "given" is written only when the other pool has promised (written down,
 * "ready") that it keeps what it has until it is told what becomes of it. 5 Memory can be lost with the host that has
 * it. Then the other pool writes down that it has lost the VM, which never ran there and never will: only this takes
 * "given" back, and the first goes on with its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define POOLS_QUIET_MS (10 * 60000) /* without a word from the other pool, before a promise: it is not to come */
/* With words that say only that it goes on: a copy is given up after a day by the pool that it leaves. */
#define POOLS_STILL_MS (25ull * 60 * 60000)
#define POOLS_FORGET_MS 20000 /* for the other pool to hear that it is not to come; then it finds out by itself */

/* ---- the pool that it leaves ---- */
enum pools_phase { POOLS_NONE /* no record */, POOLS_COPYING, POOLS_GIVEN };
/* What the other pool has said last. */
enum pools_peer {
    POOLS_PEER_UNKNOWN,
    POOLS_PEER_NONE,
    POOLS_PEER_ARRIVING,
    POOLS_PEER_READY,
    POOLS_PEER_TAKEN,
    POOLS_PEER_LOST
};

struct pools_leave_facts {
    enum pools_phase phase;
    bool is_at_work; /* whoever began it is still at it; else a daemon has died in the middle */
    bool is_copied;  /* all that it has lies there */
    bool has_failed, gave_up_telling;
    enum pools_peer peer;
};
enum pools_leave_step {
    POOLS_LEAVE_WAIT,
    POOLS_LEAVE_ASK_READY, /* have the other pool promise */
    POOLS_LEAVE_GIVE,      /* write down "given" */
    POOLS_LEAVE_TELL_TAKE, /* it is yours: until it has been heard */
    POOLS_LEAVE_TELL_FORGET,
    POOLS_LEAVE_KEEP,   /* it stays: the record goes */
    POOLS_LEAVE_REMOVE, /* it is there: rows and disks go */
    POOLS_LEAVE_STUCK   /* given, and the other pool does not know of it: only a person can tell */
};
enum pools_leave_step pools_leave_step(const struct pools_leave_facts *f);

/* ---- the pool that it comes to ---- */
enum pools_arrival {
    POOLS_ABSENT, /* no such VM, or one of another move */
    POOLS_ARRIVING,
    POOLS_READY, /* promised */
    POOLS_LOST,  /* promised, and its memory has ended with its host before it was told to take it */
    POOLS_OWN    /* it is this pool's */
};
enum pools_word {
    POOLS_ASKED,
    POOLS_ASKED_READY,
    POOLS_TOLD_TAKE,
    POOLS_TOLD_FORGET,
    POOLS_HEARD_NOTHING,
    POOLS_FOUND_LOST /* by itself: before it does what it was told last */
};
/* What it becomes. */
enum pools_arrival pools_arrive(enum pools_arrival is, enum pools_word word);
/* Whether one that is arriving counts as not to come: since the last word, and since the last that brought it on. */
bool pools_arrival_is_over(uint64_t quiet_ms, uint64_t still_ms);
/* What is answered; the text of it as it goes over the wire, and back. */
enum pools_peer pools_answer(enum pools_arrival is);
const char *pools_peer_text(enum pools_peer peer);
enum pools_peer pools_peer_of(const char *text); /* POOLS_PEER_UNKNOWN for any other */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host does about a VM that leaves it or comes to it, from what it sees: the rows, its hypervisor's list, the
 * other host's word. Pure. docs/migration.md has the story.
 *
 * The rules that keep a VM on one side:
 *   1 A VM arrives paused, and the host that it comes to lets it run only when resident_on names that host.
 *   2 resident_on is handed over by the host that the VM leaves, and only when its own hypervisor has no such VM.
 *   3 VM.migration names the host that may hold a copy; a host that is not named (any more) removes what it holds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define VM_MOVE_GRACE_MS 60000           /* from a host's being asked to keep room until the VM's row names it */
#define VM_MOVE_PATIENCE_MS (10 * 60000) /* for the other host's word on a VM that is no longer here */

enum vm_here { VM_ABSENT, VM_ARRIVING /* not whole yet */, VM_STANDS /* whole, paused */, VM_RUNS };

/* ---- the host that it comes to ---- */
struct arrival_facts {
    bool is_mine;   /* resident_on is this host */
    bool is_named;  /* VM.migration names this host, for this move */
    bool was_named; /* it did before, or the move is known to be over */
    bool is_to_run; /* power_state is Running */
    enum vm_here here;
    uint64_t age_ms; /* since it was prepared */
};
enum arrival_step {
    ARRIVAL_WAIT,
    ARRIVAL_RUN,   /* let it run */
    ARRIVAL_OVER,  /* it is an ordinary VM of this host now, or has ended as one */
    ARRIVAL_CLEAN, /* it is not to come: what was prepared goes */
};
enum arrival_step vm_arrival_step(const struct arrival_facts *f);

/* ---- the host that it leaves ---- */
enum vm_peer { PEER_UNKNOWN, PEER_HAS_NONE, PEER_ARRIVING, PEER_STANDS };
struct leaving_facts {
    bool is_mine;      /* resident_on is this host */
    bool is_named;     /* VM.migration is this move's record */
    bool is_back;      /* the record says that it stays: only to be let run again */
    bool is_open;      /* the hypervisor has not answered yet */
    bool has_moved;    /* it answered: gone here, whole there */
    bool is_listed;    /* the list is there: `here` says something */
    enum vm_here here; /* VM_RUNS: any VM that is there and runs; VM_STANDS: paused */
    bool has_job;      /* its hypervisor is still at it */
    bool is_to_run;
    enum vm_peer peer;
    uint64_t absent_ms; /* since it was first seen to be gone */
};
enum leaving_step {
    LEAVING_WAIT,
    LEAVING_ASK,  /* the other host, what it holds */
    LEAVING_HAND, /* resident_on becomes the other host */
    LEAVING_BACK, /* write down that it stays */
    LEAVING_RUN,  /* let it run again */
    LEAVING_KEPT, /* it stays and is as it was: the record goes */
    LEAVING_DIED, /* it has ended: halted */
    LEAVING_OVER, /* the rows are about something else by now */
};
enum leaving_step vm_leaving_step(const struct leaving_facts *f);

/* ---- a VM that goes to another pool, on the host that it leaves; docs/decisions/0020 ---- */
struct far_facts {
    bool has_row;
    bool is_mine;  /* resident_on is this host */
    bool is_named; /* its record is this move's: what becomes of it is not known yet */
    bool is_listed;
    enum vm_here here;
};
enum far_step {
    FAR_WAIT,
    FAR_BACK, /* it stays: what was made is undone, and it goes on */
    FAR_END,  /* it is the other pool's: what stands here goes */
    FAR_OVER, /* nothing of it is here */
};
enum far_step vm_far_step(const struct far_facts *f);

/* ---- and on the host that it comes to ---- */
/* The other side gives up by itself after `stall_ms` without a byte. One that does not, and still answers that the move
 * goes on, is waited for twice as long, and never less than this: servers of disks may be busy with what they hold. */
#define VM_ADMIT_QUIET_MIN_MS (10 * 60000)
#define VM_ADMIT_QUIET_MAX_MS (2 * 60 * 60000) /* of the longest stall_s that can be asked for, an hour */
/* The other side sends for a day at most; then, whatever comes in. */
#define VM_ADMIT_MAX_MS (25ull * 60 * 60000)
uint64_t vm_admit_quiet_ms(uint64_t stall_ms);

/* ---- the watch over the bytes ---- */
struct stall {
    uint64_t bytes, since_ms;
    bool is_started;
};
/* True when nothing has changed for `limit_ms`; `bytes`: whatever counts, as long as it changes. */
bool vm_stall(struct stall *s, uint64_t bytes, uint64_t now_ms, uint64_t limit_ms);

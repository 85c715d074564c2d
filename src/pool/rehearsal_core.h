/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Will this host come back? From facts to verdicts, purely. A blocker is a reason why it might not (a restart is
 * refused unless forced), a warning something to know before. Each has a permanent code, one sentence and its cure;
 * docs/faults.md has a section for each code. Texts of the facts are borrowed; NULL and "" mean that there is nothing
 * to say.
 */
#pragma once

#include "base/macro.h"

#include <stddef.h>
#include <stdint.h>

enum rehearsal_code {
    REHEARSAL_NOT_DONE = 300,       /* the rehearsal itself could not be done */
    REHEARSAL_CONFIG_DAMAGED = 301, /* the last known good network on its disk */
    REHEARSAL_NO_CONFIG = 302,
    REHEARSAL_CHANGE_PENDING = 303,
    REHEARSAL_BOOT_PROBLEM = 304,  /* something that the boot would find and not mend */
    REHEARSAL_DIFFERS = 305,       /* a boot would make it otherwise than it is now */
    REHEARSAL_BOOT_FAILS = 306,    /* tried in namespaces of its own */
    REHEARSAL_NOT_AS_WANTED = 307, /* the pool wants another network */
    REHEARSAL_RESET = 308,         /* a trigger file waits: the boot would reset the network */
    REHEARSAL_NO_WAY = 310,        /* no leg of management carries the control size to anybody */
    REHEARSAL_LEG = 311,           /* a leg is dead or limited */
    REHEARSAL_COORDINATOR = 312,   /* out of reach */
    REHEARSAL_CERTIFICATE = 320,   /* not valid, or not for long */
    REHEARSAL_CLOCK = 321,         /* away from the coordinator's */
    REHEARSAL_DISK = 330,          /* full, or not to be written */
    REHEARSAL_IDENTITY = 331,      /* host.json */
    REHEARSAL_DATABASE = 332,      /* the voter's file */
    REHEARSAL_MAJORITY = 340,      /* the pool database would lose it */
    REHEARSAL_ALONE = 341,         /* no other host lives, or it coordinates the pool */
    REHEARSAL_OTHER_AWAY = 342,    /* another host is not back yet */
    REHEARSAL_PROGRAM = 350,       /* muster-netboot is not in place */
    REHEARSAL_UNIT = 351,          /* what starts it at boot is not */
};
/* "MUSTER-R301". */
#define REHEARSAL_CODE_SIZE 16
const char *rehearsal_code_text(enum rehearsal_code c, char text[static REHEARSAL_CODE_SIZE]);
const enum rehearsal_code *rehearsal_codes(size_t *ret_n);

#define REHEARSAL_CLOCK_WARN_MS 60000
#define REHEARSAL_CLOCK_MAX_MS 300000    /* as at joining */
#define REHEARSAL_CERTIFICATE_MIN_S 3600 /* it must be back well before */
#define REHEARSAL_CERTIFICATE_WARN_S (30 * 86400)
#define REHEARSAL_DISK_MIN_BYTES                                                                                       \
    (16ull << 20) /* a boot writes reports, leases, logs and the database's next snapshot */
#define REHEARSAL_DISK_WARN_BYTES (128ull << 20)
#define REHEARSAL_INODES_MIN 64

/* Something that another part has found. */
struct rehearsal_note {
    const char *text, *cure; /* cure "": in the text */
    bool is_management;      /* on the way to the pool */
    bool is_less;            /* harmless by itself */
};

struct rehearsal_facts {
    const char *host, *host_uuid;

    /* muster-netboot rehearse */
    const char *not_done;     /* why it could not be run */
    const char *program;      /* why the program is not usable */
    const char *config_error; /* the last known good is damaged */
    const char *no_config;    /* nothing usable */
    bool is_pending;
    const char *reset_path, *reset_words; /* a trigger file of the emergency network reset, and what it asks for */
    const char *reset_problem;            /* why the boot would not do it */
    const struct rehearsal_note *problems, *differences;
    unsigned n_problems, n_differences;
    const char *boot_failure;
    const char *scratch_error; /* only the namespaces could not be made */
    bool is_changing;          /* the network agent works on a change */
    const char *wanted_diff;   /* what the pool's rows want otherwise, in one line */
    const char *unit;          /* what starts it at boot, when that is not in place */

    /* paths */
    bool has_live_peer, control_passes;
    const struct rehearsal_note *legs;
    unsigned n_legs;

    /* the coordinator */
    bool is_coordinator, coordinator_answers;
    const char *coordinator; /* name or address */
    bool clock_known;
    int64_t skew_ms; /* its clock minus ours */

    /* the certificate */
    const char *certificate_error;
    int64_t not_before, not_after, now; /* seconds; not_after 0: not read */

    /* the disk */
    const char *disk; /* the folder */
    bool disk_known, is_read_only;
    uint64_t free_bytes, free_inodes;
    const char *identity_error;
    const char *database_error; /* of the voter's file */

    /* the pool */
    unsigned n_hosts, n_other_live;   /* n_hosts with this one */
    unsigned n_voters, n_voters_live; /* with this one where it votes */
    bool is_voter;
    bool has_majority_now;
    bool can_replace;        /* a live relay could take a vote that is away */
    const char *away_voters; /* their names, with commas */
    const char *away_hosts;  /* live or expected, and not ready: their names */
};

struct rehearsal_verdict {
    enum rehearsal_code code;
    bool is_blocker;
    char *text, *cure; /* owned */
};
struct rehearsal_verdicts {
    struct rehearsal_verdict *items;
    size_t n, n_blockers;
};
void rehearsal_verdicts_done(struct rehearsal_verdicts *v);
/* Blockers first, then in the order of their codes. `ret` need not be initialised. */
void rehearsal_judge(const struct rehearsal_facts *f, struct rehearsal_verdicts *ret);
/* "MUSTER-R301: text; cure: ..." as a heap string. */
char *rehearsal_line(const struct rehearsal_verdict *v);

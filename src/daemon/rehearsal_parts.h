/* SPDX-License-Identifier: Apache-2.0 */
/* What a rehearsal has gathered, and how it becomes the facts of rehearsal_core. */
#pragma once

#include "daemon/daemon.h"
#include "pool/pool_outlook.h"
#include "pool/rehearsal_core.h"

struct rehearsal_parts { /* texts are owned */
    char *program;       /* muster-netboot is not usable: why */
    char *not_done;
    struct value boot;             /* what `muster-netboot rehearse --json` says; void without */
    const struct net_config *good; /* borrowed from the network agent; NULL none */
    bool is_changing;
    char *wanted_diff;
    struct probing_result proven;
    struct value faults; /* of now, as probing_faults_now gives them */
    struct value doubts; /* of the proof, as probing_doubts gives them */
    bool coordinator_answers, clock_known;
    int64_t skew_ms;
    bool disk_known, is_read_only;
    uint64_t free_bytes, free_inodes;
    char *database_error;
    struct pool_outlook outlook;
};
void rehearsal_parts_done(struct rehearsal_parts *p);
void rehearsal_parts_judge(struct daemon *d, const struct rehearsal_parts *p, struct rehearsal_verdicts *ret);

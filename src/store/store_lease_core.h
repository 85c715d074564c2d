/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has a disk: what a lease says, as the name of the one file in the disk's folder of leases, and what follows from
 * the names found there. Pure; any thread. How leases are taken and given back: store_lease.h, docs/decisions/0010.
 */
#pragma once

#include "base/str.h"
#include "base/uuid.h"

/* A holder. `generation` counts the boots of the host; `vm` is null for work of the host itself (a copy, a resize). */
struct lease_id {
    struct uuid host, vm;
    int64_t generation; /* from 1 */
};

#define LEASE_NAME_SIZE (2 * UUID_TEXT_SIZE + 21 + 10)

/* "<host>.<generation>.<vm>.<nonce>"; the nonce makes each lease one of its own, so that what is meant for one never
 * meets the next. Returns `name`. */
const char *lease_format(const struct lease_id *id, uint32_t nonce, char name[static LEASE_NAME_SIZE]);
bool lease_parse(const char *name, struct lease_id *ret) _warn_unused_;

enum lease_verdict {
    LEASE_FREE,
    LEASE_MINE,    /* this VM of this host has it already */
    LEASE_OLDER,   /* this host had it before it was started anew: nothing of that time runs any more */
    LEASE_OTHERS,  /* another host's, or another VM's of this host */
    LEASE_DAMAGED, /* more than one, or one that cannot be read: nobody may have the disk */
};

/* What the names in a disk's folder mean for `me`. `*ret_name` is the name that decided (borrowed from `names`, NULL
 * for FREE), `*ret_holder` who it is (OLDER and OTHERS only). */
enum lease_verdict lease_judge(const struct strv *names, const struct lease_id *me, const char **ret_name,
                               struct lease_id *ret_holder);

/* A lease of `host` that nothing on it stands for: of an earlier boot, or of a VM that is not in `running`. */
bool lease_is_stale(const struct lease_id *lease, const struct uuid *host, int64_t generation,
                    const struct uuid *running, size_t n_running);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a restart of this host depends on, as membership knows it: certificate, files, and the other hosts. And the two
 * things that can be mended while the daemon runs: the file that says who this host is, and its certificate. Loop
 * thread.
 */
#pragma once

#include "pool/pool.h"

struct pool_outlook {        /* texts are owned; NULL: nothing to say */
    char *certificate_error; /* on disk: not sound, or not of this pool */
    int64_t not_before, not_after;
    char *identity_error;
    char *database_file; /* of a voter */
    bool is_voter, has_majority, can_replace;
    unsigned n_hosts, n_other_live, n_voters, n_voters_live; /* hosts and voters with this one */
    char *away_voters, *away_hosts;
};
/* Reads some small files. `ret` need not be initialised. */
void pool_get_outlook(struct pool *p, struct pool_outlook *ret);
void pool_outlook_done(struct pool_outlook *o);

/* Writes host.json from memory, unless it is as it should be. */
void pool_write_identity(struct pool *p);
/* Asks the coordinator for a new certificate for this host's key and installs it. Ends within 15 s. */
void pool_renew_certificate(struct pool *p, pool_done_fn *done, void *userdata);
void pool_outlook_free(struct pool *p); /* when the pool ends */

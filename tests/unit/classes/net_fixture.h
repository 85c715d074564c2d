/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool whose hosts have NICs and obey: each host looks at the rows a moment after they changed and reports an
 * outcome, as the network agent of a real one does. Tests say which host refuses, or is silent.
 */
#pragma once

#include "api_fixture.h"

#define NICS 4

enum obedience { OBEY, ROLL_BACK, REFUSE, SILENT };

struct nf {
    struct fx *fx;
    struct uuid networks[NICS];        /* xenbr0... */
    struct uuid pifs[MAX_HOSTS][NICS]; /* eth0... ; eth0 is management, static */
    enum obedience obedience[MAX_HOSTS];
    struct db_watch *watch;
    struct loop_source *timer;
};

struct nf *nf_new(unsigned n_hosts);
void nf_free(struct nf *nf);
void nf_set_live(struct nf *nf, unsigned host, bool live);
const char *nf_str(struct nf *nf, const struct uuid *pif, unsigned field);
int64_t nf_int(struct nf *nf, const struct uuid *pif, unsigned field);
bool nf_bool(struct nf *nf, const struct uuid *pif, unsigned field);
/* A network made by network.create. */
struct uuid nf_network(struct nf *nf, int mtu);
/* Bond.create of two NICs of a host on that network; the reference of the bond's PIF. */
struct uuid nf_bond(struct nf *nf, unsigned host, const struct uuid *network, unsigned nic1, unsigned nic2);
struct uuid ref_of(const char *json); /* of a quoted reference */

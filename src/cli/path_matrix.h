/* SPDX-License-Identifier: Apache-2.0 */
/* What passes between the legs of all hosts, drawn as one matrix per network and VLAN. Texts in, text out; pure. */
#pragma once

#include "base/buf.h"

struct path {
    char *host, *leg, *peer, *peer_leg; /* names of hosts, devices */
    int vlan;                           /* 0: untagged */
    int passes, wanted;                 /* bytes; passes 0: nothing does */
    bool is_old;                        /* the host that measured it is not there any more to do it again */
};

/*
 * Rows are legs that send, columns legs that receive; legs that have a path to each other stand in one matrix. A cell
 * is the size that passes, with '<' behind it when more is wanted, "dead", or a dot where there is no path; what is old
 * has a '?' behind it. As many columns beside one another as fit into `width`, the others below.
 */
void path_matrix(struct buf *out, const struct path *paths, size_t n, unsigned width);

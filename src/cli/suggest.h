/* SPDX-License-Identifier: Apache-2.0 */
/* The word that was probably meant: the nearest of those that are known. Pure. */
#pragma once

#include "base/macro.h"

struct suggestion {
    const char *word; /* what was typed; borrowed */
    char best[128];   /* "" while nothing is near enough */
    unsigned least;
};

struct suggestion suggestion_new(const char *word);
void suggestion_consider(struct suggestion *s, const char *candidate);
/* How many letters must be put in, left out, changed or swapped with their neighbour to make b of a. */
unsigned suggestion_distance(const char *a, const char *b);

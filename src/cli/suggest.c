/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/suggest.h"

#include <string.h>

#include "base/str.h"

#define MAX_LEN 63 /* longer words are cut: no command is that long */

/* A third of the letters may be wrong, at least one, at most three: beyond that it is guessing. */
static unsigned tolerance(const char *word) {
    unsigned third = (unsigned)strlen(word) / 3;
    return third < 1 ? 1 : third > 3 ? 3 : third;
}

struct suggestion suggestion_new(const char *word) {
    return (struct suggestion){.word = word, .least = tolerance(word) + 1};
}

void suggestion_consider(struct suggestion *s, const char *candidate) {
    unsigned d = suggestion_distance(s->word, candidate);
    if (d < s->least) {
        s->least = d;
        str_copy(s->best, sizeof(s->best), candidate);
    }
}

unsigned suggestion_distance(const char *a, const char *b) {
    unsigned rows[3][MAX_LEN + 1], *before = rows[0], *above = rows[1], *row = rows[2];
    unsigned n = (unsigned)MIN(strlen(b), (size_t)MAX_LEN), m = (unsigned)MIN(strlen(a), (size_t)MAX_LEN);
    for (unsigned k = 0; k <= n; k++)
        above[k] = before[k] = k;
    for (unsigned i = 1; i <= m; i++) {
        row[0] = i;
        for (unsigned k = 1; k <= n; k++) {
            unsigned best = above[k - 1] + (a[i - 1] != b[k - 1]);
            best = MIN(best, above[k] + 1);
            best = MIN(best, row[k - 1] + 1);
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
                best = MIN(best, before[k - 2] + 1);
            row[k] = best;
        }
        unsigned *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[n];
}

/* SPDX-License-Identifier: Apache-2.0 */
/* host.json as it may lie on a damaged disk. What is taken is written and taken again as the same. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "fuzz_files.h"
#include "pool/pool_identity.h"

static void require_same(const struct identity *a, const struct identity *b) {
    bool same = uuid_eq(&a->host, &b->host) && uuid_eq(&a->pool, &b->pool) &&
                uuid_eq(&a->coordinator, &b->coordinator) && a->epoch == b->epoch && a->database == b->database &&
                a->n_hosts == b->n_hosts;
    for (unsigned i = 0; same && i < a->n_hosts; i++)
        same = uuid_eq(&a->hosts[i].host, &b->hosts[i].host) && str_eq(a->hosts[i].address, b->hosts[i].address) &&
               a->hosts[i].voter == b->hosts[i].voter;
    if (!same)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct identity *first = xnew0(struct identity), *second = xnew0(struct identity);
    struct error *e = NULL;
    bool found, previous;
    fuzz_files_set("/s/host.json", data, size);
    if (identity_load("/s", first, &found, &previous, &e)) {
        if (!found || previous)
            abort();
        fuzz_files_clear();
        if (!identity_save("/s", first, &e) || !identity_load("/s", second, &found, &previous, &e))
            abort();
        require_same(first, second);
    } else if (!found) {
        abort(); /* a damaged file is no host that has never been anything */
    }
    error_free(e);
    fuzz_files_clear();
    free(first);
    free(second);
    return 0;
}

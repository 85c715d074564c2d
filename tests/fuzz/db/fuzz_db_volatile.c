/* SPDX-License-Identifier: Apache-2.0 */
/* Exports of the volatile store from a hostile host; and what was taken must come out again the same. */
#include <stdlib.h>
#include <string.h>

#include "db/db.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct loop *loop;
    if (!loop)
        loop = loop_new();
    struct db *d = db_new(loop), *copy = db_new(loop);
    struct uuid owner = {{1}};
    struct error *e = NULL;
    uint64_t generation;
    if (db_volatile_apply(d, &owner, (const char *)data, size, &e)) {
        char *text = db_volatile_export(d, &owner, 0, &generation);
        if (!db_volatile_apply(copy, &owner, text, strlen(text), &e))
            abort();
        for (int i = 0; i < N_CLASSES; i++) {
            if (db_count(d, i) != db_count(copy, i))
                abort();
            for (const struct row *r = db_first(d, i); r; r = db_next(d, r)) {
                const struct row *other = db_get(copy, i, &r->uuid);
                for (unsigned f = 0; f < r->class->n_fields; f++) {
                    bool kept = r->class->fields[f].store == STORE_VOLATILE;
                    if (!other || (kept && !value_equal(row_value(r, f), row_value(other, f))))
                        abort();
                }
                db_row_json(d, r);
            }
        }
        free(text);
    } else {
        error_free(e);
    }
    db_free(copy);
    db_free(d);
    return 0;
}

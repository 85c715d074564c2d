/* SPDX-License-Identifier: Apache-2.0 */
/* Monitor updates into the replica: lines of JSON, each the update of one table set. */
#include <string.h>

#include "db/db_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct db *d;

static void on_begin(bool snapshot, void *userdata) {
    if (snapshot)
        db_snapshot_begin(d);
}

static void on_row(const char *table, const struct uuid *u, enum ovsdb_row_op op, const json_t *columns,
                   void *userdata) {
    const struct class_def *class = model_class_by_name(table);
    if (class && db_class_is_stored(class->id))
        db_apply_row(d, class->id, u, op, columns);
}

static void on_end(void *userdata) {
    db_batch_close(d);
}

static const struct ovsdb_monitor_ops ops = {.begin = on_begin, .row = on_row, .end = on_end};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct loop *loop;
    if (!loop)
        loop = loop_new();
    d = db_new(loop);
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t n = end ? (size_t)(end - data) - at : size - at;
        _cleanup_json_ json_t *update = json_loadb((const char *)data + at, n, 0, NULL);
        struct error *e = NULL;
        if (update && !ovsdb_monitor_decode(update, false, &ops, NULL, &e))
            error_free(e);
        at += n + 1;
    }
    for (int i = 0; i < N_CLASSES; i++)
        for (const struct row *r = db_first(d, i); r; r = db_next(d, r))
            db_row_json(d, r);
    db_free(d);
    return 0;
}

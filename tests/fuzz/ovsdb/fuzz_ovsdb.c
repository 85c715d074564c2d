/* SPDX-License-Identifier: Apache-2.0 */
/* The splitter, cut at every third byte, and the decoder of monitor updates behind it. */
#include <string.h>

#include "ovsdb/ovsdb_frame.h"
#include "ovsdb/ovsdb_monitor.h"
#include "ovsdb/ovsdb_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void touch(const json_t *v) {
    const json_t *key, *value;
    struct uuid u;
    for (size_t i = 0; i < ovsdb_set_size(v); i++)
        if (ovsdb_uuid_parse(ovsdb_set_item(v, i), &u) && !ovsdb_is_set(ovsdb_set_item(v, i)))
            abort(); /* a uuid is an atom */
    for (size_t i = 0; ovsdb_is_map(v) && ovsdb_map_pair(v, i, &key, &value); i++)
        (void)ovsdb_is_set(value);
}

static void on_begin(bool snapshot, void *userdata) {}
static void on_end(void *userdata) {}
static void on_row(const char *table, const struct uuid *u, enum ovsdb_row_op op, const json_t *columns,
                   void *userdata) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)columns, name, value) {
        touch(value);
    }
}

static const struct ovsdb_monitor_ops ops = {.begin = on_begin, .row = on_row, .end = on_end};

static void handle(const char *text, size_t size) {
    _cleanup_json_ json_t *message = json_loadb(text, size, 0, NULL);
    if (!message)
        return;
    struct error *e = NULL;
    if (!ovsdb_transact_check(json_object_get(message, "result"), 2, NULL, &e))
        error_free(e);
    const json_t *params = json_object_get(message, "params");
    e = NULL;
    if (!ovsdb_monitor_decode(json_array_get(params, json_array_size(params) - 1), true, &ops, NULL, &e))
        error_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ovsdb_frame f;
    ovsdb_frame_init(&f, 4096);
    for (size_t at = 0; at < size; at += 3) {
        ovsdb_frame_add(&f, data + at, MIN((size_t)3, size - at));
        const char *text;
        size_t n;
        int r;
        while ((r = ovsdb_frame_next(&f, &text, &n)) > 0)
            handle(text, n);
        if (r < 0)
            break;
    }
    ovsdb_frame_done(&f);
    return 0;
}

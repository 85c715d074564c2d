/* SPDX-License-Identifier: Apache-2.0 */
/* A replica without a database, for the unit tests: rows come in through db_apply_row as a monitor would report them.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "db/db_internal.h"
#include "loop/loop.h"

/* UUID number n, the same in every run. */
static inline struct uuid U(unsigned n) {
    struct uuid u = {{0xa0, [6] = 0x40, [8] = 0x80}};
    u.b[14] = (uint8_t)(n >> 8);
    u.b[15] = (uint8_t)n;
    return u;
}

static inline json_t *
J(const char *text) {
    json_error_t e;
    json_t *v = json_loads(text, JSON_DECODE_ANY, &e);
    if (!v)
        fail_msg("%s: %s", text, e.text);
    return v;
}

/* `columns` with ' for ". */
static inline void row(struct db *d, int class_id, unsigned n, enum ovsdb_row_op op, const char *columns) {
    _cleanup_free_ char *text = columns ? xstrdup(columns) : NULL;
    for (char *c = text; c && *c; c++)
        *c = *c == '\'' ? '"' : *c;
    _cleanup_json_ json_t *j = text ? J(text) : NULL;
    struct uuid u = U(n);
    db_apply_row(d, class_id, &u, op, j);
}

static inline void insert(struct db *d, int class_id, unsigned n, const char *columns) {
    row(d, class_id, n, OVSDB_ROW_INSERT, columns);
}

static inline void modify(struct db *d, int class_id, unsigned n, const char *columns) {
    row(d, class_id, n, OVSDB_ROW_MODIFY, columns);
}

static inline void delete (struct db *d, int class_id, unsigned n) {
    row(d, class_id, n, OVSDB_ROW_DELETE, NULL);
}

static inline const struct row *get(struct db *d, int class_id, unsigned n) {
    struct uuid u = U(n);
    return db_get(d, class_id, &u);
}

struct fixture {
    struct loop *loop;
    struct db *db;
};

static inline int setup(void **state) {
    struct fixture *f = xnew0(struct fixture);
    f->loop = loop_new();
    f->db = db_new(f->loop);
    *state = f;
    return 0;
}

static inline int teardown(void **state) {
    struct fixture *f = *state;
    db_free(f->db);
    loop_free(f->loop);
    free(f);
    return 0;
}

/* Writes each event as "+PIF5 ", "~PIF5 ", "-PIF5 " into a buffer. */
static inline void record_event(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    unsigned n = (unsigned)(r->uuid.b[14] << 8 | r->uuid.b[15]);
    buf_addf(userdata, "%c%s%u ", "+~-"[event], r -> class -> name, n);
}

static inline void record_change(const struct db_change *c, void *userdata) {
    unsigned n = (unsigned)(c->uuid.b[14] << 8 | c->uuid.b[15]);
    buf_addf(userdata, "%c%s%u ", "+~-"[c->op], model_classes[c->class_id].name, n);
}

#define assert_buf(b, text)                                                                                            \
    do {                                                                                                               \
        assert_string_equal(buf_str(b), text);                                                                         \
        buf_clear(b);                                                                                                  \
    } while (0)

/* SPDX-License-Identifier: Apache-2.0 */
#include "facts.h"

#include "base/fs.h"
#include "base/str.h"
#include <stdarg.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#define MAX_COLUMNS 7

static void add_line(struct facts *f, char *line) {
    char *columns[MAX_COLUMNS] = {0};
    unsigned n = 0;
    for (char *p = line, *tab; n < MAX_COLUMNS; p = tab + 1) {
        columns[n++] = p;
        tab = strchr(p, '\t');
        if (!tab)
            break;
        *tab = 0;
    }
    struct fact *fact = &f->items[f->n++];
    *fact = (struct fact){.kind = columns[0], .class_name = columns[1], .name = ""};
    if (str_eq(fact->kind, "field")) {
        assert_int_equal(n, 7);
        fact->name = columns[2];
        fact->type = columns[3];
        fact->access = columns[4];
        fact->preset = columns[5];
    } else if (str_eq(fact->kind, "call")) {
        assert_int_equal(n, 7);
        fact->name = columns[2];
        fact->type = columns[4];
        fact->role = columns[5];
    } else {
        assert_string_equal(fact->kind, "class");
    }
}

void facts_read(struct facts *ret, const char *path) {
    struct buf text = BUF_INIT;
    *ret = (struct facts){0};
    assert_int_equal(fs_read(path, 1 << 20, &text), 0);
    size_t n_lines = 0;
    for (const char *p = buf_str(&text); *p; p++)
        n_lines += *p == '\n';
    ret->items = xcalloc(n_lines + 1, sizeof(*ret->items));
    ret->text = buf_take(&text);
    for (char *line = ret->text, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        *end = 0;
        if (*line != '#')
            add_line(ret, line);
    }
    assert_true(ret->n > 2900); /* the whole API, not a remnant of it */
}

void facts_done(struct facts *f) {
    free(f->items);
    free(f->text);
}

const struct fact *facts_call(const struct facts *f, const char *class_name, const char *name) {
    for (size_t i = 0; i < f->n; i++) {
        const struct fact *x = &f->items[i];
        if (str_eq(x->kind, "call") && str_eq(x->class_name, class_name) && str_eq(x->name, name))
            return x;
    }
    return NULL;
}

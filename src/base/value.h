/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one dynamic value of XenAPI data: what a field of a row, an argument or a result holds. Codecs, the replica and
 * the calls speak it. A value owns what it points to; `value_done` frees it, `value_copy` copies deeply, `value_take`
 * moves. Not thread-safe; move it to hand it to another thread.
 *
 * Shapes: enums are strings; a record is a map with its field names as keys in definition order; map keys are always
 * strings here (references as "OpaqueRef:..." text, ints as decimal text), typed by the datamodel where it matters.
 */
#pragma once

#include "base/buf.h"
#include "base/uuid.h"

enum value_type {
    VALUE_VOID, /* "" on the wire; also "not there" */
    VALUE_STRING,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_BOOL,
    VALUE_TIME, /* seconds since 1970-01-01T00:00:00Z */
    VALUE_REF,
    VALUE_SET,
    VALUE_MAP,
};

struct value_pair;

struct value {
    enum value_type type;
    union {
        char *string; /* NULL means "" */
        int64_t integer;
        double real;
        bool boolean;
        int64_t time;
        struct uuid ref;
        struct {
            struct value *items;
            size_t n;
        } set;
        struct {
            struct value_pair *pairs; /* insertion order */
            size_t n;
        } map;
    };
};

struct value_pair {
    char *key;
    struct value value;
};

void value_done(struct value *v); /* frees, leaves VALUE_VOID */
#define _cleanup_value_ _cleanup_(value_done)
struct value value_copy(const struct value *v);
struct value value_take(struct value *v); /* moves, leaves VALUE_VOID */
bool value_equal(const struct value *a,
                 const struct value *b);    /* sets: same members in any order; maps: same pairs in any order */
size_t value_memory(const struct value *v); /* heap bytes behind it, for accounting */

struct value value_string(const char *s);
struct value value_stringf(const char *fmt, ...) _printf_(1, 2);
struct value value_string_take(char *s);
struct value value_int(int64_t i);
struct value value_float(double d);
struct value value_bool(bool b);
struct value value_time(int64_t seconds);
struct value value_ref(const struct uuid *u); /* NULL u: null reference */
struct value value_set(void);
struct value value_map(void);

const char *value_str(const struct value *v); /* the text of a string, never NULL; "" for any other type */
int64_t value_as_int(const struct value *v);  /* 0 when not an int */
bool value_as_bool(const struct value *v);

void value_set_add(struct value *set, struct value item); /* takes item */
bool value_set_has(const struct value *set, const struct value *item);
bool value_set_remove(struct value *set, const struct value *item);

void value_map_add(
    struct value *map, const char *key,
    struct value item); /* takes item; key must be new (not checked: big maps are built in linear time) */
void value_map_put(struct value *map, const char *key, struct value item); /* takes item; replaces */
struct value *value_map_get(const struct value *map, const char *key);     /* borrowed, NULL when absent */
const char *value_map_str(const struct value *map, const char *key); /* text of a string member, NULL when absent */
bool value_map_remove(struct value *map, const char *key);

/* XenAPI time text "20260821T02:00:23Z"; parsing also takes dashes and no zone (UTC). */
#define TIME_TEXT_SIZE 24
const char *time_text(int64_t seconds, char text[static TIME_TEXT_SIZE]);
bool time_parse(const char *text, int64_t *ret) _warn_unused_;

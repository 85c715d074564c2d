/* SPDX-License-Identifier: Apache-2.0 */
/* The small parsers of src/base. What one of them accepts must survive a round trip through its own text. */
#include "fuzz.h"

#include "base/log.h"
#include "base/str.h"
#include "base/value.h"

static void require(bool holds) {
    if (!holds)
        abort();
}

static void try_numbers(const char *text) {
    int64_t i;
    double d;
    if (str_parse_int(text, INT64_MIN, INT64_MAX, &i)) {
        int64_t again;
        _cleanup_free_ char *s = strf("%lld", (long long)i);
        require(str_parse_int(s, i, i, &again) && again == i);
    }
    if (str_parse_int(text, -10, 10, &i))
        require(i >= -10 && i <= 10);
    (void)!str_parse_double(text, &d);
}

static void try_time(const char *text) {
    int64_t t, again;
    char out[TIME_TEXT_SIZE];
    if (time_parse(text, &t))
        require(time_parse(time_text(t, out), &again) && again == t);
    /* Any number gives a text that is a time. */
    int64_t any = 0;
    memcpy(&any, text, MIN(sizeof(any), strlen(text)));
    require(time_parse(time_text(any, out), &t));
}

static void try_uuid(const char *text) {
    struct uuid u, again;
    char out[REF_TEXT_SIZE];
    if (uuid_parse(text, &u))
        require(uuid_parse(uuid_text(&u, out), &again) && uuid_eq(&u, &again) && strcasecmp(text, out) == 0);
    if (ref_parse(text, &u))
        require(ref_parse(ref_text(&u, out), &again) && uuid_eq(&u, &again));
}

/* A small machine that builds values from the bytes, to try equality, copies and the operations on sets and maps. */
static struct value build(const uint8_t **p, const uint8_t *end, unsigned depth) {
    if (*p == end)
        return value_int(0);
    uint8_t op = *(*p)++;
    if (depth < 8 && op % 8 >= 5) {
        struct value v = op % 8 == 5 ? value_map() : value_set();
        for (unsigned n = op / 8 % 8; n > 0 && *p < end; n--) {
            if (v.type == VALUE_SET) {
                value_set_add(&v, build(p, end, depth + 1));
                continue;
            }
            char key[2] = {(char)('a' + *(*p)++ % 26), '\0'};
            value_map_put(&v, key, build(p, end, depth + 1));
        }
        return v;
    }
    switch (op % 8) {
    case 0:
        return value_stringf("%u", op);
    case 1:
        return value_int(op);
    case 2:
        return value_bool(op & 8);
    case 3:
        return value_float(op);
    default:
        return value_time(op);
    }
}

static void try_value(const uint8_t *data, size_t size) {
    const uint8_t *p = data;
    _cleanup_value_ struct value v = build(&p, data + size, 0);
    _cleanup_value_ struct value w = build(&p, data + size, 0);
    _cleanup_value_ struct value copy = value_copy(&v);
    require(value_equal(&v, &copy) && value_memory(&v) == value_memory(&copy));
    require(value_equal(&v, &w) == value_equal(&w, &v));
    if (v.type == VALUE_SET && v.set.n > 1) {
        struct value first = value_copy(&v.set.items[0]);
        require(value_set_remove(&copy, &first) && !value_equal(&v, &copy));
        value_set_add(&copy, first); /* now at the end: another order, the same set */
        require(value_equal(&v, &copy));
    }
    if (v.type == VALUE_MAP && v.map.n > 0) {
        _cleanup_free_ char *key = xstrdup(v.map.pairs[0].key);
        require(value_map_remove(&copy, key) && !value_map_get(&copy, key) && !value_equal(&v, &copy));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = xmalloc(size + 1);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (str_is_utf8(text, size))
        require(strlen(text) == size);
    enum log_level level;
    (void)!log_level_parse(text, &level);
    try_numbers(text);
    try_time(text);
    try_uuid(text);
    try_value(data, size);
    return 0;
}

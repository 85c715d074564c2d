/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Equality of values. Sets and maps are compared as multisets: members are paired by hash first, so that sets of
 * thousands of references cost n log n, not n squared.
 */
#include "base/str.h"
#include "base/value.h"

#include <math.h>

/* One member of a set (key NULL) or a map. */
struct member {
    uint64_t hash;
    const char *key;
    const struct value *value;
    bool paired;
};

static bool members_equal(const struct value *a, const struct value *b);
static bool arrays_equal(const struct value *a, const struct value *b);

bool value_equal(const struct value *a, const struct value *b) {
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case VALUE_VOID:
        return true;
    case VALUE_STRING:
        return str_eq(value_str(a), value_str(b));
    case VALUE_INT:
        return a->integer == b->integer;
    case VALUE_FLOAT: /* a field that holds NaN has not changed when it holds NaN again */
        return a->real == b->real || (isnan(a->real) && isnan(b->real));
    case VALUE_BOOL:
        return a->boolean == b->boolean;
    case VALUE_TIME:
        return a->time == b->time;
    case VALUE_REF:
        return uuid_eq(&a->ref, &b->ref);
    case VALUE_SET:
        return a->set.n == b->set.n && (arrays_equal(a, b) || members_equal(a, b));
    case VALUE_MAP:
        return a->map.n == b->map.n && (arrays_equal(a, b) || members_equal(a, b));
    }
    return false;
}

/* Same members in the same order: the usual case. Looks at the surface only, to keep nested values linear. */
static bool flat(const struct value *v) {
    return v->type != VALUE_SET && v->type != VALUE_MAP;
}

static bool arrays_equal(const struct value *a, const struct value *b) {
    for (size_t i = 0; i < (a->type == VALUE_SET ? a->set.n : a->map.n); i++) {
        const struct value *x = a->type == VALUE_SET ? &a->set.items[i] : &a->map.pairs[i].value;
        const struct value *y = b->type == VALUE_SET ? &b->set.items[i] : &b->map.pairs[i].value;
        if (!flat(x) || !value_equal(x, y))
            return false;
        if (a->type == VALUE_MAP && !str_eq(a->map.pairs[i].key, b->map.pairs[i].key))
            return false;
    }
    return true;
}

static uint64_t mix(uint64_t h) {
    h ^= h >> 33;
    h *= UINT64_C(0xff51afd7ed558ccd);
    h ^= h >> 33;
    h *= UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ h >> 33;
}

static uint64_t text_hash(const char *s) {
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
    return mix(h);
}

/* Equal values have equal hashes; the order of members does not matter. */
static uint64_t value_hash(const struct value *v) {
    uint64_t h = 0;
    switch (v->type) {
    case VALUE_VOID:
        break;
    case VALUE_STRING:
        h = text_hash(value_str(v));
        break;
    case VALUE_INT:
        h = mix((uint64_t)v->integer);
        break;
    case VALUE_FLOAT: /* all floats in one bucket: 0.0 equals -0.0, and sets of them are short */
        break;
    case VALUE_BOOL:
        h = v->boolean;
        break;
    case VALUE_TIME:
        h = mix((uint64_t)v->time);
        break;
    case VALUE_REF:
        h = uuid_hash(&v->ref);
        break;
    case VALUE_SET:
        for (size_t i = 0; i < v->set.n; i++)
            h += value_hash(&v->set.items[i]);
        break;
    case VALUE_MAP:
        for (size_t i = 0; i < v->map.n; i++)
            h += mix(text_hash(v->map.pairs[i].key) ^ mix(value_hash(&v->map.pairs[i].value)));
        break;
    }
    return mix(h + v->type);
}

static int member_compare(const void *a, const void *b) {
    const struct member *x = a, *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static struct member *members_sorted(const struct value *v, size_t n) {
    struct member *m = xcalloc(n, sizeof(*m));
    for (size_t i = 0; i < n; i++) {
        if (v->type == VALUE_SET)
            m[i] = (struct member){.value = &v->set.items[i]};
        else
            m[i] = (struct member){.key = v->map.pairs[i].key, .value = &v->map.pairs[i].value};
        m[i].hash = mix(value_hash(m[i].value) ^ (m[i].key ? text_hash(m[i].key) : 0));
    }
    qsort(m, n, sizeof(*m), member_compare);
    return m;
}

static bool members_equal(const struct value *a, const struct value *b) {
    size_t n = a->type == VALUE_SET ? a->set.n : a->map.n;
    if (n == 0)
        return true;
    _cleanup_free_ struct member *x = members_sorted(a, n);
    _cleanup_free_ struct member *y = members_sorted(b, n);
    for (size_t i = 0; i < n; i++)
        if (x[i].hash != y[i].hash)
            return false;
    for (size_t i = 0, first = 0; i < n; i++) {
        while (y[first].hash < x[i].hash)
            first++;
        size_t j = first;
        for (; j < n && y[j].hash == x[i].hash; j++)
            if (!y[j].paired && (!x[i].key || str_eq(x[i].key, y[j].key)) && value_equal(x[i].value, y[j].value))
                break;
        if (j == n || y[j].hash != x[i].hash)
            return false;
        y[j].paired = true;
    }
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/value.h"
#include "base/str.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>

void value_done(struct value *v) {
    switch (v->type) {
    case VALUE_STRING:
        free(v->string);
        break;
    case VALUE_SET:
        for (size_t i = 0; i < v->set.n; i++)
            value_done(&v->set.items[i]);
        free(v->set.items);
        break;
    case VALUE_MAP:
        for (size_t i = 0; i < v->map.n; i++) {
            free(v->map.pairs[i].key);
            value_done(&v->map.pairs[i].value);
        }
        free(v->map.pairs);
        break;
    default:
        break;
    }
    *v = (struct value){.type = VALUE_VOID};
}

struct value value_copy(const struct value *v) {
    struct value copy = *v;
    switch (v->type) {
    case VALUE_STRING:
        copy.string = v->string ? xstrdup(v->string) : NULL;
        break;
    case VALUE_SET:
        copy.set.items = v->set.n ? xcalloc(v->set.n, sizeof(*copy.set.items)) : NULL;
        for (size_t i = 0; i < v->set.n; i++)
            copy.set.items[i] = value_copy(&v->set.items[i]);
        break;
    case VALUE_MAP:
        copy.map.pairs = v->map.n ? xcalloc(v->map.n, sizeof(*copy.map.pairs)) : NULL;
        for (size_t i = 0; i < v->map.n; i++)
            copy.map.pairs[i] =
                (struct value_pair){.key = xstrdup(v->map.pairs[i].key), .value = value_copy(&v->map.pairs[i].value)};
        break;
    default:
        break;
    }
    return copy;
}

struct value value_take(struct value *v) {
    struct value taken = *v;
    *v = (struct value){.type = VALUE_VOID};
    return taken;
}

size_t value_memory(const struct value *v) {
    size_t total = 0;
    switch (v->type) {
    case VALUE_STRING:
        return v->string ? strlen(v->string) + 1 : 0;
    case VALUE_SET:
        for (size_t i = 0; i < v->set.n; i++)
            total += sizeof(struct value) + value_memory(&v->set.items[i]);
        return total;
    case VALUE_MAP:
        for (size_t i = 0; i < v->map.n; i++)
            total += sizeof(struct value_pair) + strlen(v->map.pairs[i].key) + 1 + value_memory(&v->map.pairs[i].value);
        return total;
    default:
        return 0;
    }
}

struct value value_string(const char *s) {
    return value_string_take(xstrdup(s));
}

struct value value_stringf(const char *fmt, ...) {
    char *s = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        abort();
    va_end(ap);
    return value_string_take(s);
}

struct value value_string_take(char *s) {
    return (struct value){.type = VALUE_STRING, .string = s};
}
struct value value_int(int64_t i) {
    return (struct value){.type = VALUE_INT, .integer = i};
}
struct value value_float(double d) {
    return (struct value){.type = VALUE_FLOAT, .real = d};
}
struct value value_bool(bool b) {
    return (struct value){.type = VALUE_BOOL, .boolean = b};
}
struct value value_time(int64_t seconds) {
    return (struct value){.type = VALUE_TIME, .time = seconds};
}

struct value value_ref(const struct uuid *u) {
    struct value v = {.type = VALUE_REF};
    if (u)
        v.ref = *u;
    return v;
}

struct value value_set(void) {
    return (struct value){.type = VALUE_SET};
}
struct value value_map(void) {
    return (struct value){.type = VALUE_MAP};
}

const char *value_str(const struct value *v) {
    return v->type == VALUE_STRING && v->string ? v->string : "";
}
int64_t value_as_int(const struct value *v) {
    return v->type == VALUE_INT ? v->integer : 0;
}
bool value_as_bool(const struct value *v) {
    return v->type == VALUE_BOOL && v->boolean;
}

/* Room for one more element behind the n that are there. Doubles, and asks the allocator instead of keeping a capacity,
 * so that arrays of exact size (copies) may grow too. */
static void *array_grow(void *items, size_t n, size_t size) {
    if (items && malloc_usable_size(items) / size > n)
        return items;
    return xrealloc_array(items, n ? n * 2 : 1, size);
}

void value_set_add(struct value *set, struct value item) {
    set->set.items = array_grow(set->set.items, set->set.n, sizeof(*set->set.items));
    set->set.items[set->set.n++] = item;
}

static size_t value_set_find(const struct value *set, const struct value *item) {
    size_t i = 0;
    while (i < set->set.n && !value_equal(&set->set.items[i], item))
        i++;
    return i;
}

bool value_set_has(const struct value *set, const struct value *item) {
    return set->type == VALUE_SET && value_set_find(set, item) < set->set.n;
}

bool value_set_remove(struct value *set, const struct value *item) {
    if (set->type != VALUE_SET)
        return false;
    size_t i = value_set_find(set, item);
    if (i == set->set.n)
        return false;
    value_done(&set->set.items[i]);
    set->set.n--;
    memmove(&set->set.items[i], &set->set.items[i + 1], (set->set.n - i) * sizeof(*set->set.items));
    return true;
}

void value_map_add(struct value *map, const char *key, struct value item) {
    map->map.pairs = array_grow(map->map.pairs, map->map.n, sizeof(*map->map.pairs));
    map->map.pairs[map->map.n++] = (struct value_pair){.key = xstrdup(key), .value = item};
}

void value_map_put(struct value *map, const char *key, struct value item) {
    struct value *old = value_map_get(map, key);
    if (!old) {
        value_map_add(map, key, item);
        return;
    }
    value_done(old);
    *old = item;
}

struct value *value_map_get(const struct value *map, const char *key) {
    if (map->type != VALUE_MAP)
        return NULL;
    for (size_t i = 0; i < map->map.n; i++)
        if (str_eq(map->map.pairs[i].key, key))
            return &map->map.pairs[i].value;
    return NULL;
}

const char *value_map_str(const struct value *map, const char *key) {
    const struct value *v = value_map_get(map, key);
    return v && v->type == VALUE_STRING ? value_str(v) : NULL;
}

bool value_map_remove(struct value *map, const char *key) {
    struct value *v = value_map_get(map, key);
    if (!v)
        return false;
    struct value_pair *pair = container_of(v, struct value_pair, value);
    size_t i = (size_t)(pair - map->map.pairs);
    free(pair->key);
    value_done(&pair->value);
    map->map.n--;
    memmove(pair, pair + 1, (map->map.n - i) * sizeof(*pair));
    return true;
}

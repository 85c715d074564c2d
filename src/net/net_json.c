/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

static void path_add(struct buf *b, const struct net_json *j) {
    if (j->parent)
        path_add(b, j->parent);
    if (!j->member)
        return;
    if (b->size)
        buf_add_char(b, '.');
    buf_add_str(b, j->member);
    if (j->index >= 0)
        buf_addf(b, "[%d]", j->index);
}

void net_json_fail(struct net_json *j, const char *member, const char *fmt, ...) {
    struct net_json_reader *r = j->reader;
    j->object = NULL;
    if (r->failed)
        return;
    r->failed = true;
    _cleanup_buf_ struct buf path = BUF_INIT;
    path_add(&path, j);
    if (member)
        buf_addf(&path, "%s%s", path.size ? "." : "", member);
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    error_setf(r->errp, r->code, "'%s' %s", path.size ? buf_str(&path) : "the whole", text);
}

json_t *net_json_parse(const char *text, size_t size, size_t max_size, const char *what, const char *code,
                       struct error **errp) {
    if (size > max_size) {
        error_setf(errp, code, "the %s has %zu bytes, more than the limit of %zu", what, size, max_size);
        return NULL;
    }
    json_error_t e;
    json_t *o = json_loadb(text, size, JSON_REJECT_DUPLICATES, &e);
    if (!o) {
        if (size == 0)
            error_setf(errp, code, "the %s is empty", what);
        else if (json_error_code(&e) == json_error_premature_end_of_input)
            error_setf(errp, code, "the %s is truncated: it ends after %zu bytes in the middle of a value", what, size);
        else
            error_setf(errp, code, "the %s is not JSON: line %d column %d: %s", what, e.line, e.column, e.text);
        return NULL;
    }
    if (!json_is_object(o)) {
        error_setf(errp, code, "the %s is not a JSON object", what);
        json_decref(o);
        return NULL;
    }
    return o;
}

void net_json_root(struct net_json *j, struct net_json_reader *r, const json_t *object) {
    *j = (struct net_json){.reader = r, .object = r->failed ? NULL : object, .index = -1};
}

/* The member, remembered as known; NULL when absent or after a failure. */
static const json_t *get(struct net_json *j, const char *member) {
    if (j->reader->failed || !j->object)
        return NULL;
    for (unsigned i = 0; i < j->n_used; i++)
        if (str_eq(j->used[i], member))
            return json_object_get(j->object, member);
    if (j->n_used == NET_JSON_MAX_MEMBERS)
        abort();
    j->used[j->n_used++] = member;
    return json_object_get(j->object, member);
}

bool net_json_has(struct net_json *j, const char *member) {
    return get(j, member) != NULL;
}

int64_t net_json_int(struct net_json *j, const char *member, int64_t min, int64_t max, int64_t fallback) {
    const json_t *v = get(j, member);
    if (!v)
        return fallback;
    if (!json_is_integer(v)) {
        net_json_fail(j, member, "is not a whole number");
        return fallback;
    }
    int64_t i = json_integer_value(v);
    if (i < min || i > max) {
        net_json_fail(j, member, "is %lld, not within %lld and %lld", (long long)i, (long long)min, (long long)max);
        return fallback;
    }
    return i;
}

bool net_json_bool(struct net_json *j, const char *member, bool fallback) {
    const json_t *v = get(j, member);
    if (!v)
        return fallback;
    if (!json_is_boolean(v)) {
        net_json_fail(j, member, "is neither true nor false");
        return fallback;
    }
    return json_is_true(v);
}

const char *net_json_str(struct net_json *j, const char *member, size_t max_len, const char *fallback) {
    const json_t *v = get(j, member);
    if (!v)
        return fallback;
    if (!json_is_string(v)) {
        net_json_fail(j, member, "is not a string");
        return fallback;
    }
    if (json_string_length(v) > max_len || strlen(json_string_value(v)) != json_string_length(v)) {
        net_json_fail(j, member, "is longer than %zu characters, or holds a NUL", max_len);
        return fallback;
    }
    return json_string_value(v);
}

void net_json_name(struct net_json *j, const char *member, net_name ret) {
    const char *s = net_json_str(j, member, 1024, "");
    ret[0] = 0;
    if (*s && !net_name_set(ret, s))
        net_json_fail(j, member, "is '%.40s', no name for an interface (1 to %d characters)", s, NET_NAME_SIZE - 1);
}

void net_json_mac(struct net_json *j, const char *member, struct net_mac *ret) {
    const char *s = net_json_str(j, member, 1024, "");
    *ret = (struct net_mac){0};
    if (*s && !net_mac_parse(s, ret))
        net_json_fail(j, member, "is '%.40s', no MAC address", s);
}

void net_json_addr(struct net_json *j, const char *member, struct net_addr *ret) {
    const char *s = net_json_str(j, member, 1024, "");
    *ret = (struct net_addr){0};
    if (*s && !net_addr_parse(s, ret))
        net_json_fail(j, member, "is '%.60s', no IP address", s);
}

int net_json_enum(struct net_json *j, const char *member, const char *const *texts, unsigned n_texts, int fallback) {
    const char *s = net_json_str(j, member, 1024, NULL);
    if (!s)
        return fallback;
    for (unsigned i = 0; i < n_texts; i++)
        if (str_eq(texts[i], s))
            return (int)i;
    net_json_fail(j, member, "is '%.40s', which is not known here", s);
    return fallback;
}

size_t net_json_array(struct net_json *j, const char *member, size_t max) {
    const json_t *v = get(j, member);
    if (!v)
        return 0;
    if (!json_is_array(v)) {
        net_json_fail(j, member, "is not an array");
        return 0;
    }
    size_t n = json_array_size(v);
    if (n > max) {
        net_json_fail(j, member, "has %zu elements, more than %zu", n, max);
        return 0;
    }
    return n;
}

void net_json_element(struct net_json *j, const char *member, size_t i, struct net_json *ret) {
    const json_t *v = json_array_get(get(j, member), i);
    *ret = (struct net_json){.reader = j->reader, .parent = j, .member = member, .index = (int)i};
    if (!v)
        return;
    if (!json_is_object(v)) {
        net_json_fail(ret, NULL, "is not an object");
        return;
    }
    ret->object = v;
}

const char *net_json_element_str(struct net_json *j, const char *member, size_t i, size_t max_len) {
    const json_t *v = json_array_get(get(j, member), i);
    if (!v)
        return "";
    if (!json_is_string(v) || json_string_length(v) > max_len ||
        strlen(json_string_value(v)) != json_string_length(v)) {
        net_json_fail(j, member, "has an element that is no string of at most %zu characters", max_len);
        return "";
    }
    return json_string_value(v);
}

bool net_json_object(struct net_json *j, const char *member, struct net_json *ret) {
    const json_t *v = get(j, member);
    *ret = (struct net_json){.reader = j->reader, .parent = j, .member = member, .index = -1};
    if (!v)
        return false;
    if (!json_is_object(v)) {
        net_json_fail(ret, NULL, "is not an object");
        return false;
    }
    ret->object = v;
    return true;
}

void net_json_end(struct net_json *j) {
    if (j->reader->failed || !j->object)
        return;
    const char *key;
    const json_t *value;
    json_object_foreach((json_t *)j->object, key, value) {
        bool known = false;
        for (unsigned i = 0; i < j->n_used && !known; i++)
            known = str_eq(j->used[i], key);
        if (!known) {
            net_json_fail(j, NULL, "has a member '%.40s' that is not known here", key);
            return;
        }
    }
}

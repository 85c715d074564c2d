/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "wire/utf8_run.h"
#include "wire/value_json.h"

/* Digits that no double can tell apart any more; longer ones are nobody's honest number. */
#define MAX_NUMBER 400
/* Keys of small objects are compared with each other, those of larger ones are sorted first. */
#define FEW_KEYS 16

void json_reader_init(struct json_reader *r, const char *text, size_t size, unsigned max_depth, size_t max_values) {
    *r = (struct json_reader){
        .begin = text, .p = text, .end = text + size, .max_depth = max_depth, .max_values = max_values};
}

bool json_reader_fail(struct json_reader *r, const char *complaint) {
    if (!r->complaint)
        r->complaint = complaint;
    return false;
}

void json_reader_error(const struct json_reader *r, struct error **errp) {
    error_internal(errp, "bad JSON at byte %zu: %s", (size_t)(r->p - r->begin), r->complaint ? r->complaint : "");
}

static void skip_space(struct json_reader *r) {
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
        r->p++;
}

bool json_read_char(struct json_reader *r, char c) {
    skip_space(r);
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

bool json_read_more(struct json_reader *r, char close) {
    if (json_read_char(r, ','))
        return true;
    if (!json_read_char(r, close))
        json_reader_fail(r, "a comma or a closing bracket is missing");
    return false;
}

bool json_read_end(struct json_reader *r) {
    skip_space(r);
    return r->p == r->end || json_reader_fail(r, "something stands behind the value");
}

/* ---- strings ---- */

/* Where the string that begins at s ends: at its quote, with *ret_plain false when it has escapes. */
static const char *find_quote(struct json_reader *r, const char *s, bool *ret_plain) {
    *ret_plain = true;
    while (s < r->end) {
        unsigned char c = (unsigned char)*s;
        if (c == '"')
            return s;
        if (c < 0x20)
            break;
        if (c == '\\') {
            *ret_plain = false;
            s += 2;
        } else if (c < 0x80) {
            s++;
        } else {
            size_t n = utf8_run_size((const unsigned char *)s, (size_t)(r->end - s));
            if (n == 0)
                break;
            s += n;
        }
    }
    r->p = MIN(s, r->end);
    json_reader_fail(r, "a string that does not end, or has control characters or no UTF-8");
    return NULL;
}

/* Four hexadecimal digits at s, or -1. */
static int read_hex(const char *s, const char *end) {
    int v = 0;
    if (end - s < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

static char *put_utf8(char *out, unsigned c) {
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *out++ = (char)(0xe0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    } else {
        *out++ = (char)(0xf0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    }
    return out;
}

/* The escape behind the backslash at s; what it stands for goes to *out (never longer than the escape). NULL: none. */
static const char *unescape(const char *s, const char *end, char **out) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (*s != 'u') {
        const char *which = *s ? strchr(from, *s) : NULL;
        if (!which)
            return NULL;
        *(*out)++ = to[which - from];
        return s + 1;
    }
    int c = read_hex(s + 1, end);
    s += 5;
    if (c <= 0 || (c >= 0xdc00 && c <= 0xdfff))
        return NULL;
    if (c >= 0xd800 && c <= 0xdbff) {
        int low = end - s >= 6 && s[0] == '\\' && s[1] == 'u' ? read_hex(s + 2, end) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return NULL;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        s += 6;
    }
    *out = put_utf8(*out, (unsigned)c);
    return s;
}

char *json_read_string(struct json_reader *r) {
    if (!json_read_char(r, '"')) {
        json_reader_fail(r, "a string is missing");
        return NULL;
    }
    bool plain;
    const char *s = r->p, *quote = find_quote(r, s, &plain);
    if (!quote)
        return NULL;
    char *text;
    if (plain) {
        text = xstrndup(s, (size_t)(quote - s));
    } else {
        char *out = text = xmalloc((size_t)(quote - s) + 1);
        while (s < quote) {
            if (*s != '\\') {
                *out++ = *s++;
                continue;
            }
            const char *next = unescape(s + 1, quote, &out);
            if (!next) {
                r->p = s;
                json_reader_fail(r, "an escape that stands for no character");
                explicit_bzero(text, (size_t)(out - text)); /* it may be a password */
                free(text);
                return NULL;
            }
            s = next;
        }
        *out = '\0';
    }
    r->p = quote + 1;
    return text;
}

char *json_read_key(struct json_reader *r) {
    char *key = json_read_string(r);
    if (!key || json_read_char(r, ':'))
        return key;
    free(key);
    json_reader_fail(r, "a colon is missing");
    return NULL;
}

/* ---- numbers and words ---- */

static bool is_digit(const struct json_reader *r) {
    return r->p < r->end && *r->p >= '0' && *r->p <= '9';
}

static bool skip_digits(struct json_reader *r) {
    if (!is_digit(r))
        return json_reader_fail(r, "a digit is missing");
    while (is_digit(r))
        r->p++;
    return true;
}

static bool read_number(struct json_reader *r, struct value *ret) {
    const char *begin = r->p;
    bool is_real = false, starts_with_zero;
    if (*r->p == '-')
        r->p++;
    starts_with_zero = r->p < r->end && *r->p == '0';
    if (!skip_digits(r))
        return false;
    if (starts_with_zero && r->p - begin - (*begin == '-') > 1)
        return json_reader_fail(r, "a number with a zero in front");
    if (r->p < r->end && *r->p == '.') {
        is_real = true;
        r->p++;
        if (!skip_digits(r))
            return false;
    }
    if (r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
        is_real = true;
        r->p++;
        if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
            r->p++;
        if (!skip_digits(r))
            return false;
    }
    char text[MAX_NUMBER + 1];
    size_t len = (size_t)(r->p - begin);
    if (len > MAX_NUMBER)
        return json_reader_fail(r, "a number of too many digits");
    memcpy(text, begin, len);
    text[len] = '\0';
    int64_t i;
    double d;
    if (is_real ? !str_parse_double(text, &d) : !str_parse_int(text, INT64_MIN, INT64_MAX, &i))
        return json_reader_fail(r, "a number that is too large");
    *ret = is_real ? value_float(d) : value_int(i);
    return true;
}

static bool read_word(struct json_reader *r, const char *word, struct value meaning, struct value *ret) {
    size_t len = strlen(word);
    if ((size_t)(r->end - r->p) < len || memcmp(r->p, word, len) != 0)
        return json_reader_fail(r, "this is no value");
    r->p += len;
    *ret = meaning;
    return true;
}

/* ---- arrays and objects ---- */

static bool enter(struct json_reader *r) {
    if (r->depth == r->max_depth)
        return json_reader_fail(r, "it is nested too deeply");
    r->depth++;
    r->p++;
    return true;
}

static bool read_array(struct json_reader *r, struct value *ret) {
    *ret = value_set();
    if (!enter(r))
        return false;
    bool more = !json_read_char(r, ']');
    while (more) {
        struct value item;
        if (!json_read_value(r, &item))
            return false;
        value_set_add(ret, item);
        more = json_read_more(r, ']');
    }
    r->depth--;
    return !r->complaint;
}

static int compare_keys(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool has_key_twice(const struct value *map) {
    size_t n = map->map.n;
    if (n <= FEW_KEYS) {
        for (size_t i = 1; i < n; i++)
            for (size_t k = 0; k < i; k++)
                if (str_eq(map->map.pairs[i].key, map->map.pairs[k].key))
                    return true;
        return false;
    }
    const char **keys = xcalloc(n, sizeof(*keys));
    for (size_t i = 0; i < n; i++)
        keys[i] = map->map.pairs[i].key;
    qsort(keys, n, sizeof(*keys), compare_keys);
    bool twice = false;
    for (size_t i = 1; i < n && !twice; i++)
        twice = str_eq(keys[i - 1], keys[i]);
    free(keys);
    return twice;
}

static bool read_object(struct json_reader *r, struct value *ret) {
    *ret = value_map();
    if (!enter(r))
        return false;
    bool more = !json_read_char(r, '}');
    while (more) {
        struct value item;
        _cleanup_free_ char *key = json_read_key(r);
        if (!key || !json_read_value(r, &item))
            return false;
        value_map_add(ret, key, item);
        more = json_read_more(r, '}');
    }
    r->depth--;
    if (!r->complaint && has_key_twice(ret))
        json_reader_fail(r, "a key stands there twice");
    return !r->complaint;
}

bool json_read_value(struct json_reader *r, struct value *ret) {
    struct value v = {0};
    bool ok;
    skip_space(r);
    if (r->p == r->end)
        return json_reader_fail(r, "a value is missing");
    if (++r->n_values > r->max_values)
        return json_reader_fail(r, "it has too many values");
    switch (*r->p) {
    case '"': {
        char *text = json_read_string(r);
        ok = text != NULL;
        if (ok)
            v = value_string_take(text);
        break;
    }
    case '[':
        ok = read_array(r, &v);
        break;
    case '{':
        ok = read_object(r, &v);
        break;
    case 't':
        ok = read_word(r, "true", value_bool(true), &v);
        break;
    case 'f':
        ok = read_word(r, "false", value_bool(false), &v);
        break;
    case 'n':
        ok = read_word(r, "null", (struct value){.type = VALUE_VOID}, &v);
        break;
    case '-':
    case '0' ... '9':
        ok = read_number(r, &v);
        break;
    default:
        ok = json_reader_fail(r, "this is no value");
    }
    if (!ok) {
        value_done(&v);
        return false;
    }
    *ret = v;
    return true;
}

bool value_json_parse(const char *text, size_t size, unsigned max_depth, size_t max_values, struct value *ret,
                      struct error **errp) {
    struct json_reader r;
    struct value v;
    json_reader_init(&r, text, size, max_depth, max_values);
    if (!json_read_value(&r, &v)) {
        json_reader_error(&r, errp);
        return false;
    }
    if (!json_read_end(&r)) {
        value_done(&v);
        json_reader_error(&r, errp);
        return false;
    }
    *ret = v;
    return true;
}

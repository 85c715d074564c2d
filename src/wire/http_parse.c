/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/http_parse.h"

#include <strings.h>

#include "base/buf.h"
#include "base/str.h"

const char *const http_method_names[N_HTTP_METHODS] = {
    [HTTP_GET] = "GET",       [HTTP_HEAD] = "HEAD",       [HTTP_POST] = "POST",       [HTTP_PUT] = "PUT",
    [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS", [HTTP_CONNECT] = "CONNECT", [HTTP_PATCH] = "PATCH"};

/* tchar of RFC 9110 5.6.2, as lower case; 0 for everything else. */
static const unsigned char token_chars[256] = {
    ['!'] = '!', ['#'] = '#', ['$'] = '$', ['%'] = '%', ['&'] = '&', ['\''] = '\'', ['*'] = '*', ['+'] = '+',
    ['-'] = '-', ['.'] = '.', ['^'] = '^', ['_'] = '_', ['`'] = '`', ['|'] = '|',   ['~'] = '~', ['0'] = '0',
    ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6',   ['7'] = '7', ['8'] = '8',
    ['9'] = '9', ['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd', ['E'] = 'e',   ['F'] = 'f', ['G'] = 'g',
    ['H'] = 'h', ['I'] = 'i', ['J'] = 'j', ['K'] = 'k', ['L'] = 'l', ['M'] = 'm',   ['N'] = 'n', ['O'] = 'o',
    ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u',   ['V'] = 'v', ['W'] = 'w',
    ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c',   ['d'] = 'd', ['e'] = 'e',
    ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k',   ['l'] = 'l', ['m'] = 'm',
    ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r', ['s'] = 's',   ['t'] = 't', ['u'] = 'u',
    ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z'};

static bool list_has(const char *list, const char *token) {
    size_t len = strlen(token);
    while (*list) {
        list += strspn(list, ", \t");
        size_t n = strcspn(list, ", \t");
        if (n == len && strncasecmp(list, token, len) == 0)
            return true;
        list += n;
    }
    return false;
}

/* "METHOD target HTTP/1.x", terminated; 0 or minus a status. */
static int parse_request_line(char *line, struct http_head *h) {
    char *space = strchr(line, ' ');
    if (!space || space == line)
        return -400;
    for (const char *p = line; p < space; p++)
        if (!token_chars[(unsigned char)*p])
            return -400;
    *space = '\0';
    unsigned m = 0;
    while (m < N_HTTP_METHODS && !str_eq(http_method_names[m], line))
        m++;
    h->target = space + 1;
    space = strchr(h->target, ' ');
    if (!space || space == h->target)
        return -400;
    for (const char *p = h->target; p < space; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f)
            return -400;
    *space = '\0';
    const char *version = space + 1;
    if (strncmp(version, "HTTP/", 5) != 0 || strlen(version) != 8 || version[6] != '.' || version[5] < '0' ||
        version[5] > '9' || version[7] < '0' || version[7] > '9')
        return -400;
    if (version[5] != '1')
        return -505;
    if (m == N_HTTP_METHODS)
        return -501;
    h->method = (enum http_method)m;
    h->minor_version = version[7] == '0' ? 0 : 1;
    return 0;
}

/* Cuts the target into path and query. Absolute form and, for CONNECT, a path as XenServer has it. */
static int split_target(struct http_head *h) {
    char *t = h->target;
    if (strncasecmp(t, "http://", 7) == 0 || strncasecmp(t, "https://", 8) == 0) {
        t = strchr(strchr(t, ':') + 3, '/');
        if (!t)
            return -400;
    }
    if (t[0] != '/' && !(str_eq(t, "*") && h->method == HTTP_OPTIONS))
        return -400;
    h->path = t;
    char *end = strpbrk(t, "?#");
    if (end && *end == '#')
        return -400; /* fragments are not sent */
    if (end) {
        *end = '\0';
        h->query = end + 1;
        if (strchr(h->query, '#'))
            return -400;
    }
    return http_url_decode(h->path, /* plus_is_blank= */ false) ? 0 : -400;
}

/* One "name: value" line of `size` bytes, terminated. */
static int parse_header(char *line, size_t size, struct http_head *h) {
    if (h->n_headers == HTTP_MAX_HEADERS)
        return -431;
    size_t i = 0;
    for (; i < size && line[i] != ':'; i++) {
        unsigned char c = token_chars[(unsigned char)line[i]];
        if (!c)
            return -400; /* also a folded line and a blank before the colon */
        line[i] = (char)c;
    }
    if (i == 0 || i == size)
        return -400;
    line[i++] = '\0';
    while (i < size && (line[i] == ' ' || line[i] == '\t'))
        i++;
    char *value = line + i;
    while (size > i && (line[size - 1] == ' ' || line[size - 1] == '\t'))
        size--;
    line[size] = '\0';
    for (; i < size; i++)
        if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
            return -400;
    h->headers[h->n_headers++] = (struct http_header){.name = line, .value = value};
    return 0;
}

/* What the headers mean for the connection and the body. */
static int interpret(struct http_head *h) {
    h->content_length = -1;
    h->keep_alive = h->minor_version == 1;
    unsigned n_hosts = 0;
    for (unsigned i = 0; i < h->n_headers; i++) {
        const char *name = h->headers[i].name, *value = h->headers[i].value;
        switch (name[0]) {
        case 'c':
            if (str_eq(name, "content-length")) {
                int64_t length;
                if (h->content_length >= 0 || *value == '-' || !str_parse_int(value, 0, INT64_MAX, &length))
                    return -400;
                h->content_length = length;
            } else if (str_eq(name, "connection")) {
                if (list_has(value, "close"))
                    h->keep_alive = false;
                else if (list_has(value, "keep-alive"))
                    h->keep_alive = true;
                if (list_has(value, "upgrade"))
                    h->upgrades = true;
            }
            break;
        case 't':
            if (str_eq(name, "transfer-encoding") && !(strcasecmp(value, "identity") == 0))
                h->is_chunked = true;
            break;
        case 'e':
            if (str_eq(name, "expect") && strcasecmp(value, "100-continue") == 0)
                h->expects_continue = h->minor_version == 1;
            break;
        case 'h':
            if (str_eq(name, "host") && ++n_hosts > 1)
                return -400;
            break;
        default:
            break;
        }
    }
    /* Both would let two readers see the body's end in different places. */
    return h->is_chunked && h->content_length >= 0 ? -400 : 0;
}

int http_parse_head(char *data, size_t size, size_t *scan, struct http_head *ret) {
    /* Find the empty line. *scan stands at the beginning of a line, at the first that is not complete. */
    size_t limit = MIN(size, (size_t)HTTP_MAX_HEAD);
    size_t start = *scan;
    for (;;) {
        char *nl = start < limit ? memchr(data + start, '\n', limit - start) : NULL;
        if (!nl) {
            if (size < HTTP_MAX_HEAD)
                return 0;
            return start == 0 ? -414 : -431;
        }
        size_t end = (size_t)(nl - data);
        if (end == start || nl[-1] != '\r')
            return -400; /* a bare LF */
        size_t next = end + 1;
        if (end - start == 1) { /* an empty line */
            start = next;
            if (end == 1)
                return -400; /* before the request line: the server drops those */
            break;
        }
        *scan = start = next;
    }
    size_t head_size = start;

    /* All there; cut it up. */
    ret->n_headers = 0;
    ret->query = NULL;
    ret->is_chunked = ret->expects_continue = ret->upgrades = false;
    if (memchr(data, '\0', head_size))
        return -400;
    char *line = data;
    bool is_first = true;
    while (line < data + head_size - 2) {
        char *nl = memchr(line, '\n', (size_t)(data + head_size - line));
        char *end = nl - 1;
        *end = '\0';
        int r;
        if (memchr(line, '\r', (size_t)(end - line)))
            r = -400;
        else if (is_first)
            r = parse_request_line(line, ret);
        else
            r = parse_header(line, (size_t)(end - line), ret);
        if (r < 0)
            return r;
        is_first = false;
        line = nl + 1;
    }
    int r = interpret(ret);
    if (r == 0)
        r = split_target(ret);
    return r < 0 ? r : (int)head_size;
}

const char *http_head_get(const struct http_head *h, const char *name) {
    for (unsigned i = 0; i < h->n_headers; i++)
        if (h->headers[i].name[0] == name[0] && str_eq(h->headers[i].name, name))
            return h->headers[i].value;
    return NULL;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_url_decode(char *text, bool plus_is_blank) {
    char *out = text;
    bool plain = true;
    for (const char *p = text; *p; p++) {
        if (*p == '%') {
            int high = hex_digit(p[1]), low = high < 0 ? -1 : hex_digit(p[2]);
            if (low < 0 || (high == 0 && low == 0))
                return false;
            *out++ = (char)(high << 4 | low);
            p += 2;
            plain = false;
        } else {
            if ((unsigned char)*p >= 0x80)
                plain = false;
            *out++ = plus_is_blank && *p == '+' ? ' ' : *p;
        }
    }
    *out = '\0';
    return plain || str_is_utf8(text, (size_t)(out - text));
}

bool http_query_each(const char *query, bool (*fn)(const char *name, const char *value, void *userdata),
                     void *userdata) {
    while (query && *query) {
        size_t n = strcspn(query, "&");
        if (n > 0) {
            _cleanup_free_ char *pair = xstrndup(query, n);
            char *equals = strchr(pair, '=');
            char *value = equals ? equals + 1 : pair + n;
            if (equals)
                *equals = '\0';
            if (!http_url_decode(pair, true) || !http_url_decode(value, true) || !fn(pair, value, userdata))
                return false;
        }
        query += n + (query[n] == '&');
    }
    return true;
}

struct query_search {
    const char *name;
    char *found;
};

static bool query_match(const char *name, const char *value, void *userdata) {
    struct query_search *s = userdata;
    if (!str_eq(name, s->name))
        return true;
    s->found = xstrdup(value);
    return false;
}

char *http_query_get(const char *query, const char *name) {
    struct query_search s = {.name = name};
    (void)http_query_each(query, query_match, &s);
    return s.found;
}

char *http_cookie_get(const char *cookie_header, const char *name) {
    size_t len = strlen(name);
    for (const char *p = cookie_header; p && *p;) {
        p += strspn(p, "; \t");
        size_t n = strcspn(p, ";");
        if (n > len && p[len] == '=' && strncmp(p, name, len) == 0) {
            const char *value = p + len + 1;
            size_t size = n - len - 1;
            while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == '\t'))
                size--;
            if (size >= 2 && value[0] == '"' && value[size - 1] == '"') {
                value++;
                size -= 2;
            }
            char *copy = xstrndup(value, size);
            if (http_url_decode(copy, /* plus_is_blank= */ false))
                return copy;
            free(copy);
            return NULL;
        }
        p += n;
    }
    return NULL;
}

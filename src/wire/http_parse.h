/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.0 and 1.1 request heads (RFC 9112), strictly: CRLF line ends only, no folded lines, no blanks before a colon,
 * no control bytes, one Content-Length, no Transfer-Encoding with a body length. What two readers could understand in
 * two ways is refused. Pure, any thread. Works in place: the head becomes C strings inside the caller's buffer, nothing
 * is allocated.
 */
#pragma once

#include "base/macro.h"

#define HTTP_MAX_HEAD 16384
#define HTTP_MAX_HEADERS 100

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_CONNECT,
    HTTP_PATCH,
    N_HTTP_METHODS
};
extern const char *const http_method_names[N_HTTP_METHODS];

struct http_header {
    char *name;  /* lower case */
    char *value; /* without surrounding blanks */
};

struct http_head {
    enum http_method method;
    int minor_version; /* 0 or 1 */
    char *target;      /* as sent, before the split */
    char *path;        /* percent-decoded, begins with '/', or "*"; no NUL, valid UTF-8 */
    char *query;       /* raw text after '?', NULL when none */
    struct http_header headers[HTTP_MAX_HEADERS];
    unsigned n_headers;
    int64_t content_length; /* -1 when absent */
    bool is_chunked;        /* Transfer-Encoding was given; we take no such bodies */
    bool keep_alive;
    bool expects_continue;
    bool upgrades; /* Connection: upgrade */
};

/*
 * Looks at `size` bytes of input. *scan, 0 at first, remembers how far earlier calls came. Returns the size of the head
 * with its empty line when it is complete (then `ret` is filled and points into `data`, which has been modified), 0
 * when more is needed, or minus the HTTP status to answer: -400, -414, -431, -501 (method), -505 (version).
 */
int http_parse_head(char *data, size_t size, size_t *scan, struct http_head *ret) _warn_unused_;

const char *http_head_get(const struct http_head *h,
                          const char *name); /* lower-case name; NULL; the first of several */

/* Percent-decodes in place ('+' is a blank when plus_is_blank). False for a bad escape, a NUL or broken UTF-8. */
bool http_url_decode(char *text, bool plus_is_blank) _warn_unused_;
/* The decoded value of `name` in a query text or NULL; caller frees. The first of several. */
char *http_query_get(const char *query, const char *name);
/* Calls fn for each pair, decoded; false when one cannot be decoded or fn said false. */
bool http_query_each(const char *query, bool (*fn)(const char *name, const char *value, void *userdata),
                     void *userdata);
/* The value of a cookie in a Cookie header's text (percent-decoded) or NULL; caller frees. */
char *http_cookie_get(const char *cookie_header, const char *name);

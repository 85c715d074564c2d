/* SPDX-License-Identifier: Apache-2.0 */
/* The texts within a request: percent-escapes, a query, a cookie header, and Authorization: Basic. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "wire/http_internal.h"

static bool count_pair(const char *name, const char *value, void *userdata) {
    if (!str_is_utf8(name, strlen(name)) || !str_is_utf8(value, strlen(value)))
        abort();
    return ++*(unsigned *)userdata < 100;
}

static void try_basic(char *text) {
    struct http_request req = {0};
    char *user = NULL, *password = NULL;
    char name[] = "authorization";
    req.head.headers[0] = (struct http_header){name, text};
    req.head.n_headers = 1;
    if (!http_get_basic_auth(&req, &user, &password))
        return;
    if (!user || !password || strchr(user, ':'))
        abort();
    free(user);
    free(password);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = xstrndup((const char *)data, size), *decoded = xstrdup(text);
    unsigned n = 0;
    size_t len = strlen(text);
    (void)http_query_each(text, count_pair, &n);
    free(http_query_get(text, "session_id"));
    free(http_cookie_get(text, "session_id"));
    try_basic(text);
    if (http_url_decode(decoded, /* plus_is_blank= */ true) &&
        (strlen(decoded) > len || !str_is_utf8(decoded, strlen(decoded))))
        abort();
    return 0;
}

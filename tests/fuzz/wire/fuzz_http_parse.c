/* SPDX-License-Identifier: Apache-2.0 */
/* A request head must be understood alike however its bytes arrive, and its texts must lie inside the input. */
#include "fuzz.h"

#include "base/str.h"
#include "wire/http_parse.h"

static void require(bool holds) {
    if (!holds)
        abort();
}

static bool any_pair(const char *name, const char *value, void *userdata) {
    require(str_is_utf8(name, strlen(name)) && str_is_utf8(value, strlen(value)));
    return true;
}

static void check_text(const char *text, const char *data, size_t size) {
    require(text >= data && text + strlen(text) < data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    static struct http_head head, again;
    size_t scan = 0;
    char *data = xmalloc(size + 1);
    memcpy(data, input, size);
    data[size] = '\0';
    int whole = http_parse_head(data, size, &scan, &head);
    require(whole <= (int)size && (whole <= 0 || whole <= HTTP_MAX_HEAD));
    if (whole > 0) {
        check_text(head.path, data, size);
        require(head.path[0] == '/' || str_eq(head.path, "*"));
        require(str_is_utf8(head.path, strlen(head.path)));
        if (head.query)
            check_text(head.query, data, size);
        for (unsigned i = 0; i < head.n_headers; i++) {
            check_text(head.headers[i].name, data, size);
            check_text(head.headers[i].value, data, size);
        }
        (void)http_query_each(head.query, any_pair, NULL);
        free(http_query_get(head.query, "a"));
        free(http_cookie_get(http_head_get(&head, "cookie"), "a"));
    }
    /* In pieces. An error may show earlier, and then be another one. */
    size_t step = size > 0 ? 1 + input[0] % 7 : 1, have = 0;
    int r = 0;
    scan = 0;
    char *piecewise = xmalloc(size + 1);
    memcpy(piecewise, input, size);
    while (r == 0 && have < size) {
        have = MIN(size, have + step);
        r = http_parse_head(piecewise, have, &scan, &again);
    }
    require((r > 0) == (whole > 0) && (r == 0) == (whole == 0));
    if (r > 0)
        require(r == whole && again.n_headers == head.n_headers && again.content_length == head.content_length &&
                str_eq(again.path, head.path));
    free(piecewise);
    free(data);
    return 0;
}

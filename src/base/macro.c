/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"

#include <string.h>

static _noreturn_ void out_of_memory(void) {
    static const char text[] = "out of memory\n";
    ssize_t n _unused_ = write(STDERR_FILENO, text, sizeof(text) - 1);
    abort();
}

void *xmalloc(size_t size) {
    void *p = malloc(size ? size : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *xcalloc(size_t n, size_t size) {
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *xrealloc(void *p, size_t size) {
    void *q = realloc(p, size ? size : 1);
    if (!q)
        out_of_memory();
    return q;
}

void *xrealloc_array(void *p, size_t n, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(n, size, &total))
        out_of_memory();
    return xrealloc(p, total);
}

char *xstrdup(const char *s) {
    size_t size = strlen(s) + 1;
    char *copy = xmalloc(size);
    memcpy(copy, s, size);
    return copy;
}

char *xstrndup(const char *s, size_t n) {
    size_t len = strnlen(s, n);
    char *copy = xmalloc(len + 1);
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

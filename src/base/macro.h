/* SPDX-License-Identifier: Apache-2.0 */
/* Small language helpers used everywhere: scope cleanup, ownership transfer, array sizes. No state, any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)                                                                                                      \
    ({                                                                                                                 \
        typeof(a) min_a_ = (a);                                                                                        \
        typeof(b) min_b_ = (b);                                                                                        \
        min_a_ < min_b_ ? min_a_ : min_b_;                                                                             \
    })
#define MAX(a, b)                                                                                                      \
    ({                                                                                                                 \
        typeof(a) max_a_ = (a);                                                                                        \
        typeof(b) max_b_ = (b);                                                                                        \
        max_a_ > max_b_ ? max_a_ : max_b_;                                                                             \
    })
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _sentinel_ __attribute__((sentinel))
#define _warn_unused_ __attribute__((warn_unused_result))
#define _unused_ __attribute__((unused))
#define _noreturn_ __attribute__((noreturn))

/* TAKE(p): the value of pointer p, leaving NULL behind; hands ownership over. */
#define TAKE(p)                                                                                                        \
    ({                                                                                                                 \
        typeof(p) take_ = (p);                                                                                         \
        (p) = NULL;                                                                                                    \
        take_;                                                                                                         \
    })

/* Out of memory aborts (see STYLE): these never return NULL. */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
void *xrealloc_array(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
#define xnew0(type) ((type *)xcalloc(1, sizeof(type)))

static inline void cleanup_freep(void *p) {
    free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(cleanup_freep)

static inline void cleanup_closep(int *fd) {
    if (*fd >= 0)
        close(*fd);
}
#define _cleanup_close_ _cleanup_(cleanup_closep)

/* The descriptor, leaving -1 behind: what TAKE is for pointers. */
static inline int take_fd(int *fd) {
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* DEFINE_CLEANUP(type, fn): a cleanup function fn##p for `_cleanup_(fn##p) type v`. */
#define DEFINE_CLEANUP(type, fn)                                                                                       \
    static inline void fn##p(type *p) {                                                                                \
        if (*p)                                                                                                        \
            fn(*p);                                                                                                    \
    }

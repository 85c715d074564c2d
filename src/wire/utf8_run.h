/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the emitters: the size of a UTF-8 sequence at the front of text that nobody has checked yet. Any thread. */
#pragma once

#include "base/macro.h"

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Bytes of the well-formed non-ASCII sequence at p (RFC 3629: no overlong forms, no surrogates), 0 when it is none. */
static inline size_t utf8_run_size(const unsigned char *p, size_t size) {
    unsigned char c = p[0];
    size_t n = c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
    if (n == 0 || size < n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) || (c == 0xf0 && p[1] < 0x90) ||
        (c == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tui/tui_text.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/buf.h"
#include "base/str.h"

/* The character at s: its bytes (1..4), or 0 when it is none. */
static size_t decode(const char *s, wchar_t *ret) {
    const unsigned char *u = (const unsigned char *)s;
    size_t n = u[0] < 0x80 ? 1 : u[0] < 0xc2 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : u[0] < 0xf5 ? 4 : 0;
    uint32_t c = n == 1 ? u[0] : n == 2 ? u[0] & 0x1f : n == 3 ? u[0] & 0xf : u[0] & 7u;
    for (size_t i = 1; i < n; i++) {
        if ((u[i] & 0xc0) != 0x80) /* also the end of the text */
            return 0;
        c = c << 6 | (u[i] & 0x3f);
    }
    if (!n || (n == 3 && c < 0x800) || (n == 4 && (c < 0x10000 || c > 0x10ffff)) || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *ret = (wchar_t)c;
    return n;
}

static bool is_printable(wchar_t c) {
    return c < 0x80 ? c >= 0x20 && c < 0x7f : MB_CUR_MAX > 1 && wcwidth(c) >= 0;
}

char *tui_text_clean(const char *s) {
    struct buf out = BUF_INIT;
    size_t size = strnlen(s, TUI_TEXT_MAX);
    for (size_t i = 0; i < size;) {
        wchar_t c = 0;
        size_t n = decode(s + i, &c);
        if (n && is_printable(c) && i + n <= size)
            buf_add(&out, s + i, n);
        else
            buf_add_char(&out, c == '\t' ? ' ' : '?');
        i += n ? n : 1;
    }
    return buf_take(&out);
}

static unsigned columns(wchar_t c) {
    int w = c < 0x80 ? 1 : wcwidth(c);
    return w < 0 ? 1 : (unsigned)w;
}

unsigned tui_text_width(const char *clean) {
    unsigned width = 0;
    wchar_t c = 0;
    for (size_t n; *clean; clean += n) {
        n = decode(clean, &c);
        width += n ? columns(c) : 1;
        n = n ? n : 1;
    }
    return width;
}

size_t tui_text_fit(const char *clean, unsigned width) {
    size_t i = 0;
    unsigned used = 0;
    wchar_t c = 0;
    while (clean[i]) {
        size_t n = decode(clean + i, &c);
        used += n ? columns(c) : 1;
        if (used > width)
            break;
        i += n ? n : 1;
    }
    return i;
}

size_t tui_text_break(const char *clean, unsigned width) {
    size_t fit = tui_text_fit(clean, width), at = fit;
    wchar_t c;
    if (!clean[fit] || clean[fit] == ' ')
        return fit ? fit : strlen(clean) ? 1 : 0;
    while (at && clean[at - 1] != ' ')
        at--;
    if (at)
        return at;
    size_t n = fit ? fit : decode(clean, &c);
    return n ? n : 1;
}

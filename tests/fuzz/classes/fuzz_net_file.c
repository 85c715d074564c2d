/* SPDX-License-Identifier: Apache-2.0 */
/* The pool's network as somebody typed it. What is taken is written, taken again, and then differs in nothing. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "classes/net_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    _cleanup_net_file_ struct net_file first = {0}, second = {0};
    _cleanup_error_ struct error *e = NULL;
    if (!net_file_parse(text, &first, &e)) {
        if (!e)
            abort();
        return 0;
    }
    _cleanup_free_ char *written = net_file_text(&first, "a comment");
    if (!net_file_parse(written, &second, &e) || first.n != second.n)
        abort();
    _cleanup_free_ char *there = net_file_diff(&first, &second), *back = net_file_diff(&second, &first);
    _cleanup_free_ char *again = net_file_text(&second, "a comment");
    if (*there || *back || !str_eq(written, again))
        abort();
    for (size_t i = 0; i < first.n; i++) {
        _cleanup_free_ char *title = net_section_title(&first.sections[i]);
        if (!*title)
            abort();
        /* All of its own could go by leaving it out, but NICs, which are there anyway. */
        if (net_file_covers(&second, &first.sections[i]) != (first.sections[i].kind != NET_SECTION_NIC))
            abort();
    }
    return 0;
}

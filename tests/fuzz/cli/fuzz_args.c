/* SPDX-License-Identifier: Apache-2.0 */
/* What stands on the command line (words divided by newlines), in ~/.xe, in XE_EXTRA_ARGS and in a password file: four
 * texts divided by NUL. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#include "cli/args.h"

#define MAX_WORDS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *parts[4];
    size_t at = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        size_t len = at < size ? strnlen((const char *)data + at, size - at) : 0;
        parts[i] = xstrndup(at < size ? (const char *)data + at : "", len);
        at += len + 1;
    }
    _cleanup_strv_ struct strv words = {0};
    strv_add(&words, "xe");
    strv_split(&words, parts[0], '\n');
    struct args_sources sources = {.rc = parts[1], .extra = parts[2]};
    struct args a = {0};
    struct error *e = NULL;
    if (args_parse(&a, (int)MIN(words.n, (size_t)MAX_WORDS), words.items, &sources, &e))
        args_add_password_file(&a, parts[3]);
    error_free(e);
    (void)args_port(&a);
    args_done(&a);
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
        free(parts[i]);
    return 0;
}

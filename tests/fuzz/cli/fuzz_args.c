/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in ~/.xe, in XE_EXTRA_ARGS and on the command line: three texts divided by NUL. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#include "cli/args.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *parts[4] = {xstrdup("xe"), NULL, NULL, NULL};
    size_t at = 0;
    for (unsigned i = 1; i < 4; i++) {
        size_t len = at < size ? strnlen((const char *)data + at, size - at) : 0;
        parts[i] = xstrndup(at < size ? (const char *)data + at : "", len);
        at += len + 1;
    }
    struct args a = {0};
    struct error *e = NULL;
    if (!args_parse(&a, 2, parts, parts[2], parts[3], &e))
        error_free(TAKE(e));
    error_free(e);
    args_done(&a);
    for (unsigned i = 0; i < 4; i++)
        free(parts[i]);
    return 0;
}

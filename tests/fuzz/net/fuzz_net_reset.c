/* SPDX-License-Identifier: Apache-2.0 */
/* The trigger file of a network reset: what parses must write and parse to the same, and means something or is refused
 * in words. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "net/net_reset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct net_reset_words w, again;
    struct error *e = NULL;
    char *text = xcalloc(size + 1, 1);
    memcpy(text, data, size);
    if (net_reset_words_parse(text, size, &w, &e)) {
        struct net_reset r;
        char *written = net_reset_words_text(&w);
        if (!net_reset_words_parse(written, strlen(written), &again, &e))
            abort();
        char *twice = net_reset_words_text(&again);
        if (!str_eq(written, twice))
            abort();
        if (!net_reset_build(&w, &r, &e) && !*error_param(e, 0))
            abort();
        free(written);
        free(twice);
        net_reset_words_done(&w);
        net_reset_words_done(&again);
    }
    error_free(e);
    free(text);
    return 0;
}

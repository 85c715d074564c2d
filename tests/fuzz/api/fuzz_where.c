/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a filter expression over PIFs: parsed or refused, and matched against an empty row. */
#include "fuzz.h"

#include "api/where.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct value values[N_FIELDS_PIF];
    const struct class_def *class = &model_classes[CLASS_PIF];
    struct row row = {.class = class, .fields = values};
    struct error *e = NULL;
    char *text = xstrndup((const char *)data, size);
    struct where *w = where_parse(class, text, &e);
    if (w)
        (void)where_match(w, &row);
    else if (!error_is(e, ERR_INVALID_VALUE))
        abort();
    where_free(w);
    error_free(e);
    free(text);
    return 0;
}

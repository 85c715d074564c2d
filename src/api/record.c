/* SPDX-License-Identifier: Apache-2.0 */
/* Records made of rows without copying: the pairs point at the field's name and value. */
#include "api/call_private.h"

struct value record_borrow(const struct row *r) {
    const struct class_def *class = r->class;
    struct value record = {.type = VALUE_MAP};
    record.map.pairs = xcalloc(class->n_fields, sizeof(*record.map.pairs));
    for (unsigned i = 0; i < class->n_fields; i++) {
        if (class->fields[i].internal)
            continue;
        record.map.pairs[record.map.n++] =
            (struct value_pair){.key = (char *)class->fields[i].name, .value = r->fields[i]};
    }
    return record;
}

void record_release(struct value *record) {
    free(record->map.pairs);
    *record = (struct value){.type = VALUE_VOID};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "model/cli_table.h"

#include "base/str.h"

const struct cli_class *cli_class_by_name(const char *name) {
    for (unsigned i = 0; i < cli_n_classes; i++)
        if (str_eq(cli_classes[i].name, name))
            return &cli_classes[i];
    return NULL;
}

const struct cli_field *cli_field_by_name(const struct cli_class *c, const char *name) {
    for (unsigned i = 0; i < c->n_fields; i++)
        if (str_eq(c->fields[i].name, name))
            return &c->fields[i];
    return NULL;
}

const char *cli_rights_text(enum cli_rights r) {
    static const char *const texts[] = {" RO", " RW", "SRO", "SRW", "MRO", "MRW"};
    return texts[r];
}

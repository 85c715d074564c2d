/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What xe prints and filters by: for each class that can be listed, its xe name, the names of its fields in printing
 * order with the rights that are printed, and where each value comes from. Generated from the [cli] tables of
 * datamodel/; constant, any thread.
 */
#pragma once

#include "model/model.h"

enum cli_rights { CLI_RO, CLI_RW, CLI_SRO, CLI_SRW, CLI_MRO, CLI_MRW };

struct cli_field {
    const char *name; /* as typed and printed: "network-uuid" */
    enum cli_rights rights;
    const char
        *path;      /* field of the class, or through references with dots: "network.name_label"; of a set, its first */
    bool hidden;    /* only shown when asked for by name */
    bool expensive; /* not fetched by -list unless asked for */
    bool deprecated;
};

/* A field of the class that must have this value for an object to be in a list. */
struct cli_condition {
    const char *field;
    bool value;
};

/* One list over a class; several of them may share it, as vm, template and snapshot share VM. */
struct cli_class {
    const char *name; /* "pif", as in pif-list */
    int class_id;
    const struct cli_field *fields;
    unsigned n_fields;
    const char *const *default_fields; /* of -list; none: all */
    unsigned n_default_fields;
    const struct cli_condition *only; /* which objects -list shows; none: all */
    unsigned n_only;
};

extern const struct cli_class cli_classes[];
extern const unsigned cli_n_classes;

const struct cli_class *cli_class_by_name(const char *name);                            /* "pif"; NULL */
const struct cli_field *cli_field_by_name(const struct cli_class *c, const char *name); /* NULL */
const char *cli_rights_text(enum cli_rights r);                                         /* " RO", "SRW" ... */

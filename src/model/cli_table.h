/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What xe prints and filters by: for each class that can be listed, its xe name, the names of its fields in printing
 * order with the rights that are printed, and where each value comes from; and the commands that are one call each.
 * Generated from the [cli] and [commands] tables of datamodel/; constant, any thread.
 */
#pragma once

#include "model/model.h"

enum cli_rights { CLI_RO, CLI_RW, CLI_SRO, CLI_SRW, CLI_MRO, CLI_MRW };

struct cli_field {
    const char *name; /* as typed and printed: "network-uuid" */
    enum cli_rights rights;
    const char *path; /* field of the class, or through references with dots: "network.name_label"; of a set, its first,
                 or all with rights S */
    bool hidden;      /* only shown when asked for by name */
    bool expensive;   /* not fetched by -list unless asked for */
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

/* A parameter of such a command. */
struct cli_arg {
    const char *key;      /* "sr-uuid"; ends in ':' when it takes the keys of a map, as in device-config:server=... */
    const char *field;    /* of the record that the call takes; NULL: it is the call's parameter at this place */
    const char *fallback; /* text that stands for it when it is not given; NULL: it must be */
};

/* A command of xe that is one call, its parameters in order, and prints what comes back. */
struct cli_command {
    const char *name;                /* "pbd-plug" */
    const char *call;                /* "PBD.plug" */
    const char *required, *optional; /* names with commas */
    const char *help;                /* one line */
    const struct cli_arg *args;
    unsigned n_args;
};

extern const struct cli_command cli_commands[];
extern const unsigned cli_n_commands;
extern const struct cli_class cli_classes[];
extern const unsigned cli_n_classes;

const struct cli_class *cli_class_by_name(const char *name);                            /* "pif"; NULL */
const struct cli_field *cli_field_by_name(const struct cli_class *c, const char *name); /* NULL */
const char *cli_rights_text(enum cli_rights r);                                         /* " RO", "SRW" ... */

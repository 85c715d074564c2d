/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xe's commands. Those that each class of the datamodel has ("host-list", "pif-param-set") come from its tables, as do
 * those that are one call each ("pbd-plug"); those with a life of their own stand in one table per file, special_*.c: a
 * name, its parameters, what it does, a function.
 */
#pragma once

#include "cli/xe.h"

enum command_flags {
    COMMAND_HOST_ONLY = 1,        /* works on a host without a coordinator: a session of the host itself is enough */
    COMMAND_SELECTS_HOSTS = 2,    /* host=, uuid= or any field of a host chooses; see select.h */
    COMMAND_CHANGES_NETWORKS = 8, /* takes the switches of change.h */
    COMMAND_SELECTS_VMS = 16,     /* vm=, uuid= or any field of a VM chooses */
    COMMAND_PLANS = 32,           /* takes --dry-run and --prove alone */
    COMMAND_FREE_PARAMS = 4,      /* takes names that are not known beforehand, as fields of a class */
};

struct command {
    const char *name;
    const char *required; /* names with commas; one that ends with ':' takes keys, as in properties:miimon=100 */
    const char *optional;
    const char *help; /* one line */
    bool (*run)(struct xe *x, struct error **errp);
    unsigned flags;
};

struct command_group {
    const struct command *commands;
    unsigned n;
};
extern const struct command_group commands_pool, commands_host, commands_network, commands_change, commands_path,
    commands_others, commands_vm, commands_vm_disks, commands_console, commands_snapshot, commands_vm_migrate,
    commands_transfer, commands_blob, commands_certificate, commands_subject;

/* Those that are one call each, out of the datamodel; NULL at the end. */
const struct command *command_of_model(unsigned i);
/* All of these commands, in no order; NULL at the end. */
const struct command *command_at(unsigned i);
const struct command *command_find(const char *name);
/* Whether the command takes a parameter of this name. */
bool command_takes(const struct command *c, const char *key);

/* What a word like "host-param-get" means; NULL class when it is none of that kind. */
struct generic {
    const struct cli_class *class;
    const struct generic_verb *verb;
};
struct generic_verb {
    const char *name; /* "param-get" */
    const char *required, *optional;
    const char *help;
};
extern const struct generic_verb generic_verbs[];
extern const unsigned n_generic_verbs;
struct generic generic_find(const char *word);
bool generic_run(struct xe *x, const struct generic *g, struct error **errp) _warn_unused_;
bool generic_list(struct xe *x, const struct cli_class *c, struct error **errp) _warn_unused_;
/* Prints the record of one object. */
bool generic_print_record(struct xe *x, const struct cli_class *c, const struct value *record,
                          struct error **errp) _warn_unused_;

/* Calls fn with the name of every command there is. */
void commands_each(void (*fn)(const char *name, void *userdata), void *userdata);

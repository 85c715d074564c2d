/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

#include <string.h>

static const struct command_group *const groups[] = {
    &commands_pool,       &commands_host,     &commands_network,  &commands_change,      &commands_path,
    &commands_others,     &commands_vm,       &commands_vm_disks, &commands_console,     &commands_snapshot,
    &commands_vm_migrate, &commands_transfer, &commands_blob,     &commands_certificate, &commands_subject};

const struct command *command_at(unsigned i) {
    for (unsigned g = 0; g < ARRAY_SIZE(groups); g++) {
        if (i < groups[g]->n)
            return &groups[g]->commands[i];
        i -= groups[g]->n;
    }
    return command_of_model(i);
}

const struct command *command_find(const char *name) {
    const struct command *c;
    for (unsigned i = 0; (c = command_at(i)); i++)
        if (str_eq(c->name, name))
            return c;
    return NULL;
}

static bool names(const char *list, const char *key) {
    _cleanup_strv_ struct strv items = {0};
    strv_split(&items, list, ',');
    for (size_t i = 0; i < items.n; i++) {
        const char *item = items.items[i];
        if (str_eq(item, key) || (str_ends(item, ":") && str_starts(key, item)))
            return true;
    }
    return false;
}

bool command_takes(const struct command *c, const char *key) {
    return (c->flags & (COMMAND_FREE_PARAMS | COMMAND_SELECTS_HOSTS | COMMAND_SELECTS_VMS)) ||
           names(c->required, key) || names(c->optional, key);
}

const struct generic_verb generic_verbs[] = {
    {"list", "", "params", "print the objects that have the given fields, as in name-label=..."},
    {"param-list", "uuid", "", "print all fields of an object"},
    {"param-get", "uuid,param-name", "param-key", "print one field, or the value of one key of a map"},
    {"param-set", "uuid", "", "set fields, as in name-label=... or other-config:key=..."},
    {"param-add", "uuid,param-name", "param-key", "add to a set (param-key=...) or to a map (key=value)"},
    {"param-remove", "uuid,param-name,param-key", "", "remove from a set or a map"},
    {"param-clear", "uuid,param-name", "", "empty a field"},
};
const unsigned n_generic_verbs = ARRAY_SIZE(generic_verbs);

struct generic generic_find(const char *word) {
    for (unsigned i = 0; i < n_generic_verbs; i++) {
        size_t len = strlen(word), tail = strlen(generic_verbs[i].name);
        if (len < tail + 2 || word[len - tail - 1] != '-' || !str_eq(word + len - tail, generic_verbs[i].name))
            continue;
        _cleanup_free_ char *name = xstrndup(word, len - tail - 1);
        const struct cli_class *c = cli_class_by_name(name);
        if (c)
            return (struct generic){.class = c, .verb = &generic_verbs[i]};
    }
    return (struct generic){0};
}

void commands_each(void (*fn)(const char *name, void *userdata), void *userdata) {
    const struct command *c;
    fn("help", userdata);
    for (unsigned i = 0; (c = command_at(i)); i++)
        fn(c->name, userdata);
    for (unsigned i = 0; i < cli_n_classes; i++)
        for (unsigned k = 0; k < n_generic_verbs; k++) {
            _cleanup_free_ char *name = strf("%s-%s", cli_classes[i].name, generic_verbs[k].name);
            fn(name, userdata);
        }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <stdlib.h>
#include <string.h>

#define USAGE                                                                                                          \
    "Usage: xe <command> [-s server] [-p port] [-u username] [-pw password | -pwf <password file>]\n"                  \
    "          [param=value ...] [--switch ...]\n"                                                                     \
    "\n"                                                                                                               \
    "On a host of the pool neither server nor password are needed. XE_EXTRA_ARGS (with commas), XE_SERVER,\n"          \
    "XE_PORT, XE_USERNAME, XE_PASSWORD, XE_PASSWORD_FILE, XE_FINGERPRINT, XE_CERTIFICATE and ~/.xe (name=value\n"      \
    "lines) may say what is not typed.\n"                                                                              \
    "Switches: --minimal --multiple --force --fingerprint=SHA256 --ca=FILE --insecure --certificate=FILE\n"            \
    "--help --version\n"                                                                                               \
    "For commands that change networks: --dry-run [--prove], --force, --confirm, --checkpoint=SECONDS,\n"              \
    "--probes=ADDRESS,...\n"

static void print_command(struct buf *out, const char *name, const char *required, const char *optional,
                          const char *text) {
    buf_addf(out,
             "command name            : %s\n        reqd params     : %s\n        optional params : %s\n"
             "        description     : %s\n",
             name, required, optional, text);
}

/* Parameter names for completion: "uuid=", "properties:". */
static void add_params(struct buf *out, const char *list) {
    _cleanup_strv_ struct strv names = {0};
    strv_split(&names, list, ',');
    for (size_t i = 0; i < names.n; i++)
        if (names.items[i][0])
            buf_addf(out, "%s%s%s", out->size ? "," : "", names.items[i], str_ends(names.items[i], ":") ? "" : "=");
}

static void add_fields(struct buf *out, const struct cli_class *c, bool only_writable) {
    for (unsigned i = 0; i < c->n_fields; i++) {
        const struct cli_field *f = &c->fields[i];
        bool is_map = f->rights == CLI_MRO || f->rights == CLI_MRW,
             is_writable = f->rights == CLI_RW || f->rights == CLI_SRW || f->rights == CLI_MRW;
        if (!f->hidden && (is_writable || !only_writable))
            buf_addf(out, "%s%s%s", out->size ? "," : "", f->name, is_map ? ":" : "=");
    }
}

static void help_generic(struct buf *out, const struct generic *g, const char *name, bool is_minimal) {
    bool is_list = str_eq(g->verb->name, "list"), is_set = str_eq(g->verb->name, "param-set");
    if (is_minimal) {
        add_params(out, g->verb->required);
        add_params(out, g->verb->optional);
        if (is_list || is_set)
            add_fields(out, g->class, is_set);
        buf_add_char(out, '\n');
        return;
    }
    print_command(out, name, g->verb->required, g->verb->optional, g->verb->help);
    buf_addf(out, "        fields          :");
    for (unsigned i = 0; i < g->class->n_fields; i++)
        if (!g->class->fields[i].hidden)
            buf_addf(out, " %s", g->class->fields[i].name);
    buf_add_char(out, '\n');
}

static bool help_command(struct xe *x, const char *name, struct buf *out, struct error **errp) {
    bool is_minimal = args_is(&x->args, ARGS_MINIMAL);
    const struct command *c = command_find(name);
    struct generic g = generic_find(name);
    if (g.class) {
        help_generic(out, &g, name, is_minimal);
        return true;
    }
    if (!c) {
        error_set(errp, "CLI_UNKNOWN_COMMAND", name, NULL);
        return false;
    }
    if (!is_minimal) {
        print_command(out, c->name, c->required, c->optional, c->help);
        return true;
    }
    add_params(out, c->required);
    add_params(out, c->optional);
    if (c->flags & COMMAND_SELECTS_HOSTS)
        add_fields(out, cli_class_by_name("host"), /* only_writable= */ false);
    if (c->flags & COMMAND_SELECTS_VMS)
        add_fields(out, cli_class_by_name("vm"), /* only_writable= */ false);
    buf_add_char(out, '\n');
    return true;
}

static void add_name(const char *name, void *userdata) {
    struct buf *out = userdata;
    buf_addf(out, "%s%s", out->size ? "," : "", name);
}

static int by_name(const void *a, const void *b) {
    const struct command *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static void help_all(struct buf *out) {
    const struct command *sorted[256] = {0}, *c;
    unsigned n = 0;
    buf_add_str(out, USAGE "\nOf each class, the commands");
    for (unsigned i = 0; i < n_generic_verbs; i++)
        buf_addf(out, "%s <class>-%s", i ? "," : "", generic_verbs[i].name);
    buf_add_str(out, ":\n ");
    for (unsigned i = 0; i < cli_n_classes; i++)
        buf_addf(out, " %s", cli_classes[i].name);
    buf_add_str(out, "\n\nAll other commands ('xe help <command>' says more):\n");
    for (unsigned i = 0; (c = command_at(i)) && n < ARRAY_SIZE(sorted); i++)
        sorted[n++] = c;
    qsort(sorted, n, sizeof(sorted[0]), by_name);
    for (unsigned i = 0; i < n; i++)
        buf_addf(out, "  %-40s %s\n", sorted[i]->name, sorted[i]->help);
}

bool help_run(struct xe *x, struct error **errp) {
    _cleanup_buf_ struct buf out = BUF_INIT;
    const char *about = args_get(&x->args, "command");
    if (!about && x->args.command && !str_eq(x->args.command, "help"))
        about = x->args.command; /* "xe host-list --help" */
    if (about) {
        if (!help_command(x, about, &out, errp))
            return false;
    } else if (args_is(&x->args, ARGS_MINIMAL)) {
        commands_each(add_name, &out);
        buf_add_char(&out, '\n');
    } else {
        help_all(&out);
    }
    xe_print(&out);
    return true;
}

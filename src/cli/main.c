/* SPDX-License-Identifier: Apache-2.0 */
/* xe: the command line that XenServer's operators know. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "cli/change.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/report.h"

#define RC_MAX 65536
#define EXIT_INTERRUPTED 130

static const char *environment(const char *name) {
    return getenv(name);
}

/* A name that the command does not know is more often a slip than meant. Scripts for other versions go on working. */
static void warn_of_strangers(struct xe *x, const struct command *c) {
    for (unsigned i = 0; i < x->args.n; i++)
        if (!command_takes(c, x->args.list[i].key))
            fprintf(stderr, "'%s' does not know the parameter '%s'; it is passed over\n", c->name, x->args.list[i].key);
}

/* No need for a server to say that something is missing. */
static bool check_required(struct xe *x, const char *required, struct error **errp) {
    _cleanup_strv_ struct strv names = {0};
    strv_split(&names, required, ',');
    for (size_t i = 0; i < names.n; i++)
        if (names.items[i][0] && !xe_need(x, names.items[i], errp))
            return false;
    return true;
}

static bool run(struct xe *x, struct error **errp) {
    if (x->args.wants_version) {
        xe_print_line("xe " MUSTER_VERSION " (Muster)");
        return true;
    }
    if (!x->args.command || x->args.wants_help || str_eq(x->args.command, "help"))
        return help_run(x, errp);
    struct generic g = generic_find(x->args.command);
    if (g.class) {
        x->changes_networks = g.class->class_id == CLASS_network && str_eq(g.verb->name, "param-set");
        if (!change_check(x, x->changes_networks, x->args.command, errp))
            return false;
    }
    if (g.class)
        return check_required(x, g.verb->required, errp) && xe_connect(x, false, errp) && generic_run(x, &g, errp);
    const struct command *c = command_find(x->args.command);
    if (!c) {
        error_set(errp, "CLI_UNKNOWN_COMMAND", x->args.command, NULL);
        return false;
    }
    warn_of_strangers(x, c);
    x->changes_networks = c->flags & COMMAND_CHANGES_NETWORKS;
    bool plans = c->flags & COMMAND_PLANS;
    if (plans && change_needs_change(x)) {
        error_set(errp, "CLI_PLANS_ONLY", c->name, NULL);
        return false;
    }
    if (!change_check(x, x->changes_networks || plans, c->name, errp))
        return false;
    return check_required(x, c->required, errp) && xe_connect(x, c->flags & COMMAND_HOST_ONLY, errp) && c->run(x, errp);
}

static bool parse(struct xe *x, int argc, char **argv, struct error **errp) {
    _cleanup_buf_ struct buf rc = BUF_INIT;
    const char *home = getenv("HOME");
    _cleanup_free_ char *path = strf("%s/.xe", str_empty(home) ? "/root" : home);
    int r = fs_read(path, RC_MAX, &rc);
    if (r < 0 && r != -ENOENT && r != -ENOTDIR) {
        error_set(errp, "CLI_FILE", path, strerror(-r), NULL);
        return false;
    }
    struct args_sources sources = {.rc = buf_str(&rc), .extra = getenv("XE_EXTRA_ARGS"), .environment = environment};
    bool ok = args_parse(&x->args, argc, argv, &sources, errp);
    if (rc.data)
        explicit_bzero(rc.data, rc.size);
    return ok;
}

int main(int argc, char **argv) {
    struct xe x = {0};
    struct error *e = NULL;
    signal(SIGPIPE, SIG_DFL);
    xe_catch_interrupt();
    bool ok = parse(&x, argc, argv, &e) && run(&x, &e);
    ok = xe_flush(&e) && ok;
    if (e && !(xe_was_interrupted() && error_is(e, "HOST_UNREACHABLE_BY_CLIENT"))) {
        _cleanup_buf_ struct buf text = BUF_INIT;
        report_error(&text, x.records, e);
        fputs(buf_str(&text), stderr);
    }
    error_free(e);
    records_free(x.records);
    client_free(x.client);
    args_done(&x.args);
    return xe_was_interrupted() ? EXIT_INTERRUPTED : ok ? 0 : 1;
}

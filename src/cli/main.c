/* SPDX-License-Identifier: Apache-2.0 */
/* xe: the command line that XenServer's operators know. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/commands.h"
#include "wire/http_client.h"

#define BAR_AFTER_S 2.0
#define BAR_WIDTH 40
#define FILE_MAX 65536

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signo) {
    interrupted = 1;
}

bool xe_was_interrupted(void) {
    return interrupted;
}

/* ---- helpers of the commands ---- */
const char *xe_need(struct xe *x, const char *key, struct error **errp) {
    const char *v = args_get(&x->args, key);
    if (!v && !*errp)
        error_set(errp, "CLI_MISSING", key, NULL);
    return v;
}

bool xe_object(struct xe *x, int class_id, const char *uuid, struct value *ret, struct error **errp) {
    _cleanup_free_ char *method = strf("%s.get_by_uuid", model_classes[class_id].name);
    struct value param = value_string(uuid);
    bool ok = client_call(x->client, method, &param, 1, ret, errp);
    value_done(&param);
    return ok;
}

bool xe_typed(const struct type_def *t, const char *text, struct value *ret, struct error **errp) {
    struct value v = value_string(text);
    if (t->kind == TYPE_BOOL && (str_eq(text, "true") || str_eq(text, "false"))) {
        value_done(&v);
        v = value_bool(str_eq(text, "true"));
    } else if (t->kind == TYPE_SET) {
        _cleanup_strv_ struct strv items = {0};
        value_done(&v);
        v = value_set();
        strv_split(&items, text, ',');
        for (size_t i = 0; i < items.n; i++)
            if (items.items[i][0])
                value_set_add(&v, value_string(items.items[i]));
    } else if (t->kind == TYPE_REF && !str_starts(text, REF_PREFIX)) {
        value_done(&v);
        v = value_stringf(REF_PREFIX "%s", *text ? text : "NULL");
    }
    if (!model_coerce(t, &v, text, errp)) {
        value_done(&v);
        return false;
    }
    *ret = v;
    return true;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct bar {
    const char *what;
    double start;
    bool drawn;
};

static bool on_progress(double fraction, void *userdata) {
    struct bar *b = userdata;
    if (isatty(STDERR_FILENO) && seconds() - b->start > BAR_AFTER_S) {
        int full = (int)(fraction * BAR_WIDTH);
        fprintf(stderr, "\r%s [%.*s%*s] %3d%% %4.0f s ", b->what, full,
                "========================================", BAR_WIDTH - full, "", (int)(fraction * 100),
                seconds() - b->start);
        b->drawn = true;
    }
    return !interrupted;
}

bool xe_call_long(struct xe *x, const char *method, const struct value *params, size_t n, struct value *ret,
                  struct error **errp) {
    struct bar bar = {.what = method, .start = seconds()};
    const struct call_def *def = model_call_by_name(method);
    bool ok = def && def->has_async ? client_call_async(x->client, method, params, n, on_progress, &bar, ret, errp)
                                    : client_call(x->client, method, params, n, ret, errp);
    if (bar.drawn)
        fprintf(stderr, "\r%*s\r", (int)(strlen(method) + BAR_WIDTH + 20), "");
    return ok;
}

/* ---- errors ---- */
static const char usage_hint[] = "For usage run: 'xe help'\n";

static const char *object_name(struct xe *x, const char *text, char buffer[static 300]) {
    struct uuid u;
    if (!x->records || !ref_parse(text, &u) || uuid_is_null(&u))
        return text;
    const char *uuid = text + strlen(REF_PREFIX);
    static const int classes[] = {CLASS_host, CLASS_network, CLASS_PIF};
    for (unsigned i = 0; i < ARRAY_SIZE(classes); i++) {
        _cleanup_error_ struct error *e = NULL;
        const struct value *all = records_all(x->records, classes[i], &e),
                           *record = all ? value_map_get(all, text) : NULL;
        const char *name = record ? value_map_str(record, classes[i] == CLASS_PIF ? "device" : "name_label") : NULL;
        if (name) {
            snprintf(buffer, 300, "%s (%s)", uuid, name);
            return buffer;
        }
    }
    return uuid;
}

/* How many letters must change to make one word of the other; for suggestions. */
static unsigned distance(const char *a, const char *b) {
    unsigned row[64];
    size_t n = MIN(strlen(b), sizeof(row) / sizeof(row[0]) - 1);
    for (unsigned k = 0; k <= n; k++)
        row[k] = k;
    for (unsigned i = 0; a[i]; i++) {
        unsigned diagonal = row[0];
        row[0] = i + 1;
        for (unsigned k = 0; k < n; k++) {
            unsigned above = row[k + 1], change = diagonal + (a[i] != b[k]), best = above + 1;
            if (row[k] + 1 < best)
                best = row[k] + 1;
            diagonal = above;
            row[k + 1] = change < best ? change : best;
        }
    }
    return row[n];
}

static void suggest(const char *word) {
    char best[128] = "";
    unsigned least = 4;
    for (unsigned i = 0; i < n_commands; i++)
        if (distance(word, commands[i].name) < least) {
            least = distance(word, commands[i].name);
            str_copy(best, sizeof(best), commands[i].name);
        }
    for (unsigned i = 0; i < cli_n_classes; i++)
        for (unsigned k = 0; generic_verbs[k]; k++) {
            _cleanup_free_ char *name = strf("%s-%s", cli_classes[i].name, generic_verbs[k]);
            if (distance(word, name) < least) {
                least = distance(word, name);
                str_copy(best, sizeof(best), name);
            }
        }
    if (best[0])
        fprintf(stderr, "Did you mean '%s'?\n", best);
}

void xe_print_error(struct xe *x, struct error *e) {
    const char *code = error_code(e), *first = error_param(e, 0);
    char buffer[300];
    if (str_eq(code, "CLI_MISSING")) {
        fprintf(stderr, "Required parameter not found: %s\n%s", first, usage_hint);
    } else if (str_eq(code, "CLI_UNKNOWN_COMMAND")) {
        fprintf(stderr, "Unknown command: %s\n%s", first, usage_hint);
        suggest(first);
    } else if (str_eq(code, "CLI_SYNTAX")) {
        fprintf(stderr, "Syntax error: '%s' is not param=value\n%s", first, usage_hint);
    } else if (str_eq(code, "CLI_UNKNOWN_FIELD")) {
        fprintf(stderr, "Unknown field '%s'; the fields of a class are printed by: xe <class>-list params=all\n",
                first);
    } else if (str_eq(code, "CLI_UNKNOWN_CLASS")) {
        fprintf(stderr, "Unknown class '%s'\n", first);
    } else if (str_eq(code, "CLI_READ_ONLY")) {
        fprintf(stderr, "Field '%s' is read-only\n", first);
    } else if (str_eq(code, "CLI_MAP_NEEDS_KEY")) {
        fprintf(stderr, "Field '%s' is a map: give a key, as in %s:key=value\n", first, first);
    } else if (str_eq(code, "CLI_NO_KEY")) {
        fprintf(stderr, "Error: Key %s not found in map\n", first);
    } else if (str_eq(code, "CLI_SELECTION")) {
        fprintf(stderr,
                "The server failed to handle your request, due to an internal error. The given message may give "
                "details useful for debugging the problem.\nmessage: Failure: %s\n",
                first);
    } else if (str_eq(code, "CLI_ABORTED")) {
        fprintf(stderr, "Aborted\n");
    } else if (str_eq(code, "CLI_PARTLY")) {
        return;
    } else if (str_eq(code, "SESSION_AUTHENTICATION_FAILED")) {
        fprintf(stderr, "Authentication failed\n");
    } else {
        const struct error_def *def = model_error_by_code(code);
        if (!def) {
            fprintf(stderr, "Error code: %s\nError parameters:", code);
            for (size_t i = 0; i < error_n_params(e); i++)
                fprintf(stderr, "%s %s", i ? "," : "", error_param(e, i));
            fprintf(stderr, "\n");
            return;
        }
        fprintf(stderr, "%s\n", def->text);
        for (size_t i = 0; i < error_n_params(e); i++)
            if (error_param(e, i)[0])
                fprintf(stderr, "%s: %s\n", i < def->n_params ? def->params[i] : "detail",
                        object_name(x, error_param(e, i), buffer));
    }
}

/* ---- help ---- */
static void print_command_help(const struct command *c) {
    printf("command name            : %s\n        reqd params     : %s\n        optional params : %s\n        "
           "description     : %s\n",
           c->name, c->required, c->optional, c->help);
}

static bool help(struct xe *x, struct error **errp) {
    const char *about = args_get(&x->args, "command");
    if (about) {
        const struct command *c = command_find(about);
        if (c) {
            print_command_help(c);
            return true;
        }
        for (unsigned i = 0; i < cli_n_classes; i++)
            if (str_starts(about, cli_classes[i].name)) {
                printf("Fields of %s:", cli_classes[i].name);
                for (unsigned k = 0; k < cli_classes[i].n_fields; k++)
                    printf(" %s", cli_classes[i].fields[k].name);
                printf("\n");
                return true;
            }
        error_set(errp, "CLI_UNKNOWN_COMMAND", about, NULL);
        return false;
    }
    printf("Usage: xe <command> [-s server] [-p port] ([-u username] [-pw password] or [-pwf <password file>]) "
           "[param=value ...] [--switch ...]\n\n"
           "On a host of the pool no server and no password are needed. XE_EXTRA_ARGS and ~/.xe may hold param=value "
           "pairs.\n"
           "Switches: --minimal --multiple --force --fingerprint=... --ca=FILE --insecure --help --version\n\n"
           "For each class: <class>-list [params=a,b|all] [field=value ...], <class>-param-list uuid=, -param-get "
           "uuid= param-name= [param-key=],\n"
           "-param-set uuid= field=value, -param-add, -param-remove, -param-clear.\nClasses:");
    for (unsigned i = 0; i < cli_n_classes; i++)
        printf(" %s", cli_classes[i].name);
    printf("\n\nCommands ('xe help <command>' says more):\n");
    for (unsigned i = 0; i < n_commands; i++)
        printf("  %-40s %s\n", commands[i].name, commands[i].help);
    return true;
}

/* ---- start ---- */
static bool read_password_file(struct xe *x, struct error **errp) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_strv_ struct strv lines = {0};
    int r = fs_read(x->args.password_file, FILE_MAX, &text);
    if (r < 0) {
        error_errno(errp, r, "reading the password file '%s'", x->args.password_file);
        return false;
    }
    strv_split(&lines, buf_str(&text), '\n');
    if (lines.n > 0 && lines.items[0][0] && !x->args.user)
        x->args.user = xstrdup(lines.items[0]);
    if (lines.n > 1 && !x->args.password)
        x->args.password = xstrdup(lines.items[1]);
    explicit_bzero(text.data, text.size);
    return true;
}

static void ask_password(struct xe *x) {
    struct termios old, quiet;
    char line[512];
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &old) < 0)
        return;
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    fprintf(stderr, "Password: ");
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    if (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = 0;
        x->args.password = xstrdup(line);
    }
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
    fprintf(stderr, "\n");
    explicit_bzero(line, sizeof(line));
}

static bool connect_server(struct xe *x, struct error **errp) {
    const char *server = x->args.server;
    if (server && (str_eq(server, "127.0.0.1") || str_eq(server, "localhost")) && !x->args.port)
        server = NULL;
    if (x->args.password_file && !read_password_file(x, errp))
        return false;
    if (server && !x->args.password)
        ask_password(x);
    struct client_config config = {.server = server,
                                   .port = x->args.port,
                                   .user = x->args.user,
                                   .password = x->args.password,
                                   .fingerprint = x->args.fingerprint,
                                   .ca_path = x->args.ca,
                                   .insecure = x->args.insecure};
    x->client = client_open(&config, errp);
    if (x->client)
        x->records = records_new(x->client);
    return x->client != NULL;
}

static bool run(struct xe *x, struct error **errp) {
    if (x->args.wants_version) {
        printf("xe 0.1.0 (Muster)\n");
        return true;
    }
    if (!x->args.command || x->args.wants_help || str_eq(x->args.command, "help"))
        return help(x, errp);
    const struct command *c = command_find(x->args.command);
    bool known = c != NULL;
    if (!known) { /* no need for a server to say that there is no such command */
        for (unsigned i = 0; i < cli_n_classes && !known; i++)
            for (unsigned k = 0; generic_verbs[k] && !known; k++) {
                _cleanup_free_ char *name = strf("%s-%s", cli_classes[i].name, generic_verbs[k]);
                known = str_eq(name, x->args.command);
            }
        if (!known) {
            error_set(errp, "CLI_UNKNOWN_COMMAND", x->args.command, NULL);
            return false;
        }
    }
    if (!connect_server(x, errp))
        return false;
    return c ? c->run(x, errp) : generic_run(x, x->args.command, &known, errp);
}

int main(int argc, char **argv) {
    struct xe x = {0};
    _cleanup_error_ struct error *e = NULL;
    _cleanup_buf_ struct buf rc = BUF_INIT;
    const char *home = getenv("HOME");
    _cleanup_free_ char *path = strf("%s/.xe", home ? home : "/root");
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_DFL);
    bool ok = fs_read(path, FILE_MAX, &rc) != -EFBIG &&
              args_parse(&x.args, argc, argv, buf_str(&rc), getenv("XE_EXTRA_ARGS"), &e);
    if (ok)
        ok = run(&x, &e);
    fflush(stdout);
    if (e)
        xe_print_error(&x, e);
    records_free(x.records);
    client_free(x.client);
    args_done(&x.args);
    return interrupted ? 130 : ok ? 0 : 1;
}

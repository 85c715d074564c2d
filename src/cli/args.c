/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/args.h"

#include <string.h>

#include "base/buf.h"

enum strength { FROM_NOWHERE, FROM_RC, FROM_ENVIRONMENT, FROM_EXTRA, FROM_COMMAND_LINE };

static const struct {
    const char *key;         /* as in key=value */
    const char *environment; /* NULL: none */
    bool needs_dashes;       /* on the command line */
} standard[N_ARGS_TEXTS] = {
    [ARGS_SERVER] = {"server", "XE_SERVER", false},
    [ARGS_PORT] = {"port", "XE_PORT", false},
    [ARGS_USER] = {"username", "XE_USERNAME", false},
    [ARGS_PASSWORD] = {"password", "XE_PASSWORD", false},
    [ARGS_PASSWORD_FILE] = {"password-file", "XE_PASSWORD_FILE", true},
    [ARGS_FINGERPRINT] = {"fingerprint", "XE_FINGERPRINT", true},
    [ARGS_CA] = {"ca", "XE_CA", true},
    [ARGS_INSECURE] = {"insecure", "XE_INSECURE", true},
    [ARGS_CERTIFICATE] = {"certificate", "XE_CERTIFICATE", true},
    [ARGS_MINIMAL] = {"minimal", NULL, false},
    [ARGS_FORCE] = {"force", NULL, false},
    [ARGS_MULTIPLE] = {"multiple", NULL, false},
    [ARGS_ALL] = {"all", NULL, false},
    [ARGS_DRY_RUN] = {"dry-run", NULL, true},
    [ARGS_PROVE] = {"prove", NULL, true},
    [ARGS_CONFIRM] = {"confirm", NULL, true},
    [ARGS_CHECKPOINT] = {"checkpoint", NULL, true},
    [ARGS_PROBES] = {"probes", NULL, true},
};

/* Taken because other versions of xe know them; they change nothing here. */
static const char *const passed_over[] = {"trace",         "message-priority", "nossl",      "debug",
                                          "debug-on-fail", "compat",           "traceparent"};

static void wipe(char *s) {
    if (s)
        explicit_bzero(s, strlen(s));
    free(s);
}

static void set_text(struct args *a, enum args_text which, const char *value, enum strength strength) {
    if (a->strength[which] > strength)
        return;
    wipe(a->texts[which]);
    a->texts[which] = xstrdup(value);
    a->strength[which] = strength;
}

static bool add_parameter(struct args *a, const char *key, const char *value, enum strength strength,
                          struct error **errp) {
    for (unsigned i = 0; strength < FROM_COMMAND_LINE && i < a->n; i++)
        if (str_eq(a->list[i].key, key))
            return true; /* said nearer already */
    if (a->n == ARGS_MAX) {
        error_set(errp, "CLI_SYNTAX", "too many parameters", NULL);
        return false;
    }
    a->list[a->n++] = (struct arg){.key = xstrdup(key), .value = xstrdup(value)};
    return true;
}

static bool add(struct args *a, const char *key, const char *value, enum strength strength, bool has_dashes,
                struct error **errp) {
    for (unsigned i = 0; i < N_ARGS_TEXTS; i++)
        if (str_eq(key, standard[i].key) &&
            (has_dashes || !standard[i].needs_dashes || strength != FROM_COMMAND_LINE)) {
            int64_t port;
            if (i == ARGS_PORT && !str_parse_int(value, 1, UINT16_MAX, &port)) {
                error_set(errp, "CLI_SYNTAX", value, "is no port number", NULL);
                return false;
            }
            set_text(a, i, value, strength);
            return true;
        }
    for (unsigned i = 0; i < ARRAY_SIZE(passed_over); i++)
        if (str_eq(key, passed_over[i]))
            return true;
    return add_parameter(a, key, value, strength, errp);
}

/* "key=value"; without an = it is "key=true". */
static bool add_pair(struct args *a, const char *text, enum strength strength, bool has_dashes, struct error **errp) {
    const char *equals = strchr(text, '=');
    _cleanup_free_ char *key = xstrndup(text, equals ? (size_t)(equals - text) : strlen(text));
    return add(a, key, equals ? equals + 1 : "true", strength, has_dashes, errp);
}

/* ---- the command line ---- */
/* Not for everybody's eyes in the list of processes. */
static void hide_password(char *word) {
    char *equals = strchr(word, '=');
    static const char tail[] = "password";
    size_t len = sizeof(tail) - 1;
    if (equals && (size_t)(equals - word) >= len && !strncmp(equals - len, tail, len))
        memset(equals + 1, 'x', strlen(equals + 1));
}

static bool parse_word(struct args *a, char *word, struct error **errp) {
    bool ok = true;
    if (str_eq(word, "--help")) {
        a->wants_help = true;
    } else if (str_eq(word, "--version")) {
        a->wants_version = true;
    } else if (str_starts(word, "--") && word[2] && word[2] != '=') {
        ok = add_pair(a, word + 2, FROM_COMMAND_LINE, /* has_dashes= */ true, errp);
    } else if (!a->command && !strchr(word, '=') && word[0] != '-' && word[0]) {
        a->command = xstrdup(word);
    } else if (!a->command || word[0] == '=' || word[0] == '-' || (!strchr(word, '=') && !str_eq(a->command, "help"))) {
        error_set(errp, "CLI_SYNTAX", word, a->command ? "is not param=value" : "stands where the command should",
                  NULL);
        ok = false;
    } else if (!strchr(word, '=')) {
        ok = add(a, "command", word, FROM_COMMAND_LINE, false, errp);
    } else {
        ok = add_pair(a, word, FROM_COMMAND_LINE, /* has_dashes= */ false, errp);
    }
    hide_password(word);
    return ok;
}

static bool parse_command_line(struct args *a, int argc, char **argv, struct error **errp) {
    static const struct {
        const char *word;
        enum args_text text;
    } shorts[] = {{"-s", ARGS_SERVER}, {"-h", ARGS_SERVER},    {"-p", ARGS_PORT},
                  {"-u", ARGS_USER},   {"-pw", ARGS_PASSWORD}, {"-pwf", ARGS_PASSWORD_FILE}};
    for (int i = 1; i < argc; i++) {
        const char *key = NULL;
        for (unsigned k = 0; k < ARRAY_SIZE(shorts); k++)
            if (str_eq(argv[i], shorts[k].word))
                key = standard[shorts[k].text].key;
        if (!key) {
            if (!parse_word(a, argv[i], errp))
                return false;
            continue;
        }
        if (i + 1 == argc) {
            error_set(errp, "CLI_SYNTAX", argv[i], "wants a value behind it", NULL);
            return false;
        }
        if (!add(a, key, argv[++i], FROM_COMMAND_LINE, /* has_dashes= */ true, errp))
            return false;
        if (str_eq(key, "password"))
            memset(argv[i], 'x', strlen(argv[i]));
    }
    return true;
}

/* ---- the weaker sources ---- */
static bool parse_extra(struct args *a, const char *extra, struct error **errp) {
    _cleanup_buf_ struct buf word = BUF_INIT;
    for (const char *c = extra;; c++) {
        if (*c == '\\' && c[1]) {
            buf_add_char(&word, *++c);
        } else if (*c == ',' || !*c) {
            const char *text = buf_str(&word);
            if (str_starts(text, "--"))
                text += 2;
            if (text != buf_str(&word) || strchr(text, '='))
                if (*text && *text != '=' && !add_pair(a, text, FROM_EXTRA, true, errp))
                    return false;
            if (word.data)
                explicit_bzero(word.data, word.size);
            buf_clear(&word);
            if (!*c)
                return true;
        } else {
            buf_add_char(&word, *c);
        }
    }
}

static char *trim(char *s) {
    s += strspn(s, " \t");
    size_t len = strlen(s);
    while (len && strchr(" \t\r", s[len - 1]))
        s[--len] = 0;
    return s;
}

static bool parse_rc(struct args *a, const char *rc, struct error **errp) {
    _cleanup_strv_ struct strv lines = {0};
    bool ok = true;
    strv_split(&lines, rc, '\n');
    for (size_t i = 0; i < lines.n; i++) {
        char *line = trim(lines.items[i]), *equals = strchr(line, '=');
        if (ok && line[0] != '#' && equals && equals != line) {
            *equals = 0;
            ok = add(a, trim(line), trim(equals + 1), FROM_RC, true, errp);
            *equals = '=';
        }
        explicit_bzero(lines.items[i], strlen(lines.items[i]));
    }
    return ok;
}

bool args_parse(struct args *a, int argc, char **argv, const struct args_sources *sources, struct error **errp) {
    if (!parse_command_line(a, argc, argv, errp))
        return false;
    if (sources->extra && !parse_extra(a, sources->extra, errp))
        return false;
    for (unsigned i = 0; sources->environment && i < N_ARGS_TEXTS; i++) {
        const char *v = standard[i].environment ? sources->environment(standard[i].environment) : NULL;
        if (!str_empty(v) && !add(a, standard[i].key, v, FROM_ENVIRONMENT, true, errp))
            return false;
    }
    return !sources->rc || parse_rc(a, sources->rc, errp);
}

void args_done(struct args *a) {
    for (unsigned i = 0; i < a->n; i++) {
        free(a->list[i].key);
        wipe(a->list[i].value);
    }
    for (unsigned i = 0; i < N_ARGS_TEXTS; i++)
        wipe(a->texts[i]);
    free(a->command);
    *a = (struct args){0};
}

/* ---- reading ---- */
const char *args_text(const struct args *a, enum args_text which) {
    return a->texts[which];
}

bool args_is(const struct args *a, enum args_text which) {
    const char *v = a->texts[which];
    return v && (str_eq(v, "true") || str_eq(v, "1"));
}

uint16_t args_port(const struct args *a) {
    int64_t port;
    return a->texts[ARGS_PORT] && str_parse_int(a->texts[ARGS_PORT], 1, UINT16_MAX, &port) ? (uint16_t)port : 0;
}

const char *args_get(struct args *a, const char *key) {
    for (unsigned i = 0; i < a->n; i++)
        if (str_eq(a->list[i].key, key)) {
            a->list[i].used = true;
            return a->list[i].value;
        }
    return NULL;
}

void args_add_password_file(struct args *a, const char *text) {
    /* A password beside the file on the same footing wins: it was meant to. */
    static const enum args_text fields[] = {ARGS_USER, ARGS_PASSWORD};
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        size_t len = strcspn(text, "\r\n");
        _cleanup_free_ char *line = xstrndup(text, len);
        if (len && a->strength[fields[i]] < a->strength[ARGS_PASSWORD_FILE])
            set_text(a, fields[i], line, a->strength[ARGS_PASSWORD_FILE]);
        explicit_bzero(line, len);
        text += len;
        text += strspn(text, "\r");
        text += *text == '\n';
    }
}

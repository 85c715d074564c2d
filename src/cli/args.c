/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/args.h"

#include <string.h>

#include "base/buf.h"

static void set_text(char **field, const char *value) {
    free(*field);
    *field = xstrdup(value);
}

/* `weak`: does not replace what the command line has given. */
static bool add(struct args *a, const char *key, const char *value, bool weak, struct error **errp) {
    bool on = str_eq(value, "true") || str_eq(value, "1");
    struct {
        const char *name;
        char **text;
    } texts[] = {{"server", &a->server},           {"username", &a->user},
                 {"password", &a->password},       {"password-file", &a->password_file},
                 {"fingerprint", &a->fingerprint}, {"ca", &a->ca}};
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
        if (str_eq(key, texts[i].name)) {
            if (!weak || !*texts[i].text)
                set_text(texts[i].text, value);
            return true;
        }
    struct {
        const char *name;
        bool *flag;
    } flags[] = {{"minimal", &a->minimal},
                 {"force", &a->force},
                 {"multiple", &a->multiple},
                 {"all", &a->all},
                 {"insecure", &a->insecure}};
    for (unsigned i = 0; i < ARRAY_SIZE(flags); i++)
        if (str_eq(key, flags[i].name)) {
            *flags[i].flag = on;
            return true;
        }
    int64_t port;
    if (str_eq(key, "port")) {
        if (!str_parse_int(value, 1, 65535, &port)) {
            error_setf(errp, "INVALID_VALUE", "port %s", value);
            return false;
        }
        if (!weak || !a->port)
            a->port = (uint16_t)port;
        return true;
    }
    if (str_eq(key, "trace") || str_eq(key, "message-priority") || str_eq(key, "nossl") || str_eq(key, "debug"))
        return true; /* taken for compatibility */
    for (unsigned i = 0; weak && i < a->n; i++)
        if (str_eq(a->list[i].key, key))
            return true;
    if (a->n == ARGS_MAX) {
        error_setf(errp, "INVALID_VALUE", "%s", "too many parameters");
        return false;
    }
    a->list[a->n++] = (struct arg){.key = xstrdup(key), .value = xstrdup(value)};
    return true;
}

static bool add_pair(struct args *a, const char *text, bool weak, struct error **errp) {
    const char *equals = strchr(text, '=');
    _cleanup_free_ char *key = xstrndup(text, (size_t)(equals - text));
    return add(a, key, equals + 1, weak, errp);
}

static bool parse_word(struct args *a, const char *word, struct error **errp) {
    if (str_starts(word, "--")) {
        if (strchr(word, '='))
            return add_pair(a, word + 2, false, errp);
        if (str_eq(word, "--help")) {
            a->wants_help = true;
            return true;
        }
        if (str_eq(word, "--version")) {
            a->wants_version = true;
            return true;
        }
        return add(a, word + 2, "true", false, errp);
    }
    if (!a->command) {
        if (strchr(word, '=')) {
            error_set(errp, "CLI_SYNTAX", word, NULL);
            return false;
        }
        a->command = xstrdup(word);
        return true;
    }
    if (!strchr(word, '=')) {
        if (str_eq(a->command, "help"))
            return add(a, "command", word, false, errp);
        error_set(errp, "CLI_SYNTAX", word, NULL);
        return false;
    }
    return add_pair(a, word, false, errp);
}

static bool parse_extra(struct args *a, const char *extra, struct error **errp) {
    _cleanup_buf_ struct buf word = BUF_INIT;
    for (const char *c = extra;; c++) {
        if (*c == '\\' && c[1]) {
            buf_add_char(&word, *++c);
        } else if (*c == ',' || !*c) {
            if (strchr(buf_str(&word), '=') && !add_pair(a, buf_str(&word), true, errp))
                return false;
            buf_clear(&word);
            if (!*c)
                return true;
        } else {
            buf_add_char(&word, *c);
        }
    }
}

bool args_parse(struct args *a, int argc, char **argv, const char *rc, const char *extra, struct error **errp) {
    static const struct {
        const char *word, *key;
    } shorts[] = {{"-s", "server"},   {"-h", "server"},    {"-p", "port"},
                  {"-u", "username"}, {"-pw", "password"}, {"-pwf", "password-file"}};
    for (int i = 1; i < argc; i++) {
        const char *key = NULL;
        for (unsigned k = 0; k < ARRAY_SIZE(shorts); k++)
            if (str_eq(argv[i], shorts[k].word))
                key = shorts[k].key;
        if (!key) {
            if (!parse_word(a, argv[i], errp))
                return false;
            continue;
        }
        if (i + 1 == argc) {
            error_set(errp, "CLI_SYNTAX", argv[i], NULL);
            return false;
        }
        if (!add(a, key, argv[++i], false, errp))
            return false;
        if (str_eq(key, "password"))
            memset(argv[i], 'x', strlen(argv[i])); /* not for everybody's eyes in the list of processes */
    }
    if (extra && !parse_extra(a, extra, errp))
        return false;
    _cleanup_strv_ struct strv lines = {0};
    strv_split(&lines, str_or_empty(rc), '\n');
    for (size_t i = 0; i < lines.n; i++)
        if (lines.items[i][0] != '#' && strchr(lines.items[i], '=') && !add_pair(a, lines.items[i], true, errp))
            return false;
    return true;
}

void args_done(struct args *a) {
    for (unsigned i = 0; i < a->n; i++) {
        explicit_bzero(a->list[i].value, strlen(a->list[i].value));
        free(a->list[i].key);
        free(a->list[i].value);
    }
    if (a->password)
        explicit_bzero(a->password, strlen(a->password));
    char *texts[] = {a->command, a->server, a->user, a->password, a->password_file, a->fingerprint, a->ca};
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
        free(texts[i]);
    *a = (struct args){0};
}

const char *args_get(struct args *a, const char *key) {
    for (unsigned i = 0; i < a->n; i++)
        if (str_eq(a->list[i].key, key)) {
            a->list[i].used = true;
            return a->list[i].value;
        }
    return NULL;
}

bool args_flag(struct args *a, const char *key) {
    const char *v = args_get(a, key);
    return v && str_eq(v, "true");
}

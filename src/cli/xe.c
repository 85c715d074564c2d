/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/xe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

#include "base/fs.h"

#define FILE_MAX 65536
#define LINE_MAX_SIZE 512

/* ---- asking ---- */
char *xe_ask_password(const char *question) {
    struct termios old, quiet;
    char line[LINE_MAX_SIZE], *answer = NULL;
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &old) < 0)
        return NULL;
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    fprintf(stderr, "%s: ", question);
    fflush(stderr);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    if (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = 0;
        answer = xstrdup(line);
    }
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
    fprintf(stderr, "\n");
    explicit_bzero(line, sizeof(line));
    return answer;
}

bool xe_confirm(struct xe *x, const char *question, struct error **errp) {
    char line[LINE_MAX_SIZE] = "";
    if (args_is(&x->args, ARGS_FORCE))
        return true;
    fprintf(stderr, "%s\nType 'yes' to continue\n", question);
    if (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\r\n")] = 0;
        if (str_eq(line, "yes"))
            return true;
    }
    error_set(errp, "CLI_ABORTED", NULL);
    return false;
}

bool xe_may_use_files(const char *path, struct error **errp) {
    if (!getenv("XE_NO_FILES"))
        return true;
    error_set(errp, "CLI_FILE", path, "files of the host that runs this are not for a client elsewhere", NULL);
    return false;
}

/* ---- connecting ---- */
static bool read_password_file(struct xe *x, struct error **errp) {
    const char *path = args_text(&x->args, ARGS_PASSWORD_FILE);
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (!xe_may_use_files(path, errp))
        return false;
    int r = fs_read(path, FILE_MAX, &text);
    if (r < 0) {
        error_set(errp, "CLI_FILE", path, strerror(-r), NULL);
        return false;
    }
    args_add_password_file(&x->args, buf_str(&text));
    if (text.data)
        explicit_bzero(text.data, text.size);
    return true;
}

static char *ask_for_login(void *userdata) {
    return xe_ask_password("Password");
}

static void tell(const char *line, void *userdata) {
    fprintf(stderr, "%s\n", line);
}

/* "[fe80::1]" is written with brackets by habit. */
static char *server_name(const struct args *a) {
    const char *s = args_text(a, ARGS_SERVER);
    size_t len = s ? strlen(s) : 0;
    bool is_here = !len || str_eq(s, "127.0.0.1") || str_eq(s, "localhost") || str_eq(s, "::1");
    if (is_here && !args_port(a))
        return NULL;
    if (!len)
        return xstrdup("localhost");
    return s[0] == '[' && s[len - 1] == ']' ? xstrndup(s + 1, len - 2) : xstrdup(s);
}

static bool can_read(const char *path, struct error **errp) {
    if (access(path, R_OK) == 0)
        return true;
    error_errno(errp, -errno, "reading '%s'", path);
    return false;
}

/* The session that this run is to use, as the first line of its input (XE_SESSION_ON_STDIN): another host's xe asked
 * for it. The caller wipes and frees; NULL when there is none. */
static bool read_session(char **ret, struct error **errp) {
    char line[LINE_MAX_SIZE];
    if (!getenv("XE_SESSION_ON_STDIN"))
        return true;
    if (!fgets(line, sizeof(line), stdin) || line[0] == '\n') {
        error_set(errp, "SESSION_INVALID", "", NULL);
        return false;
    }
    line[strcspn(line, "\n")] = 0;
    *ret = xstrdup(line);
    explicit_bzero(line, sizeof(line));
    return true;
}

bool xe_connect(struct xe *x, bool is_host_only, struct error **errp) {
    if (args_text(&x->args, ARGS_PASSWORD_FILE) && !read_password_file(x, errp))
        return false;
    const char *certificate = args_text(&x->args, ARGS_CERTIFICATE);
    if (certificate && (!xe_may_use_files(certificate, errp) || !can_read(certificate, errp)))
        return false;
    _cleanup_free_ char *server = server_name(&x->args), *session = NULL;
    if (!read_session(&session, errp))
        return false;
    struct client_config config = {.server = server,
                                   .port = args_port(&x->args),
                                   .user = args_text(&x->args, ARGS_USER),
                                   .password = args_text(&x->args, ARGS_PASSWORD),
                                   .fingerprint = args_text(&x->args, ARGS_FINGERPRINT),
                                   .ca_path = args_text(&x->args, ARGS_CA),
                                   .session = session,
                                   .insecure = args_is(&x->args, ARGS_INSECURE),
                                   .certificate_path = certificate,
                                   .is_host_only = is_host_only,
                                   .ask_password = ask_for_login,
                                   .on_new_server = tell,
                                   .on_wait = tell,
                                   .interrupt = &xe_interrupt};
    x->is_host_only = is_host_only;
    x->client = client_open(&config, errp);
    if (session)
        explicit_bzero(session, strlen(session));
    if (x->client) {
        x->records = records_new(x->client);
    } else if (certificate && !config.password && error_is(*errp, "SESSION_AUTHENTICATION_FAILED")) {
        error_free(TAKE(*errp));
        error_set(errp, "CLI_CERTIFICATE_REFUSED", certificate, NULL);
    }
    return x->client != NULL;
}

/* ---- parameters ---- */
const char *xe_need(struct xe *x, const char *key, struct error **errp) {
    const char *v = args_get(&x->args, key);
    if (!v && !*errp)
        error_set(errp, "CLI_MISSING", key, NULL);
    return v;
}

bool xe_object(struct xe *x, int class_id, const char *uuid, struct value *ret, struct error **errp) {
    _cleanup_free_ char *method = strf("%s.get_by_uuid", model_classes[class_id].name);
    _cleanup_value_ struct value param = value_string(uuid);
    return client_call(x->client, method, &param, 1, ret, errp);
}

static bool typed_set(const struct type_def *t, const char *text, struct value *ret, struct error **errp) {
    _cleanup_strv_ struct strv items = {0};
    _cleanup_value_ struct value set = value_set();
    strv_split(&items, text, ',');
    for (size_t i = 0; i < items.n; i++) {
        struct value item = {.type = VALUE_VOID};
        if (!items.items[i][0])
            continue;
        if (!xe_typed(t->elem, items.items[i], &item, errp))
            return false;
        value_set_add(&set, item);
    }
    *ret = value_take(&set);
    return true;
}

bool xe_typed(const struct type_def *t, const char *text, struct value *ret, struct error **errp) {
    _cleanup_value_ struct value v = {.type = VALUE_VOID};
    if (t->kind == TYPE_SET)
        return typed_set(t, text, ret, errp);
    if (t->kind == TYPE_BOOL && (str_eq(text, "true") || str_eq(text, "false"))) {
        v = value_bool(str_eq(text, "true"));
    } else if (t->kind == TYPE_REF && !str_starts(text, REF_PREFIX)) {
        bool is_none = !*text || str_eq(text, RECORDS_NOT_IN_DATABASE);
        v = value_stringf(REF_PREFIX "%s", is_none ? "NULL" : text);
    } else {
        v = value_string(text);
    }
    if (!model_coerce(t, &v, text, errp))
        return false;
    *ret = value_take(&v);
    return true;
}

/* ---- printing ---- */
void xe_print(const struct buf *text) {
    fwrite(buf_str(text), 1, text->size, stdout);
}

void xe_print_line(const char *text) {
    printf("%s\n", text);
}

void xe_print_message(const struct xe *x, const char *text) {
    if (!args_is(&x->args, ARGS_MINIMAL))
        xe_print_line(text);
}

bool xe_flush(struct error **errp) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    if (!*errp)
        error_set(errp, "CLI_FILE", "standard output", strerror(errno ? errno : EIO), NULL);
    return false;
}

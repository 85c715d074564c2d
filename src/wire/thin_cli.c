/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/thin_cli.h"

enum { KIND_COMMAND = 9, KIND_RESPONSE = 10, KIND_BLOB = 11 };
enum { TAG_PRINT = 0, TAG_EXIT = 4, TAG_OK = 5, TAG_FAILED = 6, TAG_CHUNK = 7, TAG_END = 8 };
enum { TAG_ERROR = 14, TAG_PRINT_STDERR = 16, TAG_WAIT = 18 };
#define MAJOR 0
#define MINOR 2 /* the client may say that it still waits */

static const char magic[] = "XenSource thin CLI protocol";
#define MAGIC_LEN (sizeof(magic) - 1)

/* ---- the request ---- */

static char *value_of(const char *line, const char *key) {
    size_t n = strlen(key);
    return strncmp(line, key, n) == 0 && line[n] == '=' ? xstrdup(line + n + 1) : NULL;
}

static void wipe(char *s) {
    if (s)
        explicit_bzero(s, strlen(s));
    free(s);
}

/* The last of several counts: the client appends its own behind what was typed. */
static bool keep(char **at, char *value /* taken */) {
    if (!value)
        return false;
    wipe(*at);
    *at = value;
    return true;
}

static bool take_line(struct thin_cli_request *r, char *line, bool is_first) {
    size_t n = strlen(line);
    if (n > 0 && line[n - 1] == '\r')
        line[n - 1] = '\0';
    if (is_first && keep(&r->session, value_of(line, "session_id")))
        return true;
    if (keep(&r->user, value_of(line, "username")) || keep(&r->password, value_of(line, "password")))
        return true;
    if (!*line)
        return true; /* the text ends with a line end */
    if (r->args.n >= THIN_CLI_ARGS_MAX)
        return false;
    strv_add(&r->args, line);
    return true;
}

bool thin_cli_parse(const char *body, size_t size, struct thin_cli_request *ret) {
    struct thin_cli_request r = {0};
    if (size > THIN_CLI_BODY_MAX || !str_is_utf8(body, size))
        return false;
    char *copy = xstrndup(body, size), *line = copy, *next;
    bool ok;
    do {
        char *end = strchr(line, '\n');
        next = end ? end + 1 : NULL;
        if (end)
            *end = '\0';
        ok = take_line(&r, line, /* is_first= */ line == copy);
        line = next;
    } while (ok && next);
    explicit_bzero(copy, size);
    free(copy);
    /* The command is a word; what begins with a dash or has a value is none. */
    ok = ok && r.args.n > 0 && r.args.items[0][0] != '-' && !strchr(r.args.items[0], '=');
    if (ok)
        *ret = r;
    else
        thin_cli_request_done(&r);
    return ok;
}

void thin_cli_request_done(struct thin_cli_request *r) {
    strv_done(&r->args);
    free(r->user);
    wipe(r->password);
    wipe(r->session);
    *r = (struct thin_cli_request){0};
}

/* ---- writing ---- */

static void put32(struct buf *out, uint32_t n) {
    for (unsigned i = 0; i < 4; i++)
        buf_add_char(out, (char)(n >> (8 * i)));
}

static void put_text(struct buf *out, const char *text, size_t size) {
    put32(out, (uint32_t)size);
    buf_add(out, text, size);
}

/* The size comes first: known when the rest is there. */
static void put_command(struct buf *out, uint32_t tag, struct buf *body) {
    put32(out, (uint32_t)(8 + body->size));
    put32(out, KIND_COMMAND);
    put32(out, tag);
    buf_add(out, buf_str(body), body->size);
    buf_done(body);
}

void thin_cli_greet(struct buf *out) {
    buf_add(out, magic, MAGIC_LEN);
    put32(out, MAJOR);
    put32(out, MINOR);
}

void thin_cli_print(struct buf *out, const char *text, size_t size) {
    struct buf body = BUF_INIT;
    put_text(&body, text, size);
    put_command(out, TAG_PRINT, &body);
}

void thin_cli_print_stderr(struct buf *out, const char *text, size_t size) {
    struct buf body = BUF_INIT;
    put_text(&body, text, size);
    put_command(out, TAG_PRINT_STDERR, &body);
}

void thin_cli_error(struct buf *out, const char *code, const char *const *params, size_t n) {
    struct buf body = BUF_INIT;
    put_text(&body, code, strlen(code));
    put32(&body, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        put_text(&body, params[i], strlen(params[i]));
    put_command(out, TAG_ERROR, &body);
}

void thin_cli_exit(struct buf *out, int code) {
    struct buf body = BUF_INIT;
    put32(&body, (uint32_t)code);
    put_command(out, TAG_EXIT, &body);
}

/* ---- reading ---- */

static uint32_t get32(const char *p) {
    const unsigned char *u = (const unsigned char *)p;
    return u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

enum thin_cli_state thin_cli_parse_greeting(const char *data, size_t size, size_t *ret_size) {
    if (memcmp(data, magic, MIN(size, MAGIC_LEN)) != 0)
        return THIN_CLI_BAD;
    if (size < MAGIC_LEN + 8)
        return THIN_CLI_MORE;
    *ret_size = MAGIC_LEN + 8;
    return get32(data + MAGIC_LEN) == MAJOR ? THIN_CLI_READY : THIN_CLI_BAD;
}

enum thin_cli_state thin_cli_parse_message(const char *data, size_t size, size_t *ret_size, enum thin_cli_response *ret,
                                           uint32_t *ret_chunk) {
    if (size < 4)
        return THIN_CLI_MORE;
    uint32_t n = get32(data);
    if (n < 8 || n > THIN_CLI_MESSAGE_MAX)
        return THIN_CLI_BAD;
    if (size - 4 < n)
        return THIN_CLI_MORE;
    uint32_t kind = get32(data + 4), tag = get32(data + 8);
    *ret_size = 4 + (size_t)n;
    *ret_chunk = 0;
    if (kind == KIND_RESPONSE && tag == TAG_OK)
        *ret = THIN_CLI_OK;
    else if (kind == KIND_RESPONSE && tag == TAG_WAIT)
        *ret = THIN_CLI_WAIT;
    else if (kind == KIND_RESPONSE && tag == TAG_FAILED)
        *ret = THIN_CLI_FAILED;
    else if (kind == KIND_BLOB && tag == TAG_END)
        *ret = THIN_CLI_END;
    else if (kind == KIND_BLOB && tag == TAG_CHUNK && n >= 12) {
        *ret = THIN_CLI_CHUNK;
        *ret_chunk = get32(data + 12);
    } else
        return THIN_CLI_BAD;
    return THIN_CLI_READY;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/cli_server.h"

#include "api/http_auth.h"
#include "base/str.h"
#include "loop/child.h"
#include "wire/thin_cli.h"

#define LOG_MODULE "audit"
#include "base/log.h"

#define GREETING_MS 15000
#define GOODBYE_MS 5000
#define LINE_MAX 65536 /* of one message to the client */

struct cli_server {
    struct daemon *d;
    struct cli_session *first;
    unsigned n;
};

/* One command, from its request to its exit code. */
struct cli_session {
    struct cli_server *all;
    struct stream *stream; /* NULL until the request is judged, and when the client is gone */
    struct buf in;         /* what the client has said and nobody has read */
    uint32_t skip;         /* raw bytes of a chunk that are still to come */
    struct thin_cli_request request;
    struct child *child;
    struct loop_source *deadline;
    bool is_greeted;
    char user[64], address[64];
    struct uuid login; /* the session that the command has, of a user who is not root; else null */
    struct cli_session *next;
};

static void session_free(struct cli_session *s) {
    for (struct cli_session **at = &s->all->first; *at; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            s->all->n--;
            break;
        }
    if (s->child)
        child_cancel(s->child);
    if (!uuid_is_null(&s->login))
        api_session_end(s->all->d->api, &s->login);
    loop_source_free(s->deadline);
    stream_free(s->stream);
    buf_done(&s->in);
    thin_cli_request_done(&s->request);
    free(s);
}

/* Sends these last words and ends. */
static void finish(struct cli_session *s, struct buf *words, int code) {
    thin_cli_exit(words, code);
    if (stream_write(s->stream, words->data, words->size))
        stream_finish(TAKE(s->stream), GOODBYE_MS);
    buf_done(words);
    session_free(s);
}

static void fail(struct cli_session *s, const char *code, const char *param) {
    struct buf words = BUF_INIT;
    const char *params[] = {param ? param : ""};
    thin_cli_error(&words, code, params, param ? 1 : 0);
    finish(s, &words, 1);
}

/* ---- the command ---- */

/* Each line is a message: the client ends it. */
static void print_lines(struct buf *words, const struct buf *out) {
    for (const char *p = buf_str(out), *end = p + out->size; p < end;) {
        size_t size = strcspn(p, "\n");
        thin_cli_print(words, p, size);
        p += size + 1;
    }
}

static void on_command(const struct child_result *r, void *userdata) {
    struct cli_session *s = userdata;
    struct buf words = BUF_INIT;
    static const char cut[] = "The output is longer than this way permits; the rest is left out.\n",
                      late[] =
                          "The command has not ended within an hour and was given up; what it asked for may go on.\n";
    s->child = NULL;
    print_lines(&words, &r->out);
    for (size_t pos = 0; pos < r->err.size; pos += LINE_MAX)
        thin_cli_print_stderr(&words, r->err.data + pos, MIN((size_t)LINE_MAX, r->err.size - pos));
    if (r->truncated)
        thin_cli_print_stderr(&words, cut, sizeof(cut) - 1);
    if (r->timed_out)
        thin_cli_print_stderr(&words, late, sizeof(late) - 1);
    log_info("user '%s' from '%s': xe %s: ended with %d", s->user, s->address, s->request.args.items[0], r->exit_code);
    finish(s, &words, r->exit_code == 0 ? 0 : 1);
}

/* What would lead xe elsewhere, or to files of this host. */
static bool is_forbidden(const char *word) {
    static const char *const keys[] = {"server",       "port",  "username",   "password", "password-file",
                                       "fingerprint",  "ca",    "insecure",   "file",     "filename",
                                       "passwordfile", "nossl", "certificate"};
    const char *key = str_starts(word, "--") ? word + 2 : word;
    size_t n = strcspn(key, "=");
    if (word[0] == '-' && word[1] != '-')
        return true;
    if (memmem(key, n, "password", 8)) /* it would stand among the arguments of a process */
        return true;
    if (str_starts(key, "remote-")) /* another pool, where this host would log in */
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (strlen(keys[i]) == n && strncmp(key, keys[i], n) == 0)
            return true;
    return false;
}

static void run_command(struct cli_session *s) {
    const char *argv[THIN_CLI_ARGS_MAX + 7];
    char ref[REF_TEXT_SIZE];
    bool is_root = uuid_is_null(&s->login);
    size_t n = 0;
    _cleanup_free_ char *run = strf("MUSTER_RUN_DIR=%s", s->all->d->options.run_dir);
    argv[n++] = "env";
    argv[n++] = run;
    argv[n++] = "HOME=/nonexistent"; /* no settings of this host's root */
    argv[n++] = "XE_NO_FILES=1";     /* and should one be named in a new way, xe itself refuses */
    if (!is_root)
        argv[n++] = "XE_SESSION_ON_STDIN=1"; /* where no other process sees it */
    argv[n++] = "xe";
    for (size_t i = 0; i < s->request.args.n; i++) {
        const char *word = s->request.args.items[i];
        if (i > 0 && is_forbidden(word)) {
            struct buf words = BUF_INIT;
            _cleanup_free_ char *text = strf(
                "'%.*s' cannot be said this way: files, servers and passwords stay on this side. Use Muster's own xe "
                "with -s.\n",
                (int)MIN(strcspn(word, "="), (size_t)100), word);
            thin_cli_print_stderr(&words, text, strlen(text));
            finish(s, &words, 1);
            return;
        }
        argv[n++] = word;
    }
    argv[n] = NULL;
    const char *input = is_root ? NULL : ref_text(&s->login, ref);
    s->child = child_run(s->all->d->loop, argv, input, CLI_COMMAND_MS, CLI_OUTPUT_MAX, on_command, s);
}

/* ---- what the client says ---- */

/* False when it makes no sense. */
static bool read_one(struct cli_session *s, bool *ret_more) {
    size_t size = 0;
    enum thin_cli_response response;
    uint32_t chunk = 0;
    *ret_more = false;
    size_t skipped = MIN((size_t)s->skip, s->in.size);
    buf_consume(&s->in, skipped);
    s->skip -= (uint32_t)skipped;
    if (s->skip > 0 || s->in.size == 0)
        return true;
    enum thin_cli_state state = s->is_greeted ? thin_cli_parse_message(s->in.data, s->in.size, &size, &response, &chunk)
                                              : thin_cli_parse_greeting(s->in.data, s->in.size, &size);
    if (state != THIN_CLI_READY)
        return state == THIN_CLI_MORE;
    buf_consume(&s->in, size);
    s->skip = chunk;
    if (!s->is_greeted) {
        s->is_greeted = true;
        loop_source_free(TAKE(s->deadline));
        run_command(s);
        return true;
    }
    *ret_more = true; /* it waits, or answers what nobody asked */
    return true;
}

static void on_data(struct stream *stream, const char *data, size_t size, void *userdata) {
    struct cli_session *s = userdata;
    bool more = true;
    buf_add(&s->in, data, size);
    while (more) {
        bool was_greeted = s->is_greeted;
        if (!read_one(s, &more)) {
            session_free(s);
            return;
        }
        if (!was_greeted)
            return; /* the command may be over already, and the session with it */
    }
}

static void on_end(struct stream *stream, int r, void *userdata) {
    session_free(userdata); /* nobody is there for the answer; the command is ended */
}

static const struct stream_callbacks callbacks = {.data = on_data, .end = on_end};

static void on_deadline(struct loop_source *source, void *userdata) {
    session_free(userdata);
}

/* ---- the request ---- */

static void begin(struct cli_session *s, struct http_request *req) {
    struct buf ahead = BUF_INIT, greeting = BUF_INIT;
    s->stream = http_take_stream(req, &ahead);
    if (!s->stream) {
        session_free(s);
        return;
    }
    s->in = ahead;
    thin_cli_greet(&greeting);
    (void)stream_write(s->stream, greeting.data, greeting.size);
    buf_done(&greeting);
    stream_set_callbacks(s->stream, &callbacks, s);
    s->deadline = loop_add_timer(s->all->d->loop, GREETING_MS, on_deadline, s);
}

static void go_on(struct cli_session *s) {
    stream_pause(s->stream, false);
    on_data(s->stream, "", 0, s); /* what came ahead */
}

static void on_verdict(struct http_request *req, const struct api_identity *who, const char *code, const char *param,
                       void *userdata) {
    struct cli_session *s = userdata;
    if (http_is_aborted(req)) {
        http_end(req);
        session_free(s);
        return;
    }
    if (who) {
        str_copy(s->user, sizeof(s->user), who->user);
        s->login = who->session;
        str_copy(s->address, sizeof(s->address), who->is_local ? "local" : who->address);
    }
    begin(s, req);
    if (s->stream && code)
        fail(s, code, param);
    else if (s->stream)
        go_on(s);
}

static void handle(struct http_request *req, void *userdata) {
    struct cli_server *cs = userdata;
    size_t size;
    const char *body = http_get_body(req, &size);
    struct thin_cli_request r;
    if (!str_eq(http_get_path(req), "/cli") || !thin_cli_parse(body, size, &r)) {
        http_reply_error(req, 400, NULL, "This is not what the command line client says.");
        return;
    }
    if (cs->n >= CLI_SESSIONS_MAX) {
        thin_cli_request_done(&r);
        http_reply_error(req, 503, NULL, "Too many commands run at this moment.");
        return;
    }
    struct cli_session *s = xnew0(struct cli_session);
    *s = (struct cli_session){.all = cs, .request = r, .next = cs->first};
    cs->first = s;
    cs->n++;
    struct api_http_login login = {
        .session = s->request.session, .user = s->request.user, .password = s->request.password};
    api_http_judge(cs->d->api, req, &login, ROLE_READ_ONLY, on_verdict, s);
}

struct cli_server *cli_server_new(struct daemon *d) {
    struct cli_server *cs = xnew0(struct cli_server);
    cs->d = d;
    http_server_route(d->http, HTTP_POST, "/cli", THIN_CLI_BODY_MAX, handle, cs);
    return cs;
}

void cli_server_free(struct cli_server *cs) {
    if (!cs)
        return;
    for (struct cli_session *s; (s = cs->first);) {
        cs->first = s->next;
        session_free(s);
    }
    free(cs);
}

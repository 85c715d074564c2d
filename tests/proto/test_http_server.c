/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server against raw sockets: what clients do, well-meant or not. */
#include "wire_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/str.h"

static struct http_request *kept[300];
static size_t n_kept;
static unsigned n_aborts;

static void on_echo(struct http_request *req, void *userdata) {
    struct buf out = BUF_INIT;
    size_t size;
    const char *body = http_get_body(req, &size);
    const char *q = http_get_query(req, "q");
    assert_int_equal(body[size], 0);
    buf_addf(&out, "<%s|%s|%s|%s>", http_method_names[http_get_method(req)], http_get_path(req), q ? q : "-", body);
    http_reply(req, 200, "text/plain", NULL, &out);
}

static void on_abort(struct http_request *req, void *userdata) {
    n_aborts++;
}

static void on_later(struct http_request *req, void *userdata) {
    assert_true(n_kept < ARRAY_SIZE(kept));
    kept[n_kept++] = req;
    http_on_abort(req, on_abort, NULL);
}

static void answer_kept(void) {
    for (size_t i = 0; i < n_kept; i++) {
        struct buf out = BUF_INIT;
        buf_addf(&out, "<later %s>", http_get_path(kept[i]));
        http_reply(kept[i], 200, "text/plain", NULL, &out);
    }
    n_kept = 0;
}

static bool has_kept(void *arg) {
    return n_kept >= *(size_t *)arg;
}

static void wait_kept(struct rig *r, size_t n) {
    rig_wait(r, has_kept, &n, 5000);
}

static void on_big(struct http_request *req, void *userdata) {
    struct buf out = BUF_INIT;
    buf_reserve(&out, 3 << 20);
    memset(out.data, 'x', 3 << 20);
    out.size = 3 << 20;
    buf_add_str(&out, "<end>");
    http_reply(req, 200, "text/plain", NULL, &out);
}

struct taken {
    struct stream *stream;
};

static void taken_data(struct stream *s, const char *data, size_t size, void *userdata) {
    assert_true(stream_write(s, data, size));
}

static void taken_end(struct stream *s, int r, void *userdata) {
    struct taken *t = userdata;
    t->stream = NULL;
    stream_finish(s, 1000);
}

static void on_connect_method(struct http_request *req, void *userdata) {
    static const struct stream_callbacks callbacks = {.data = taken_data, .end = taken_end};
    struct buf rest = BUF_INIT, head = BUF_INIT;
    struct taken *t = userdata;
    t->stream = http_take_stream(req, &rest);
    http_format_head(&head, 0, 200, NULL);
    stream_set_callbacks(t->stream, &callbacks, t);
    assert_true(stream_write(t->stream, head.data, head.size));
    assert_true(stream_write(t->stream, rest.data, rest.size));
    stream_pause(t->stream, false);
    buf_done(&rest);
    buf_done(&head);
}

struct upload {
    size_t size;
    bool complete;
    bool over;
};

static void upload_data(struct http_request *req, const char *data, size_t size, void *userdata) {
    struct upload *u = userdata;
    u->size += size;
}

static void upload_end(struct http_request *req, bool complete, void *userdata) {
    struct upload *u = userdata;
    u->complete = complete;
    u->over = true;
    struct buf out = BUF_INIT;
    buf_addf(&out, "<got %zu>", u->size);
    http_reply(req, 200, NULL, NULL, &out);
}

static void on_put(struct http_request *req, void *userdata) {
    static const struct http_body_callbacks callbacks = {.data = upload_data, .end = upload_end};
    http_read_body(req, &callbacks, userdata);
}

static struct taken taken;
static struct upload upload;

static void begin(struct rig *r, const struct http_limits *limits) {
    rig_init(r, limits);
    n_kept = n_aborts = 0;
    upload = (struct upload){0};
    http_server_route(r->server, HTTP_POST, "/", 100000, on_echo, NULL);
    http_server_route(r->server, HTTP_GET, "/echo", 0, on_echo, NULL);
    http_server_route(r->server, HTTP_POST, "/later", 0, on_later, NULL);
    http_server_route(r->server, HTTP_GET, "/big", 0, on_big, NULL);
    http_server_route_raw(r->server, HTTP_CONNECT, "/console", on_connect_method, &taken);
    http_server_route_raw(r->server, HTTP_PUT, "/import", on_put, &upload);
    struct error *e = NULL;
    assert_true(http_server_listen(r->server, "127.0.0.1", 0, 0, NULL, &e));
}

static const char *ask(struct rig *r, const char *text, const char *end) {
    static struct buf out;
    buf_done(&out);
    int fd = rig_connect(http_server_port(r->server));
    rig_send(fd, text);
    rig_receive_until(r, fd, &out, end, 5000);
    close(fd);
    return buf_str(&out);
}

static void test_routes_and_answers(void **state) {
    struct rig r;
    begin(&r, NULL);
    const char *a = ask(&r, "POST /RPC2 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "hello>");
    assert_non_null(strstr(a, "<POST|/RPC2|-|hello>"));
    assert_true(str_starts(a, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(a, "Content-Length: 20\r\n"));
    assert_non_null(strstr(a, "Connection: keep-alive\r\n"));
    assert_non_null(strstr(a, "\r\nDate: "));
    /* Longest prefix, decoded path and query. */
    assert_non_null(strstr(ask(&r, "GET /echo/a%20b?x=1&q=c%2Bd+e HTTP/1.1\r\n\r\n", ">"), "<GET|/echo/a b|c+d e|>"));
    assert_true(str_starts(ask(&r, "GET /nothing HTTP/1.1\r\n\r\n", NULL), "HTTP/1.1 404 "));
    const char *head = ask(&r, "HEAD /nothing HTTP/1.1\r\n\r\n", NULL);
    assert_true(str_starts(head, "HTTP/1.1 404 "));
    assert_true(str_ends(head, "\r\n\r\n")); /* no page behind it */
    http_server_page(r.server, "/", "<p>what this is</p>");
    assert_true(str_ends(ask(&r, "GET / HTTP/1.0\r\n\r\n", NULL), "\r\n\r\n<p>what this is</p>"));
    assert_true(str_starts(ask(&r, "GET /nothing HTTP/1.0\r\n\r\n", NULL), "HTTP/1.1 404 "));
    assert_true(str_starts(ask(&r, "DELETE /echo HTTP/1.1\r\n\r\n", NULL), "HTTP/1.1 501 "));
    assert_true(str_starts(ask(&r, "POST / HTTP/1.1\r\n\r\n", NULL), "HTTP/1.1 500 "));
    assert_true(
        str_starts(ask(&r, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", NULL), "HTTP/1.1 500 "));
    assert_true(str_starts(ask(&r, "POST / HTTP/1.1\r\nContent-Length: 100001\r\n\r\n", NULL), "HTTP/1.1 413 "));
    assert_true(str_starts(ask(&r, "GET / HTTP/2.0\r\n\r\n", NULL), "HTTP/1.1 505 "));
    assert_true(str_starts(ask(&r, "GET /echo\r\n\r\n", NULL), "HTTP/1.1 400 "));
    assert_true(str_starts(ask(&r, "\x16\x03\x01\x02\n", NULL), "HTTP/1.1 400 "));
    /* HTTP/1.0 ends with the answer, HEAD has no body. */
    assert_non_null(strstr(ask(&r, "GET /echo HTTP/1.0\r\n\r\n", NULL), "Connection: close\r\n\r\n<GET"));
    a = ask(&r, "HEAD /echo HTTP/1.1\r\nConnection: close\r\n\r\n", NULL);
    assert_non_null(strstr(a, "Content-Length: 15\r\n"));
    assert_null(strstr(a, "<HEAD"));
    a = ask(&r, "POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", "\r\n\r\n");
    assert_true(str_starts(a, "HTTP/1.1 100 Continue\r\n\r\n"));
    rig_done(&r);
}

static bool no_connections(void *arg) {
    return http_server_n_connections(arg) == 0;
}

/* Refused clients that linger do not pile up beyond a limit. */
static void test_lingering(void **state) {
    enum { N = 800 };
    struct rig r;
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = MIN(files.rlim_max, (rlim_t)4096);
    if (files.rlim_cur < 2 * N + 100 || setrlimit(RLIMIT_NOFILE, &files) < 0)
        skip(); /* both ends of each connection live here */
    begin(&r, &(struct http_limits){.max_connections_per_address = 4096});
    int *fds = xcalloc(N, sizeof(*fds));
    for (int i = 0; i < N; i++) {
        fds[i] = rig_connect(http_server_port(r.server));
        rig_send(fds[i], "no HTTP\n");
        loop_step(r.loop, 0);
    }
    rig_wait(&r, no_connections, r.server, 5000);
    unsigned n_closed = 0;
    for (int round = 0; round < 200 && n_closed < N - 512; round++) {
        loop_step(r.loop, 5);
        n_closed = 0;
        for (int i = 0; i < N; i++) { /* a closed socket answers with a reset to what is sent there */
            char c;
            (void)!send(fds[i], "x", 1, MSG_NOSIGNAL);
            n_closed +=
                send(fds[i], "x", 1, MSG_NOSIGNAL) < 0 || (recv(fds[i], &c, 1, MSG_PEEK) < 0 && errno == ECONNRESET);
        }
    }
    assert_true(n_closed >= N - 512);
    for (int i = 0; i < N; i++)
        close(fds[i]);
    free(fds);
    rig_done(&r);
}

static void test_pieces(void **state) {
    struct rig r;
    begin(&r, NULL);
    static const char text[] =
        "POST /a HTTP/1.1\r\nX-Y: z\r\nContent-Length: 3\r\n\r\nabcPOST /b HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
    int fd = rig_connect(http_server_port(r.server));
    for (const char *p = text; *p; p++) {
        char one[2] = {*p};
        rig_send(fd, one);
        loop_step(r.loop, 0);
        loop_step(r.loop, 0);
    }
    struct buf out = BUF_INIT;
    rig_receive_until(&r, fd, &out, "<POST|/b|-|>", 5000);
    assert_non_null(strstr(out.data, "<POST|/a|-|abc>"));
    buf_done(&out);
    close(fd);
    rig_done(&r);
}

static void test_body_grows(void **state) {
    /* The body makes the input move in memory after the head was parsed. */
    struct rig r;
    begin(&r, NULL);
    int fd = rig_connect(http_server_port(r.server));
    rig_send(fd, "POST /grown?q=1 HTTP/1.1\r\nContent-Length: 90000\r\n\r\n");
    char *body = xmalloc(90001);
    memset(body, 'b', 90000);
    body[90000] = '\0';
    for (int i = 0; i < 90; i++) {
        char part[1001];
        memcpy(part, body + i * 1000, 1000);
        part[1000] = '\0';
        rig_send(fd, part);
        loop_step(r.loop, 0);
    }
    struct buf out = BUF_INIT;
    rig_receive_until(&r, fd, &out, "bbb>", 5000);
    assert_non_null(strstr(out.data, "<POST|/grown|1|bbb"));
    buf_done(&out);
    free(body);
    close(fd);
    rig_done(&r);
}

static void test_pipelining(void **state) {
    struct rig r;
    begin(&r, NULL);
    struct buf text = BUF_INIT, out = BUF_INIT;
    for (int i = 0; i < 500; i++)
        buf_addf(&text, "%sPOST /n%d HTTP/1.1\r\nContent-Length: 1\r\n\r\n%c", i % 7 == 0 ? "\r\n" : "", i,
                 'a' + i % 26);
    int fd = rig_connect(http_server_port(r.server));
    rig_send(fd, text.data);
    rig_receive_until(&r, fd, &out, "<POST|/n499|", 5000);
    assert_int_equal(rig_count(out.data, "HTTP/1.1 200 OK"), 500);
    const char *p = out.data;
    for (int i = 0; i < 500; i++) { /* in order */
        char want[32];
        snprintf(want, sizeof(want), "<POST|/n%d|-|%c>", i, 'a' + i % 26);
        p = strstr(p, want);
        assert_non_null(p);
    }
    /* Behind a request that is answered later the others wait. */
    buf_clear(&out);
    rig_send(fd, "POST /later HTTP/1.1\r\nContent-Length: 0\r\n\r\nPOST /after HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    wait_kept(&r, 1);
    for (int i = 0; i < 5; i++)
        loop_step(r.loop, 1);
    answer_kept();
    rig_receive_until(&r, fd, &out, "<POST|/after|-|>", 5000);
    assert_true(strstr(out.data, "<later /later>") < strstr(out.data, "/after"));
    buf_done(&text);
    buf_done(&out);
    close(fd);
    rig_done(&r);
}

static void test_half_closed(void **state) {
    struct rig r;
    begin(&r, NULL);
    struct buf out = BUF_INIT;
    int fd = rig_connect(http_server_port(r.server));
    rig_send(fd, "POST /later HTTP/1.1\r\nContent-Length: 0\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    wait_kept(&r, 1);
    for (int i = 0; i < 100 && n_aborts == 0; i++)
        loop_step(r.loop, 5);
    assert_int_equal(n_aborts, 1);
    answer_kept();
    rig_receive_until(&r, fd, &out, NULL, 5000);
    assert_non_null(strstr(out.data, "<later /later>"));
    assert_non_null(strstr(out.data, "<POST|/b|-|>"));
    buf_done(&out);
    close(fd);
    rig_done(&r);
}

static void test_client_gone(void **state) {
    struct rig r;
    begin(&r, NULL);
    int fd = rig_connect(http_server_port(r.server));
    rig_send(fd, "POST /later HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    wait_kept(&r, 1);
    struct linger linger = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd); /* a reset */
    rig_wait(&r, no_connections, r.server, 5000);
    assert_int_equal(n_aborts, 1);
    assert_true(http_is_aborted(kept[0]));
    assert_string_equal(http_get_peer(kept[0])->address, "127.0.0.1");
    answer_kept(); /* goes nowhere */
    /* The server may go first, too. */
    fd = rig_connect(http_server_port(r.server));
    rig_send(fd, "POST /later HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    wait_kept(&r, 1);
    rig_done(&r);
    answer_kept();
    close(fd);
}

static void test_slow_loris(void **state) {
    struct rig r;
    begin(&r, &(struct http_limits){.head_timeout_ms = 300, .body_timeout_ms = 300, .idle_timeout_ms = 300});
    uint16_t port = http_server_port(r.server);
    int silent = rig_connect(port), slow = rig_connect(port), body = rig_connect(port), idle = rig_connect(port);
    struct buf out = BUF_INIT;
    rig_send(slow, "POST / HT");
    rig_send(body, "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
    rig_send(idle, "GET /echo HTTP/1.1\r\n\r\n");
    rig_receive_until(&r, idle, &out, ">", 5000);
    /* A byte now and then does not help. */
    for (int i = 0; i < 5; i++) {
        loop_step(r.loop, 20);
        (void)!send(slow, "T", 1, MSG_NOSIGNAL);
    }
    rig_wait(&r, no_connections, r.server, 5000);
    buf_clear(&out);
    rig_receive_until(&r, slow, &out, NULL, 5000);
    assert_true(str_starts(out.data, "HTTP/1.1 408 "));
    buf_done(&out);
    close(silent);
    close(slow);
    close(body);
    close(idle);
    rig_done(&r);
}

static void test_reader_that_does_not_read(void **state) {
    struct rig r;
    begin(&r, &(struct http_limits){.body_timeout_ms = 300});
    int fd = rig_connect(http_server_port(r.server));
    struct buf text = BUF_INIT;
    for (int i = 0; i < 100; i++)
        buf_add_str(&text, "GET /big HTTP/1.1\r\n\r\n");
    rig_send(fd, text.data);
    /* The answers of 3 MiB stop at the first that does not fit; the connection goes after a while. */
    rig_wait(&r, no_connections, r.server, 10000);
    close(fd);
    buf_done(&text);
    rig_done(&r);
}

/* The last of several requests is taken when the answers before it are read, and ends the connection. */
static void test_last_one_waits(void **state) {
    static const char *const lasts[] = {"GET /echo?q=last HTTP/1.1\r\nConnection: close\r\n\r\n",
                                        "GET /echo?q=last HTTP/1.1\r\n\r\n", "no HTTP\n"};
    enum { N_BIG = 6 }; /* more than the kernel takes for a client that does not read */
    struct rig r;
    begin(&r, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(lasts); i++) {
        int fd = rig_connect(http_server_port(r.server));
        struct buf text = BUF_INIT, out = BUF_INIT;
        for (int n = 0; n < N_BIG; n++)
            buf_add_str(&text, "GET /big HTTP/1.1\r\n\r\n");
        buf_add_str(&text, lasts[i]);
        rig_send(fd, text.data);
        if (i == 1)
            assert_int_equal(shutdown(fd, SHUT_WR), 0);
        for (int n = 0; n < 50; n++)
            loop_step(r.loop, 1);
        assert_int_equal(http_server_n_connections(r.server), 1); /* some wait */
        rig_receive_until(&r, fd, &out, NULL, 10000);
        assert_int_equal(rig_count(out.data, "<end>"), N_BIG);
        assert_non_null(strstr(out.data, i < 2 ? "<GET|/echo|last|>" : "HTTP/1.1 400 "));
        assert_int_equal(http_server_n_connections(r.server), 0);
        buf_done(&text);
        buf_done(&out);
        close(fd);
    }
    rig_done(&r);
}

static void test_big_answer(void **state) {
    struct rig r;
    begin(&r, NULL);
    const char *a = ask(&r, "GET /big HTTP/1.1\r\nConnection: close\r\n\r\n", NULL);
    assert_int_equal(strlen(strstr(a, "\r\n\r\n") + 4), (3 << 20) + 5);
    assert_true(str_ends(a, "xx<end>"));
    rig_done(&r);
}

static void test_oversized(void **state) {
    struct rig r;
    begin(&r, NULL);
    struct buf text = BUF_INIT;
    buf_add_str(&text, "GET /");
    while (text.size < 20000)
        buf_add_char(&text, 'a');
    buf_add_str(&text, " HTTP/1.1\r\n\r\n");
    assert_true(str_starts(ask(&r, text.data, NULL), "HTTP/1.1 414 "));
    buf_clear(&text);
    buf_add_str(&text, "GET / HTTP/1.1\r\nX: ");
    while (text.size < 20000)
        buf_add_char(&text, 'a');
    buf_add_str(&text, "\r\n\r\n");
    assert_true(str_starts(ask(&r, text.data, NULL), "HTTP/1.1 431 "));
    buf_clear(&text);
    buf_add_str(&text, "GET / HTTP/1.1\r\n");
    for (int i = 0; i < 101; i++)
        buf_addf(&text, "h%d: 1\r\n", i);
    buf_add_str(&text, "\r\n");
    assert_true(str_starts(ask(&r, text.data, NULL), "HTTP/1.1 431 "));
    buf_done(&text);
    rig_done(&r);
}

static void test_many(void **state) {
    enum { N = 200 };
    struct rig r;
    begin(&r, NULL);
    int fds[N];
    struct buf out = BUF_INIT;
    for (int i = 0; i < N; i++) {
        fds[i] = rig_connect(http_server_port(r.server));
        rig_send(fds[i], "POST /later HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
        if (i % 50 == 0)
            loop_step(r.loop, 0);
    }
    wait_kept(&r, N);
    assert_int_equal(http_server_n_connections(r.server), N);
    answer_kept();
    for (int i = 0; i < N; i++) {
        buf_clear(&out);
        rig_receive_until(&r, fds[i], &out, "<later /later>", 5000);
        close(fds[i]);
    }
    rig_wait(&r, no_connections, r.server, 5000);
    buf_done(&out);
    rig_done(&r);
}

static void test_limits(void **state) {
    struct rig r;
    begin(&r, &(struct http_limits){.max_connections_per_address = 3, .max_requests = 2});
    uint16_t port = http_server_port(r.server);
    int fds[3];
    struct buf out = BUF_INIT;
    for (int i = 0; i < 3; i++)
        fds[i] = rig_connect(port);
    int extra = rig_connect(port);
    rig_receive_until(&r, extra, &out, NULL, 5000);
    assert_int_equal(out.size, 0);
    close(extra);
    rig_send(fds[0], "GET /echo/1 HTTP/1.1\r\n\r\nGET /echo/2 HTTP/1.1\r\n\r\nGET /echo/3 HTTP/1.1\r\n\r\n");
    rig_receive_until(&r, fds[0], &out, NULL, 5000);
    assert_non_null(strstr(out.data, "/echo/2"));
    assert_null(strstr(out.data, "/echo/3"));
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    rig_wait(&r, no_connections, r.server, 5000);
    assert_non_null(strstr(ask(&r, "GET /echo HTTP/1.1\r\n\r\n", ">"), "<GET"));
    buf_done(&out);
    rig_done(&r);
}

static void test_raw_stream(void **state) {
    struct rig r;
    begin(&r, NULL);
    struct buf out = BUF_INIT;
    int fd = rig_connect(http_server_port(r.server));
    rig_send(fd, "CONNECT /console?uuid=1 HTTP/1.0\r\n\r\nearly ");
    rig_receive_until(&r, fd, &out, "early ", 5000);
    assert_true(str_starts(out.data, "HTTP/1.0 200 OK\r\n\r\nearly "));
    assert_int_equal(http_server_n_connections(r.server), 0);
    rig_send(fd, "and late");
    rig_receive_until(&r, fd, &out, "and late", 5000);
    shutdown(fd, SHUT_WR);
    rig_receive_until(&r, fd, &out, NULL, 5000);
    close(fd);
    buf_done(&out);
    rig_done(&r);
}

static bool upload_over(void *arg) {
    return upload.over;
}

static void test_streamed_body(void **state) {
    struct rig r;
    begin(&r, NULL);
    uint16_t port = http_server_port(r.server);
    struct buf out = BUF_INIT;
    int fd = rig_connect(port);
    char part[10001];
    memset(part, 'p', 10000);
    part[10000] = '\0';
    rig_send(fd, "PUT /import HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n");
    for (int i = 0; i < 100; i++) {
        rig_send(fd, part);
        loop_step(r.loop, 0);
    }
    rig_send(fd, "GET /echo HTTP/1.1\r\n\r\n"); /* the connection is good for more */
    rig_receive_until(&r, fd, &out, "<GET|/echo|", 5000);
    assert_non_null(strstr(out.data, "<got 1000000>"));
    assert_true(upload.complete);
    close(fd);
    /* Without a length, until the end. */
    upload = (struct upload){0};
    buf_clear(&out);
    fd = rig_connect(port);
    rig_send(fd, "PUT /import HTTP/1.0\r\n\r\n0123456789");
    shutdown(fd, SHUT_WR);
    rig_receive_until(&r, fd, &out, NULL, 5000);
    assert_non_null(strstr(out.data, "<got 10>"));
    assert_true(upload.complete);
    close(fd);
    /* Cut short. */
    upload = (struct upload){0};
    fd = rig_connect(port);
    rig_send(fd, "PUT /import HTTP/1.0\r\nContent-Length: 11\r\n\r\n0123456789");
    close(fd);
    rig_wait(&r, upload_over, NULL, 5000);
    assert_false(upload.complete);
    buf_done(&out);
    rig_done(&r);
}

/* Who came in at a port that is open no longer goes: idle at once, waiting for an answer with that. */
static void test_unlisten(void **state) {
    struct rig r;
    begin(&r, NULL);
    struct error *e = NULL;
    assert_true(http_server_listen(r.server, "127.0.0.2", 0, 0, NULL, &e));
    http_server_unlisten(r.server, "127.0.0.2", 0);
    int waiting = rig_connect(http_server_port(r.server)), idle = rig_connect(http_server_port(r.server));
    struct buf out = BUF_INIT;
    rig_send(idle, "GET /echo HTTP/1.1\r\n\r\n");
    rig_receive_until(&r, idle, &out, ">", 5000);
    assert_non_null(strstr(buf_str(&out), "Connection: keep-alive"));
    rig_send(waiting, "POST /later HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    wait_kept(&r, 1);
    assert_true(http_server_unlisten(r.server, "127.0.0.1", 0));
    buf_clear(&out);
    rig_receive_until(&r, idle, &out, NULL, 5000); /* to its end */
    assert_int_equal(out.size, 0);
    assert_int_equal(http_server_n_connections(r.server), 1);
    http_reply(kept[0], 200, NULL, NULL, NULL);
    rig_receive_until(&r, waiting, &out, NULL, 5000);
    assert_true(str_starts(buf_str(&out), "HTTP/1.1 200 OK"));
    assert_non_null(strstr(buf_str(&out), "Connection: close"));
    buf_done(&out);
    close(waiting);
    close(idle);
    rig_done(&r);
}

static void on_who(struct http_request *req, void *userdata) {
    struct buf out = BUF_INIT;
    const struct stream_peer *p = http_get_peer(req);
    buf_addf(&out, "<unix %d uid %u>", p->is_unix, p->uid);
    http_reply(req, 200, NULL, NULL, &out);
}

static void test_unix_and_freebind(void **state) {
    struct rig r;
    begin(&r, NULL);
    http_server_route(r.server, HTTP_GET, "/who", 0, on_who, NULL);
    char path[128];
    struct error *e = NULL;
    rig_path(&r, "sock", path, sizeof(path));
    assert_true(http_server_listen(r.server, path, 0, 0600, NULL, &e));
    assert_false(http_server_listen(r.server, path, 0, 0600, NULL, &e)); /* somebody answers there */
    error_free(TAKE(e));
    assert_true(http_server_listen(r.server, "192.0.2.77", 0, 0, NULL, &e)); /* an address that is not here yet */
    assert_true(http_server_unlisten(r.server, "192.0.2.77", 0));
    assert_true(http_server_listen(r.server, "::1", 0, 0, NULL, &e));
    assert_false(http_server_listen(r.server, "not an address", 0, 0, NULL, &e));
    error_free(TAKE(e));
    struct stream_peer peer;
    (void)peer;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct {
        unsigned short family;
        char path[108];
    } a = {.family = AF_UNIX};
    assert_true(str_copy(a.path, sizeof(a.path), path));
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    rig_send(fd, "GET /who HTTP/1.1\r\n\r\n");
    struct buf out = BUF_INIT;
    rig_receive_until(&r, fd, &out, ">", 5000);
    char want[64];
    snprintf(want, sizeof(want), "<unix 1 uid %u>", getuid());
    assert_non_null(strstr(out.data, want));
    buf_done(&out);
    close(fd);
    rig_done(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes_and_answers),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_lingering),
        cmocka_unit_test(test_body_grows),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_half_closed),
        cmocka_unit_test(test_client_gone),
        cmocka_unit_test(test_slow_loris),
        cmocka_unit_test(test_reader_that_does_not_read),
        cmocka_unit_test(test_last_one_waits),
        cmocka_unit_test(test_big_answer),
        cmocka_unit_test(test_oversized),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_raw_stream),
        cmocka_unit_test(test_streamed_body),
        cmocka_unit_test(test_unlisten),
        cmocka_unit_test(test_unix_and_freebind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The client against a server that this test plays itself, message by message. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"
#include "loop/worker.h"
#include "ovsdb/ovsdb_conn.h"
#include "ovsdb/unixctl.h"

struct fixture {
    struct loop *loop;
    char folder[64];
    char path[160];
    int listener, peer;
    struct ovsdb_conn *conn;
    int n_connected, n_disconnected, n_notifications;
    char reason[200], method[64];
    int n_replies;
    char reply[200], error[64];
    bool free_in_callback;
};

static void on_state(struct ovsdb_conn *c, bool connected, const char *reason, void *userdata) {
    struct fixture *f = userdata;
    *(connected ? &f->n_connected : &f->n_disconnected) += 1;
    if (reason)
        str_copy(f->reason, sizeof(f->reason), reason);
}

static void on_notify(struct ovsdb_conn *c, const char *method, const json_t *params, void *userdata) {
    struct fixture *f = userdata;
    f->n_notifications++;
    str_copy(f->method, sizeof(f->method), method);
}

static void on_reply(const json_t *result, struct error *error, void *userdata) {
    struct fixture *f = userdata;
    f->n_replies++;
    char *text = json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY);
    str_copy(f->reply, sizeof(f->reply), text ? text : "");
    free(text);
    str_copy(f->error, sizeof(f->error), error ? error_code(error) : "");
    if (f->free_in_callback) {
        ovsdb_conn_free(f->conn);
        f->conn = NULL;
    }
}

static void listen_on(struct fixture *f) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(str_copy(address.sun_path, sizeof(address.sun_path), f->path));
    unlink(f->path);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(f->listener, 4), 0);
}

#define WAIT_FOR(f, condition)                                                                                         \
    for (uint64_t end_ = loop_now_ms((f)->loop) + 5000; !(condition);) {                                               \
        assert_true(loop_now_ms((f)->loop) < end_);                                                                    \
        loop_step((f)->loop, 50);                                                                                      \
    }

static void accept_one(struct fixture *f) {
    int n = f->n_connected;
    WAIT_FOR(f, f->n_connected > n);
    f->peer = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(f->peer >= 0);
}

/* What the client has written so far, at least one message. */
static const char *peer_read(struct fixture *f) {
    static char text[4096];
    ssize_t n = -1;
    WAIT_FOR(f, (n = recv(f->peer, text, sizeof(text) - 1, MSG_DONTWAIT)) > 0);
    text[n] = '\0';
    return text;
}

static void peer_write(struct fixture *f, const char *text) {
    assert_int_equal(send(f->peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static int setup(void **state) {
    struct fixture *f = xnew0(struct fixture);
    f->loop = loop_new();
    f->peer = -1;
    str_copy(f->folder, sizeof(f->folder), "/tmp/test-ovsdb-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/s", f->folder);
    listen_on(f);
    f->conn = ovsdb_conn_new(f->loop, f->path, on_state, on_notify, f);
    accept_one(f);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    ovsdb_conn_free(f->conn);
    loop_free(f->loop);
    close(f->listener);
    close(f->peer);
    unlink(f->path);
    rmdir(f->folder);
    free(f);
    return 0;
}

static void test_call(void **state) {
    struct fixture *f = *state;
    ovsdb_conn_call(f->conn, "get_schema", json_pack("[s]", "X"), 1000, on_reply, f);
    assert_int_equal(f->n_replies, 0);
    assert_string_equal(peer_read(f), "{\"method\":\"get_schema\",\"params\":[\"X\"],\"id\":1}");
    peer_write(f, "{\"id\":1,\"result\":{\"a\":1},\"error\":null}");
    WAIT_FOR(f, f->n_replies == 1);
    assert_string_equal(f->reply, "{\"a\":1}");
    assert_string_equal(f->error, "");
    ovsdb_conn_call(f->conn, "x", json_array(), 1000, on_reply, f);
    peer_write(f, "{\"id\":2,\"result\":null,\"error\":{\"error\":\"unknown database\",\"details\":\"d\"}}");
    WAIT_FOR(f, f->n_replies == 2);
    assert_string_equal(f->error, OVSDB_ERROR);
}

static void test_echo_and_notification(void **state) {
    struct fixture *f = *state;
    peer_write(f, "{\"id\":\"e\",\"method\":\"echo\",\"params\":[5]}{\"id\":null,\"method\":\"update\",\"params\":[]}");
    assert_string_equal(peer_read(f), "{\"result\":[5],\"error\":null,\"id\":\"e\"}");
    WAIT_FOR(f, f->n_notifications == 1);
    assert_string_equal(f->method, "update");
}

static void test_timeout_and_late_answer(void **state) {
    struct fixture *f = *state;
    ovsdb_conn_call(f->conn, "slow", json_array(), 20, on_reply, f);
    WAIT_FOR(f, f->n_replies == 1);
    assert_string_equal(f->error, OVSDB_TIMEOUT);
    peer_write(f, "{\"id\":1,\"result\":1,\"error\":null}{\"id\":null,\"method\":\"update\",\"params\":[]}");
    WAIT_FOR(f, f->n_notifications == 1);
    assert_int_equal(f->n_replies, 1);
}

static void test_disconnect(void **state) {
    struct fixture *f = *state;
    ovsdb_conn_call(f->conn, "x", json_array(), LOOP_NEVER, on_reply, f);
    peer_read(f);
    close(f->peer);
    WAIT_FOR(f, f->n_disconnected == 1);
    assert_int_equal(f->n_replies, 1);
    assert_string_equal(f->error, OVSDB_DISCONNECTED);
    ovsdb_conn_call(f->conn, "y", json_array(), LOOP_NEVER, on_reply, f);
    assert_int_equal(f->n_replies, 1); /* never from inside */
    WAIT_FOR(f, f->n_replies == 2);
    assert_string_equal(f->error, OVSDB_DISCONNECTED);
    accept_one(f); /* by itself */
    ovsdb_conn_call(f->conn, "z", json_array(), LOOP_NEVER, on_reply, f);
    assert_non_null(strstr(peer_read(f), "\"z\""));
}

static void test_nonsense(void **state) {
    static const char *const texts[] = {"hello", "{\"a\":}", "{\"id\":1}x", "{}", "{\"method\":\"m\"}", "{\"id\":-5}"};
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        int n = f->n_disconnected;
        peer_write(f, texts[i]);
        WAIT_FOR(f, f->n_disconnected > n);
        close(f->peer);
        accept_one(f);
    }
}

static void test_free_in_callback(void **state) {
    struct fixture *f = *state;
    f->free_in_callback = true;
    ovsdb_conn_call(f->conn, "x", json_array(), LOOP_NEVER, on_reply, f);
    ovsdb_conn_call(f->conn, "y", json_array(), LOOP_NEVER, on_reply, f);
    peer_read(f);
    peer_write(f, "{\"id\":1,\"result\":1,\"error\":null}{\"id\":2,\"result\":1,\"error\":null}");
    WAIT_FOR(f, f->n_replies == 1);
    loop_step(f->loop, 10);
    assert_int_equal(f->n_replies, 1);
    assert_null(f->conn);
}

static void test_free_at_disconnect(void **state) {
    struct fixture *f = *state;
    f->free_in_callback = true;
    ovsdb_conn_call(f->conn, "x", json_array(), LOOP_NEVER, on_reply, f);
    peer_read(f);
    close(f->peer);
    WAIT_FOR(f, f->n_replies == 1);
    assert_int_equal(f->n_disconnected, 0);
}

/* Longer than the 107 characters of an address. */
static void test_long_path(void **state) {
    struct fixture *f = *state;
    char link_path[300];
    _cleanup_free_ char *folder = strf("%s/%0150d", f->folder, 0);
    snprintf(link_path, sizeof(link_path), "%s/s", folder);
    assert_int_equal(symlink(f->folder, folder), 0);
    int fd = ovsdb_socket_connect(link_path);
    assert_true(fd >= 0);
    close(fd);
    unlink(folder);
}

static void on_unixctl(const char *text, struct error *error, void *userdata) {
    struct fixture *f = userdata;
    f->n_replies++;
    str_copy(f->reply, sizeof(f->reply), text ? text : "");
    str_copy(f->error, sizeof(f->error), error ? error_code(error) : "");
}

static void test_unixctl(void **state) {
    struct fixture *f = *state;
    ovsdb_conn_free(TAKE(f->conn));
    close(f->peer);
    assert_int_equal(fcntl(f->listener, F_SETFL, O_NONBLOCK), 0);
    unixctl_call(f->loop, f->path, "cluster/status", (const char *const[]){"Muster", NULL}, 2000, on_unixctl, f);
    int asking = -1;
    WAIT_FOR(f, (asking = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
    f->peer = asking;
    const char *text = peer_read(f);
    assert_string_equal(text, "{\"method\":\"cluster/status\",\"params\":[\"Muster\"],\"id\":1}");
    const char *answer = "{\"id\":1,\"result\":\"fine\\n\",\"error\":null}";
    assert_int_equal(write(asking, answer, strlen(answer)), strlen(answer));
    WAIT_FOR(f, f->n_replies == 1);
    assert_string_equal(f->reply, "fine\n");
    _cleanup_free_ char *nowhere = strf("%s/nobody", f->folder);
    unixctl_call(f->loop, nowhere, "exit", NULL, 50, on_unixctl, f);
    WAIT_FOR(f, f->n_replies == 2);
    assert_string_equal(f->error, OVSDB_DISCONNECTED);
}

/* ---- blocking form: the server runs in a worker thread ---- */

static void serve(void *data) {
    struct fixture *f = data;
    int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
    char text[500];
    ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
    if (n <= 0)
        return;
    const char *answer =
        "{\"id\":null,\"method\":\"update\",\"params\":[1]}{\"id\":\"e\",\"method\":\"echo\",\"params\":[]}"
        "{\"id\":1,\"result\":[{}],\"error\":null}";
    ssize_t sent = write(fd, answer, strlen(answer));
    /* The second request gets no answer. */
    while (sent > 0 && recv(fd, text, sizeof(text), 0) > 0)
        ;
    close(fd);
}

static void nothing(void *data) {}

static void test_sync(void **state) {
    struct fixture *f = *state;
    struct worker *w = worker_new(f->loop, 1);
    worker_submit(w, "server", serve, nothing, f);
    struct error *e = NULL;
    struct ovsdb_sync *c = ovsdb_sync_open(f->path, 1000, &e);
    assert_non_null(c);
    json_t *result = NULL;
    assert_true(ovsdb_sync_transact(c, json_pack("[s,{s:s}]", "X", "op", "comment"), 2000, &result, &e));
    json_decref(result);
    json_t *message = NULL;
    assert_true(ovsdb_sync_notification(c, 1000, &message, &e));
    assert_string_equal(json_string_value(json_object_get(message, "method")), "update");
    json_decref(message);
    assert_false(ovsdb_sync_call(c, "slow", json_array(), 50, &result, &e));
    assert_true(error_is(e, OVSDB_TIMEOUT));
    error_free(e);
    e = NULL;
    assert_false(ovsdb_sync_notification(c, 10, &message, &e));
    assert_true(error_is(e, OVSDB_TIMEOUT));
    error_free(e);
    e = NULL;
    ovsdb_sync_close(c);
    worker_free(w);
    _cleanup_free_ char *nowhere = strf("%s/nobody", f->folder);
    assert_null(ovsdb_sync_open(nowhere, 50, &e));
    assert_true(error_is(e, OVSDB_DISCONNECTED));
    error_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_echo_and_notification, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timeout_and_late_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disconnect, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_in_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_at_disconnect, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_path, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unixctl, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sync, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

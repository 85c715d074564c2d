/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tunnels over real sockets: bytes both ways, what came ahead of the tunnel, a slow reader that holds the other side
 * back, websocket frames, the end of either side and of the tunnel itself in the middle.
 */
#include "wire/tunnel.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "wire/websocket.h"
#include "wire_rig.h"

#define MIB (1024u * 1024)

struct pair { /* client | tunnel | server */
    struct rig rig;
    struct tunnel *tunnel;
    int client, server; /* our ends */
    bool is_closed, frees_itself;
    char why[128];
};

static void on_closed(struct tunnel *t, const char *why, void *userdata) {
    struct pair *p = userdata;
    p->is_closed = true;
    strncat(p->why, why, sizeof(p->why) - 1);
    if (p->frees_itself)
        tunnel_free(TAKE(p->tunnel));
}

static struct stream *end_of(struct pair *p, int *ret_fd) {
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    struct stream *s = stream_new(p->rig.loop, fds[0], NULL, true);
    stream_start(s, 0);
    *ret_fd = fds[1];
    return s;
}

static void begin(struct pair *p, bool is_websocket, const char *client_ahead, const char *server_ahead) {
    struct tunnel_config config = {.is_websocket = is_websocket, .closed = on_closed, .userdata = p};
    p->is_closed = false;
    p->why[0] = '\0';
    rig_init(&p->rig, NULL);
    config.client = end_of(p, &p->client);
    config.server = end_of(p, &p->server);
    buf_add_str(&config.client_ahead, client_ahead);
    buf_add_str(&config.server_ahead, server_ahead);
    p->tunnel = tunnel_new(&config);
}

static void end(struct pair *p) {
    tunnel_free(p->tunnel);
    close(p->client);
    close(p->server);
    rig_done(&p->rig);
}

static bool is_closed(void *arg) {
    return ((struct pair *)arg)->is_closed;
}

static void test_both_ways(void **state) {
    struct pair p = {0};
    _cleanup_buf_ struct buf a = BUF_INIT, b = BUF_INIT;
    begin(&p, false, "early ", "first ");
    rig_send(p.client, "word.");
    rig_send(p.server, "answer.");
    rig_receive_until(&p.rig, p.server, &a, ".", 5000);
    rig_receive_until(&p.rig, p.client, &b, ".", 5000);
    assert_string_equal(buf_str(&a), "early word.");
    assert_string_equal(buf_str(&b), "first answer.");
    end(&p);
}

/* What one side says last reaches the other before the end does. */
static void test_ends(void **state) {
    struct pair p = {.frees_itself = true};
    _cleanup_buf_ struct buf a = BUF_INIT;
    begin(&p, false, "", "");
    rig_send(p.client, "last word");
    shutdown(p.client, SHUT_WR);
    rig_receive_until(&p.rig, p.server, &a, NULL, 5000);
    assert_string_equal(buf_str(&a), "last word");
    rig_wait(&p.rig, is_closed, &p, 5000);
    assert_string_equal(p.why, "");
    end(&p);
    /* It ends in the very moment in which what came ahead is handed on. */
    p = (struct pair){.frees_itself = true};
    begin(&p, true, "GET / HTTP/1.1\r\n", "");
    rig_wait(&p.rig, is_closed, &p, 5000);
    assert_non_null(strstr(p.why, "against the rules"));
    end(&p);
    /* It is freed before it has begun. */
    p = (struct pair){0};
    begin(&p, false, "x", "y");
    tunnel_free(TAKE(p.tunnel));
    end(&p);
}

static void test_slow_reader(void **state) {
    struct pair p = {0};
    static char piece[65536];
    size_t sent = 0, got = 0;
    begin(&p, false, "", "");
    /* Far more than the queues take: the sender is held back, nothing is lost. */
    for (unsigned idle = 0; idle < 50; idle++) {
        ssize_t n = send(p.client, piece, sizeof(piece), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            sent += (size_t)n;
            idle = 0;
        }
        loop_step(p.rig.loop, 1);
        assert_true(sent < 16 * (size_t)MIB);
    }
    assert_false(p.is_closed);
    while (got < sent) {
        ssize_t n = recv(p.server, piece, sizeof(piece), MSG_DONTWAIT);
        if (n > 0)
            got += (size_t)n;
        else
            assert_int_equal(errno, EAGAIN);
        loop_step(p.rig.loop, 1);
    }
    assert_int_equal(got, sent);
    end(&p);
}

static bool has_frame(struct pair *p, struct buf *in, const void *bytes, size_t size) {
    uint64_t end_us = loop_now_us(p->rig.loop) + 5000000;
    while (in->size < size && loop_now_us(p->rig.loop) < end_us) {
        char text[256];
        ssize_t n = recv(p->client, text, sizeof(text), MSG_DONTWAIT);
        if (n > 0)
            buf_add(in, text, (size_t)n);
        loop_step(p->rig.loop, 1);
    }
    return in->size >= size && memcmp(in->data, bytes, size) == 0;
}

static void test_websocket(void **state) {
    struct pair p = {0};
    _cleanup_buf_ struct buf a = BUF_INIT, b = BUF_INIT;
    begin(&p, true, "", "RFB");
    assert_true(has_frame(&p, &b, "\x82\x03RFB", 5));
    assert_int_equal(send(p.client, "\x82\x83\0\0\0\0ab.", 9, MSG_NOSIGNAL), 9);
    rig_receive_until(&p.rig, p.server, &a, ".", 5000);
    assert_string_equal(buf_str(&a), "ab.");
    buf_clear(&b);
    assert_int_equal(send(p.client, "\x89\x81\0\0\0\0p\x88\x82\0\0\0\0\x03\xe8", 15, MSG_NOSIGNAL), 15);
    assert_true(has_frame(&p, &b, "\x8a\x01p\x88\x02\x03\xe8", 7));
    rig_wait(&p.rig, is_closed, &p, 5000);
    assert_string_equal(p.why, "");
    end(&p);
    /* The other side goes: a goodbye. */
    p = (struct pair){0};
    buf_clear(&b);
    begin(&p, true, "", "");
    shutdown(p.server, SHUT_RDWR);
    assert_true(has_frame(&p, &b, "\x88\x02\x03\xe8", 4));
    end(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_ways), cmocka_unit_test(test_ends),
                                       cmocka_unit_test(test_slow_reader), cmocka_unit_test(test_websocket)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

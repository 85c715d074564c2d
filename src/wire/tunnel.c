/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/tunnel.h"

#include <errno.h>

#include "base/str.h"
#include "wire/websocket.h"

#define GOODBYE_MS 5000
#define PIECE 65536 /* of one websocket frame */

struct side {
    struct tunnel *tunnel;
    struct side *other;
    struct stream *stream; /* NULL: gone */
    bool is_websocket;
};

struct tunnel {
    struct loop *loop;
    struct side client, server;
    struct stream_peer peer;
    struct websocket frames;
    struct buf client_ahead, server_ahead;
    tunnel_closed_fn *closed;
    void *userdata;
    bool is_over, is_freed, start_is_owed;
};

/* Ends both sides; what is queued still goes out. */
static void finish(struct tunnel *t, const char *why) {
    if (t->is_over)
        return;
    t->is_over = true;
    struct side *sides[] = {&t->client, &t->server};
    for (unsigned i = 0; i < ARRAY_SIZE(sides); i++)
        if (sides[i]->stream)
            stream_finish(TAKE(sides[i]->stream), GOODBYE_MS);
    t->closed(t, why, t->userdata);
}

/* False when the side cannot take them: the tunnel is over then. */
static bool send_to(struct side *to, const char *data, size_t size) {
    struct buf framed = BUF_INIT;
    for (size_t pos = 0; to->is_websocket && pos < size; pos += PIECE)
        websocket_write(&framed, data + pos, MIN((size_t)PIECE, size - pos));
    bool ok =
        to->is_websocket ? stream_write(to->stream, framed.data, framed.size) : stream_write(to->stream, data, size);
    buf_done(&framed);
    if (!ok) {
        finish(to->tunnel, "a side does not take what the other says");
        return false;
    }
    if (stream_is_congested(to->stream))
        stream_pause(to->other->stream, true);
    return true;
}

/* From a websocket: payload goes on, answers go back. */
static void take_frames(struct side *from, const char *data, size_t size) {
    struct tunnel *t = from->tunnel;
    _cleanup_buf_ struct buf payload = BUF_INIT, answer = BUF_INIT;
    enum websocket_outcome r = websocket_read(&t->frames, data, size, &payload, &answer);
    if (answer.size > 0)
        (void)stream_write(from->stream, answer.data, answer.size);
    if (payload.size > 0 && !send_to(from->other, payload.data, payload.size))
        return;
    if (r != WEBSOCKET_MORE)
        finish(t, r == WEBSOCKET_CLOSED ? "" : "the client's websocket frames are against the rules");
}

static void take(struct side *from, const char *data, size_t size) {
    if (from->is_websocket)
        take_frames(from, data, size);
    else
        (void)send_to(from->other, data, size);
}

static void on_data(struct stream *s, const char *data, size_t size, void *userdata) {
    take(userdata, data, size);
}

static void on_end(struct stream *s, int r, void *userdata) {
    struct side *side = userdata;
    struct tunnel *t = side->tunnel;
    _cleanup_free_ char *why = r == 0            ? xstrdup("")
                               : r == -ETIMEDOUT ? xstrdup("nothing was said for too long")
                                                 : xstrdup(stream_error_text(s));
    if (side == &t->server && t->client.is_websocket && t->client.stream) {
        _cleanup_buf_ struct buf goodbye = BUF_INIT;
        websocket_write_close(&goodbye, 1000);
        (void)stream_write(t->client.stream, goodbye.data, goodbye.size);
    }
    finish(t, why);
}

static void on_drain(struct stream *s, void *userdata) {
    struct side *side = userdata;
    if (side->other->stream)
        stream_pause(side->other->stream, false);
}

static const struct stream_callbacks callbacks = {.data = on_data, .end = on_end, .drain = on_drain};

/* What came ahead of the tunnel goes first; then both are read. In a turn of its own: the maker has the tunnel by then.
 */
static void on_start(void *userdata) {
    struct tunnel *t = userdata;
    if (t->client_ahead.size > 0 && !t->is_over)
        take(&t->client, t->client_ahead.data, t->client_ahead.size);
    if (t->server_ahead.size > 0 && !t->is_over)
        take(&t->server, t->server_ahead.data, t->server_ahead.size);
    buf_done(&t->client_ahead);
    buf_done(&t->server_ahead);
    if (!t->is_over && !stream_is_congested(t->server.stream))
        stream_pause(t->client.stream, false);
    if (!t->is_over && !stream_is_congested(t->client.stream))
        stream_pause(t->server.stream, false);
    t->start_is_owed = false; /* until here nobody frees it under our feet */
    if (t->is_freed)
        free(t);
}

struct tunnel *tunnel_new(const struct tunnel_config *config) {
    struct tunnel *t = xnew0(struct tunnel);
    *t = (struct tunnel){.loop = stream_get_loop(config->client),
                         .client = {.stream = config->client, .is_websocket = config->is_websocket},
                         .server = {.stream = config->server},
                         .peer = *stream_get_peer(config->client),
                         .client_ahead = config->client_ahead,
                         .server_ahead = config->server_ahead,
                         .closed = config->closed,
                         .userdata = config->userdata,
                         .start_is_owed = true};
    t->client.tunnel = t->server.tunnel = t;
    t->client.other = &t->server;
    t->server.other = &t->client;
    struct side *sides[] = {&t->client, &t->server};
    for (unsigned i = 0; i < ARRAY_SIZE(sides); i++) {
        stream_pause(sides[i]->stream, true);
        stream_set_limits(sides[i]->stream, 256u * 1024, TUNNEL_QUEUE_MAX);
        stream_set_callbacks(sides[i]->stream, &callbacks, sides[i]);
    }
    /* A byte either way passes through the client's stream. */
    stream_set_idle_timeout(t->client.stream, config->idle_timeout_ms);
    loop_defer(t->loop, on_start, t);
    return t;
}

void tunnel_free(struct tunnel *t) {
    if (!t)
        return;
    t->is_over = t->is_freed = true;
    stream_free(TAKE(t->client.stream));
    stream_free(TAKE(t->server.stream));
    if (!t->start_is_owed)
        free(t);
}

const struct stream_peer *tunnel_client(const struct tunnel *t) {
    return &t->peer;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/channel.h"

#include <stdio.h>

#define FRAME_HEAD 4
#define MAX_QUEUE (32u * 1024 * 1024)
#define KEEP_CAPACITY 65536

struct channel {
    struct stream *stream; /* NULL once it is over */
    struct channel_callbacks callbacks;
    void *userdata;
    struct buf in;
    size_t max_frame;
    size_t max_queue;
    uint64_t last_received_ms;
    bool over;
    bool freed;
    unsigned depth;
    struct stream_peer peer; /* kept when the stream is gone */
};

enum frame_state frame_parse(const char *data, size_t size, size_t max_frame, size_t *ret_offset, size_t *ret_size) {
    if (size < FRAME_HEAD)
        return FRAME_MORE;
    const unsigned char *p = (const unsigned char *)data;
    size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (n == 0 || n > max_frame)
        return FRAME_BAD;
    if (size - FRAME_HEAD < n)
        return FRAME_MORE;
    *ret_offset = FRAME_HEAD;
    *ret_size = n;
    return FRAME_READY;
}

static void hold(struct channel *c) {
    c->depth++;
}

static void release(struct channel *c) {
    if (--c->depth > 0)
        return;
    if (c->over || c->freed)
        buf_done(&c->in); /* not earlier: a message in it may be in use */
    if (c->freed)
        free(c);
}

/* Between hold and release, since the holder may free it when told. */
static void channel_over(struct channel *c, const char *reason) {
    if (c->over)
        return;
    c->over = true;
    if (c->stream)
        c->peer = *stream_get_peer(c->stream);
    char text[200]; /* the reason may lie inside the stream */
    (void)snprintf(text, sizeof(text), "%s", reason);
    stream_free(TAKE(c->stream));
    if (!c->freed && c->callbacks.close)
        c->callbacks.close(c, text, c->userdata);
}

static void on_ready(struct stream *s, void *userdata) {
    struct channel *c = userdata;
    if (c->callbacks.ready)
        c->callbacks.ready(c, c->userdata);
}

static void on_data(struct stream *s, const char *data, size_t size, void *userdata) {
    struct channel *c = userdata;
    c->last_received_ms = loop_now_ms(stream_get_loop(s));
    buf_add(&c->in, data, size);
    hold(c);
    size_t pos = 0;
    while (!c->over && !c->freed) {
        size_t offset, n;
        enum frame_state state = frame_parse(c->in.data + pos, c->in.size - pos, c->max_frame, &offset, &n);
        if (state == FRAME_MORE)
            break;
        if (state == FRAME_BAD) {
            channel_over(c, "the peer sent a frame that is empty or too long");
            break;
        }
        /* A C string for the callee; the byte belongs to the next frame. */
        char *text = c->in.data + pos + offset, saved = text[n];
        text[n] = '\0';
        pos += offset + n;
        c->callbacks.message(c, text, n, c->userdata);
        if (!c->over && !c->freed)
            text[n] = saved;
    }
    if (!c->over && !c->freed) {
        if (pos == c->in.size && c->in.capacity > KEEP_CAPACITY)
            buf_done(&c->in);
        else
            buf_consume(&c->in, pos);
    }
    release(c);
}

static void on_end(struct stream *s, int r, void *userdata) {
    struct channel *c = userdata;
    hold(c);
    channel_over(c, r == 0 ? "the peer closed the channel" : stream_error_text(s));
    release(c);
}

static const struct stream_callbacks callbacks_of_stream = {.ready = on_ready, .data = on_data, .end = on_end};

static struct channel *channel_alloc(const struct channel_callbacks *callbacks, void *userdata) {
    struct channel *c = xnew0(struct channel);
    c->callbacks = *callbacks;
    c->userdata = userdata;
    c->max_frame = CHANNEL_MAX_FRAME_UNKNOWN;
    c->max_queue = MAX_QUEUE;
    return c;
}

struct channel *channel_new(struct stream *s, const struct channel_callbacks *callbacks, void *userdata) {
    struct channel *c = channel_alloc(callbacks, userdata);
    c->stream = s;
    stream_set_limits(s, c->max_queue / 4, c->max_queue + CHANNEL_MAX_FRAME);
    stream_set_callbacks(s, &callbacks_of_stream, c);
    stream_start(s, /* deadline_ms= */ 0);
    return c;
}

struct channel *channel_connect(struct loop *l, const char *address, uint16_t port, const char *source,
                                struct tls_context *tls, unsigned deadline_ms,
                                const struct channel_callbacks *callbacks, void *userdata, struct error **errp) {
    struct channel *c = channel_alloc(callbacks, userdata);
    c->stream = stream_connect(l, address, port, source, tls, /* server_name= */ NULL, deadline_ms,
                               &callbacks_of_stream, c, errp);
    if (!c->stream) {
        free(c);
        return NULL;
    }
    stream_set_limits(c->stream, c->max_queue / 4, c->max_queue + CHANNEL_MAX_FRAME);
    return c;
}

void channel_free(struct channel *c) {
    if (!c || c->freed)
        return;
    c->freed = true;
    stream_free(TAKE(c->stream));
    hold(c);
    release(c);
}

void channel_finish(struct channel *c, unsigned deadline_ms) {
    if (!c || c->freed)
        return;
    if (c->stream)
        stream_finish(TAKE(c->stream), deadline_ms);
    channel_free(c);
}

void channel_set_authenticated(struct channel *c) {
    c->max_frame = CHANNEL_MAX_FRAME;
}

static void on_deferred_overflow(void *userdata) {
    struct channel *c = userdata;
    if (!c->freed)
        channel_over(c, "the peer does not take what is sent: the queue is full");
    release(c);
}

bool channel_send(struct channel *c, const char *json, size_t size) {
    if (c->over || c->freed || size == 0 || size > CHANNEL_MAX_FRAME)
        return false;
    if (stream_queued(c->stream) + size > c->max_queue) {
        hold(c);
        loop_defer(stream_get_loop(c->stream), on_deferred_overflow, c);
        return false;
    }
    const char head[FRAME_HEAD] = {(char)(size >> 24), (char)(size >> 16), (char)(size >> 8), (char)size};
    struct buf body = BUF_INIT;
    buf_add(&body, json, size);
    return stream_write_buf(c->stream, head, sizeof(head), &body);
}

void channel_set_max_queue(struct channel *c, size_t max_queue) {
    c->max_queue = max_queue;
    if (c->stream)
        stream_set_limits(c->stream, max_queue / 4, max_queue + CHANNEL_MAX_FRAME);
}

size_t channel_queued(const struct channel *c) {
    return c->stream ? stream_queued(c->stream) : 0;
}

const struct stream_peer *channel_get_peer(const struct channel *c) {
    return c->stream ? stream_get_peer(c->stream) : &c->peer;
}

uint64_t channel_last_received_ms(const struct channel *c) {
    return c->last_received_ms;
}

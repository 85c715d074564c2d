/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/stream.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/str.h"
#include "wire/stream_socket.h"
#include "wire/stream_tls.h"

#define HANDSHAKE_DEADLINE_MS 15000
#define READ_SIZE 65536     /* one read; also four TLS records */
#define READS_PER_TURN 4    /* then others get their turn */
#define COALESCE_SIZE 16384 /* a TLS record's limit: answers up to here are one record */
#define KEEP_CAPACITY 4096  /* a larger empty write queue is given back */
#define MAX_FINISHING 512   /* streams that linger for their goodbye; beyond, they end without */
#define HIGH_WATER (256u * 1024)
#define HARD_LIMIT (64u * 1024 * 1024)

enum stream_state { STREAM_IDLE, STREAM_CONNECTING, STREAM_HANDSHAKE, STREAM_OPEN, STREAM_BROKEN };

struct stream {
    struct loop *loop;
    int fd;
    struct loop_source *source;
    struct loop_source *deadline; /* connect, handshake, finish */
    struct loop_source *idle_timer;
    SSL *ssl;
    struct tls_context *tls;
    enum stream_state state;
    bool is_server;
    bool paused;
    bool ended;         /* `end` was called */
    bool peer_finished; /* orderly end of the peer's direction */
    bool finishing;     /* stream_finish: ours alone now */
    bool said_goodbye;
    bool freed; /* memory goes when no callback of ours runs any more */
    bool congested;
    bool read_wants_write; /* TLS */
    bool write_wants_read;
    bool reads_deferred; /* a turn is owed although the socket may be silent (bytes wait inside TLS) */
    unsigned depth;      /* callbacks running */
    unsigned events;     /* what the source asks for */
    unsigned handshake_ms;
    struct buf out; /* queued; bytes before out_pos are sent */
    size_t out_pos;
    size_t high_water, hard_limit;
    uint64_t active_ms; /* of the latest progress, for the idle timer */
    unsigned idle_timeout_ms;
    const struct stream_callbacks *callbacks;
    struct stream_callbacks callbacks_copy;
    void *userdata;
    struct stream_peer peer;
    struct stream_tls_text why; /* of a failure */
};

/* Bytes pass through here on their way to the `data` callback: one buffer for all streams of a loop thread. */
static _Thread_local char read_buffer[READ_SIZE];
static _Thread_local char coalesce_buffer[COALESCE_SIZE];

static _Thread_local unsigned n_finishing;

static void on_event(struct loop_source *source, int fd, unsigned events, void *userdata);
static void on_deadline(struct loop_source *source, void *userdata);
static void on_idle(struct loop_source *source, void *userdata);
static void update_events(struct stream *s);
static void stream_break(struct stream *s, int r, const char *what);
static void dismantle(struct stream *s);
static void flush(struct stream *s);

static void stream_hold(struct stream *s) {
    s->depth++;
}

/* False when the stream has been freed meanwhile. */
static bool stream_release(struct stream *s) {
    if (--s->depth > 0 || !s->freed)
        return !s->freed;
    free(s);
    return false;
}

struct stream *stream_new(struct loop *l, int fd, struct tls_context *tls, bool is_server) {
    struct stream *s = xnew0(struct stream);
    s->loop = l;
    s->fd = fd;
    s->tls = tls_context_ref(tls);
    s->is_server = is_server;
    s->high_water = HIGH_WATER;
    s->hard_limit = HARD_LIMIT;
    stream_socket_peer(fd, &s->peer);
    s->peer.is_tls = tls != NULL;
    return s;
}

void stream_set_callbacks(struct stream *s, const struct stream_callbacks *callbacks, void *userdata) {
    s->callbacks_copy = *callbacks;
    s->callbacks = &s->callbacks_copy;
    s->userdata = userdata;
    /* A new holder hears of an end again. */
    if (s->state == STREAM_OPEN && s->ended) {
        s->ended = s->peer_finished = false;
        update_events(s);
    }
}

static void set_deadline(struct stream *s, uint64_t ms) {
    if (!s->deadline && ms == LOOP_NEVER)
        return;
    if (!s->deadline)
        s->deadline = loop_add_timer(s->loop, ms, on_deadline, s);
    else
        loop_timer_set(s->deadline, ms);
}

static void clear_deadline(struct stream *s) {
    loop_source_free(TAKE(s->deadline));
}

static void become_open(struct stream *s) {
    clear_deadline(s);
    s->state = STREAM_OPEN;
    s->active_ms = loop_now_ms(s->loop);
    if (s->idle_timeout_ms > 0 && !s->idle_timer)
        s->idle_timer = loop_add_timer(s->loop, s->idle_timeout_ms, on_idle, s);
    if (s->ssl)
        tls_peer_fill(s->ssl, &s->peer.tls);
    if (!s->finishing && s->callbacks && s->callbacks->ready)
        s->callbacks->ready(s, s->userdata);
    if (!s->freed && s->state == STREAM_OPEN && s->out.size > s->out_pos)
        flush(s);
}

static void try_handshake(struct stream *s) {
    int r = stream_tls_handshake(s->ssl, &s->read_wants_write, &s->why);
    if (r > 0)
        become_open(s);
    else if (r < 0)
        stream_break(s, r, "TLS handshake");
}

static void begin_handshake(struct stream *s, const char *server_name) {
    s->ssl = stream_tls_new(s->tls, s->fd, s->is_server, server_name);
    s->state = STREAM_HANDSHAKE;
}

static void add_source(struct stream *s) {
    s->events = LOOP_READ;
    s->source = loop_add_fd(s->loop, s->fd, s->events, on_event, s);
    if (!s->source)
        abort(); /* only for want of kernel memory */
}

/* The first turn of an accepted stream, outside of its creator's frames. */
static void on_start_plain(void *userdata) {
    struct stream *s = userdata;
    s->reads_deferred = false;
    if (!stream_release(s))
        return;
    stream_hold(s);
    if (s->state == STREAM_IDLE)
        become_open(s);
    if (stream_release(s))
        update_events(s);
}

void stream_start(struct stream *s, unsigned deadline_ms) {
    add_source(s);
    if (s->tls) {
        begin_handshake(s, /* server_name= */ NULL);
        set_deadline(s, deadline_ms ? deadline_ms : HANDSHAKE_DEADLINE_MS);
        return;
    }
    if (s->callbacks && s->callbacks->ready) {
        stream_hold(s);
        s->reads_deferred = true;
        loop_defer(s->loop, on_start_plain, s);
    } else {
        stream_hold(s);
        become_open(s);
        stream_release(s);
    }
}

struct stream *stream_connect(struct loop *l, const char *address, uint16_t port, const char *source,
                              struct tls_context *tls, const char *server_name, unsigned deadline_ms,
                              const struct stream_callbacks *callbacks, void *userdata, struct error **errp) {
    bool pending = false;
    int fd = stream_socket_connect(address, port, source, &pending, errp);
    if (fd == -EINVAL)
        return NULL;
    struct stream *s = xnew0(struct stream);
    s->loop = l;
    s->fd = fd < 0 ? -1 : fd;
    s->tls = tls_context_ref(tls);
    s->high_water = HIGH_WATER;
    s->hard_limit = HARD_LIMIT;
    s->state = STREAM_CONNECTING;
    s->handshake_ms = deadline_ms ? deadline_ms : HANDSHAKE_DEADLINE_MS;
    s->peer.is_tls = tls != NULL;
    s->peer.is_unix = address[0] == '/';
    s->peer.uid = UINT_MAX;
    s->peer.port = port;
    str_copy(s->peer.address, sizeof(s->peer.address), s->peer.is_unix ? "" : address);
    stream_set_callbacks(s, callbacks, userdata);
    if (fd < 0) {
        /* Refused at once: told from the loop, as every other outcome. */
        (void)snprintf(s->why.text, sizeof(s->why.text), "connect: %s", strerror(-fd));
        s->events = (unsigned)-fd; /* the errno until the timer fires */
        set_deadline(s, 0);
        return s;
    }
    s->events = LOOP_WRITE;
    s->source = loop_add_fd(l, fd, s->events, on_event, s);
    if (!s->source)
        abort();
    if (tls) {
        begin_handshake(s, server_name ? server_name : address);
        s->state = STREAM_CONNECTING;
    }
    set_deadline(s, s->handshake_ms);
    return s;
}

static void on_connected(struct stream *s) {
    int e = 0;
    socklen_t size = sizeof(e);
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &e, &size) < 0)
        e = errno;
    if (e != 0) {
        stream_break(s, -e, "connect");
        return;
    }
    struct tls_peer none = {0};
    stream_socket_peer(s->fd, &s->peer);
    s->peer.is_tls = s->tls != NULL;
    s->peer.tls = none;
    if (s->ssl) {
        s->state = STREAM_HANDSHAKE;
        try_handshake(s);
    } else {
        become_open(s);
    }
}

/* ---- reading ---- */

static void peer_ended(struct stream *s) {
    s->peer_finished = true;
    if (s->ended)
        return;
    s->ended = true;
    if (!s->finishing && s->callbacks && s->callbacks->end)
        s->callbacks->end(s, 0, s->userdata);
}

/* One read: > 0 bytes, 0 at the end, -EAGAIN, or another negative errno. */
static ssize_t read_some(struct stream *s) {
    if (s->ssl)
        return stream_tls_read(s->ssl, read_buffer, sizeof(read_buffer), &s->read_wants_write, &s->why);
    ssize_t n = recv(s->fd, read_buffer, sizeof(read_buffer), 0);
    return n < 0 ? -errno : n;
}

static void on_deferred_read(void *userdata);

/* Bytes may wait inside TLS, where the loop does not see them. */
static void owe_turn(struct stream *s) {
    if (s->reads_deferred)
        return;
    s->reads_deferred = true;
    stream_hold(s);
    loop_defer(s->loop, on_deferred_read, s);
}

static void read_turn(struct stream *s) {
    for (unsigned i = 0; i < READS_PER_TURN; i++) {
        if (s->freed || s->state != STREAM_OPEN || s->paused || s->peer_finished)
            return;
        ssize_t n = read_some(s);
        if (n == -EAGAIN || n == -EINTR)
            return;
        if (n < 0) {
            stream_break(s, (int)n, "read");
            return;
        }
        if (n == 0) {
            peer_ended(s);
            return;
        }
        if (s->idle_timer)
            s->active_ms = loop_now_ms(s->loop);
        if (!s->finishing && s->callbacks && s->callbacks->data)
            s->callbacks->data(s, read_buffer, (size_t)n, s->userdata);
        /* A short read from a socket means that it is empty; the loop tells when there is more. */
        if (s->freed || (s->ssl ? !SSL_has_pending(s->ssl) : (size_t)n < sizeof(read_buffer)))
            return;
    }
    if (s->ssl && SSL_has_pending(s->ssl))
        owe_turn(s);
}

static void on_deferred_read(void *userdata) {
    struct stream *s = userdata;
    s->reads_deferred = false;
    if (!s->freed)
        read_turn(s);
    if (stream_release(s))
        update_events(s);
}

void stream_pause(struct stream *s, bool paused) {
    if (s->paused == paused || s->freed)
        return;
    s->paused = paused;
    if (!paused && s->ssl && s->state == STREAM_OPEN && SSL_has_pending(s->ssl))
        owe_turn(s);
    update_events(s);
}

/* ---- writing ---- */

/* Bytes taken, 0 when the socket is full, or a negative errno. */
static ssize_t write_some(struct stream *s, const void *data, size_t size) {
    if (s->ssl)
        return stream_tls_write(s->ssl, data, size, &s->write_wants_read, &s->why);
    ssize_t n = send(s->fd, data, size, MSG_NOSIGNAL);
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static bool may_write(const struct stream *s) {
    return s->state != STREAM_BROKEN && !s->finishing && !s->freed;
}

static void compact_queue(struct stream *s) {
    if (s->out_pos == s->out.size) {
        s->out_pos = 0;
        if (s->out.capacity > KEEP_CAPACITY)
            buf_done(&s->out);
        else
            buf_clear(&s->out);
    } else if (s->out_pos > 65536 && s->out_pos > s->out.size / 2) {
        buf_consume(&s->out, s->out_pos);
        s->out_pos = 0;
    }
}

/* What comes before a stream is open, or while others wait, waits in the queue. */
static bool may_write_now(const struct stream *s) {
    return s->state == STREAM_OPEN && s->out_pos == s->out.size;
}

/* Called when writing has failed inside a call of the holder: told later, from the loop. */
static void on_write_broken(void *userdata) {
    struct stream *s = userdata;
    if (!s->freed && s->state != STREAM_BROKEN)
        stream_break(s, -EPIPE, "write");
    stream_release(s);
}

static void write_failed(struct stream *s, int r) {
    if (!s->why.text[0])
        (void)snprintf(s->why.text, sizeof(s->why.text), "write: %s", strerror(-r));
    buf_done(&s->out);
    s->out_pos = 0;
    stream_hold(s);
    loop_defer(s->loop, on_write_broken, s);
}

static void note_queue(struct stream *s) {
    if (s->out.size - s->out_pos > s->high_water)
        s->congested = true;
    update_events(s);
}

bool stream_write(struct stream *s, const void *data, size_t size) {
    if (!may_write(s) || s->out.size - s->out_pos + size > s->hard_limit)
        return false;
    if (size == 0)
        return true;
    const char *p = data;
    if (may_write_now(s)) {
        /* A TLS record that did not go out must be offered again with its very bytes: they stand first in the queue
         * then. */
        ssize_t n = write_some(s, p, size);
        if (n < 0) {
            write_failed(s, (int)n);
            return false;
        }
        p += n;
        size -= (size_t)n;
        if (size == 0)
            return true;
    }
    buf_add(&s->out, p, size);
    note_queue(s);
    return true;
}

/* Plain: both parts with one system call, what remains is queued. */
static bool write_vector(struct stream *s, const void *head, size_t head_size, struct buf *body) {
    struct iovec v[2] = {{.iov_base = (void *)(uintptr_t)head, .iov_len = head_size},
                         {.iov_base = body->data, .iov_len = body->size}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
    ssize_t n = sendmsg(s->fd, &m, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        write_failed(s, -errno);
        return false;
    }
    size_t sent = n < 0 ? 0 : (size_t)n;
    if (sent < head_size) {
        buf_add(&s->out, (const char *)head + sent, head_size - sent);
        buf_add(&s->out, body->data, body->size);
        note_queue(s);
    } else if (sent - head_size < body->size) {
        buf_done(&s->out);
        s->out = *body;
        s->out_pos = sent - head_size;
        *body = (struct buf)BUF_INIT;
        note_queue(s);
    }
    return true;
}

bool stream_write_buf(struct stream *s, const void *head, size_t head_size, struct buf *body) {
    size_t size = head_size + body->size;
    bool ok;
    if (!may_write(s) || s->out.size - s->out_pos + size > s->hard_limit) {
        ok = false;
    } else if (!may_write_now(s)) {
        buf_add(&s->out, head, head_size);
        if (body->size > 0)
            buf_add(&s->out, body->data, body->size);
        note_queue(s);
        ok = true;
    } else if (!s->ssl && body->size > 0) {
        ok = write_vector(s, head, head_size, body);
    } else if (size <= COALESCE_SIZE) {
        memcpy(coalesce_buffer, head, head_size);
        if (body->size > 0)
            memcpy(coalesce_buffer + head_size, body->data, body->size);
        ok = stream_write(s, coalesce_buffer, size);
    } else {
        /* A large answer moves a little inside its own memory instead of being copied to the queue. */
        buf_reserve(body, head_size);
        memmove(body->data + head_size, body->data, body->size);
        memcpy(body->data, head, head_size);
        body->size += head_size;
        buf_done(&s->out);
        s->out = *body;
        s->out_pos = 0;
        *body = (struct buf)BUF_INIT;
        ok = true;
        ssize_t n = write_some(s, s->out.data, s->out.size);
        if (n < 0) {
            write_failed(s, (int)n);
            ok = false;
        } else {
            /* Partial writes: one record per call, so go on while the socket takes them. */
            s->out_pos = (size_t)n;
            while (s->out_pos < s->out.size && n > 0) {
                n = write_some(s, s->out.data + s->out_pos, s->out.size - s->out_pos);
                if (n > 0)
                    s->out_pos += (size_t)n;
            }
            if (n < 0) {
                write_failed(s, (int)n);
                ok = false;
            } else {
                compact_queue(s);
                note_queue(s);
            }
        }
    }
    buf_done(body);
    return ok;
}

static void finish_turn(struct stream *s);

static void flush(struct stream *s) {
    bool progress = false;
    while (s->out_pos < s->out.size) {
        ssize_t n = write_some(s, s->out.data + s->out_pos, s->out.size - s->out_pos);
        if (n < 0) {
            stream_break(s, (int)n, "write");
            return;
        }
        if (n == 0)
            break;
        progress = true;
        s->out_pos += (size_t)n;
    }
    if (progress && s->idle_timer)
        s->active_ms = loop_now_ms(s->loop);
    compact_queue(s);
    if (s->congested && s->out.size - s->out_pos <= s->high_water / 4) {
        s->congested = false;
        if (!s->finishing && s->callbacks && s->callbacks->drain)
            s->callbacks->drain(s, s->userdata);
    }
    if (!s->freed && s->finishing)
        finish_turn(s);
}

/* ---- events ---- */

static void update_events(struct stream *s) {
    if (!s->source || s->freed || s->finishing)
        return;
    unsigned events = 0;
    bool has_output = s->out_pos < s->out.size;
    switch (s->state) {
    case STREAM_CONNECTING:
        events = LOOP_WRITE;
        break;
    case STREAM_HANDSHAKE:
        events = s->read_wants_write ? LOOP_WRITE : LOOP_READ;
        break;
    case STREAM_OPEN:
        if (!s->paused && !s->peer_finished)
            events |= s->read_wants_write ? LOOP_WRITE : LOOP_READ;
        if (has_output)
            events |= s->write_wants_read ? LOOP_READ : LOOP_WRITE;
        break;
    default:
        break;
    }
    if (events == s->events)
        return;
    s->events = events;
    loop_fd_set_events(s->source, events);
}

/* A hangup while nobody reads: broken only when nothing is left to read. */
static void check_hangup(struct stream *s) {
    char c;
    ssize_t n = recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        stream_break(s, -errno, "connection");
    else if (n == 0 && !s->peer_finished)
        peer_ended(s);
}

static void on_event(struct loop_source *source, int fd, unsigned events, void *userdata) {
    struct stream *s = userdata;
    stream_hold(s);
    switch (s->state) {
    case STREAM_CONNECTING:
        on_connected(s);
        break;
    case STREAM_HANDSHAKE:
        try_handshake(s);
        /* The first request often comes with the last message of the handshake. */
        if (!s->freed && s->state == STREAM_OPEN && SSL_has_pending(s->ssl))
            read_turn(s);
        break;
    case STREAM_OPEN:
        if ((events & LOOP_WRITE) || (s->write_wants_read && (events & LOOP_READ)))
            flush(s);
        if (!s->freed && s->state == STREAM_OPEN && !s->paused && !s->peer_finished &&
            ((events & (LOOP_READ | LOOP_HANGUP)) || s->read_wants_write))
            read_turn(s);
        else if (!s->freed && s->state == STREAM_OPEN && (events & LOOP_HANGUP))
            check_hangup(s);
        break;
    default:
        break;
    }
    if (stream_release(s))
        update_events(s);
}

static void on_deadline(struct loop_source *source, void *userdata) {
    struct stream *s = userdata;
    if (s->finishing) {
        stream_free(s);
        return;
    }
    stream_hold(s);
    if (s->fd < 0)
        stream_break(s, -(int)s->events, NULL);
    else
        stream_break(s, -ETIMEDOUT, s->state == STREAM_CONNECTING ? "connect" : "TLS handshake");
    stream_release(s);
}

static void on_idle(struct loop_source *source, void *userdata) {
    struct stream *s = userdata;
    uint64_t now = loop_now_ms(s->loop), due = s->active_ms + s->idle_timeout_ms;
    if (now < due) {
        loop_timer_set(source, due - now);
        return;
    }
    stream_hold(s);
    stream_break(s, -ETIMEDOUT, "idle");
    stream_release(s);
}

/* No more reading or writing; tells the holder once. Between hold and release, for it may leave the stream freed. */
static void stream_break(struct stream *s, int r, const char *what) {
    if (s->state == STREAM_BROKEN)
        return;
    assert(s->depth > 0);
    s->state = STREAM_BROKEN;
    if (!s->why.text[0])
        (void)snprintf(s->why.text, sizeof(s->why.text), "%s: %s", what ? what : "stream", strerror(-r));
    clear_deadline(s);
    loop_source_free(TAKE(s->idle_timer));
    loop_source_free(TAKE(s->source));
    buf_done(&s->out);
    s->out_pos = 0;
    if (s->finishing) {
        dismantle(s);
        return;
    }
    if (!s->ended) {
        s->ended = true;
        if (s->callbacks && s->callbacks->end)
            s->callbacks->end(s, r, s->userdata);
    }
}

/* ---- the end ---- */

/* All but the memory: the one who holds it looks at `freed` once more. */
static void dismantle(struct stream *s) {
    if (s->freed)
        return;
    s->freed = true;
    if (s->finishing)
        n_finishing--;
    clear_deadline(s);
    loop_source_free(TAKE(s->idle_timer));
    loop_source_free(TAKE(s->source));
    stream_tls_free(s->ssl, s->state == STREAM_OPEN && !s->said_goodbye && s->out_pos == s->out.size);
    if (s->fd >= 0)
        close(s->fd);
    tls_context_unref(s->tls);
    buf_done(&s->out);
    s->callbacks = NULL;
}

void stream_free(struct stream *s) {
    if (!s || s->freed)
        return;
    dismantle(s);
    if (s->depth == 0)
        free(s);
}

/* Everything is sent: says goodbye and waits for the peer's end, so that no reset overtakes the last bytes. Between
 * hold and release. */
static void finish_turn(struct stream *s) {
    assert(s->depth > 0);
    if (s->out_pos < s->out.size)
        return;
    if (!s->said_goodbye) {
        s->said_goodbye = true;
        if (s->ssl)
            (void)SSL_shutdown(s->ssl);
        (void)shutdown(s->fd, SHUT_WR);
    }
    if (s->peer_finished)
        dismantle(s);
}

static void on_finish_event(struct loop_source *source, int fd, unsigned events, void *userdata) {
    struct stream *s = userdata;
    if (s->out_pos < s->out.size) {
        stream_hold(s);
        flush(s);
        if (stream_release(s) && s->source)
            loop_fd_set_events(s->source,
                               s->out_pos < s->out.size ? (s->write_wants_read ? LOOP_READ : LOOP_WRITE) : LOOP_READ);
        return;
    }
    /* The goodbye is out: what still comes is thrown away, until the peer closes or the deadline is there. */
    for (unsigned i = 0; i < READS_PER_TURN; i++) {
        ssize_t n = recv(fd, read_buffer, sizeof(read_buffer), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            stream_free(s);
            return;
        }
    }
}

void stream_finish(struct stream *s, unsigned deadline_ms) {
    if (!s || s->freed)
        return;
    if (s->state != STREAM_OPEN) {
        stream_free(s);
        return;
    }
    s->finishing = true;
    n_finishing++;
    s->paused = false;
    loop_source_free(TAKE(s->idle_timer));
    stream_hold(s);
    finish_turn(s);
    if (!stream_release(s))
        return;
    if (n_finishing > MAX_FINISHING) {
        stream_free(s);
        return;
    }
    loop_source_free(TAKE(s->source));
    s->source = loop_add_fd(s->loop, s->fd, s->out_pos < s->out.size ? LOOP_WRITE : LOOP_READ, on_finish_event, s);
    set_deadline(s, deadline_ms);
}

/* ---- small ones ---- */

size_t stream_queued(const struct stream *s) {
    return s->out.size - s->out_pos;
}

void stream_set_limits(struct stream *s, size_t high_water, size_t hard_limit) {
    s->high_water = high_water;
    s->hard_limit = hard_limit;
}

bool stream_is_congested(const struct stream *s) {
    return s->congested;
}

void stream_set_idle_timeout(struct stream *s, unsigned timeout_ms) {
    s->idle_timeout_ms = timeout_ms;
    s->active_ms = loop_now_ms(s->loop);
    if (timeout_ms == 0)
        loop_source_free(TAKE(s->idle_timer));
    else if (s->idle_timer)
        loop_timer_set(s->idle_timer, timeout_ms);
    else if (s->state == STREAM_OPEN)
        s->idle_timer = loop_add_timer(s->loop, timeout_ms, on_idle, s);
}

const struct stream_peer *stream_get_peer(const struct stream *s) {
    return &s->peer;
}

bool stream_is_trusted(const struct stream *s, const struct tls_trust *trust, const char *name,
                       struct tls_vouched *ret) {
    *ret = (struct tls_vouched){.why = "no certificate was shown"};
    return s->ssl && tls_trust_judge(trust, s->ssl, name, ret);
}

struct loop *stream_get_loop(const struct stream *s) {
    return s->loop;
}

const char *stream_error_text(const struct stream *s) {
    return s->why.text;
}

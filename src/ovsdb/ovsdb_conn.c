/* SPDX-License-Identifier: Apache-2.0 */
#include "ovsdb/ovsdb_conn.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
#include "ovsdb/ovsdb_frame.h"

/* The server is on this machine: a first attempt costs nothing, and a server that is starting should be found soon. */
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 1000
/* Compaction of a large database keeps a server silent for tens of seconds; only after that is it taken for dead. */
#define IDLE_ECHO_MS 5000
#define IDLE_DEAD_MS 60000
#define READ_SIZE ((size_t)64 << 10)
/* One turn of the loop reads at most this much, so that a snapshot does not hold up everything else. */
#define READ_PER_TURN ((size_t)4 << 20)
#define OUT_SIZE_MAX ((size_t)64 << 20)
#define TRIM_SIZE ((size_t)1 << 20)

struct pending {
    uint64_t id;
    uint64_t deadline_ms;
    bool failed; /* waits for the deferred error */
    char *method;
    ovsdb_reply_fn *fn;
    void *userdata;
    struct pending *next;
};

struct ovsdb_conn {
    struct loop *loop;
    char *path;
    ovsdb_state_fn *state;
    ovsdb_notify_fn *notify;
    void *userdata;

    int fd;
    struct loop_source *source;
    struct loop_source *retry_timer; /* also the first attempt */
    struct loop_source *call_timer;  /* nearest deadline, or calls that failed at once */
    struct loop_source *idle_timer;
    uint64_t backoff_ms;
    uint64_t last_read_ms;

    struct ovsdb_frame in;
    struct buf out;
    size_t out_pos;

    uint64_t next_id;
    struct pending *first, **end; /* in order of calling */

    unsigned busy; /* callbacks on the stack */
    bool dead;     /* freed from inside one of them */
};

static void conn_close(struct ovsdb_conn *c, const char *reason);
static void conn_read(struct ovsdb_conn *c);
static bool conn_flush(struct ovsdb_conn *c);
static void on_retry(struct loop_source *s, void *userdata);
static void on_call_timer(struct loop_source *s, void *userdata);
static void on_idle(struct loop_source *s, void *userdata);
static void on_fd(struct loop_source *s, int fd, unsigned events, void *userdata);

static void pending_free(struct ovsdb_conn *c, struct pending *p) {
    struct pending **at = &c->first;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    if (c->end == &p->next)
        c->end = at;
    free(p->method);
    free(p);
}

struct ovsdb_conn *ovsdb_conn_new(struct loop *l, const char *path, ovsdb_state_fn *state, ovsdb_notify_fn *notify,
                                  void *userdata) {
    struct ovsdb_conn *c = xnew0(struct ovsdb_conn);
    c->loop = l;
    c->path = xstrdup(path);
    c->state = state;
    c->notify = notify;
    c->userdata = userdata;
    c->fd = -1;
    c->end = &c->first;
    c->next_id = 1;
    c->backoff_ms = BACKOFF_MIN_MS;
    ovsdb_frame_init(&c->in, OVSDB_MESSAGE_SIZE_MAX);
    c->retry_timer = loop_add_timer(l, 0, on_retry, c);
    c->call_timer = loop_add_timer(l, LOOP_NEVER, on_call_timer, c);
    c->idle_timer = loop_add_timer(l, LOOP_NEVER, on_idle, c);
    return c;
}

static void conn_destroy(struct ovsdb_conn *c) {
    ovsdb_frame_done(&c->in);
    buf_done(&c->out);
    free(c->path);
    free(c);
}

void ovsdb_conn_free(struct ovsdb_conn *c) {
    if (!c)
        return;
    while (c->first)
        pending_free(c, c->first);
    loop_source_free(TAKE(c->source));
    loop_source_free(TAKE(c->retry_timer));
    loop_source_free(TAKE(c->call_timer));
    loop_source_free(TAKE(c->idle_timer));
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->dead = true;
    if (c->busy == 0)
        conn_destroy(c);
}

/* Every callback runs between these two. leave() is false when the connection was freed meanwhile: touch it no more. */
static void conn_enter(struct ovsdb_conn *c) {
    c->busy++;
}

static bool conn_leave(struct ovsdb_conn *c) {
    c->busy--;
    if (!c->dead)
        return true;
    if (c->busy == 0)
        conn_destroy(c);
    return false;
}

bool ovsdb_conn_is_connected(const struct ovsdb_conn *c) {
    return c->fd >= 0;
}

const char *ovsdb_conn_path(const struct ovsdb_conn *c) {
    return c->path;
}

void ovsdb_conn_reset(struct ovsdb_conn *c, const char *reason) {
    if (c->fd < 0)
        return;
    conn_enter(c);
    conn_close(c, reason);
    conn_leave(c);
}

static void arm_call_timer(struct ovsdb_conn *c) {
    uint64_t now = loop_now_ms(c->loop), nearest = LOOP_NEVER;
    for (const struct pending *p = c->first; p; p = p->next)
        nearest = MIN(nearest, p->failed ? now : p->deadline_ms);
    loop_timer_set(c->call_timer, nearest == LOOP_NEVER ? LOOP_NEVER : nearest > now ? nearest - now : 0);
}

/* Puts one message into the output; false when the peer does not read and too much waits. */
static bool queue_message(struct ovsdb_conn *c, const json_t *message) {
    char *text = json_dumps(message, JSON_COMPACT);
    if (!text)
        return false;
    size_t size = strlen(text);
    bool fits = c->out.size - c->out_pos + size <= OUT_SIZE_MAX;
    if (fits)
        buf_add(&c->out, text, size);
    free(text);
    return fits;
}

uint64_t ovsdb_conn_call(struct ovsdb_conn *c, const char *method, json_t *params, uint64_t timeout_ms,
                         ovsdb_reply_fn *fn, void *userdata) {
    struct pending *p = xnew0(struct pending);
    p->id = c->next_id++;
    uint64_t now = loop_now_ms(c->loop);
    p->deadline_ms = timeout_ms > UINT64_MAX - now ? LOOP_NEVER : now + timeout_ms;
    p->method = xstrdup(method);
    p->fn = fn;
    p->userdata = userdata;
    *c->end = p;
    c->end = &p->next;

    _cleanup_json_ json_t *message =
        json_pack("{s:s, s:o, s:I}", "method", method, "params", params, "id", (json_int_t)p->id);
    if (c->fd < 0 || !message || !queue_message(c, message))
        p->failed = true;
    else
        loop_fd_set_events(c->source, LOOP_READ | LOOP_WRITE);
    arm_call_timer(c);
    return p->id;
}

void ovsdb_conn_cancel(struct ovsdb_conn *c, uint64_t id) {
    for (struct pending *p = c->first; p; p = p->next) {
        if (p->id == id) {
            pending_free(c, p);
            return;
        }
    }
}

/* Takes p out and calls its function. */
static void pending_finish(struct ovsdb_conn *c, struct pending *p, const json_t *result, struct error *error) {
    ovsdb_reply_fn *fn = p->fn;
    void *userdata = p->userdata;
    pending_free(c, p);
    if (fn)
        fn(result, error, userdata);
}

static void on_call_timer(struct loop_source *s, void *userdata) {
    struct ovsdb_conn *c = userdata;
    conn_enter(c);
    uint64_t now = loop_now_ms(c->loop);
    for (bool again = true; again && !c->dead;) {
        again = false;
        for (struct pending *p = c->first; p; p = p->next) {
            if (!p->failed && p->deadline_ms > now)
                continue;
            _cleanup_error_ struct error *error = NULL;
            if (p->failed)
                error_set(&error, OVSDB_DISCONNECTED, c->path, "there is no connection", NULL);
            else
                error_set(&error, OVSDB_TIMEOUT, c->path, p->method, NULL);
            pending_finish(c, p, NULL, error);
            again = true; /* the function may have changed the list */
            break;
        }
    }
    if (conn_leave(c))
        arm_call_timer(c);
}

static void conn_open(struct ovsdb_conn *c) {
    int fd = ovsdb_socket_connect(c->path);
    if (fd < 0) {
        loop_timer_set(c->retry_timer, c->backoff_ms + loop_random(c->loop) % (c->backoff_ms / 2 + 1));
        c->backoff_ms = MIN(c->backoff_ms * 2, (uint64_t)BACKOFF_MAX_MS);
        return;
    }
    c->fd = fd;
    c->source = loop_add_fd(c->loop, fd, LOOP_READ, on_fd, c);
    c->last_read_ms = loop_now_ms(c->loop);
    loop_timer_set(c->idle_timer, IDLE_ECHO_MS);
    if (c->state)
        c->state(c, true, NULL, c->userdata);
}

static void on_retry(struct loop_source *s, void *userdata) {
    struct ovsdb_conn *c = userdata;
    if (c->fd >= 0)
        return;
    conn_enter(c);
    conn_open(c);
    conn_leave(c);
}

/* Inside enter/leave. Ends every call with an error, then says so, then arms the next attempt. */
static void conn_close(struct ovsdb_conn *c, const char *reason) {
    if (c->fd < 0)
        return;
    _cleanup_free_ char *text = xstrdup(reason);
    loop_source_free(TAKE(c->source));
    close(c->fd);
    c->fd = -1;
    ovsdb_frame_clear(&c->in);
    buf_done(&c->out);
    c->out_pos = 0;
    loop_timer_set(c->idle_timer, LOOP_NEVER);
    loop_timer_set(c->retry_timer, c->backoff_ms);
    c->backoff_ms = MIN(c->backoff_ms * 2, (uint64_t)BACKOFF_MAX_MS);

    /* Only the calls of this connection: what a callback adds now fails by itself, in the next turn. */
    uint64_t end = c->next_id;
    while (!c->dead && c->first && c->first->id < end) {
        _cleanup_error_ struct error *error = NULL;
        error_set(&error, OVSDB_DISCONNECTED, c->path, text, NULL);
        pending_finish(c, c->first, NULL, error);
    }
    if (!c->dead && c->state)
        c->state(c, false, text, c->userdata);
}

static void on_idle(struct loop_source *s, void *userdata) {
    struct ovsdb_conn *c = userdata;
    uint64_t now = loop_now_ms(c->loop), idle = now - c->last_read_ms;
    conn_enter(c);
    if (idle >= IDLE_DEAD_MS) {
        conn_close(c, "the server does not answer");
    } else {
        if (idle >= IDLE_ECHO_MS)
            ovsdb_conn_call(c, "echo", json_array(), IDLE_DEAD_MS, NULL, NULL);
        loop_timer_set(c->idle_timer, IDLE_ECHO_MS);
    }
    conn_leave(c);
}

static void handle_reply(struct ovsdb_conn *c, uint64_t id, const json_t *message) {
    struct pending *p = c->first;
    while (p && p->id != id)
        p = p->next;
    if (!p)
        return; /* timed out or cancelled meanwhile */
    const json_t *bad = json_object_get(message, "error");
    if (!bad || json_is_null(bad)) {
        pending_finish(c, p, json_object_get(message, "result"), NULL);
        return;
    }
    _cleanup_error_ struct error *error = NULL;
    const char *text = json_string_value(json_is_object(bad) ? json_object_get(bad, "error") : bad);
    const char *details = json_string_value(json_object_get(bad, "details"));
    error_set(&error, OVSDB_ERROR, text ? text : "unknown error", str_or_empty(details), NULL);
    pending_finish(c, p, NULL, error);
}

static bool handle_message(struct ovsdb_conn *c, const json_t *message) {
    const char *method = json_string_value(json_object_get(message, "method"));
    const json_t *params = json_object_get(message, "params");
    const json_t *id = json_object_get(message, "id");
    if (!method) {
        if (!json_is_integer(id) || json_integer_value(id) <= 0)
            return false;
        handle_reply(c, (uint64_t)json_integer_value(id), message);
        return true;
    }
    if (!json_is_array(params))
        return false;
    if (id && !json_is_null(id)) {
        _cleanup_json_ json_t *reply =
            str_eq(method, "echo")
                ? json_pack("{s:O, s:n, s:O}", "result", params, "error", "id", id)
                : json_pack("{s:n, s:{s:s}, s:O}", "result", "error", "error", "unknown method", "id", id);
        if (!reply || !queue_message(c, reply))
            return false;
        loop_fd_set_events(c->source, LOOP_READ | LOOP_WRITE);
    } else if (c->notify) {
        c->notify(c, method, params, c->userdata);
    }
    return true;
}

/* Handles every whole message that is there. False when the connection is gone (closed, reset or freed). */
static bool conn_drain(struct ovsdb_conn *c) {
    const char *data;
    size_t size;
    int fd = c->fd;
    for (;;) {
        int r = ovsdb_frame_next(&c->in, &data, &size);
        if (r < 0) {
            conn_close(c, r == -EMSGSIZE ? "a message of the server is too large" : "the server does not speak JSON");
            return false;
        }
        if (r == 0)
            return true;
        json_error_t bad;
        json_t *message = json_loadb(data, size, 0, &bad);
        bool fine = message && handle_message(c, message);
        json_decref(message);
        if (size > TRIM_SIZE)
            malloc_trim(0); /* its tree lay between what was kept of it: many pages hold nothing now */
        if (c->dead || c->fd != fd)
            return false;
        if (!fine) {
            conn_close(c, "the server sent a message that cannot be read");
            return false;
        }
        c->backoff_ms = BACKOFF_MIN_MS; /* a server that talks is a good one */
    }
}

static void conn_read(struct ovsdb_conn *c) {
    _cleanup_free_ char *chunk = xmalloc(READ_SIZE);
    for (size_t total = 0; total < READ_PER_TURN;) {
        ssize_t n = recv(c->fd, chunk, READ_SIZE, MSG_DONTWAIT);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN)
                conn_close(c, strerror(errno));
            return;
        }
        if (n == 0) {
            conn_close(c, "the server closed the connection");
            return;
        }
        total += (size_t)n;
        c->last_read_ms = loop_now_ms(c->loop);
        ovsdb_frame_add(&c->in, chunk, (size_t)n);
        if (!conn_drain(c))
            return;
    }
}

/* Writes what waits. False when the connection broke. */
static bool conn_flush(struct ovsdb_conn *c) {
    while (c->out_pos < c->out.size) {
        ssize_t n = send(c->fd, c->out.data + c->out_pos, c->out.size - c->out_pos, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN)
                return true;
            conn_close(c, strerror(errno));
            return false;
        }
        c->out_pos += (size_t)n;
    }
    buf_clear(&c->out);
    c->out_pos = 0;
    loop_fd_set_events(c->source, LOOP_READ);
    return true;
}

static void on_fd(struct loop_source *s, int fd, unsigned events, void *userdata) {
    struct ovsdb_conn *c = userdata;
    conn_enter(c);
    bool alive = !(events & LOOP_WRITE) || conn_flush(c);
    if (alive && (events & (LOOP_READ | LOOP_HANGUP)))
        conn_read(c);
    if (conn_leave(c))
        arm_call_timer(c);
}

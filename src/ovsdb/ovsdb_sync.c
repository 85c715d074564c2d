/* SPDX-License-Identifier: Apache-2.0 */
#include "ovsdb/ovsdb_conn.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/str.h"
#include "ovsdb/ovsdb_frame.h"

#define RETRY_MS 20
#define READ_SIZE ((size_t)64 << 10)
/* Notifications nobody asked for are dropped from the oldest on. */
#define KEPT_MAX 1024

struct ovsdb_sync {
    char *path;
    int fd;
    uint64_t next_id;
    struct ovsdb_frame in;
    json_t *kept; /* notifications, oldest first */
};

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Waits for `events` on fd (-1: just for time). 1 ready, 0 the deadline passed, or -errno. */
static int wait_until(int fd, short events, uint64_t deadline) {
    for (;;) {
        uint64_t now = now_ms();
        if (now >= deadline)
            return 0;
        struct pollfd p = {.fd = fd, .events = events};
        int r = poll(&p, 1, (int)MIN(deadline - now, (uint64_t)60000));
        if (r > 0)
            return 1;
        if (r < 0 && errno != EINTR)
            return -errno;
    }
}

struct ovsdb_sync *ovsdb_sync_open(const char *path, uint64_t timeout_ms, struct error **errp) {
    uint64_t deadline = now_ms() + timeout_ms;
    int fd;
    while ((fd = ovsdb_socket_connect(path)) < 0) {
        /* The server may still be starting: its socket is missing or refuses. Anything else will not get better. */
        bool may_come = fd == -ENOENT || fd == -ECONNREFUSED || fd == -EAGAIN;
        uint64_t now = now_ms();
        if (!may_come || now >= deadline) {
            error_set(errp, OVSDB_DISCONNECTED, path, strerror(-fd), NULL);
            return NULL;
        }
        (void)wait_until(-1, 0, MIN(deadline, now + RETRY_MS));
    }
    struct ovsdb_sync *c = xnew0(struct ovsdb_sync);
    c->path = xstrdup(path);
    c->fd = fd;
    c->next_id = 1;
    c->kept = json_array();
    ovsdb_frame_init(&c->in, OVSDB_MESSAGE_SIZE_MAX);
    return c;
}

void ovsdb_sync_close(struct ovsdb_sync *c) {
    if (!c)
        return;
    close(c->fd);
    ovsdb_frame_done(&c->in);
    json_decref(c->kept);
    free(c->path);
    free(c);
}

static bool send_message(struct ovsdb_sync *c, const json_t *message, uint64_t deadline, struct error **errp) {
    _cleanup_free_ char *text = json_dumps(message, JSON_COMPACT);
    if (!text) {
        error_set(errp, OVSDB_ERROR, "bad request", "it cannot be written as JSON", NULL);
        return false;
    }
    for (size_t size = strlen(text), done = 0; done < size;) {
        ssize_t n = send(c->fd, text + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            done += (size_t)n;
            continue;
        }
        int r = errno == EAGAIN ? wait_until(c->fd, POLLOUT, deadline) : errno == EINTR ? 1 : -errno;
        if (r == 0)
            error_set(errp, OVSDB_TIMEOUT, c->path, "send", NULL);
        else if (r < 0)
            error_set(errp, OVSDB_DISCONNECTED, c->path, strerror(-r), NULL);
        if (r <= 0)
            return false;
    }
    return true;
}

/* The next message of any kind, a new reference; NULL with an error. */
static json_t *receive_message(struct ovsdb_sync *c, const char *method, uint64_t deadline, struct error **errp) {
    _cleanup_free_ char *chunk = NULL;
    for (;;) {
        const char *data;
        size_t size;
        int r = ovsdb_frame_next(&c->in, &data, &size);
        if (r > 0) {
            json_t *message = json_loadb(data, size, 0, NULL);
            if (!message)
                error_set(errp, OVSDB_DISCONNECTED, c->path, "the server sent a message that cannot be read", NULL);
            return message;
        }
        if (r < 0) {
            error_set(errp, OVSDB_DISCONNECTED, c->path, "the server does not speak JSON", NULL);
            return NULL;
        }
        if (!chunk)
            chunk = xmalloc(READ_SIZE);
        ssize_t n = recv(c->fd, chunk, READ_SIZE, MSG_DONTWAIT);
        if (n > 0) {
            ovsdb_frame_add(&c->in, chunk, (size_t)n);
            continue;
        }
        if (n == 0) {
            error_set(errp, OVSDB_DISCONNECTED, c->path, "the server closed the connection", NULL);
            return NULL;
        }
        r = errno == EAGAIN ? wait_until(c->fd, POLLIN, deadline) : errno == EINTR ? 1 : -errno;
        if (r == 0)
            error_set(errp, OVSDB_TIMEOUT, c->path, method, NULL);
        else if (r < 0)
            error_set(errp, OVSDB_DISCONNECTED, c->path, strerror(-r), NULL);
        if (r <= 0)
            return NULL;
    }
}

/* Answers a request of the server, keeps a notification. True when `message` was one of these. */
static bool absorb(struct ovsdb_sync *c, json_t *message, uint64_t deadline, bool *ret_broken, struct error **errp) {
    const char *method = json_string_value(json_object_get(message, "method"));
    if (!method)
        return false;
    json_t *id = json_object_get(message, "id");
    if (id && !json_is_null(id)) {
        json_t *params = json_object_get(message, "params");
        _cleanup_json_ json_t *reply = json_pack("{s:O?, s:n, s:O}", "result", params, "error", "id", id);
        *ret_broken = !reply || !send_message(c, reply, deadline, errp);
        return true;
    }
    if (json_array_size(c->kept) >= KEPT_MAX)
        json_array_remove(c->kept, 0);
    json_array_append(c->kept, message);
    return true;
}

bool ovsdb_sync_call(struct ovsdb_sync *c, const char *method, json_t *params, uint64_t timeout_ms, json_t **ret_result,
                     struct error **errp) {
    uint64_t deadline = now_ms() + timeout_ms, id = c->next_id++;
    _cleanup_json_ json_t *request =
        json_pack("{s:s, s:o, s:I}", "method", method, "params", params, "id", (json_int_t)id);
    if (!request) {
        error_set(errp, OVSDB_ERROR, "bad request", method, NULL);
        return false;
    }
    if (!send_message(c, request, deadline, errp))
        return false;
    for (;;) {
        _cleanup_json_ json_t *message = receive_message(c, method, deadline, errp);
        if (!message)
            return false;
        bool broken = false;
        if (absorb(c, message, deadline, &broken, errp)) {
            if (broken)
                return false;
            continue;
        }
        if ((uint64_t)json_integer_value(json_object_get(message, "id")) != id)
            continue; /* the answer to a call that had timed out */
        const json_t *bad = json_object_get(message, "error");
        if (bad && !json_is_null(bad)) {
            const char *text = json_string_value(json_is_object(bad) ? json_object_get(bad, "error") : bad);
            const char *details = json_string_value(json_object_get(bad, "details"));
            error_set(errp, OVSDB_ERROR, text ? text : "unknown error", str_or_empty(details), NULL);
            return false;
        }
        json_t *result = json_object_get(message, "result");
        *ret_result = result ? json_incref(result) : json_null();
        return true;
    }
}

bool ovsdb_sync_transact(struct ovsdb_sync *c, json_t *params, uint64_t timeout_ms, json_t **ret_result,
                         struct error **errp) {
    size_t n_ops = json_array_size(params) > 0 ? json_array_size(params) - 1 : 0;
    _cleanup_json_ json_t *result = NULL;
    if (!ovsdb_sync_call(c, "transact", params, timeout_ms, &result, errp) ||
        !ovsdb_transact_check(result, n_ops, /* ret_index= */ NULL, errp))
        return false;
    *ret_result = TAKE(result);
    return true;
}

bool ovsdb_sync_notification(struct ovsdb_sync *c, uint64_t timeout_ms, json_t **ret_message, struct error **errp) {
    uint64_t deadline = now_ms() + timeout_ms;
    while (json_array_size(c->kept) == 0) {
        _cleanup_json_ json_t *message = receive_message(c, "a notification", deadline, errp);
        bool broken = false;
        if (!message || (absorb(c, message, deadline, &broken, errp) && broken))
            return false;
    }
    *ret_message = json_incref(json_array_get(c->kept, 0));
    json_array_remove(c->kept, 0);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/str.h"
#include "wire/stream_socket.h"

#define BACKLOG 512
#define ACCEPTS_PER_TURN 32
#define RETRY_MS 200 /* after the process ran out of descriptors */

struct listener {
    struct loop *loop;
    int fd;
    struct loop_source *source;
    struct loop_source *retry;
    struct tls_context *tls;
    listener_accept_fn *fn;
    void *userdata;
    char *unix_path;
    ino_t unix_inode; /* of the socket we made: another one under that name is not ours to remove */
    uint16_t port;
    bool paused;
    bool *freed_flag; /* set while accepting */
};

static void on_accept(struct loop_source *source, int fd, unsigned events, void *userdata);

static void on_retry(struct loop_source *source, void *userdata) {
    struct listener *n = userdata;
    if (!n->paused)
        loop_fd_set_events(n->source, LOOP_READ);
}

/* A unix path is replaced only when nobody listens behind it. */
static int clear_unix_path(const struct socket_address *a, const char *path) {
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&a->storage, a->size) == 0 || errno == EAGAIN)
        return -EADDRINUSE;
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int open_socket(const struct socket_address *a, const char *address, unsigned unix_mode) {
    int family = a->storage.ss_family;
    int r = family == AF_UNIX ? clear_unix_path(a, address) : 0;
    if (r < 0)
        return r;
    _cleanup_close_ int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    const int on = 1;
    if (family != AF_UNIX) {
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
            return -errno;
        /* The management address may come later than the daemon. */
        if (family == AF_INET ? setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) < 0
                              : setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on)) < 0)
            return -errno;
        const int only6 = !str_eq(address, "::");
        if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only6, sizeof(only6)) < 0)
            return -errno;
    }
    if (family == AF_UNIX) {
        /* Before listen nobody can connect, so there is no moment with a weaker mode. */
        if (bind(fd, (const struct sockaddr *)&a->storage, a->size) < 0 ||
            chmod(address, unix_mode ? unix_mode : 0600) < 0)
            return -errno;
    } else if (bind(fd, (const struct sockaddr *)&a->storage, a->size) < 0) {
        return -errno;
    }
    if (listen(fd, BACKLOG) < 0)
        return -errno;
    return take_fd(&fd);
}

static uint16_t bound_port(int fd) {
    struct socket_address a = {.size = sizeof(a.storage)};
    if (getsockname(fd, (struct sockaddr *)&a.storage, &a.size) < 0)
        return 0;
    if (a.storage.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&a.storage)->sin_port);
    return a.storage.ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)&a.storage)->sin6_port) : 0;
}

struct listener *listener_new(struct loop *l, const char *address, uint16_t port, unsigned unix_mode,
                              struct tls_context *tls, listener_accept_fn *fn, void *userdata, struct error **errp) {
    struct socket_address a;
    if (!stream_socket_parse(address, port, &a)) {
        error_internal(errp, "listen: '%s' is no numeric address or path", address);
        return NULL;
    }
    int fd = open_socket(&a, address, unix_mode);
    if (fd < 0) {
        error_errno(errp, fd, "listen on '%s' port %u", address, port);
        return NULL;
    }
    struct listener *n = xnew0(struct listener);
    n->loop = l;
    n->fd = fd;
    n->tls = tls_context_ref(tls);
    n->fn = fn;
    n->userdata = userdata;
    n->port = bound_port(fd);
    if (address[0] == '/') {
        struct stat st;
        n->unix_path = xstrdup(address);
        n->unix_inode = lstat(address, &st) == 0 ? st.st_ino : 0;
    }
    n->source = loop_add_fd(l, fd, LOOP_READ, on_accept, n);
    n->retry = loop_add_timer(l, LOOP_NEVER, on_retry, n);
    if (!n->source)
        abort();
    return n;
}

static void on_accept(struct loop_source *source, int listen_fd, unsigned events, void *userdata) {
    struct listener *n = userdata;
    bool freed = false;
    n->freed_flag = &freed;
    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                /* The waiting connection would wake us for ever. */
                loop_fd_set_events(n->source, 0);
                loop_timer_set(n->retry, RETRY_MS);
            }
            if (errno == ECONNABORTED || errno == EINTR)
                continue;
            break;
        }
        stream_socket_tune(fd, n->unix_path ? AF_UNIX : AF_INET);
        n->fn(n, stream_new(n->loop, fd, n->tls, /* is_server= */ true), n->userdata);
        if (freed)
            return;
        if (n->paused)
            break;
    }
    n->freed_flag = NULL;
}

void listener_free(struct listener *n) {
    if (!n)
        return;
    if (n->freed_flag)
        *n->freed_flag = true;
    loop_source_free(n->source);
    loop_source_free(n->retry);
    close(n->fd);
    struct stat st;
    if (n->unix_path && lstat(n->unix_path, &st) == 0 && st.st_ino == n->unix_inode)
        (void)unlink(n->unix_path);
    free(n->unix_path);
    tls_context_unref(n->tls);
    free(n);
}

void listener_pause(struct listener *n, bool paused) {
    n->paused = paused;
    loop_fd_set_events(n->source, paused ? 0 : LOOP_READ);
}

uint16_t listener_port(const struct listener *n) {
    return n->port;
}

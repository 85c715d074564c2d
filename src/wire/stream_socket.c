/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/stream_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/str.h"

static bool parse_ipv6(const char *address, struct sockaddr_in6 *ret) {
    char text[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
    if (!str_copy(text, sizeof(text), address))
        return false;
    char *zone = strchr(text, '%');
    if (zone) {
        *zone++ = '\0';
        int64_t index;
        ret->sin6_scope_id = if_nametoindex(zone);
        if (ret->sin6_scope_id == 0 && str_parse_int(zone, 1, UINT32_MAX, &index))
            ret->sin6_scope_id = (uint32_t)index;
        if (ret->sin6_scope_id == 0)
            return false;
    }
    return inet_pton(AF_INET6, text, &ret->sin6_addr) == 1;
}

bool stream_socket_parse(const char *address, uint16_t port, struct socket_address *ret) {
    struct socket_address a = {0};
    if (address[0] == '/') {
        struct sockaddr_un *un = (struct sockaddr_un *)&a.storage;
        un->sun_family = AF_UNIX;
        if (!str_copy(un->sun_path, sizeof(un->sun_path), address))
            return false;
        a.size = sizeof(*un);
    } else if (strchr(address, ':')) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a.storage;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        if (!parse_ipv6(address, in6))
            return false;
        a.size = sizeof(*in6);
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)&a.storage;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        if (inet_pton(AF_INET, address, &in->sin_addr) != 1)
            return false;
        a.size = sizeof(*in);
    }
    *ret = a;
    return true;
}

bool stream_socket_is_numeric(const char *host) {
    struct in6_addr a;
    return inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1;
}

void stream_socket_tune(int fd, int family) {
    if (family != AF_INET && family != AF_INET6)
        return;
    /* Best effort: without them connections only work less well. */
    const int on = 1, idle_s = 60, interval_s = 10, probes = 6;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

int stream_socket_connect(const char *address, uint16_t port, const char *source, bool *ret_pending,
                          struct error **errp) {
    struct socket_address to, from;
    if (!stream_socket_parse(address, port, &to)) {
        error_internal(errp, "'%s' is no numeric address or path", address);
        return -EINVAL;
    }
    if (source && (!stream_socket_parse(source, 0, &from) || from.storage.ss_family != to.storage.ss_family)) {
        error_internal(errp, "'%s' is no numeric address of the family of '%s'", source, address);
        return -EINVAL;
    }
    _cleanup_close_ int fd = socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno == EINVAL ? -EIO : -errno;
    stream_socket_tune(fd, to.storage.ss_family);
    if (source) {
        const int on = 1;
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
        if (bind(fd, (struct sockaddr *)&from.storage, from.size) < 0)
            return errno == EINVAL ? -EIO : -errno;
    }
    *ret_pending = connect(fd, (struct sockaddr *)&to.storage, to.size) < 0;
    if (*ret_pending && errno != EINPROGRESS)
        return errno == EINVAL ? -EIO : -errno;
    return take_fd(&fd);
}

void stream_socket_peer(int fd, struct stream_peer *ret) {
    struct socket_address a = {.size = sizeof(a.storage)};
    *ret = (struct stream_peer){.uid = UINT_MAX};
    if (getpeername(fd, (struct sockaddr *)&a.storage, &a.size) < 0)
        return;
    if (a.storage.ss_family == AF_UNIX) {
        struct ucred cred;
        socklen_t size = sizeof(cred);
        ret->is_unix = true;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0) {
            ret->uid = cred.uid;
            ret->pid = cred.pid;
        }
    } else if (a.storage.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&a.storage;
        (void)inet_ntop(AF_INET, &in->sin_addr, ret->address, sizeof(ret->address));
        ret->port = ntohs(in->sin_port);
    } else if (a.storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a.storage;
        ret->port = ntohs(in6->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
            (void)inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], ret->address, sizeof(ret->address));
            return;
        }
        char text[INET6_ADDRSTRLEN], zone[IF_NAMESIZE];
        (void)inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
        if (in6->sin6_scope_id && if_indextoname(in6->sin6_scope_id, zone))
            (void)snprintf(ret->address, sizeof(ret->address), "%s%%%s", text, zone);
        else
            str_copy(ret->address, sizeof(ret->address), text);
    }
}

/* ---- the BIO: OpenSSL's own would raise SIGPIPE ---- */

static int bio_write(BIO *b, const char *data, int size) {
    ssize_t n = send((int)(intptr_t)BIO_get_data(b), data, (size_t)size, MSG_NOSIGNAL);
    BIO_clear_retry_flags(b);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(b);
    return (int)n;
}

static int bio_read(BIO *b, char *data, int size) {
    ssize_t n = recv((int)(intptr_t)BIO_get_data(b), data, (size_t)size, 0);
    BIO_clear_retry_flags(b);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(b);
    else if (n == 0)
        BIO_set_flags(b, BIO_FLAGS_IN_EOF);
    return (int)n;
}

static long bio_ctrl(BIO *b, int command, long num, void *ptr) {
    if (command == BIO_CTRL_EOF)
        return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

BIO *stream_socket_bio(int fd) {
    static BIO_METHOD *method; /* made once, by the first loop thread */
    if (!method) {
        BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "muster socket");
        if (!m || !BIO_meth_set_write(m, bio_write) || !BIO_meth_set_read(m, bio_read) ||
            !BIO_meth_set_ctrl(m, bio_ctrl))
            abort();
        method = m;
    }
    BIO *b = BIO_new(method);
    if (b) {
        BIO_set_data(b, (void *)(intptr_t)fd);
        BIO_set_init(b, 1);
    }
    return b;
}

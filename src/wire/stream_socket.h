/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets under streams and listeners: addresses, connecting, binding, who is at the other end. Internal to wire/.
 */
#pragma once

#include <sys/socket.h>

#include "wire/stream.h"

typedef struct bio_st BIO;

struct socket_address {
    struct sockaddr_storage storage;
    socklen_t size;
};

/* "1.2.3.4", "fe80::1%eth0", or a path. False when it is neither. */
bool stream_socket_parse(const char *address, uint16_t port, struct socket_address *ret);
bool stream_socket_is_numeric(const char *host);
/* A connecting descriptor; -EINVAL with errp for a bad address, another negative errno when the connection failed at
 * once. */
int stream_socket_connect(const char *address, uint16_t port, const char *source, bool *ret_pending,
                          struct error **errp);
void stream_socket_peer(int fd, struct stream_peer *ret);
void stream_socket_tune(int fd, int family);
BIO *stream_socket_bio(int fd); /* does not close fd, never raises SIGPIPE */

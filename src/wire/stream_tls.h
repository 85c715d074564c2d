/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's calls with the results a stream wants: bytes, 0, or a negative errno. Internal to wire/. */
#pragma once

#include <sys/types.h>

#include "wire/tls_internal.h"

struct stream_tls_text {
    char text[160]; /* why the latest call failed, when it knows better than strerror */
};

SSL *stream_tls_new(struct tls_context *tls, int fd, bool is_server, const char *server_name);
void stream_tls_free(SSL *ssl, bool says_goodbye); /* accepts NULL */
/*
 * 1 done, 0 not yet, or -EKEYREJECTED (a certificate was refused), -EPROTO, -ECONNRESET. *wants_other, here and below:
 * reading waits until the socket is writable, or writing until it is readable.
 */
int stream_tls_handshake(SSL *ssl, bool *wants_other, struct stream_tls_text *why);
/* > 0 bytes, 0 the peer has ended, -EAGAIN, or another negative errno. */
ssize_t stream_tls_read(SSL *ssl, void *data, size_t size, bool *wants_other, struct stream_tls_text *why);
/* > 0 bytes, 0 not now (offer the same bytes again), or a negative errno. */
ssize_t stream_tls_write(SSL *ssl, const void *data, size_t size, bool *wants_other, struct stream_tls_text *why);

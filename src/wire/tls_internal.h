/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of wire/ share about OpenSSL and do not show outside. */
#pragma once

#include "wire/tls.h"

typedef struct ssl_st SSL;

/* The latest error of this thread's queue as a short text; the queue is empty afterwards. Points into `text`. */
const char *tls_error_text(char *text, size_t size);
/* What is known of the peer after the handshake. */
void tls_peer_fill(SSL *ssl, struct tls_peer *ret);
bool tls_context_checks_name(const struct tls_context *t);

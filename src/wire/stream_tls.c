/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/stream_tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

#include "wire/stream_socket.h"

SSL *stream_tls_new(struct tls_context *tls, int fd, bool is_server, const char *server_name) {
    SSL *ssl = SSL_new(tls_context_ssl(tls));
    BIO *bio = stream_socket_bio(fd);
    if (!ssl || !bio)
        abort();
    SSL_set_bio(ssl, bio, bio);
    if (is_server) {
        SSL_set_accept_state(ssl);
        return ssl;
    }
    SSL_set_connect_state(ssl);
    bool is_numeric = stream_socket_is_numeric(server_name);
    if (!is_numeric)
        SSL_set_tlsext_host_name(ssl, server_name);
    if (tls_context_checks_name(tls)) {
        X509_VERIFY_PARAM *p = SSL_get0_param(ssl);
        if (is_numeric ? !X509_VERIFY_PARAM_set1_ip_asc(p, server_name)
                       : !X509_VERIFY_PARAM_set1_host(p, server_name, 0))
            abort();
    }
    return ssl;
}

void stream_tls_free(SSL *ssl, bool says_goodbye) {
    if (!ssl)
        return;
    if (says_goodbye)
        (void)SSL_shutdown(ssl); /* close_notify, if the socket takes it */
    SSL_free(ssl);
    ERR_clear_error();
}

static int protocol_error(struct stream_tls_text *why) {
    char text[200];
    (void)snprintf(why->text, sizeof(why->text), "TLS: %s", tls_error_text(text, sizeof(text)));
    return -EPROTO;
}

int stream_tls_handshake(SSL *ssl, bool *wants_other, struct stream_tls_text *why) {
    *wants_other = false;
    ERR_clear_error();
    int r = SSL_do_handshake(ssl);
    if (r == 1)
        return 1;
    switch (SSL_get_error(ssl, r)) {
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_WANT_WRITE:
        *wants_other = true;
        return 0;
    case SSL_ERROR_SSL:
        break;
    default:
        (void)snprintf(why->text, sizeof(why->text), "TLS handshake: the connection was closed");
        return -ECONNRESET;
    }
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    bool refused = reason == SSL_R_CERTIFICATE_VERIFY_FAILED || reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
    long verdict = reason == SSL_R_CERTIFICATE_VERIFY_FAILED ? SSL_get_verify_result(ssl) : X509_V_OK;
    char text[200];
    (void)snprintf(why->text, sizeof(why->text), "TLS handshake: %s%s%s", tls_error_text(text, sizeof(text)),
                   verdict != X509_V_OK ? ": " : "",
                   verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : "");
    return refused ? -EKEYREJECTED : -EPROTO;
}

ssize_t stream_tls_read(SSL *ssl, void *data, size_t size, bool *wants_other, struct stream_tls_text *why) {
    *wants_other = false;
    ERR_clear_error();
    int n = SSL_read(ssl, data, (int)MIN(size, (size_t)INT_MAX));
    if (n > 0)
        return n;
    int saved = errno;
    switch (SSL_get_error(ssl, n)) {
    case SSL_ERROR_WANT_READ:
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        *wants_other = true;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        return saved ? -saved : -ECONNRESET;
    default:
        return protocol_error(why);
    }
}

ssize_t stream_tls_write(SSL *ssl, const void *data, size_t size, bool *wants_other, struct stream_tls_text *why) {
    *wants_other = false;
    ERR_clear_error();
    int n = SSL_write(ssl, data, (int)MIN(size, (size_t)INT_MAX));
    if (n > 0)
        return n;
    int saved = errno;
    switch (SSL_get_error(ssl, n)) {
    case SSL_ERROR_WANT_WRITE:
        return 0;
    case SSL_ERROR_WANT_READ:
        *wants_other = true;
        return 0;
    case SSL_ERROR_SYSCALL:
        return saved ? -saved : -EPIPE;
    default:
        return protocol_error(why);
    }
}

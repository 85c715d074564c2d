/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/http_transfer.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/str.h"

#define DEFAULT_TIMEOUT_MS 30000
#define DEFAULT_CONNECT_TIMEOUT_MS 10000
#define DEFAULT_MAX_RESPONSE (64u * 1024 * 1024)

/* Whether the server shows an authority with the expected fingerprint that has signed its certificate. */
static bool signed_by_pinned(X509_STORE_CTX *store, X509 *leaf, const char *pin) {
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(store);
    for (int i = 0; leaf && chain && i < sk_X509_num(chain) && i < 16; i++) {
        X509 *authority = sk_X509_value(chain, i);
        char fingerprint[TLS_FINGERPRINT_SIZE];
        if (tls_fingerprint_x509(authority, fingerprint) && str_eq(fingerprint, pin) && X509_check_ca(authority) > 0 &&
            X509_verify(leaf, X509_get0_pubkey(authority)) == 1)
            return true;
    }
    return false;
}

/* Looks at the server's certificate: notes its fingerprint, and judges where the authorities are not asked. */
static int on_verify(X509_STORE_CTX *store, void *arg) {
    struct transfer *t = arg;
    X509 *leaf = X509_STORE_CTX_get0_cert(store);
    bool known = leaf && tls_fingerprint_x509(leaf, t->response.peer_fingerprint);
    if (leaf)
        tls_key_fingerprint_x509(leaf, t->response.peer_key_fingerprint);
    int ok;
    if (t->verify == TLS_VERIFY_CA) {
        /* Asked for under another name than it has: libcurl would look for that one. */
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
        if (t->wants_pool && X509_VERIFY_PARAM_set1_ip_asc(param, t->peer_text) != 1)
            (void)!X509_VERIFY_PARAM_set1_host(param, t->peer_text, 0);
        ok = X509_verify_cert(store);
    } else {
        ok = t->verify == TLS_VERIFY_NONE ||
             (t->verify == TLS_VERIFY_PIN_AUTHORITY && signed_by_pinned(store, leaf, t->pin)) ||
             (t->verify == TLS_VERIFY_PIN && known &&
              (str_eq(t->response.peer_fingerprint, t->pin) || str_eq(t->response.peer_key_fingerprint, t->pin)));
        X509_STORE_CTX_set_error(store, ok > 0 ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
    }
    if (ok <= 0)
        t->refused = true;
    return ok > 0;
}

static CURLcode on_ssl_ctx(CURL *easy, void *ssl_ctx, void *userdata) {
    SSL_CTX *ssl = ssl_ctx;
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, /* callback= */ NULL);
    SSL_CTX_set_cert_verify_callback(ssl, on_verify, userdata);
    return CURLE_OK;
}

static size_t on_body(char *data, size_t one, size_t size, void *userdata) {
    struct transfer *t = userdata;
    if (size > t->max_response - t->response.body.size) {
        t->too_large = true;
        return 0;
    }
    buf_add(&t->response.body, data, size);
    return size;
}

/* An address with a zone stays as it is: libcurl connects to no such thing under another name. */
static bool asks_by_name(const struct http_target *target) {
    return target->wants_pool && !target->unix_path && !target->is_plain && !strchr(str_or_empty(target->host), '%');
}

static char *target_url(const struct http_target *target, const char *path, struct error **errp) {
    if (path[0] != '/') {
        error_internal(errp, "'%s' is no path", path);
        return NULL;
    }
    if (target->unix_path)
        return strf("http://localhost%s", path);
    const char *host = str_or_empty(target->host);
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%";
    if (!*host || host[strspn(host, allowed)]) {
        error_set(errp, ERR_WIRE_CONNECT, host, "this is neither a name nor an address", NULL);
        return NULL;
    }
    unsigned port = target->port ? target->port : target->is_plain ? 80 : 443;
    const char *scheme = target->is_plain ? "http" : "https";
    if (asks_by_name(target))
        return strf("https://%s:%u%s", TLS_POOL_NAME, port, path);
    const char *zone = strchr(host, '%');
    if (!strchr(host, ':'))
        return strf("%s://%s:%u%s", scheme, host, port, path);
    if (zone)
        return strf("%s://[%.*s%%25%s]:%u%s", scheme, (int)(zone - host), host, zone + 1, port, path);
    return strf("%s://[%s]:%u%s", scheme, host, port, path);
}

static void set_tls(struct transfer *t, const struct http_target *target) {
    CURL *e = t->easy;
    bool by_authority = t->verify == TLS_VERIFY_CA;
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, by_authority ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, by_authority && !t->wants_pool ? 2L : 0L);
    if (t->wants_pool) {
        bool is_v6 = strchr(target->host, ':');
        _cleanup_free_ char *there =
            strf("::%s%s%s:%u", is_v6 ? "[" : "", target->host, is_v6 ? "]" : "", target->port ? target->port : 443);
        t->connect_to = curl_slist_append(NULL, there);
        curl_easy_setopt(e, CURLOPT_CONNECT_TO, t->connect_to);
    }
    if (by_authority && target->ca_path) {
        curl_easy_setopt(e, CURLOPT_CAINFO, target->ca_path);
        curl_easy_setopt(e, CURLOPT_CAPATH, NULL); /* else the system's authorities would do as well */
        /* The file is read each time: what was read before is kept for a day, and the pool's authority may be another.
         */
        curl_easy_setopt(e, CURLOPT_CA_CACHE_TIMEOUT, 0L);
    }
    if (target->cert_path) {
        curl_easy_setopt(e, CURLOPT_SSLCERT, target->cert_path);
        curl_easy_setopt(e, CURLOPT_SSLKEY, target->key_path);
    }
    /* A resumed session shows no certificate to judge. */
    curl_easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
    curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, t);
}

static void set_method(struct transfer *t, const char *method, const char *body, size_t size) {
    CURL *e = t->easy;
    if (body) {
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
        curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, body);
    } else if (str_eq(method, "POST")) {
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, 0L);
        curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, "");
    } else if (str_eq(method, "HEAD")) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    } else {
        curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
}

bool transfer_init(struct transfer *t, CURL *easy, const struct http_target *target, const char *method,
                   const char *path, const char *const *headers, const char *body, size_t size, struct error **errp) {
    t->easy = easy;
    t->verify = target->verify;
    t->max_response = target->max_response ? target->max_response : DEFAULT_MAX_RESPONSE;
    t->peer_text = target->unix_path ? xstrdup(target->unix_path) : xstrdup(str_or_empty(target->host));
    t->wants_pool = asks_by_name(target);
    bool is_tls = !target->unix_path && !target->is_plain;
    if (is_tls && (t->verify == TLS_VERIFY_PIN || t->verify == TLS_VERIFY_PIN_AUTHORITY) &&
        !tls_fingerprint_parse(str_or_empty(target->pin), t->pin)) {
        error_set(errp, ERR_WIRE_CERTIFICATE, t->peer_text, "the expected fingerprint is no SHA-256 fingerprint", NULL);
        return false;
    }
    _cleanup_free_ char *url = target_url(target, path, errp);
    if (!url)
        return false;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->problem);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(target->timeout_ms ? target->timeout_ms : DEFAULT_TIMEOUT_MS));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(target->connect_timeout_ms ? target->connect_timeout_ms : DEFAULT_CONNECT_TIMEOUT_MS));
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    if (target->unix_path)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, target->unix_path);
    else if (is_tls)
        set_tls(t, target);
    set_method(t, method, body, size);
    t->headers = curl_slist_append(t->headers, "Expect:"); /* do not wait for 100 Continue */
    for (size_t i = 0; headers && headers[i]; i++)
        t->headers = curl_slist_append(t->headers, headers[i]);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers);
    return true;
}

bool transfer_result(struct transfer *t, CURLcode result, struct error **errp) {
    char *text = NULL;
    long status = 0;
    if (curl_easy_getinfo(t->easy, CURLINFO_LOCAL_IP, &text) == CURLE_OK && text)
        str_copy(t->response.local_address, sizeof(t->response.local_address), text);
    if (result != CURLE_OK) {
        const char *what = t->problem[0] ? t->problem : curl_easy_strerror(result);
        if (t->refused || result == CURLE_PEER_FAILED_VERIFICATION)
            error_set(errp, ERR_WIRE_CERTIFICATE, t->peer_text,
                      t->verify == TLS_VERIFY_PIN ? "its certificate has another fingerprint than the expected one"
                                                  : what,
                      NULL);
        else if (t->too_large)
            error_set(errp, ERR_WIRE_RESPONSE, t->peer_text, "the answer is too large", NULL);
        else
            error_set(errp, ERR_WIRE_CONNECT, t->peer_text, what, NULL);
        return false;
    }
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    t->response.status = (int)status;
    if (curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &text) == CURLE_OK && text)
        str_copy(t->response.content_type, sizeof(t->response.content_type), text);
    return true;
}

void http_response_done(struct http_response *r) {
    buf_done(&r->body);
    *r = (struct http_response){0};
}

void transfer_done(struct transfer *t) {
    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->connect_to);
    free(t->peer_text);
    http_response_done(&t->response);
    *t = (struct transfer){0};
}

bool transfer_decode_rpc(const struct transfer *t, struct value *ret, struct error **errp) {
    const struct http_response *r = &t->response;
    struct error *e = NULL;
    if (r->status != 200) {
        char text[64];
        (void)snprintf(text, sizeof(text), "HTTP status %d", r->status);
        error_set(errp, ERR_WIRE_RESPONSE, t->peer_text, text, NULL);
        return false;
    }
    if (rpc_decode_response(RPC_JSON_2, buf_str(&r->body), r->body.size, ret, &e))
        return true;
    error_propagate(errp, e);
    return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One request as libcurl sees it: options, judgement of the peer, the answer so far. Shared by the asynchronous and the
 * blocking client; internal to wire/. */
#pragma once

#include <curl/curl.h>

#include "wire/http_client.h"

struct transfer {
    CURL *easy;
    struct curl_slist *headers, *connect_to;
    bool wants_pool;
    char problem[CURL_ERROR_SIZE];
    char *peer_text; /* "host:port" or the path, for errors */
    size_t max_response;
    enum tls_verify verify;
    char pin[TLS_FINGERPRINT_SIZE];
    bool refused; /* by our own judgement of the certificate */
    bool too_large;
    struct http_response response;
};

/* Sets up t (zeroed by the caller) on `easy`, which stays the caller's. On failure transfer_done is still to be called.
 */
bool transfer_init(struct transfer *t, CURL *easy, const struct http_target *target, const char *method,
                   const char *path, const char *const *headers, const char *body, size_t size,
                   struct error **errp) _warn_unused_;
/* After the transfer: completes the response, or sets *errp for a result other than CURLE_OK. */
bool transfer_result(struct transfer *t, CURLcode result, struct error **errp) _warn_unused_;
void transfer_done(struct transfer *t);
/* Answer of an RPC call: status and codec together. */
bool transfer_decode_rpc(const struct transfer *t, struct value *ret, struct error **errp) _warn_unused_;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remote procedure calls as texts: XML-RPC and JSON-RPC 1.0/2.0 with XenAPI's habits, for both ends. Bodies in, values
 * out, and back. Pure; any thread. HTTP is not known here, but for the content types.
 *
 * Decoded values are as the wire had them: XML-RPC scalars without a type are strings, references and times too;
 * model_coerce gives them their types. `<nil/>` and null are VALUE_VOID.
 */
#pragma once

#include "base/error.h"
#include "base/value.h"

enum rpc_version { RPC_XML, RPC_JSON_1, RPC_JSON_2 };

/* Limits of what is decoded: nesting, and the number of values in one body. */
#define RPC_MAX_DEPTH 64
#define RPC_MAX_VALUES 500000 /* in an answer */
#define RPC_MAX_REQUEST_VALUES 50000
#define RPC_MAX_PARAMS 64

struct rpc_request {
    enum rpc_version version;
    char *method;
    struct value *params;
    size_t n_params;
    char *id_json; /* JSON text of the id, echoed in the answer; NULL for XML */
};

/*
 * Decodes a call. is_json comes from the path ("/jsonrpc"), the version from the text. A failure is a malformed
 * request, to be answered with HTTP 500 and a small page, not with an API error.
 */
bool rpc_request_decode(bool is_json, const char *body, size_t size, struct rpc_request *ret,
                        struct error **errp) _warn_unused_;
void rpc_request_done(struct rpc_request *r); /* wipes string parameters of login calls from memory */

/* "text/xml" or exactly "application/json". */
const char *rpc_content_type(enum rpc_version version);
/* Header lines that every RPC answer carries (CORS, no caching). */
extern const char rpc_reply_headers[];

/* Answers are appended to `out`. They use only version, method and id_json of the request. */
void rpc_encode_result(const struct rpc_request *r, const struct value *result, struct buf *out);
/* A result that is JSON text already (a cached record). JSON requests only. */
void rpc_encode_result_json(const struct rpc_request *r, const char *json, size_t size, struct buf *out);
void rpc_encode_error(const struct rpc_request *r, const struct error *e, struct buf *out);

/* The client's side. */
void rpc_encode_call(enum rpc_version version, const char *method, const struct value *params, size_t n_params,
                     struct buf *out);
/* An API failure becomes *errp with its code and parameters; a malformed answer INTERNAL_ERROR. */
bool rpc_decode_response(enum rpc_version version, const char *body, size_t size, struct value *ret,
                         struct error **errp) _warn_unused_;

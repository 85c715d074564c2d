/* SPDX-License-Identifier: Apache-2.0 */
/* The two codecs behind rpc.h (jsonrpc.c, xmlrpc.c). Internal to wire/. Decoders leave a half-filled request to their
 * caller's rpc_request_done. */
#pragma once

#include "wire/rpc.h"

bool jsonrpc_request_decode(const char *body, size_t size, struct rpc_request *r, struct error **errp) _warn_unused_;
void jsonrpc_begin_result(const struct rpc_request *r, struct buf *out); /* up to where the result's text belongs */
void jsonrpc_end(const struct rpc_request *r, struct buf *out);
void jsonrpc_encode_error(const struct rpc_request *r, const struct error *e, struct buf *out);
void jsonrpc_encode_call(enum rpc_version version, const char *method, const struct value *params, size_t n_params,
                         struct buf *out);
bool jsonrpc_response_decode(const char *body, size_t size, struct value *ret, struct error **errp) _warn_unused_;

bool xmlrpc_request_decode(const char *body, size_t size, struct rpc_request *r, struct error **errp) _warn_unused_;
void xmlrpc_encode_result(const char *method, const struct value *result, struct buf *out);
void xmlrpc_encode_error(const struct error *e, struct buf *out);
void xmlrpc_encode_call(const char *method, const struct value *params, size_t n_params, struct buf *out);
bool xmlrpc_response_decode(const char *body, size_t size, struct value *ret, struct error **errp) _warn_unused_;

/* Sets *errp to the API error in a set of strings: code, then parameters. Always false. */
bool rpc_set_api_error(const struct value *description, struct error **errp);

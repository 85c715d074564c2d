/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/rpc.h"

#include <string.h>

#include "base/str.h"
#include "wire/rpc_codecs.h"
#include "wire/value_json.h"

const char rpc_reply_headers[] = "Access-Control-Allow-Origin: *\r\n"
                                 "Access-Control-Allow-Headers: X-Requested-With\r\n"
                                 "Cache-Control: no-cache, no-store\r\n";

const char *rpc_content_type(enum rpc_version version) {
    /* No charset: a widespread client compares the whole header with this text. */
    return version == RPC_XML ? "text/xml" : "application/json";
}

bool rpc_request_decode(bool is_json, const char *body, size_t size, struct rpc_request *ret, struct error **errp) {
    struct rpc_request r = {0};
    bool ok = is_json ? jsonrpc_request_decode(body, size, &r, errp) : xmlrpc_request_decode(body, size, &r, errp);
    if (ok && str_empty(r.method)) {
        error_internal(errp, "no method");
        ok = false;
    }
    if (ok && r.n_params > RPC_MAX_PARAMS) {
        error_internal(errp, "more than %d parameters", RPC_MAX_PARAMS);
        ok = false;
    }
    if (!ok) {
        rpc_request_done(&r);
        return false;
    }
    *ret = r;
    return true;
}

void rpc_request_done(struct rpc_request *r) {
    /* Calls about logins and passwords: session.login_*, session.change_password, pool.join, host.*_password ... */
    bool is_secret =
        r->method && (str_starts(r->method, "session.") || strstr(r->method, "join") || strstr(r->method, "password"));
    for (size_t i = 0; i < r->n_params; i++) {
        if (is_secret && r->params[i].type == VALUE_STRING && r->params[i].string)
            explicit_bzero(r->params[i].string, strlen(r->params[i].string));
        value_done(&r->params[i]);
    }
    free(r->params);
    free(r->method);
    free(r->id_json);
    *r = (struct rpc_request){0};
}

void rpc_encode_result(const struct rpc_request *r, const struct value *result, struct buf *out) {
    if (r->version == RPC_XML) {
        xmlrpc_encode_result(r->method, result, out);
        return;
    }
    jsonrpc_begin_result(r, out);
    value_json_emit(out, result);
    jsonrpc_end(r, out);
}

void rpc_encode_result_json(const struct rpc_request *r, const char *json, size_t size, struct buf *out) {
    buf_reserve(out, size + 64);
    jsonrpc_begin_result(r, out);
    buf_add(out, json, size);
    jsonrpc_end(r, out);
}

void rpc_encode_error(const struct rpc_request *r, const struct error *e, struct buf *out) {
    if (r->version == RPC_XML)
        xmlrpc_encode_error(e, out);
    else
        jsonrpc_encode_error(r, e, out);
}

void rpc_encode_call(enum rpc_version version, const char *method, const struct value *params, size_t n_params,
                     struct buf *out) {
    if (version == RPC_XML)
        xmlrpc_encode_call(method, params, n_params, out);
    else
        jsonrpc_encode_call(version, method, params, n_params, out);
}

bool rpc_decode_response(enum rpc_version version, const char *body, size_t size, struct value *ret,
                         struct error **errp) {
    return version == RPC_XML ? xmlrpc_response_decode(body, size, ret, errp)
                              : jsonrpc_response_decode(body, size, ret, errp);
}

bool rpc_set_api_error(const struct value *description, struct error **errp) {
    const char *params[MAX_ERROR_PARAMS];
    size_t n = 0;
    if (description->type != VALUE_SET || description->set.n == 0 || description->set.items[0].type != VALUE_STRING) {
        error_internal(errp, "a failure without an error code");
        return false;
    }
    for (size_t i = 1; i < description->set.n && n < ARRAY_SIZE(params); i++)
        params[n++] = value_str(&description->set.items[i]);
    error_setv(errp, value_str(&description->set.items[0]), n, params);
    return false;
}

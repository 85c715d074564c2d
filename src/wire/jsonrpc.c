/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "wire/json_read.h"
#include "wire/rpc_codecs.h"
#include "wire/value_json.h"

/* The members of a request, for "this one stood there before". */
enum { HAS_VERSION = 1, HAS_METHOD = 2, HAS_PARAMS = 4, HAS_ID = 8 };

static bool decode_version(const struct value *v, struct rpc_request *r, struct error **errp) {
    bool is_2 = str_eq(value_str(v), "2.0");
    if (v->type != VALUE_VOID && !is_2 && !str_eq(value_str(v), "1.0")) {
        error_internal(errp, "unknown JSON-RPC version");
        return false;
    }
    r->version = is_2 ? RPC_JSON_2 : RPC_JSON_1;
    return true;
}

static bool decode_id(const struct value *v, struct rpc_request *r, struct error **errp) {
    struct buf id_json = BUF_INIT;
    if (v->type != VALUE_INT && v->type != VALUE_STRING) {
        error_internal(errp, "a JSON-RPC request has an id, int or string");
        return false;
    }
    value_json_emit(&id_json, v);
    r->id_json = buf_take(&id_json);
    return true;
}

static bool decode_method(struct value *v, struct rpc_request *r, struct error **errp) {
    if (v->type != VALUE_STRING) {
        error_internal(errp, "a JSON-RPC request names its method");
        return false;
    }
    r->method = TAKE(v->string);
    return true;
}

static bool decode_params(struct value *v, struct rpc_request *r, struct error **errp) {
    if (v->type != VALUE_VOID && v->type != VALUE_SET) {
        error_internal(errp, "JSON-RPC params are an array");
        return false;
    }
    if (v->type == VALUE_SET) {
        r->params = TAKE(v->set.items);
        r->n_params = v->set.n;
        v->set.n = 0;
    }
    return true;
}

/* One member goes straight to its place; others than the four are read and forgotten. */
static bool decode_member(const char *key, struct value *v, unsigned *has, struct rpc_request *r, struct error **errp) {
    unsigned which = str_eq(key, "method")    ? HAS_METHOD
                     : str_eq(key, "params")  ? HAS_PARAMS
                     : str_eq(key, "id")      ? HAS_ID
                     : str_eq(key, "jsonrpc") ? HAS_VERSION
                                              : 0;
    if (*has & which) {
        error_internal(errp, "a JSON-RPC request with '%s' twice", key);
        return false;
    }
    *has |= which;
    switch (which) {
    case HAS_METHOD:
        return decode_method(v, r, errp);
    case HAS_PARAMS:
        return decode_params(v, r, errp);
    case HAS_ID:
        return decode_id(v, r, errp);
    case HAS_VERSION:
        return decode_version(v, r, errp);
    default:
        return true;
    }
}

bool jsonrpc_request_decode(const char *body, size_t size, struct rpc_request *r, struct error **errp) {
    struct json_reader reader;
    unsigned has = 0;
    json_reader_init(&reader, body, size, RPC_MAX_DEPTH - 1, RPC_MAX_REQUEST_VALUES);
    r->version = RPC_JSON_1;
    if (!json_read_char(&reader, '{')) {
        error_internal(errp, "a JSON-RPC request is an object (batches are not taken)");
        return false;
    }
    for (bool more = !json_read_char(&reader, '}'); more; more = json_read_more(&reader, '}')) {
        _cleanup_value_ struct value v = {0};
        _cleanup_free_ char *key = json_read_key(&reader);
        if (!key || !json_read_value(&reader, &v)) {
            json_reader_error(&reader, errp);
            return false;
        }
        if (!decode_member(key, &v, &has, r, errp))
            return false;
    }
    if (reader.complaint || !json_read_end(&reader)) {
        json_reader_error(&reader, errp);
        return false;
    }
    if (!(has & HAS_ID) || !(has & HAS_METHOD)) {
        error_internal(errp, "a JSON-RPC request has a method and an id");
        return false;
    }
    return true;
}

void jsonrpc_begin_result(const struct rpc_request *r, struct buf *out) {
    buf_add_str(out, r->version == RPC_JSON_2 ? "{\"jsonrpc\":\"2.0\",\"result\":" : "{\"result\":");
}

void jsonrpc_end(const struct rpc_request *r, struct buf *out) {
    buf_add_str(out, r->version == RPC_JSON_2 ? ",\"id\":" : ",\"error\":null,\"id\":");
    buf_add_str(out, r->id_json ? r->id_json : "0");
    buf_add_char(out, '}');
}

static void emit_params(struct buf *out, const struct error *e, bool after_code) {
    for (size_t i = 0; i < error_n_params(e); i++) {
        if (i > 0 || after_code)
            buf_add_char(out, ',');
        json_emit_string(out, error_param(e, i));
    }
}

void jsonrpc_encode_error(const struct rpc_request *r, const struct error *e, struct buf *out) {
    if (r->version == RPC_JSON_2) {
        buf_add_str(out, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":1,\"message\":");
        json_emit_string(out, error_code(e));
        buf_add_str(out, ",\"data\":[");
        emit_params(out, e, /* after_code= */ false);
        buf_add_str(out, "]},\"id\":");
    } else {
        buf_add_str(out, "{\"result\":null,\"error\":[");
        json_emit_string(out, error_code(e));
        emit_params(out, e, /* after_code= */ true);
        buf_add_str(out, "],\"id\":");
    }
    buf_add_str(out, r->id_json ? r->id_json : "0");
    buf_add_char(out, '}');
}

void jsonrpc_encode_call(enum rpc_version version, const char *method, const struct value *params, size_t n_params,
                         struct buf *out) {
    buf_add_str(out, version == RPC_JSON_2 ? "{\"jsonrpc\":\"2.0\",\"method\":" : "{\"method\":");
    json_emit_string(out, method);
    buf_add_str(out, ",\"params\":[");
    for (size_t i = 0; i < n_params; i++) {
        if (i > 0)
            buf_add_char(out, ',');
        value_json_emit(out, &params[i]);
    }
    buf_add_str(out, "],\"id\":1}");
}

bool jsonrpc_response_decode(const char *body, size_t size, struct value *ret, struct error **errp) {
    _cleanup_value_ struct value v = {0};
    if (!value_json_parse(body, size, RPC_MAX_DEPTH, RPC_MAX_VALUES, &v, errp))
        return false;
    const struct value *e = value_map_get(&v, "error");
    if (e && e->type == VALUE_SET) /* version 1 */
        return rpc_set_api_error(e, errp);
    if (e && e->type == VALUE_MAP) {
        const char *code = value_map_str(e, "message");
        const struct value *data = value_map_get(e, "data");
        _cleanup_value_ struct value description = value_set();
        value_set_add(&description, value_string(code ? code : "INTERNAL_ERROR"));
        for (size_t i = 0; data && data->type == VALUE_SET && i < data->set.n; i++)
            value_set_add(&description, value_copy(&data->set.items[i]));
        return rpc_set_api_error(&description, errp);
    }
    struct value *result = value_map_get(&v, "result");
    if (!result || (e && e->type != VALUE_VOID)) {
        error_internal(errp, "a JSON-RPC answer without result");
        return false;
    }
    *ret = value_take(result);
    return true;
}

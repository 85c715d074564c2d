/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_message.h"

#include "model/model.h"
#include "wire/value_json.h"

#define DEPTH_MAX 8
#define VALUES_MAX 200000 /* ten thousand disks with five facts each, and room */
#define PARAMS_MAX 8

void store_request_write(struct buf *out, const char *op, const struct value *args) {
    buf_add_str(out, "{\"op\":");
    json_emit_string(out, op);
    buf_add_str(out, ",\"args\":");
    value_json_emit(out, args);
    buf_add_str(out, "}\n");
}

bool store_request_read(const char *text, size_t size, char **ret_op, struct value *ret_args, struct error **errp) {
    _cleanup_value_ struct value v = {0};
    if (!value_json_parse(text, size, DEPTH_MAX, VALUES_MAX, &v, errp))
        return false;
    struct value *args = v.type == VALUE_MAP ? value_map_get(&v, "args") : NULL;
    const char *op = v.type == VALUE_MAP ? value_map_str(&v, "op") : NULL;
    if (!op || !args || args->type != VALUE_MAP) {
        error_internal(errp, "the request has no operation or no arguments");
        return false;
    }
    *ret_op = xstrdup(op);
    *ret_args = value_take(args);
    return true;
}

void store_answer_write(struct buf *out, const struct value *result, const struct error *error) {
    if (result) {
        buf_add_str(out, "{\"result\":");
        value_json_emit(out, result);
    } else {
        buf_add_str(out, "{\"error\":[");
        json_emit_string(out, error_code(error));
        for (size_t i = 0; i < error_n_params(error); i++) {
            buf_add_char(out, ',');
            json_emit_string(out, error_param(error, i));
        }
        buf_add_char(out, ']');
    }
    buf_add_str(out, "}\n");
}

bool store_answer_read(const char *text, size_t size, struct value *ret, struct error **errp) {
    _cleanup_value_ struct value v = {0};
    _cleanup_error_ struct error *e = NULL;
    bool ok = value_json_parse(text, size, DEPTH_MAX, VALUES_MAX, &v, &e) && v.type == VALUE_MAP;
    struct value *result = ok ? value_map_get(&v, "result") : NULL, *error = ok ? value_map_get(&v, "error") : NULL;
    if (result && result->type == VALUE_MAP && !error) {
        *ret = value_take(result);
        return true;
    }
    if (error && error->type == VALUE_SET && error->set.n && error->set.n <= PARAMS_MAX + 1 && !result) {
        const char *params[PARAMS_MAX] = {0};
        for (size_t i = 1; i < error->set.n; i++)
            params[i - 1] = value_str(&error->set.items[i]);
        error_setv(errp, value_str(&error->set.items[0]), error->set.n - 1, params);
    } else {
        error_set(errp, ERR_SR_BACKEND_FAILURE, "muster-store gave no answer that can be read", "", "", NULL);
    }
    return false;
}

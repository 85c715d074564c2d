/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/request.h"

#include <string.h>

#include "base/fs.h"
#include "cli/layout.h"

#define FILE_MAX (64 * 1024)

struct request request_new(struct xe *x, struct error **errp) {
    return (struct request){.x = x, .errp = errp};
}

bool request_is_good(const struct request *r) {
    return !*r->errp;
}

void request_add(struct request *r, struct value v) {
    if (r->n < REQUEST_MAX_PARAMS) {
        r->params[r->n++] = v;
        return;
    }
    value_done(&v);
    if (request_is_good(r))
        error_internal(r->errp, "a call with more than %d parameters", REQUEST_MAX_PARAMS);
}

void request_add_text(struct request *r, const char *key, const char *fallback) {
    const char *v = fallback ? args_get(&r->x->args, key) : xe_need(r->x, key, r->errp);
    request_add(r, value_string(v ? v : fallback));
}

void request_add_file(struct request *r, const char *key, bool is_optional) {
    const char *path = is_optional ? args_get(&r->x->args, key) : xe_need(r->x, key, r->errp);
    _cleanup_buf_ struct buf text = BUF_INIT;
    bool may = path && request_is_good(r) && xe_may_use_files(path, r->errp);
    int n = may ? fs_read(path, FILE_MAX, &text) : 0;
    if (n < 0)
        error_errno(r->errp, n, "reading '%s'", path);
    request_add(r, value_string(buf_str(&text)));
    if (text.data) /* it may be a key */
        explicit_bzero(text.data, text.size);
}

void request_add_bool(struct request *r, const char *key, bool fallback) {
    const char *v = args_get(&r->x->args, key);
    if (v && !str_eq(v, "true") && !str_eq(v, "false") && request_is_good(r))
        error_set(r->errp, "INVALID_VALUE", key, v, NULL);
    request_add(r, value_bool(v ? str_eq(v, "true") : fallback));
}

void request_add_int(struct request *r, const char *key, int64_t min, int64_t max) {
    const char *v = xe_need(r->x, key, r->errp);
    int64_t n = 0;
    if (v && !str_parse_int(v, min, max, &n) && request_is_good(r))
        error_set(r->errp, "INVALID_VALUE", key, v, NULL);
    request_add(r, value_int(n));
}

void request_add_object(struct request *r, int class_id, const char *key) {
    struct value ref = {.type = VALUE_VOID};
    const char *uuid = xe_need(r->x, key, r->errp);
    if (uuid && request_is_good(r) && !xe_object(r->x, class_id, uuid, &ref, r->errp))
        ref = (struct value){.type = VALUE_VOID};
    request_add(r, ref);
}

void request_add_objects(struct request *r, int class_id, const char *key) {
    struct value set = value_set();
    const char *list = xe_need(r->x, key, r->errp);
    _cleanup_strv_ struct strv uuids = {0};
    if (list)
        strv_split(&uuids, list, ',');
    for (size_t i = 0; i < uuids.n && request_is_good(r); i++) {
        struct value ref = {.type = VALUE_VOID};
        if (uuids.items[i][0] && xe_object(r->x, class_id, uuids.items[i], &ref, r->errp))
            value_set_add(&set, ref);
    }
    request_add(r, set);
}

void request_add_map(struct request *r, const char *prefix) {
    struct value map = value_map();
    for (unsigned i = 0; i < r->x->args.n; i++) {
        struct arg *a = &r->x->args.list[i];
        if (!str_starts(a->key, prefix))
            continue;
        a->used = true;
        value_map_put(&map, a->key + strlen(prefix), value_string(a->value));
    }
    request_add(r, map);
}

bool request_call(struct request *r, const char *method, struct value *ret) {
    bool ok = request_is_good(r) && xe_call(r->x, method, r->params, r->n, ret, r->errp);
    for (unsigned i = 0; i < r->n; i++)
        value_done(&r->params[i]);
    r->n = 0;
    return ok;
}

bool request_call_void(struct request *r, const char *method) {
    _cleanup_value_ struct value result = {.type = VALUE_VOID};
    return request_call(r, method, &result);
}

bool request_print_uuids(struct request *r, const char *method) {
    _cleanup_value_ struct value result = {.type = VALUE_VOID};
    if (!request_call(r, method, &result))
        return false;
    if (r->x->is_said)
        return true;
    _cleanup_buf_ struct buf out = BUF_INIT;
    bool is_set = result.type == VALUE_SET, is_minimal = args_is(&r->x->args, ARGS_MINIMAL);
    size_t n = is_set ? result.set.n : 1;
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *text = records_text(NULL, is_set ? &result.set.items[i] : &result);
        if (is_minimal)
            layout_minimal(&out, text, i == 0);
        else
            buf_addf(&out, "%s\n", text);
    }
    if (is_minimal)
        buf_add_char(&out, '\n');
    xe_print(&out);
    return true;
}

bool request_print_text(struct request *r, const char *method) {
    _cleanup_value_ struct value result = {.type = VALUE_VOID};
    _cleanup_buf_ struct buf out = BUF_INIT;
    if (!request_call(r, method, &result))
        return false;
    _cleanup_free_ char *text = records_text(NULL, &result);
    buf_addf(&out, "%s%s", text, str_ends(text, "\n") ? "" : "\n");
    xe_print(&out);
    return true;
}

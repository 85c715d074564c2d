/* SPDX-License-Identifier: Apache-2.0 */
/* Binary attachments: made at an object, filled from a file, read into one. */
#include "cli/commands.h"

/* The object that it is attached to is named by one of these. */
static const struct {
    const char *key;
    int class_id;
} holders[] = {{"vm-uuid", CLASS_VM},
               {"host-uuid", CLASS_host},
               {"sr-uuid", CLASS_SR},
               {"network-uuid", CLASS_network},
               {"pool-uuid", CLASS_pool}};

static bool is_true(const char *text, bool *ret, struct error **errp) {
    *ret = text && str_eq(text, "true");
    if (!text || *ret || str_eq(text, "false"))
        return true;
    error_set(errp, "INVALID_VALUE", "public", text, NULL);
    return false;
}

static bool blob_create(struct xe *x, struct error **errp) {
    const char *name = xe_need(x, "name", errp), *mime_type = args_get(&x->args, "mime-type");
    bool is_public = false;
    size_t at = ARRAY_SIZE(holders);
    for (size_t i = 0; i < ARRAY_SIZE(holders); i++) {
        if (!args_get(&x->args, holders[i].key))
            continue;
        if (at < ARRAY_SIZE(holders)) {
            error_setf(errp, "CLI_FAILURE", "A blob is attached to one object: %s or %s", holders[at].key,
                       holders[i].key);
            return false;
        }
        at = i;
    }
    if (!name || !is_true(args_get(&x->args, "public"), &is_public, errp))
        return false;
    if (at == ARRAY_SIZE(holders)) {
        error_setf(errp, "CLI_FAILURE",
                   "Required parameter not found: vm-uuid, host-uuid, sr-uuid, network-uuid or "
                   "pool-uuid");
        return false;
    }
    struct value ref = {.type = VALUE_VOID}, made = {.type = VALUE_VOID};
    if (!xe_object(x, holders[at].class_id, args_get(&x->args, holders[at].key), &ref, errp))
        return false;
    _cleanup_free_ char *method = strf("%s.create_new_blob", model_classes[holders[at].class_id].name);
    struct value params[] = {ref, value_string(name), value_string(str_or_empty(mime_type)), value_bool(is_public)};
    bool ok = client_call(x->client, method, params, ARRAY_SIZE(params), &made, errp);
    if (ok) {
        _cleanup_free_ char *uuid = records_text(NULL, &made);
        xe_print_line(uuid);
    }
    for (size_t i = 0; i < ARRAY_SIZE(params); i++)
        value_done(&params[i]);
    value_done(&made);
    return ok;
}

static bool carry(struct xe *x, bool is_upload, struct error **errp) {
    _cleanup_value_ struct value ref = {.type = VALUE_VOID}, result = {.type = VALUE_VOID};
    const char *uuid = xe_need(x, "uuid", errp), *file = uuid ? xe_need(x, "filename", errp) : NULL;
    if (!file || !xe_object(x, CLASS_blob, uuid, &ref, errp))
        return false;
    _cleanup_free_ char *path = strf("/blob?ref=%s", value_str(&ref));
    return xe_carry_file(x, is_upload ? "blob.put" : "blob.get", path, file, is_upload, -1, &result, errp);
}

static bool blob_get(struct xe *x, struct error **errp) {
    return carry(x, /* is_upload= */ false, errp);
}

static bool blob_put(struct xe *x, struct error **errp) {
    return carry(x, /* is_upload= */ true, errp);
}

static const struct command list[] = {
    {"blob-create", "name", "mime-type,public,vm-uuid,host-uuid,sr-uuid,network-uuid,pool-uuid",
     "attach a blob, still empty, to an object; prints its uuid", blob_create, 0},
    {"blob-get", "uuid,filename", "", "write the content of a blob into a file", blob_get, 0},
    {"blob-put", "uuid,filename", "", "fill a blob from a file of 64 KiB at most", blob_put, 0},
};
const struct command_group commands_blob = {list, ARRAY_SIZE(list)};

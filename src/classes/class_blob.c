/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/class_blob.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "gen_handlers.h"
#include "wire/base64.h"

#define MIME_TYPE_MAX 127
#define DEFAULT_MIME_TYPE "application/octet-stream"

/* ---- making ---- */

/* It becomes a header line of an answer. */
static bool is_mime_type(const char *text) {
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return n <= MIME_TYPE_MAX;
}

static bool may_make(struct call *c, const char *mime_type) {
    char limit[12];
    if (!is_mime_type(mime_type)) {
        call_fail_code(c, ERR_INVALID_VALUE, "mime_type", mime_type, NULL);
        return false;
    }
    if (db_count(call_db(c), CLASS_blob) < BLOBS_MAX)
        return true;
    snprintf(limit, sizeof(limit), "%d", BLOBS_MAX);
    call_fail_code(c, ERR_TOO_MANY_BLOBS, limit, NULL);
    return false;
}

static void made(struct call *c, void *userdata) {
    struct uuid u = *(struct uuid *)userdata;
    free(userdata);
    call_return_ref(c, &u);
}

static struct uuid insert(struct db_txn *t, const char *name, const char *mime_type, bool is_public) {
    struct uuid u = db_txn_insert(t, CLASS_blob, /* uuid= */ NULL);
    db_txn_set(t, CLASS_blob, &u, FIELD_blob_name_label, value_string(name));
    db_txn_set(t, CLASS_blob, &u, FIELD_blob_mime_type,
               value_string(str_empty(mime_type) ? DEFAULT_MIME_TYPE : mime_type));
    db_txn_set(t, CLASS_blob, &u, FIELD_blob_public, value_bool(is_public));
    return u;
}

static void commit(struct call *c, struct db_txn *t, const struct uuid *u) {
    struct uuid *kept = xnew0(struct uuid);
    *kept = *u;
    call_commit(c, t, made, kept);
}

void blob_create(struct call *c) {
    if (!may_make(c, call_arg_str(c, 0)))
        return;
    struct db_txn *t = db_txn_new(call_db(c), "blob.create");
    struct uuid u = insert(t, "", call_arg_str(c, 0), call_arg_bool(c, 1));
    commit(c, t, &u);
}

/* All classes that have blobs take the same arguments: the object, a name, a type, whether it is public. */
static void attach(struct call *c, int class_id, unsigned field) {
    const struct row *r = call_arg_row(c, 0);
    const char *name = r ? call_arg_str(c, 1) : NULL;
    if (!r || !may_make(c, call_arg_str(c, 2)))
        return;
    if (value_map_get(row_value(r, field), name)) {
        char ref[REF_TEXT_SIZE];
        call_fail_code(c, ERR_MAP_DUPLICATE_KEY, model_classes[class_id].name, "blobs", ref_text(&r->uuid, ref), name,
                       NULL);
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), call_def(c)->name);
    struct uuid u = insert(t, name, call_arg_str(c, 2), call_arg_bool(c, 3));
    db_txn_map_put(t, class_id, &r->uuid, field, name, value_ref(&u));
    commit(c, t, &u);
}

void vm_create_new_blob(struct call *c) {
    attach(c, CLASS_VM, FIELD_VM_blobs);
}

void host_create_new_blob(struct call *c) {
    attach(c, CLASS_host, FIELD_host_blobs);
}

void sr_create_new_blob(struct call *c) {
    attach(c, CLASS_SR, FIELD_SR_blobs);
}

void network_create_new_blob(struct call *c) {
    attach(c, CLASS_network, FIELD_network_blobs);
}

void pool_create_new_blob(struct call *c) {
    attach(c, CLASS_pool, FIELD_pool_blobs);
}

/* ---- content ---- */

char *blob_content(const struct row *blob) {
    const char *text = row_str(blob, FIELD_blob_content);
    size_t size;
    return row_value(blob, FIELD_blob_last_updated)->time ? base64_decode(text, strlen(text), &size) : NULL;
}

void blob_write(struct call *c, const struct row *blob, const void *content, size_t size) {
    struct db_txn *t = db_txn_new(call_db(c), "the content of a blob");
    db_txn_set(t, CLASS_blob, &blob->uuid, FIELD_blob_content, value_string_take(base64_encode(content, size)));
    db_txn_set(t, CLASS_blob, &blob->uuid, FIELD_blob_size, value_int((int64_t)size));
    db_txn_set(t, CLASS_blob, &blob->uuid, FIELD_blob_last_updated,
               value_time(loop_wall_ms(api_loop(call_api(c))) / 1000));
    call_commit(c, t, NULL, NULL);
}

/* ---- the end ---- */

static void forget_in(struct db_txn *t, struct db *d, int class_id, unsigned field, const struct uuid *blob) {
    for (const struct row *r = db_first(d, class_id); r; r = db_next(d, r)) {
        const struct value *blobs = row_value(r, field);
        for (size_t i = 0; i < blobs->map.n; i++)
            if (uuid_eq(&blobs->map.pairs[i].value.ref, blob))
                db_txn_map_remove(t, class_id, &r->uuid, field, blobs->map.pairs[i].key);
    }
}

void blob_destroy(struct call *c) {
    static const struct {
        int class_id;
        unsigned field;
    } holders[] = {{CLASS_VM, FIELD_VM_blobs},
                   {CLASS_host, FIELD_host_blobs},
                   {CLASS_SR, FIELD_SR_blobs},
                   {CLASS_network, FIELD_network_blobs},
                   {CLASS_pool, FIELD_pool_blobs}};
    const struct row *blob = call_arg_row(c, 0);
    if (!blob)
        return;
    struct db_txn *t = db_txn_new(call_db(c), "blob.destroy");
    for (size_t i = 0; i < ARRAY_SIZE(holders); i++)
        forget_in(t, call_db(c), holders[i].class_id, holders[i].field, &blob->uuid);
    db_txn_delete(t, CLASS_blob, &blob->uuid);
    call_commit(c, t, NULL, NULL);
}

void blob_delete_all(struct db_txn *t, const struct value *blobs) {
    for (size_t i = 0; i < blobs->map.n; i++)
        db_txn_delete(t, CLASS_blob, &blobs->map.pairs[i].value.ref);
}

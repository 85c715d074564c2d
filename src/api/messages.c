/* SPDX-License-Identifier: Apache-2.0 */
/* Messages, the alerts of the pool: rows of the pool database, bounded in number and size. */
#include "api/call_private.h"
#include "base/str.h"
#include "gen_handlers.h"

#define MAX_BODY (64 * 1024)
#define MAX_NAME 256

static struct uuid insert_message(struct api *a, struct db_txn *t, const char *name, int64_t priority, const char *cls,
                                  const char *obj_uuid, const char *body) {
    struct uuid u = db_txn_insert(t, CLASS_message, /* uuid= */ NULL);
    db_txn_set(t, CLASS_message, &u, FIELD_message_name, value_string(name));
    db_txn_set(t, CLASS_message, &u, FIELD_message_priority, value_int(priority));
    db_txn_set(t, CLASS_message, &u, FIELD_message_cls, value_string(cls));
    db_txn_set(t, CLASS_message, &u, FIELD_message_obj_uuid, value_string(obj_uuid));
    db_txn_set(t, CLASS_message, &u, FIELD_message_timestamp, value_time(loop_wall_ms(api_loop(a)) / 1000));
    db_txn_set(t, CLASS_message, &u, FIELD_message_body, value_string(body));
    /* The same transaction makes room: the order of creation is the order of age. */
    struct db *d = api_db(a);
    size_t n = db_count(d, CLASS_message);
    for (const struct row *r = db_first(d, CLASS_message); r && n >= MESSAGE_MAX; r = db_next(d, r), n--)
        db_txn_delete(t, CLASS_message, &r->uuid);
    return u;
}

void message_raise(struct api *a, const char *name, int64_t priority, const char *class_name, const char *obj_uuid,
                   const char *body, db_done_fn *done, void *userdata) {
    struct db_txn *t = db_txn_new(api_db(a), "message");
    insert_message(a, t, name, priority, class_name, obj_uuid, body);
    db_txn_fence(t);
    db_txn_commit(t, API_COMMIT_MS, done, userdata);
}

void message_withdraw(struct api *a, const char *name, const char *obj_uuid) {
    struct db *d = api_db(a);
    struct db_txn *t = db_txn_new(d, "message withdrawn");
    for (const struct row *r = db_first(d, CLASS_message); r; r = db_next(d, r)) {
        if (str_eq(row_str(r, FIELD_message_name), name) && str_eq(row_str(r, FIELD_message_obj_uuid), obj_uuid))
            db_txn_delete(t, CLASS_message, &r->uuid);
    }
    if (db_txn_is_empty(t)) {
        db_txn_abandon(t);
        return;
    }
    db_txn_fence(t);
    db_txn_commit(t, API_COMMIT_MS, /* done= */ NULL, NULL);
}

/* ---- the calls of class message ---- */

static void created(struct call *c, void *userdata) {
    struct uuid u = *(struct uuid *)userdata;
    free(userdata);
    call_return_ref(c, &u);
}

void message_create(struct call *c) {
    const char *name = call_arg_str(c, 0), *obj_uuid = call_arg_str(c, 3), *body = call_arg_str(c, 4);
    struct uuid u;
    if (!*name || strlen(name) > MAX_NAME) {
        call_fail_code(c, ERR_INVALID_VALUE, "name", "empty or too long", NULL);
        return;
    }
    if (!uuid_parse(obj_uuid, &u)) {
        call_fail_code(c, ERR_UUID_INVALID, call_arg_str(c, 2), obj_uuid, NULL);
        return;
    }
    if (strlen(body) > MAX_BODY) {
        call_fail_code(c, ERR_INVALID_VALUE, "body", "too long", NULL);
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), "message.create");
    struct uuid *made = xnew0(struct uuid);
    *made = insert_message(c->api, t, name, call_arg_int(c, 1), call_arg_str(c, 2), obj_uuid, body);
    call_commit(c, t, created, made);
}

void message_destroy(struct call *c) {
    const struct row *r = call_arg_row(c, 0);
    if (!r)
        return;
    struct db_txn *t = db_txn_new(call_db(c), "message.destroy");
    db_txn_delete(t, CLASS_message, &r->uuid);
    call_commit(c, t, NULL, NULL);
}

void message_destroy_many(struct call *c) {
    struct db_txn *t = db_txn_new(call_db(c), "message.destroy_many");
    const struct value *refs = call_arg(c, 0);
    for (size_t i = 0; i < refs->set.n; i++) {
        const struct uuid *u = &refs->set.items[i].ref;
        if (!db_get(call_db(c), CLASS_message, u)) {
            db_txn_abandon(t);
            call_fail_handle(c, "message", u);
            return;
        }
        db_txn_delete(t, CLASS_message, u);
    }
    call_commit(c, t, NULL, NULL);
}

/* Messages since a time, optionally of one object only. */
static void return_since(struct call *c, int64_t since, const char *cls, const char *obj_uuid) {
    struct value found = value_map();
    struct db *d = call_db(c);
    char ref[REF_TEXT_SIZE];
    for (const struct row *r = db_first(d, CLASS_message); r; r = db_next(d, r)) {
        if (row_value(r, FIELD_message_timestamp)->time < since)
            continue;
        if (cls &&
            !(str_eq(row_str(r, FIELD_message_cls), cls) && str_eq(row_str(r, FIELD_message_obj_uuid), obj_uuid)))
            continue;
        value_map_add(&found, ref_text(&r->uuid, ref), record_borrow(r));
    }
    call_answer(c, &(struct reply){.value = &found});
    for (size_t i = 0; i < found.map.n; i++)
        record_release(&found.map.pairs[i].value);
    value_done(&found);
}

void message_get(struct call *c) {
    return_since(c, call_arg(c, 2)->time, call_arg_str(c, 0), call_arg_str(c, 1));
}

void message_get_since(struct call *c) {
    return_since(c, call_arg(c, 0)->time, NULL, NULL);
}

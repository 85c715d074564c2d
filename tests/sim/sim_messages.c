/* SPDX-License-Identifier: Apache-2.0 */
/* Raising and withdrawing alerts, as api/messages.c does it, without an API around it. */
#include "api/api.h"
#include "sim_daemon.h"

#define COMMIT_MS 15000

void message_raise(struct api *a, const char *name, int64_t priority, const char *class_name, const char *obj_uuid,
                   const char *body, db_done_fn *done, void *userdata) {
    struct db *d = ((struct sim_daemon *)a)->db;
    struct db_txn *t = db_txn_new(d, "message");
    struct uuid u = db_txn_insert(t, CLASS_message, NULL);
    db_txn_set(t, CLASS_message, &u, FIELD_message_name, value_string(name));
    db_txn_set(t, CLASS_message, &u, FIELD_message_obj_uuid, value_string(obj_uuid));
    db_txn_set(t, CLASS_message, &u, FIELD_message_body, value_string(body));
    db_txn_fence(t);
    db_txn_commit(t, COMMIT_MS, done, userdata);
}

void message_withdraw(struct api *a, const char *name, const char *obj_uuid) {
    struct db *d = ((struct sim_daemon *)a)->db;
    struct db_txn *t = db_txn_new(d, "message withdrawn");
    for (const struct row *r = db_first(d, CLASS_message); r; r = db_next(d, r))
        if (str_eq(row_str(r, FIELD_message_name), name) && str_eq(row_str(r, FIELD_message_obj_uuid), obj_uuid))
            db_txn_delete(t, CLASS_message, &r->uuid);
    if (db_txn_is_empty(t)) {
        db_txn_abandon(t);
        return;
    }
    db_txn_fence(t);
    db_txn_commit(t, COMMIT_MS, /* done= */ NULL, NULL);
}

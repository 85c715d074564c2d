/* SPDX-License-Identifier: Apache-2.0 */
/* Users and groups that have a role in the pool (docs/decisions/0026). */
#include <stdio.h>

#include "api/api.h"
#include "api/roles.h"
#include "api/subjects.h"
#include "auth/directory.h"
#include "base/str.h"
#include "gen_handlers.h"

/* Clients keep there what the directory said of it. */
#define MAX_OTHER_CONFIG (16 * 1024)

/* ---- making ---- */

static bool may_make(struct call *c, const char *identifier) {
    struct uuid u = subject_uuid(identifier);
    char limit[12];
    if (db_get(call_db(c), CLASS_subject, &u)) {
        call_fail_code(c, ERR_SUBJECT_ALREADY_EXISTS, NULL);
        return false;
    }
    if (db_count(call_db(c), CLASS_subject) < SUBJECTS_MAX)
        return true;
    (void)snprintf(limit, sizeof(limit), "%d", SUBJECTS_MAX);
    call_fail_code(c, ERR_TOO_MANY_SUBJECTS, limit, NULL);
    return false;
}

static void made(struct call *c, void *userdata) {
    struct uuid u = *(struct uuid *)userdata;
    free(userdata);
    call_return_ref(c, &u);
}

static void insert(struct call *c, const char *identifier) {
    struct uuid u = subject_uuid(identifier);
    struct db_txn *t = db_txn_new(call_db(c), "subject.create");
    struct error *e = NULL;
    db_txn_insert(t, CLASS_subject, &u);
    if (!call_fill_row(c, t, &u, &e)) {
        db_txn_abandon(t);
        call_fail(c, e);
        return;
    }
    db_txn_set(t, CLASS_subject, &u, FIELD_subject_subject_identifier, value_string(identifier));
    struct uuid *kept = xnew0(struct uuid);
    *kept = u;
    call_commit(c, t, made, kept);
}

/* The directory may write the name otherwise than the client did, and other subjects have come meanwhile. */
static void on_found(int r, const struct directory_entry *e, void *userdata) {
    struct call *c = userdata;
    if (r < 0) {
        call_fail_code(c, ERR_AUTH_SERVICE_ERROR, strerror(-r), NULL);
        return;
    }
    if (!e) {
        call_fail_code(c, ERR_SUBJECT_CANNOT_BE_RESOLVED, NULL);
        return;
    }
    if (e->kind == DIRECTORY_USER && e->uid == 0) {
        call_fail_code(c, ERR_OPERATION_NOT_ALLOWED, "root may do everything as it is, and needs no role", NULL);
        return;
    }
    _cleanup_free_ char *identifier = directory_identifier(e->kind, e->name);
    if (may_make(c, identifier))
        insert(c, identifier);
}

void subject_create(struct call *c) {
    const struct value *record = call_arg(c, 0), *other_config = value_map_get(record, "other_config");
    const char *identifier = str_or_empty(value_map_str(record, "subject_identifier"));
    enum directory_kind kind;
    if (!directory_identifier_name(identifier, &kind))
        call_fail_code(c, ERR_INVALID_VALUE, "subject_identifier", identifier, NULL);
    else if (other_config && value_memory(other_config) > MAX_OTHER_CONFIG)
        call_fail_code(c, ERR_INVALID_VALUE, "other_config", "too long", NULL);
    else if (may_make(c, identifier) && !directory_ask(api_worker(call_api(c)), identifier, on_found, call_keep(c)))
        call_fail_code(c, ERR_AUTH_SERVICE_ERROR, "too many questions to the directory are waiting", NULL);
}

/* ---- roles ---- */

/* Both calls: the row of argument 0, and whether it has the role of argument 1. NULL when the call has been failed. */
static const struct row *subject_and_role(struct call *c, bool *ret_has) {
    const struct row *subject = call_arg_row(c, 0);
    enum role role;
    if (!subject)
        return NULL;
    if (!role_by_uuid(call_arg_ref(c, 1), &role) || !db_get(call_db(c), CLASS_role, call_arg_ref(c, 1))) {
        call_fail_code(c, ERR_ROLE_NOT_FOUND, NULL);
        return NULL;
    }
    *ret_has = value_set_has(row_value(subject, FIELD_subject_roles), call_arg(c, 1));
    return subject;
}

void subject_add_to_roles(struct call *c) {
    bool has = false;
    const struct row *subject = subject_and_role(c, &has);
    if (!subject)
        return;
    if (has) {
        call_fail_code(c, ERR_ROLE_ALREADY_EXISTS, NULL);
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), "subject.add_to_roles");
    db_txn_set_add(t, CLASS_subject, &subject->uuid, FIELD_subject_roles, value_copy(call_arg(c, 1)));
    call_commit(c, t, NULL, NULL);
}

void subject_remove_from_roles(struct call *c) {
    bool has = false;
    const struct row *subject = subject_and_role(c, &has);
    if (!subject)
        return;
    if (!has) {
        call_fail_code(c, ERR_ROLE_NOT_FOUND, NULL);
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), "subject.remove_from_roles");
    db_txn_set_remove(t, CLASS_subject, &subject->uuid, FIELD_subject_roles, value_copy(call_arg(c, 1)));
    call_commit(c, t, NULL, NULL);
}

void subject_get_permissions_name_label(struct call *c) {
    const struct row *subject = call_arg_row(c, 0);
    enum role role;
    if (!subject)
        return;
    call_return(c, subject_role(subject, &role) ? role_permissions(role, /* with_certificate= */ false) : value_set());
}

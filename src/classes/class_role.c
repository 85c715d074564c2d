/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/class_role.h"

#include "api/api.h"
#include "api/roles.h"
#include "gen_handlers.h"

#define COMMIT_MS 15000

static void insert(struct db_txn *t, enum role role) {
    struct uuid u = db_txn_insert(t, CLASS_role, role_uuid(role));
    db_txn_set(t, CLASS_role, &u, FIELD_role_name_label, value_string(model_role_names[role]));
    db_txn_set(t, CLASS_role, &u, FIELD_role_name_description, value_string(role_description(role)));
    /* The weaker ones: clients tell by their number which role is the stronger. */
    struct value weaker = value_set();
    for (unsigned i = 0; i < role; i++)
        value_set_add(&weaker, value_ref(role_uuid((enum role)i)));
    db_txn_set(t, CLASS_role, &u, FIELD_role_subroles, weaker);
}

static void on_made(struct error *error, void *userdata) {
    /* What could not be written is tried again. */
}

void class_role_make_defaults(struct api *a) {
    struct db *d = api_db(a);
    if (!api_is_coordinator(a) || !db_pool(d) || !db_get_status(d).has_quorum || db_count(d, CLASS_role) >= ROLES_N)
        return;
    struct db_txn *t = db_txn_new(d, "the roles of every pool");
    for (unsigned i = 0; i < ROLES_N; i++)
        if (!db_get(d, CLASS_role, role_uuid((enum role)i)))
            insert(t, (enum role)i);
    db_txn_fence(t);
    db_txn_commit(t, COMMIT_MS, on_made, NULL);
}

void role_get_permissions_name_label(struct call *c) {
    const struct row *row = call_arg_row(c, 0);
    enum role role;
    if (!row)
        return;
    call_return(c,
                role_by_uuid(&row->uuid, &role) ? role_permissions(role, /* with_certificate= */ false) : value_set());
}

void role_get_by_permission_name_label(struct call *c) {
    struct value found = value_set();
    enum role needed;
    if (role_needed_for(call_arg_str(c, 0), &needed)) {
        for (unsigned i = needed; i < ROLES_N; i++)
            value_set_add(&found, value_ref(role_uuid((enum role)i)));
    }
    call_return(c, found);
}

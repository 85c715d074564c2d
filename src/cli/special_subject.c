/* SPDX-License-Identifier: Apache-2.0 */
/* Users and groups that have a role in the pool, and who of them is logged in. */
#include "cli/commands.h"
#include "cli/request.h"

static bool ask(struct xe *x, const char *method, const char *text, struct value *ret, struct error **errp) {
    _cleanup_value_ struct value param = value_string(text);
    return client_call(x->client, method, &param, 1, ret, errp);
}

/* What the directory knows of it is kept with it, as clients show it. */
static bool subject_add(struct xe *x, struct error **errp) {
    _cleanup_value_ struct value identifier = {.type = VALUE_VOID}, known = {.type = VALUE_VOID};
    const char *name = xe_need(x, "subject-name", errp);
    if (!name || !ask(x, "auth.get_subject_identifier", name, &identifier, errp) ||
        !ask(x, "auth.get_subject_information_from_identifier", value_str(&identifier), &known, errp))
        return false;
    struct value record = value_map();
    value_map_add(&record, "subject_identifier", value_take(&identifier));
    value_map_add(&record, "other_config", value_take(&known));
    struct request r = request_new(x, errp);
    request_add(&r, record);
    return request_print_uuids(&r, "subject.create");
}

/* ---- roles ---- */

/* All names there are, for whoever mistyped one. */
static void say_unknown_role(const struct value *all, const char *name, struct error **errp) {
    _cleanup_strv_ struct strv names = {0};
    for (size_t i = 0; i < all->map.n; i++)
        strv_add(&names, str_or_empty(value_map_str(&all->map.pairs[i].value, "name_label")));
    _cleanup_free_ char *list = strv_join(&names, ", ");
    error_setf(errp, "CLI_FAILURE", "There is no role '%s'; the roles are %s", name, list);
}

static void add_role(struct request *r) {
    const char *name = args_get(&r->x->args, "role-name"), *uuid = args_get(&r->x->args, "role-uuid");
    const struct value *all = NULL;
    struct value ref = {.type = VALUE_VOID};
    if (!request_is_good(r))
        return;
    if (!name == !uuid) {
        error_set(r->errp, name ? "CLI_TOO_MANY_OBJECTS" : "CLI_MISSING",
                  name ? "role-name and role-uuid" : "role-name or role-uuid", NULL);
        return;
    }
    if (uuid) {
        request_add_object(r, CLASS_role, "role-uuid");
        return;
    }
    all = records_all(r->x->records, CLASS_role, r->errp);
    for (size_t i = 0; all && i < all->map.n && ref.type == VALUE_VOID; i++)
        if (str_eq(str_or_empty(value_map_str(&all->map.pairs[i].value, "name_label")), name))
            ref = value_string(all->map.pairs[i].key);
    if (all && ref.type == VALUE_VOID)
        say_unknown_role(all, name, r->errp);
    request_add(r, ref);
}

static bool change_role(struct xe *x, const char *method, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_subject, "uuid");
    add_role(&r);
    return request_call_void(&r, method);
}

static bool subject_role_add(struct xe *x, struct error **errp) {
    return change_role(x, "subject.add_to_roles", errp);
}

static bool subject_role_remove(struct xe *x, struct error **errp) {
    return change_role(x, "subject.remove_from_roles", errp);
}

/* ---- who is logged in ---- */

static bool session_list(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    return request_print_uuids(&r, "session.get_all_subject_identifiers");
}

static bool session_logout(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_text(&r, "subject-identifier", NULL);
    return request_call_void(&r, "session.logout_subject_identifier");
}

static bool session_logout_all(struct xe *x, struct error **errp) {
    _cleanup_value_ struct value all = {.type = VALUE_VOID};
    bool ok = client_call(x->client, "session.get_all_subject_identifiers", NULL, 0, &all, errp);
    for (size_t i = 0; ok && i < all.set.n; i++) {
        _cleanup_value_ struct value result = {.type = VALUE_VOID};
        ok = ask(x, "session.logout_subject_identifier", value_str(&all.set.items[i]), &result, errp);
    }
    return ok;
}

static const struct command list[] = {
    {"session-subject-identifier-list", "", "", "print who but root is logged in, as user:NAME", session_list, 0},
    {"session-subject-identifier-logout", "subject-identifier", "",
     "end all sessions of a user, given as user:NAME, but for the one that asks", session_logout, 0},
    {"session-subject-identifier-logout-all", "", "", "end all sessions but those of root and the one that asks",
     session_logout_all, 0},
    {"subject-add", "subject-name", "",
     "let a user of the system have a role, else a group of this name (group:NAME is the group in any case); prints "
     "its uuid",
     subject_add, 0},
    {"subject-role-add", "uuid", "role-name,role-uuid", "give a user or group a role (role-list names them)",
     subject_role_add, 0},
    {"subject-role-remove", "uuid", "role-name,role-uuid",
     "take a role from a user or group; its sessions lose it at once", subject_role_remove, 0},
};
const struct command_group commands_subject = {list, ARRAY_SIZE(list)};

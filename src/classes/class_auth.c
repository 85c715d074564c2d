/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the directory, which is what the operating system of this host knows of users (auth/directory.h). */
#include "api/api.h"
#include "auth/directory.h"
#include "base/str.h"
#include "gen_handlers.h"

static void ask(struct call *c, directory_done_fn *answer) {
    if (!directory_ask(api_worker(call_api(c)), call_arg_str(c, 0), answer, call_keep(c)))
        call_fail_code(c, ERR_AUTH_SERVICE_ERROR, "too many questions to the directory are waiting", NULL);
}

/* False when the call has been failed. */
static bool is_there(struct call *c, int r) {
    if (r < 0)
        call_fail_code(c, ERR_AUTH_SERVICE_ERROR, strerror(-r), NULL);
    else if (r == 0)
        call_fail_code(c, ERR_SUBJECT_CANNOT_BE_RESOLVED, NULL);
    return r == 1;
}

static void answer_identifier(int r, const struct directory_entry *e, void *userdata) {
    struct call *c = userdata;
    if (is_there(c, r))
        call_return(c, value_string_take(directory_identifier(e->kind, e->name)));
}

void auth_get_subject_identifier(struct call *c) {
    ask(c, answer_identifier);
}

static void answer_information(int r, const struct directory_entry *e, void *userdata) {
    struct call *c = userdata;
    if (!is_there(c, r))
        return;
    bool is_group = e->kind == DIRECTORY_GROUP;
    struct value v = value_map();
    value_map_add(&v, "subject-name", value_string(e->name));
    value_map_add(&v, "subject-displayname", value_string(str_empty(e->gecos) ? e->name : e->gecos));
    value_map_add(&v, "subject-gecos", value_string(e->gecos));
    value_map_add(&v, "subject-sid", value_string_take(directory_identifier(e->kind, e->name)));
    if (!is_group)
        value_map_add(&v, "subject-uid", value_stringf("%u", e->uid));
    value_map_add(&v, "subject-gid", value_stringf("%u", e->gid));
    value_map_add(&v, "subject-is-group", value_string(is_group ? "true" : "false"));
    call_return(c, v);
}

void auth_get_subject_information_from_identifier(struct call *c) {
    ask(c, answer_information);
}

static void answer_groups(int r, const struct directory_entry *e, void *userdata) {
    struct call *c = userdata;
    if (!is_there(c, r))
        return;
    struct value v = value_set();
    for (size_t i = 0; e->groups && e->groups[i]; i++)
        value_set_add(&v, value_string_take(directory_identifier(DIRECTORY_GROUP, e->groups[i])));
    call_return(c, v);
}

void auth_get_group_membership(struct call *c) {
    ask(c, answer_groups);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Class session: logging in and out, and the record of a session, which has no row. */
#include "api/call_private.h"
#include "api/client_certificates.h"
#include "api/roles.h"
#include "api/subjects.h"
#include "api/tasks.h"
#include "auth/pam.h"
#include "auth/throttle.h"
#include "base/str.h"
#include "gen_handlers.h"

/* ---- logging in ---- */

struct login {
    struct call *c;
    struct api *api;
    bool is_local_only;
    struct loop_source *delay;
};

static const char *source_of(const struct call *c) {
    return c->caller.is_local ? NULL : c->caller.address;
}

static struct session *open_session(struct call *c, const char *user, enum role role) {
    struct loop *l = api_loop(c->api);
    const char *originator = c->def->n_params > 3 ? call_arg_str(c, 3) : "";
    if (str_empty(originator))
        originator = str_or_empty(c->originator);
    api_take_session_limits(c->api);
    return sessions_add(c->api->sessions, /* uuid= */ NULL, user, originator, role, loop_now_ms(l),
                        loop_wall_ms(l) / 1000);
}

static void admit_root(struct call *c, const char *user, bool is_local_only) {
    struct session *s = open_session(c, user, ROLE_POOL_ADMIN);
    s->is_local_only = is_local_only;
    s->is_pool = c->caller.is_pool_host;
    call_return_ref(c, &s->uuid);
}

/* A user who is not root: what the subjects of the pool give. A host alone, without its pool, is root's. */
static void admit_subject(struct login *login, const struct auth_pam_result *r) {
    struct call *c = login->c;
    struct subject_right right;
    if (login->is_local_only) {
        call_fail_code(c, ERR_SESSION_AUTHORIZATION_FAILED, r->user, "only root may log in to a host alone", NULL);
    } else if (subject_right_of(login->api, r, &right)) {
        sessions_make_room_for(login->api->sessions, r->user);
        struct session *s = open_session(c, r->user, right.role);
        subject_right_give(s, &right);
        call_return_ref(c, &s->uuid);
    } else {
        _cleanup_free_ char *cure = subject_cure(r->user);
        call_fail_code(c, ERR_SESSION_AUTHORIZATION_FAILED, r->user, cure, NULL);
    }
}

struct uuid api_session_lend(struct api *a, const struct session *of, enum role most, uint64_t lifetime_ms) {
    uint64_t now = loop_now_ms(api_loop(a));
    struct session *s = sessions_add(a->sessions, /* uuid= */ NULL, of ? of->user : "root", "move between pools",
                                     of ? MIN(of->role, most) : most, now, loop_wall_ms(api_loop(a)) / 1000);
    if (of)
        session_rest_as(s, of);
    s->ends_ms = now + lifetime_ms;
    return s->uuid;
}

static void refuse(struct call *c, const char *reason) {
    call_fail_code(c, ERR_SESSION_AUTHENTICATION_FAILED, call_arg_str(c, 0), reason, NULL);
}

static void refuse_now(struct loop_source *s, void *userdata) {
    struct login *login = userdata;
    throttle_released(login->api->throttle);
    loop_source_free(login->delay);
    refuse(login->c, "the user name or the password is wrong");
    free(login);
}

static void refuse_later(struct login *login, unsigned delay_ms) {
    login->delay = loop_add_timer(api_loop(login->api), delay_ms, refuse_now, login);
}

static void checked(const struct auth_pam_result *r, void *userdata) {
    struct login *login = userdata;
    struct call *c = login->c;
    struct throttle *throttle = login->api->throttle;
    uint64_t now = loop_now_ms(api_loop(login->api));
    if (!r->accepted) {
        refuse_later(login, throttle_failed(throttle, source_of(c), call_arg_str(c, 0), now));
        return;
    }
    throttle_succeeded(throttle, source_of(c), call_arg_str(c, 0), now);
    if (r->uid == 0)
        admit_root(c, r->user, login->is_local_only);
    else
        admit_subject(login, r);
    free(login);
}

/* Whatever name and password come with it. Its role is the weakest; datamodel/ says which calls are open to it beyond.
 */
static void open_session_by_certificate(struct call *c) {
    uint64_t now = loop_now_ms(api_loop(c->api));
    int64_t left_s = c->caller.certificate_ends - loop_wall_ms(api_loop(c->api)) / 1000;
    struct session *s = open_session(c, client_certificates_name(c->api->certificates), ROLE_READ_ONLY);
    s->is_certificate = true;
    s->ends_ms = now + (uint64_t)MAX(left_s, 1) * 1000;
    call_return_ref(c, &s->uuid);
}

static void log_in(struct call *c, bool is_local_only) {
    struct api *a = c->api;
    const char *user = call_arg_str(c, 0), *password = call_arg_str(c, 1);
    if (c->caller.has_certificate && !is_local_only) {
        open_session_by_certificate(c);
        return;
    }
    if (c->caller.is_local || c->caller.is_pool_host) {
        admit_root(c, "root", is_local_only);
        return;
    }
    if (!*user) { /* as who relies on a certificate says it */
        refuse(c, "neither a user nor a client certificate that this pool takes");
        return;
    }
    struct login *login = xnew0(struct login);
    *login = (struct login){.c = call_keep(c), .api = a, .is_local_only = is_local_only};
    switch (throttle_begin(a->throttle, source_of(c), user, loop_now_ms(api_loop(a)))) {
    case THROTTLE_ALLOW:
        auth_check_password(a->config.worker, user, password, checked, login);
        break;
    case THROTTLE_REFUSE:
        refuse_later(login, THROTTLE_DELAY_MS);
        break;
    case THROTTLE_BUSY:
        free(login);
        refuse(c, "too many logins are waiting");
        break;
    }
}

void session_login_with_password(struct call *c) {
    /* Here without a coordinator only a local caller comes (check_place): it gets what works without one. */
    struct error *reason = NULL;
    bool is_emergency = api_is_emergency(c->api, &reason);
    error_free(reason);
    log_in(c, is_emergency);
}

void session_slave_local_login_with_password(struct call *c) {
    log_in(c, true);
}

void session_logout(struct call *c) {
    sessions_close(c->api->sessions, c->session);
    call_return_void(c);
}

void session_local_logout(struct call *c) {
    session_logout(c);
}

/* ---- the record ---- */

static struct value session_field(struct api *a, const struct session *s, int field) {
    char text[UUID_TEXT_SIZE];
    switch (field) {
    case FIELD_session_uuid:
        return value_string(uuid_text(&s->uuid, text));
    case FIELD_session_this_host:
        return value_ref(api_own_host(a));
    case FIELD_session_last_active:
        return value_time(s->last_active);
    case FIELD_session_pool:
        return value_bool(s->is_pool);
    case FIELD_session_other_config:
        return value_copy(&s->other_config);
    case FIELD_session_is_local_superuser:
        return value_bool(session_is_root(s));
    case FIELD_session_subject:
        return value_ref(&s->subject);
    case FIELD_session_auth_user_sid:
        return value_string(session_identifier(s));
    case FIELD_session_rbac_permissions: /* of root none: it needs none */
        return session_is_root(s) ? value_set() : role_permissions(s->role, s->is_certificate);
    case FIELD_session_validation_time:
        return value_time(s->validated);
    case FIELD_session_auth_user_name:
        return value_string(s->user);
    case FIELD_session_tasks:
        return tasks_of_session(a, &s->uuid);
    case FIELD_session_originator:
        return value_string(s->originator);
    case FIELD_session_client_certificate:
        return value_bool(s->is_certificate);
    default:
        return model_empty_value(model_classes[CLASS_session].fields[field].type);
    }
}

/* The session that a reference names, for a caller who may know of it; NULL when the call has been failed. */
static struct session *named_session(struct call *c, const struct uuid *u) {
    struct loop *l = api_loop(c->api);
    struct session *s = uuid_eq(u, &c->session->uuid)
                            ? c->session
                            : sessions_find(c->api->sessions, u, loop_now_ms(l), loop_wall_ms(l) / 1000);
    if (s && (s == c->session || c->session->role >= ROLE_POOL_ADMIN))
        return s;
    call_fail_handle(c, "session", u);
    return NULL;
}

static void get_record(struct call *c, const struct session *s) {
    const struct class_def *class = &model_classes[CLASS_session];
    struct value record = value_map();
    for (unsigned i = 0; i < class->n_fields; i++)
        value_map_add(&record, class->fields[i].name, session_field(c->api, s, (int)i));
    call_return(c, record);
}

/* other_config is the only field that clients write; a session's is small. */
#define MAX_OTHER_CONFIG (16 * 1024)

static void write_other_config(struct call *c, struct session *s) {
    struct value *map = &s->other_config;
    size_t more = value_memory(&c->args);
    if (c->def->kind != CALL_REMOVE_FROM_MAP &&
        more + (c->def->kind == CALL_ADD_TO_MAP ? value_memory(map) : 0) > MAX_OTHER_CONFIG) {
        call_fail_code(c, ERR_INVALID_VALUE, "other_config", "too long", NULL);
        return;
    }
    if (c->def->kind == CALL_ADD_TO_MAP) {
        char ref[REF_TEXT_SIZE];
        if (value_map_get(map, call_arg_str(c, 1))) {
            call_fail_code(c, ERR_MAP_DUPLICATE_KEY, "session", "other_config", ref_text(&s->uuid, ref),
                           call_arg_str(c, 1), NULL);
            return;
        }
        value_map_put(map, call_arg_str(c, 1), value_copy(call_arg(c, 2)));
    } else if (c->def->kind == CALL_REMOVE_FROM_MAP) {
        value_map_remove(map, call_arg_str(c, 1));
    } else {
        value_done(map);
        *map = value_copy(call_arg(c, 1));
    }
    call_return_void(c);
}

static void get_by_uuid(struct call *c) {
    struct uuid u;
    if (!uuid_parse(call_arg_str(c, 0), &u)) {
        call_fail_code(c, ERR_UUID_INVALID, "session", call_arg_str(c, 0), NULL);
        return;
    }
    struct session *s = named_session(c, &u);
    if (s)
        call_return_ref(c, &u);
}

void session_generic_run(struct call *c) {
    if (c->def->kind == CALL_GET_BY_UUID) {
        get_by_uuid(c);
        return;
    }
    struct session *s = named_session(c, call_arg_ref(c, 0));
    if (!s)
        return;
    switch (c->def->kind) {
    case CALL_GET_FIELD:
        call_return(c, session_field(c->api, s, c->def->field));
        break;
    case CALL_GET_RECORD:
        get_record(c, s);
        break;
    case CALL_SET_FIELD:
    case CALL_ADD_TO_MAP:
    case CALL_REMOVE_FROM_MAP:
        write_other_config(c, s);
        break;
    default:
        api_fail_unavailable(c, c->def->name);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "api/http_auth.h"

#include "api/call_private.h"
#include "api/client_certificates.h"
#include "api/subjects.h"
#include "auth/pam.h"
#include "auth/throttle.h"
#include "base/str.h"

#define LOG_MODULE "audit"
#include "base/log.h"

static const char ask_for_password[] = "WWW-Authenticate: Basic realm=\"pool\"\r\n";

/* One request between its arrival and the verdict. */
struct judging {
    struct api *api;
    struct http_request *req;
    enum role needed;
    api_http_authenticated_fn *then;
    api_http_verdict_fn *verdict; /* instead of `then` and of answers */
    void *userdata;
    struct api_identity who;
    char *user; /* of a password that is checked */
    struct loop_source *delay;
};

static void refuse(struct judging *j, int status, const char *headers, const char *text) {
    if (!j->verdict)
        http_reply_error(j->req, status, headers, text);
    else if (status == 401)
        j->verdict(j->req, NULL, j->user ? ERR_SESSION_AUTHENTICATION_FAILED : ERR_SESSION_INVALID, j->user,
                   j->userdata);
    else if (status == 403)
        j->verdict(j->req, NULL, ERR_SESSION_AUTHORIZATION_FAILED, j->user, j->userdata);
    else
        j->verdict(j->req, NULL, ERR_INTERNAL_ERROR, text, j->userdata);
    free(j->user);
    free(j);
}

static void refuse_unknown(struct judging *j, const char *text) {
    refuse(j, 401, ask_for_password, text);
}

static void accept_user(struct judging *j, const char *user, enum role role) {
    str_copy(j->who.user, sizeof(j->who.user), user);
    j->who.role = role;
    if (role < j->needed) {
        refuse(j, 403, NULL, "Your role does not permit this.");
        return;
    }
    if (j->verdict)
        j->verdict(j->req, &j->who, NULL, NULL, j->userdata);
    else
        j->then(j->req, &j->who, j->userdata);
    free(j->user);
    free(j);
}

/* ---- sessions for work ---- */

/* Of the role that the user has, and resting on the same rows. */
static struct session *work_for(struct judging *j, const char *user, enum role role) {
    struct loop *l = api_loop(j->api);
    sessions_make_room_for(j->api->sessions, user);
    struct session *s =
        sessions_add(j->api->sessions, /* uuid= */ NULL, user, "xe", role, loop_now_ms(l), loop_wall_ms(l) / 1000);
    s->ends_ms = loop_now_ms(l) + API_WORK_MS;
    j->who.session = s->uuid;
    return s;
}

void api_session_end(struct api *a, const struct uuid *session) {
    struct loop *l = api_loop(a);
    struct session *s = sessions_find(a->sessions, session, loop_now_ms(l), loop_wall_ms(l) / 1000);
    if (s)
        sessions_close(a->sessions, s);
}

/* ---- a user and a password ---- */

static const char *source_of(const struct judging *j) {
    return j->who.is_local ? NULL : j->who.address;
}

static void refuse_now(struct loop_source *s, void *userdata) {
    struct judging *j = userdata;
    throttle_released(j->api->throttle);
    loop_source_free(TAKE(j->delay));
    log_info("a password from '%s' for a stream is wrong", j->who.is_local ? "local" : j->who.address);
    refuse_unknown(j, "The user name or the password is wrong.");
}

static void refuse_later(struct judging *j, unsigned delay_ms) {
    j->delay = loop_add_timer(api_loop(j->api), delay_ms, refuse_now, j);
}

/* A user who is not root: what the subjects of the pool give. */
static void judge_subject(struct judging *j, const struct auth_pam_result *r) {
    struct subject_right right;
    if (!subject_right_of(j->api, r, &right)) {
        refuse(j, 403, NULL, "You have no role in this pool; an administrator gives one (xe subject-add).");
        return;
    }
    enum role role = right.role;
    if (j->verdict && role >= j->needed)
        subject_right_give(work_for(j, r->user, role), &right);
    subject_right_done(&right);
    accept_user(j, r->user, role);
}

static void on_password(const struct auth_pam_result *r, void *userdata) {
    struct judging *j = userdata;
    struct throttle *throttle = j->api->throttle;
    uint64_t now = loop_now_ms(api_loop(j->api));
    if (!r->accepted) {
        refuse_later(j, throttle_failed(throttle, source_of(j), j->user, now));
        return;
    }
    throttle_succeeded(throttle, source_of(j), j->user, now);
    if (r->uid == 0)
        accept_user(j, r->user, ROLE_POOL_ADMIN);
    else
        judge_subject(j, r);
}

static void judge_password(struct judging *j, char *user /* taken */, char *password /* taken */) {
    struct api *a = j->api;
    j->user = user;
    switch (throttle_begin(a->throttle, source_of(j), user, loop_now_ms(api_loop(a)))) {
    case THROTTLE_ALLOW:
        auth_check_password(a->config.worker, user, password, on_password, j);
        break;
    case THROTTLE_REFUSE:
        refuse_later(j, THROTTLE_DELAY_MS);
        break;
    case THROTTLE_BUSY:
        refuse(j, 503, NULL, "Too many logins are waiting.");
        break;
    }
    secret_free(password);
}

/* ---- a session ---- */

static struct session *own_session(struct api *a, const struct uuid *u) {
    struct loop *l = api_loop(a);
    return sessions_find(a->sessions, u, loop_now_ms(l), loop_wall_ms(l) / 1000);
}

/* A session of a user who is not root, in whose name something of this host speaks. */
static bool is_of_user(struct api *a, const char *text) {
    struct uuid u;
    const struct session *s = text && ref_parse(text, &u) ? own_session(a, &u) : NULL;
    return s && !session_is_root(s);
}

static const char no_session[] = "There is no such session: log in.";

static void on_session(struct error *error, const struct value *result, void *data) {
    struct judging *j = data;
    const struct value *role = !error && result && result->type == VALUE_MAP ? value_map_get(result, "role") : NULL;
    if (error)
        refuse(j, 503, NULL, "The coordinator cannot be asked about the session now.");
    else if (role && value_as_int(role) >= ROLE_READ_ONLY && value_as_int(role) <= ROLE_POOL_ADMIN)
        accept_user(j, str_or_empty(value_map_str(result, "user")), (enum role)value_as_int(role));
    else
        refuse_unknown(j, no_session);
}

static void accept_session(struct judging *j, struct session *s) {
    session_ref(s); /* room for another one may be made at its expense */
    if (!session_is_root(s) && j->verdict && s->role >= j->needed) {
        struct session *work = work_for(j, s->user, s->role);
        work->most = s->most;
        work->ends_ms = s->ends_ms ? MIN(s->ends_ms, work->ends_ms) : work->ends_ms;
        session_rest_as(work, s);
    }
    accept_user(j, s->user, s->role);
    session_unref(s);
}

static void judge_session(struct judging *j, const char *text) {
    struct api *a = j->api;
    struct uuid u;
    if (!ref_parse(text, &u)) {
        refuse_unknown(j, no_session);
        return;
    }
    struct session *s = own_session(a, &u);
    if (s && !s->is_local_only)
        accept_session(j, s);
    else if (!s && !api_is_coordinator(a) && a->hooks.session_ask) /* clients log in at the coordinator */
        a->hooks.session_ask(a->hooks.userdata, &u, on_session, j);
    else
        refuse_unknown(j, no_session);
}

struct value api_session_describe(struct api *a, const struct uuid *session) {
    const struct session *s = own_session(a, session);
    if (!s || s->is_local_only)
        return (struct value){.type = VALUE_VOID};
    struct value v = value_map();
    value_map_add(&v, "user", value_string(s->user));
    value_map_add(&v, "role", value_int(s->role));
    return v;
}

static struct judging *judging_new(struct api *a, struct http_request *req, enum role needed, void *userdata) {
    const struct stream_peer *peer = http_get_peer(req);
    struct judging *j = xnew0(struct judging);
    *j = (struct judging){.api = a, .req = req, .needed = needed, .userdata = userdata};
    j->who.is_local = peer->is_unix;
    str_copy(j->who.address, sizeof(j->who.address), peer->address);
    return j;
}

void api_http_judge(struct api *a, struct http_request *req, const struct api_http_login *login, enum role needed,
                    api_http_verdict_fn *then, void *userdata) {
    struct judging *j = judging_new(a, req, needed, userdata);
    j->verdict = then;
    if (j->who.is_local) {
        accept_user(j, "root", ROLE_POOL_ADMIN);
    } else if (!api_is_coordinator(a)) {
        then(req, NULL, ERR_HOST_IS_SLAVE, api_coordinator_address(a), userdata);
        free(j);
    } else if (login->session) {
        judge_session(j, login->session);
    } else {
        judge_password(j, xstrdup(str_or_empty(login->user)), xstrdup(str_or_empty(login->password)));
    }
}

void api_http_authenticate(struct api *a, struct http_request *req, enum role needed, api_http_authenticated_fn *then,
                           void *userdata) {
    const struct stream_peer *peer = http_get_peer(req);
    struct judging *j = judging_new(a, req, needed, userdata);
    j->then = then;
    const char *session = http_get_query(req, "session_id");
    if (!session)
        session = http_get_cookie(req, "session_id");
    if (peer->is_unix && !is_of_user(a, session)) {
        accept_user(j, "root", ROLE_POOL_ADMIN);
        return;
    }
    char *user, *password;
    int64_t ends;
    if (session) {
        judge_session(j, session);
    } else if (http_get_basic_auth(req, &user, &password)) {
        judge_password(j, user, password);
    } else if (peer->is_tls && peer->tls.has_certificate && peer->tls.verified &&
               api_peer_is_pool_host(a, peer->tls.common_name, peer->tls.key_fingerprint)) {
        j->who.is_pool_host = true;
        accept_user(j, peer->tls.common_name, ROLE_INTERNAL);
    } else if (client_certificates_judge(a->certificates, req, &ends)) {
        accept_user(j, client_certificates_name(a->certificates), ROLE_READ_ONLY);
    } else {
        refuse_unknown(j, "Show a session (session_id), or a user and a password.");
    }
}

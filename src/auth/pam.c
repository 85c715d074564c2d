/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/pam.h"

#include <limits.h>
#include <security/pam_appl.h>
#include <stdatomic.h>
#include <string.h>

#include "auth/directory.h"
#include "base/buf.h"
#include "base/str.h"

#define MAX_USER 256
#define MAX_PASSWORD 1024

struct auth_check {
    char *user;
    char *password;
    struct auth_pam_result result;
    auth_done_fn *done; /* NULL once cancelled; loop thread only */
    void *userdata;
};

/* Set before the first check, read by worker threads. */
static _Atomic(auth_backend_fn *) backend;
static const char *service = "muster";

void auth_set_backend(auth_backend_fn *fn) {
    atomic_store(&backend, fn);
}

void auth_set_service(const char *name) {
    service = name;
}

void secret_free(char *s) {
    if (s)
        explicit_bzero(s, strlen(s));
    free(s);
}

/* PAM asks; hidden questions get the password, open ones the user's name. PAM frees the answers. */
static int on_conversation(int n, const struct pam_message **messages, struct pam_response **ret, void *userdata) {
    const struct auth_check *c = userdata;
    if (n <= 0 || n > PAM_MAX_NUM_MSG)
        return PAM_CONV_ERR;
    struct pam_response *answers = xcalloc((size_t)n, sizeof(*answers));
    for (int i = 0; i < n; i++) {
        if (messages[i]->msg_style == PAM_PROMPT_ECHO_OFF)
            answers[i].resp = xstrdup(c->password);
        else if (messages[i]->msg_style == PAM_PROMPT_ECHO_ON)
            answers[i].resp = xstrdup(c->user);
    }
    *ret = answers;
    return PAM_SUCCESS;
}

/* PAM would sleep in our worker; the delay for failures is the throttle's business. */
static void on_delay(int status, unsigned delay_us, void *userdata) {}

static bool ask_pam(struct auth_check *c) {
    struct pam_conv conversation = {.conv = on_conversation, .appdata_ptr = c};
    pam_handle_t *pam = NULL;
    int r = pam_start(service, c->user, &conversation, &pam);
    if (r != PAM_SUCCESS) {
        c->result.reason = strf("PAM service '%s' does not start", service);
        return false;
    }
    (void)pam_set_item(pam, PAM_FAIL_DELAY, (const void *)(uintptr_t)on_delay);
    r = pam_authenticate(pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
    if (r == PAM_SUCCESS)
        r = pam_acct_mgmt(pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
    const void *name = NULL;
    if (r == PAM_SUCCESS && pam_get_item(pam, PAM_USER, &name) == PAM_SUCCESS && name)
        c->result.user = xstrdup(name);
    if (r != PAM_SUCCESS)
        c->result.reason = xstrdup(pam_strerror(pam, r));
    (void)pam_end(pam, r);
    return r == PAM_SUCCESS;
}

/* What the directory says of the accepted account, which it may write otherwise than PAM does. */
static void look_up_account(struct auth_pam_result *r) {
    _cleanup_directory_entry_ struct directory_entry e = {0};
    r->uid = UINT_MAX;
    if (directory_read(DIRECTORY_USER, r->user, &e) == 1) {
        r->uid = e.uid;
        free(r->user);
        r->user = TAKE(e.name);
        r->groups = TAKE(e.groups);
    }
    if (!r->groups)
        r->groups = xcalloc(1, sizeof(*r->groups));
}

static void run(void *data) {
    struct auth_check *c = data;
    struct auth_pam_result *r = &c->result;
    auth_backend_fn *fn = atomic_load(&backend);
    if (str_empty(c->user) || strlen(c->user) > MAX_USER || strlen(c->password) > MAX_PASSWORD ||
        !str_is_utf8(c->user, strlen(c->user)))
        r->reason = xstrdup("not a user name and password");
    else
        r->accepted = fn ? fn(c->user, c->password, &r->reason) : ask_pam(c);
    explicit_bzero(c->password, strlen(c->password));
    if (r->accepted) {
        if (!r->user)
            r->user = xstrdup(c->user);
        look_up_account(r);
    } else if (!r->reason) {
        r->reason = xstrdup("refused");
    }
}

static void done(void *data) {
    struct auth_check *c = data;
    if (c->done)
        c->done(&c->result, c->userdata);
    free(c->user);
    free(c->password);
    free(c->result.user);
    free(c->result.reason);
    for (size_t i = 0; c->result.groups && c->result.groups[i]; i++)
        free(c->result.groups[i]);
    free(c->result.groups);
    free(c);
}

struct auth_check *auth_check_password(struct worker *w, const char *user, const char *password, auth_done_fn *fn,
                                       void *userdata) {
    struct auth_check *c = xnew0(struct auth_check);
    c->user = xstrdup(user);
    c->password = xstrdup(password);
    c->result.uid = UINT_MAX;
    c->done = fn;
    c->userdata = userdata;
    /* One key per user: many tries for one name do not hold up the others. */
    _cleanup_free_ char *key = strf("login:%.100s", user);
    worker_submit(w, key, run, done, c);
    return c;
}

void auth_check_cancel(struct auth_check *c) {
    if (c)
        c->done = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords of local users, checked by PAM (service "muster", see packaging/pam.d/muster) on a worker thread. The
 * password is wiped from our memory when the check is over. Loop thread only.
 */
#pragma once

#include "base/error.h"
#include "loop/worker.h"

struct auth_pam_result {
    bool accepted;
    char *user;    /* the account's canonical name, when accepted */
    char *reason;  /* when not: PAM's text, for a log and the API error; never NULL */
    unsigned uid;  /* when accepted; UINT_MAX when the account has no passwd entry */
    char **groups; /* names of the account's groups, NULL-terminated, when accepted */
};
typedef void auth_done_fn(const struct auth_pam_result *r, void *userdata);

struct auth_check;
/* user and password are copied. `done` runs later in the loop thread, once, unless cancelled. */
struct auth_check *auth_check_password(struct worker *w, const char *user, const char *password, auth_done_fn *done,
                                       void *userdata);
void auth_check_cancel(struct auth_check *c); /* the check runs on, its outcome is dropped; accepts NULL */

/* Replaces PAM by a function of the same meaning; for tests and the lab. NULL brings PAM back. Called in a worker
 * thread. */
typedef bool auth_backend_fn(const char *user, const char *password, char **ret_reason);
void auth_set_backend(auth_backend_fn *fn);
/* The PAM service to ask; default "muster". Set before the first check. */
void auth_set_service(const char *service);
/* memset that the compiler keeps, then free; accepts NULL. */
void secret_free(char *s);

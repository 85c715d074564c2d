/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rows of class subject give to a user whose password is right: the strongest role of the user's own row and
 * of those of its groups. A session rests on these rows for as long as it lives: when one of them goes or changes, its
 * role follows in the same turn of the loop, and without a role it ends. Root needs no row. Loop thread only.
 */
#pragma once

#include "api/api.h"
#include "api/session.h"
#include "auth/pam.h"

/* More could not be looked through at each login. */
#define SUBJECTS_MAX 1000

/* The row that stands for an identifier: the same for ever, so that there are never two. */
struct uuid subject_uuid(const char *identifier);
/* The strongest role of a row; false when it has none. */
bool subject_role(const struct row *subject, enum role *ret) _warn_unused_;

struct subject_right {
    struct value identifiers; /* as in struct session */
    struct uuid subject;
    enum role role;
};
/* False when no row gives the user a role. */
bool subject_right_of(struct api *a, const struct auth_pam_result *r, struct subject_right *ret) _warn_unused_;
void subject_right_done(struct subject_right *right);
/* What somebody without a role is told: what is missing, and the commands that give it. The caller frees. */
char *subject_cure(const char *user);
/* Makes s rest on it. */
void subject_right_give(struct session *s, struct subject_right *right /* its parts are taken */);

/* Asks the directory anew about users whose last word is older than this: who has left it, or a group, loses what came
 * with it. Called now and then. */
#define SUBJECT_CONFIRM_MS (10 * 60 * 1000)
void subjects_confirm(struct api *a);

/* The sessions of `a` follow the rows from now on. */
struct db_watch *subjects_watch(struct api *a);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users for tests: root and toor (uid 0), alice (staff, operators) and bob (staff), whose password is "secret", in a
 * directory that is a table; and a pool of two with the rows of the roles, where root is logged in.
 */
#pragma once

#include "api_fixture.h"

int users_setup(void **state); /* *state is a struct fx */
int users_teardown(void **state);
/* Other groups, with commas; NULL: there is no such user. Gives those of before. */
const char *users_set_groups(const char *name, const char *groups);
void users_set_broken(bool broken); /* the directory does not answer */

struct answer *log_in(struct fx *fx, const char *user, const char *password);
/* The session that this user gets; the caller frees. */
char *session_of(struct fx *fx, const char *user);
/* What a call over the network ends with: its result, or "CODE p1 p2". `more`: JSON behind the session. The caller
 * frees. */
char *call_as(struct fx *fx, const char *session, const char *method, const char *more);
void expect(struct fx *fx, const char *session, const char *method, const char *more, const char *begins);

/* Rows, by calls of root. */
struct uuid add_subject(struct fx *fx, const char *identifier);
void give(struct fx *fx, const struct uuid *subject, enum role role);
void take(struct fx *fx, const struct uuid *subject, enum role role);
enum role role_now(struct fx *fx, const char *session);

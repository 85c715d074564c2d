/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors that reach a client: an API code with string parameters, plus a chain of context for the log. A function that
 * can fail takes `struct error **errp` last, never NULL, *errp NULL on entry; on failure it sets *errp and leaves its
 * outputs untouched. The caller owns *errp. Any thread; one error belongs to one thread at a time.
 * The parameters go to the client, the context never does.
 */
#pragma once

#include "base/macro.h"

struct error;

#define MAX_ERROR_PARAMS 16

/* Sets *errp to `code` with the string parameters that follow, ended by NULL. The strings are copied. */
void error_set(struct error **errp, const char *code, ...) _sentinel_;
/* Sets *errp to `code` with an array of parameters. */
void error_setv(struct error **errp, const char *code, size_t n_params, const char *const *params);
/* Sets *errp to INTERNAL_ERROR with one formatted parameter. */
void error_internal(struct error **errp, const char *fmt, ...) _printf_(2, 3);
/* Sets *errp to `code` with one formatted parameter. */
void error_setf(struct error **errp, const char *code, const char *fmt, ...) _printf_(3, 4);
/* Sets *errp to INTERNAL_ERROR with the formatted text, ": " and strerror of r (negative errno). */
void error_errno(struct error **errp, int r, const char *fmt, ...) _printf_(3, 4);
/* Adds a line of context in front; no-op when *errp is NULL. */
void error_wrap(struct error **errp, const char *fmt, ...) _printf_(2, 3);

const char *error_code(const struct error *e);
size_t error_n_params(const struct error *e);
const char *error_param(const struct error *e, size_t i); /* "" beyond the end */
bool error_is(const struct error *e, const char *code);   /* false when e is NULL */
/* Whole text for a log: "context: context: CODE [p1, p2]". Borrowed; valid until the error is changed or freed. */
const char *error_text(struct error *e);
struct error *error_dup(const struct error *e);
/* Moves `from` into *errp (frees `from` when *errp is already set). */
void error_propagate(struct error **errp, struct error *from);
void error_free(struct error *e); /* accepts NULL */
DEFINE_CLEANUP(struct error *, error_free)
#define _cleanup_error_ _cleanup_(error_freep)

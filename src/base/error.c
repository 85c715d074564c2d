/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/buf.h"
#include "base/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

struct error {
    char *code;
    size_t n_params;
    char *params[MAX_ERROR_PARAMS];
    char *context; /* "outer: inner: ", or NULL */
    char *text;    /* cache of error_text, or NULL */
};

static char *_printf_(1, 0) vstrf(const char *fmt, va_list ap) {
    char *s = NULL;
    if (vasprintf(&s, fmt, ap) < 0)
        abort();
    return s;
}

static struct error *error_new(struct error **errp, const char *code) {
    assert(errp && !*errp);
    struct error *e = xnew0(struct error);
    e->code = xstrdup(code);
    *errp = e;
    return e;
}

/* Takes param. Parameters beyond the limit are dropped: no code of the API has that many. */
static void error_add_param_take(struct error *e, char *param) {
    if (e->n_params < MAX_ERROR_PARAMS)
        e->params[e->n_params++] = param;
    else
        free(param);
}

void error_set(struct error **errp, const char *code, ...) {
    struct error *e = error_new(errp, code);
    va_list ap;
    va_start(ap, code);
    for (const char *p; (p = va_arg(ap, const char *));)
        error_add_param_take(e, xstrdup(p));
    va_end(ap);
}

void error_setv(struct error **errp, const char *code, size_t n_params, const char *const *params) {
    struct error *e = error_new(errp, code);
    for (size_t i = 0; i < n_params; i++)
        error_add_param_take(e, xstrdup(str_or_empty(params[i])));
}

void error_internal(struct error **errp, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char *text = vstrf(fmt, ap);
    va_end(ap);
    error_add_param_take(error_new(errp, "INTERNAL_ERROR"), text);
}

void error_setf(struct error **errp, const char *code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char *text = vstrf(fmt, ap);
    va_end(ap);
    error_add_param_take(error_new(errp, code), text);
}

void error_errno(struct error **errp, int r, const char *fmt, ...) {
    char reason[128];
    va_list ap;
    va_start(ap, fmt);
    _cleanup_free_ char *text = vstrf(fmt, ap);
    va_end(ap);
    const char *why = strerror_r(r < 0 ? -r : r, reason, sizeof(reason));
    error_add_param_take(error_new(errp, "INTERNAL_ERROR"), strf("%s: %s", text, why));
}

void error_wrap(struct error **errp, const char *fmt, ...) {
    assert(errp);
    struct error *e = *errp;
    if (!e)
        return;
    va_list ap;
    va_start(ap, fmt);
    _cleanup_free_ char *outer = vstrf(fmt, ap);
    va_end(ap);
    _cleanup_free_ char *inner = TAKE(e->context);
    e->context = strf("%s: %s", outer, str_or_empty(inner));
    free(TAKE(e->text));
}

const char *error_code(const struct error *e) {
    return e->code;
}

size_t error_n_params(const struct error *e) {
    return e->n_params;
}

const char *error_param(const struct error *e, size_t i) {
    return i < e->n_params ? e->params[i] : "";
}

bool error_is(const struct error *e, const char *code) {
    return e && str_eq(e->code, code);
}

const char *error_text(struct error *e) {
    if (e->text)
        return e->text;
    struct buf b = BUF_INIT;
    buf_addf(&b, "%s%s [", str_or_empty(e->context), e->code);
    for (size_t i = 0; i < e->n_params; i++)
        buf_addf(&b, "%s%s", i > 0 ? ", " : "", e->params[i]);
    buf_add_char(&b, ']');
    e->text = buf_take(&b);
    return e->text;
}

struct error *error_dup(const struct error *e) {
    if (!e)
        return NULL;
    struct error *copy = NULL;
    error_setv(&copy, e->code, e->n_params, (const char *const *)e->params);
    if (e->context)
        copy->context = xstrdup(e->context);
    return copy;
}

void error_propagate(struct error **errp, struct error *from) {
    assert(errp);
    if (*errp)
        error_free(from);
    else
        *errp = from;
}

void error_free(struct error *e) {
    if (!e)
        return;
    for (size_t i = 0; i < e->n_params; i++)
        free(e->params[i]);
    free(e->code);
    free(e->context);
    free(e->text);
    free(e);
}

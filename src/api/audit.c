/* SPDX-License-Identifier: Apache-2.0 */
/* One log line for each call that changes something, and for each login: who, from where, what, on which objects, and
 * how it ended. */
#define LOG_MODULE "audit"
#include "base/log.h"

#include "api/audit_log.h"
#include "api/call_private.h"
#include "base/str.h"
#include <inttypes.h>

static bool starts_with_get(const char *method) {
    const char *dot = strchr(method, '.');
    return dot && str_starts(dot + 1, "get_");
}

static bool is_worth_a_line(const struct call_def *def) {
    switch (def->kind) {
    case CALL_SET_FIELD:
    case CALL_ADD_TO_MAP:
    case CALL_REMOVE_FROM_MAP:
    case CALL_ADD_TO_SET:
    case CALL_REMOVE_FROM_SET:
    case CALL_CREATE_DEFAULT:
    case CALL_DESTROY_DEFAULT:
        return true;
    case CALL_CUSTOM:
        if (def->class_id == CLASS_task) /* a reader may change its own tasks, too; xe forgets each that has ended */
            return !starts_with_get(def->name) && !str_eq(def->name, "task.destroy");
        return def->class_id == CLASS_session || (def->role > ROLE_READ_ONLY && !starts_with_get(def->name));
    default:
        return false;
    }
}

static bool is_secret(const struct call_def *def, const char *name) {
    if (def->class_id == CLASS_secret && str_eq(name, "value"))
        return true;
    static const char *const words[] = {"pwd", "password", "secret", "private", "cert"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strstr(name, words[i]))
            return true;
    }
    return false;
}

#define MAX_SHOWN 100

/* Control characters would let a client write lines of its own. */
static void add_text(struct buf *line, const char *s) {
    for (const char *end = s + MAX_SHOWN; *s && s < end; s++)
        buf_add_char(line, (unsigned char)*s < 0x20 || *s == 0x7f || *s == '\'' ? '?' : *s);
}

/* Short values only; others are named. */
static void add_arg(struct buf *line, const struct call_def *def, unsigned i, const struct value *v) {
    const struct param_def *p = &def->params[i];
    char ref[REF_TEXT_SIZE];
    buf_addf(line, " %s=", p->name);
    if (is_secret(def, p->name)) {
        buf_add_str(line, "(hidden)");
        return;
    }
    switch (v->type) {
    case VALUE_STRING:
        buf_add_char(line, '\'');
        add_text(line, value_str(v));
        buf_add_char(line, '\'');
        break;
    case VALUE_INT:
        buf_addf(line, "%" PRId64, v->integer);
        break;
    case VALUE_BOOL:
        buf_add_str(line, v->boolean ? "true" : "false");
        break;
    case VALUE_REF:
        buf_add_str(line, ref_text(&v->ref, ref));
        break;
    case VALUE_SET:
        buf_addf(line, "(%zu values)", v->set.n);
        break;
    case VALUE_MAP:
        if (!str_eq(def->name, "pool.network_change")) {
            buf_addf(line, "(%zu pairs)", v->map.n);
            break;
        }
        /* Whether a change was only tried, or forced, is what one looks for. */
        for (size_t k = 0; k < v->map.n; k++) {
            buf_add_str(line, k ? "," : "");
            add_text(line, v->map.pairs[k].key);
            buf_add_char(line, '=');
            add_text(line, value_str(&v->map.pairs[k].value));
        }
        break;
    default:
        buf_add_str(line, "(...)");
    }
}

void audit_call(const struct call *c, const struct error *error) {
    if (!is_worth_a_line(c->def) || c->is_inner)
        return;
    /* Each xe command on the host itself logs in and out. */
    if (c->def->class_id == CLASS_session && c->caller.is_local && !error)
        return;
    static struct log_limit limit;
    /* Without a session anyone can cause the line. */
    if (!c->session && !c->user && error && !log_limit_pass(&limit, 20, 10000))
        return;
    _cleanup_buf_ struct buf line = BUF_INIT;
    for (unsigned i = 0; i < c->def->n_params && i < c->args.set.n; i++)
        add_arg(&line, c->def, i, &c->args.set.items[i]);
    const char *user = c->session ? c->session->user : c->user ? c->user : c->caller.is_local ? "root" : "-";
    const char *from = c->caller.is_local ? "local" : c->caller.address;
    _cleanup_free_ char *text = strf("user '%s' from '%s': %s%s: %s%s", user, from, c->def->name, buf_str(&line),
                                     error ? "refused, " : "done", error ? error_code(error) : "");
    log_info("%s", text);
    if (c->api->audit)
        audit_log_add(c->api->audit, loop_wall_ms(api_loop(c->api)), text);
}

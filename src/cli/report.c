/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report.h"

#include "base/str.h"
#include "cli/commands.h"
#include "cli/suggest.h"

static const char usage_hint[] = "For usage run: 'xe help'\n";

/* Errors of xe itself; %1$s and %2$s are the parameters. */
static const struct {
    const char *code, *text;
    bool has_hint;
} own[] = {
    {"CLI_MISSING", "Required parameter not found: %1$s\n", true},
    {"CLI_SYNTAX", "Syntax error: '%1$s' %2$s\n", true},
    {"CLI_UNKNOWN_COMMAND", "Unknown command: %1$s\n", true},
    {"CLI_UNKNOWN_FIELD", "Unknown field '%1$s'; 'xe help %2$s-list' names the fields\n", false},
    {"CLI_UNKNOWN_CLASS", "Unknown class '%1$s'; 'xe help' names the classes\n", false},
    {"CLI_READ_ONLY", "Field '%1$s' is read-only\n", false},
    {"CLI_MAP_NEEDS_KEY", "Field '%1$s' is a map: give a key, as in %1$s:key=value\n", false},
    {"CLI_MAP_NEEDS_VALUE", "A map needs a value for its key, as in %1$s=value\n", false},
    {"CLI_NOT_A_MAP", "Field '%1$s' is no map and has no keys\n", false},
    {"CLI_NOT_A_SET", "Field '%1$s' is neither a set nor a map: use param-set\n", false},
    {"CLI_CANNOT_CLEAR", "Field '%1$s' cannot be empty: use param-set\n", false},
    {"CLI_NO_KEY", "Error: Key %1$s not found in map\n", false},
    {"CLI_TOO_MANY_OBJECTS", "Give one of %1$s, not several\n", false},
    {"CLI_FAILURE", "%1$s\n", false},
    {"CLI_FILE", "'%1$s': %2$s\n", false},
    {"CLI_NO_CHANGE",
     "'%1$s' changes no network: --dry-run, --prove, --confirm, --checkpoint and --probes are not for it\n", false},
    {"CLI_PLANS_ONLY", "'%1$s' takes --dry-run and --prove, but not --confirm, --checkpoint or --probes\n", false},
    {"CLI_ABORTED", "Aborted\n", false},
    {"CLI_SAID", "", false}, /* it was said already, object by object */
    {"SESSION_AUTHENTICATION_FAILED", "Authentication failed\n", false},
    {"CLI_CERTIFICATE_REFUSED",
     "Authentication failed: the pool does not take the certificate in '%1$s'.\n"
     "It must be valid now, not revoked, signed by an authority of pool-certificate-list, and in the name of the "
     "pool's\n"
     "client-certificate-auth-name. The coordinator's log says which it is not.\n",
     false},
};

/* "uuid (name)" for a reference; other texts as they are. Caller frees. */
static char *object_text(struct records *r, const char *text) {
    static const struct {
        int class_id;
        const char *field;
    } named[] = {{CLASS_host, "name_label"}, {CLASS_network, "name_label"}, {CLASS_PIF, "device"}};
    struct uuid u;
    if (!ref_parse(text, &u) || uuid_is_null(&u))
        return xstrdup(text);
    const char *uuid = text + strlen(REF_PREFIX);
    for (unsigned i = 0; r && i < ARRAY_SIZE(named); i++) {
        struct error *e = NULL;
        const struct value *all = records_all(r, named[i].class_id, &e),
                           *record = all ? value_map_get(all, text) : NULL;
        const char *name = record ? value_map_str(record, named[i].field) : NULL;
        if (name)
            return strf("%s (%s)", uuid, name);
        if (e) { /* there is no asking any more */
            error_free(e);
            break;
        }
    }
    return xstrdup(uuid);
}

static void consider(const char *name, void *userdata) {
    suggestion_consider(userdata, name);
}

static void suggest(struct buf *out, const struct error *e) {
    char best[128] = "";
    if (error_is(e, "CLI_UNKNOWN_COMMAND")) {
        struct suggestion s = suggestion_new(error_param(e, 0));
        commands_each(consider, &s);
        str_copy(best, sizeof(best), s.best);
    } else if (error_is(e, "CLI_UNKNOWN_FIELD")) {
        str_copy(best, sizeof(best), error_param(e, 2));
    }
    if (best[0])
        buf_addf(out, "Did you mean '%s'?\n", best);
}

static bool report_own(struct buf *out, const struct error *e) {
    for (unsigned i = 0; i < ARRAY_SIZE(own); i++) {
        if (!error_is(e, own[i].code))
            continue;
        buf_addf(out, own[i].text, error_param(e, 0), error_param(e, 1));
        if (own[i].has_hint)
            buf_add_str(out, usage_hint);
        suggest(out, e);
        return true;
    }
    return false;
}

void report_error(struct buf *out, struct records *r, struct error *e) {
    if (report_own(out, e))
        return;
    const struct error_def *def = model_error_by_code(error_code(e));
    if (!def) {
        buf_addf(out, "Error code: %s\nError parameters: ", error_code(e));
        for (size_t i = 0; i < error_n_params(e); i++)
            buf_addf(out, "%s%s", i ? ", " : "", error_param(e, i));
        buf_add_char(out, '\n');
        return;
    }
    buf_addf(out, "%s\n", def->text);
    for (size_t i = 0; i < error_n_params(e); i++) {
        _cleanup_free_ char *text = object_text(r, error_param(e, i));
        buf_addf(out, "%s: %s\n", i < def->n_params ? def->params[i] : "detail", text);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/change.h"

#include <stdio.h>
#include <string.h>

#include "wire/value_json.h"

#define REPORT_MAX (4 * 1024 * 1024)

bool change_needs_change(const struct xe *x) {
    return args_is(&x->args, ARGS_CONFIRM) || args_text(&x->args, ARGS_CHECKPOINT) || args_text(&x->args, ARGS_PROBES);
}

bool change_is_asked(const struct xe *x) {
    return args_is(&x->args, ARGS_DRY_RUN) || args_is(&x->args, ARGS_PROVE) || change_needs_change(x);
}

bool change_check(struct xe *x, bool changes_networks, const char *command, struct error **errp) {
    if (changes_networks || !change_is_asked(x))
        return true;
    error_set(errp, "CLI_NO_CHANGE", command, NULL);
    return false;
}

bool change_takes(const struct xe *x, const char *method) {
    const char *dot = strchr(method, '.');
    return x->changes_networks && dot && !str_starts(dot + 1, "get_") &&
           (change_is_asked(x) || args_is(&x->args, ARGS_FORCE));
}

static void add_part(struct buf *out, const struct value *report, const char *key, const char *title) {
    const char *text = value_map_str(report, key);
    if (str_empty(text))
        return;
    bool is_block = strchr(text, '\n') != NULL;
    buf_addf(out, "%s:%s%s%s", title, is_block ? "\n" : " ", text, str_ends(text, "\n") ? "" : "\n");
}

void change_print_report(struct xe *x, const struct value *report, const char *refusal) {
    _cleanup_buf_ struct buf out = BUF_INIT;
    add_part(&out, report, "changes", "what changes");
    add_part(&out, report, "plan", "plan");
    add_part(&out, report, "order", "order");
    add_part(&out, report, "proof", "proof");
    add_part(&out, report, "limited", "less passes than is wanted, which stops nothing");
    if (!str_empty(value_map_str(report, "refused")))
        add_part(&out, report, "refused", refusal);
    else
        buf_add_str(&out, "it would be done\n");
    xe_print(&out);
}

static struct value read_options(struct xe *x) {
    static const struct {
        enum args_text text;
        const char *key;
        bool is_flag;
    } options[] = {{ARGS_DRY_RUN, "dry_run", true},     {ARGS_PROVE, "prove", true},
                   {ARGS_FORCE, "force", true},         {ARGS_CONFIRM, "person", true},
                   {ARGS_CHECKPOINT, "timeout", false}, {ARGS_PROBES, "probes", false}};
    struct value map = value_map();
    for (unsigned i = 0; i < ARRAY_SIZE(options); i++) {
        const char *text = args_text(&x->args, options[i].text);
        if (text)
            value_map_add(&map, options[i].key,
                          value_string(!options[i].is_flag                  ? text
                                       : args_is(&x->args, options[i].text) ? "true"
                                                                            : "false"));
    }
    return map;
}

static bool take_result(struct xe *x, const struct value *report, struct value *ret, struct error **errp) {
    const char *text = str_or_empty(value_map_str(report, "result")), *outcome = value_map_str(report, "outcome");
    *ret = (struct value){.type = VALUE_VOID};
    if (args_is(&x->args, ARGS_DRY_RUN)) {
        change_print_report(x, report, "it would be refused (--force goes on), for");
        x->is_said = true;
        return true;
    }
    if (!str_empty(value_map_str(report, "faults")))
        fprintf(stderr, "forced, though this is wrong:\n%s\n", value_map_str(report, "faults"));
    if (outcome && str_eq(outcome, "held"))
        fprintf(stderr,
                "The change is applied, and is taken back by itself unless it is confirmed with:\n"
                "xe network-change-confirm id=%s\n",
                str_or_empty(value_map_str(report, "id")));
    return !*text || value_json_parse(text, MIN(strlen(text), (size_t)REPORT_MAX), 16, 100000, ret, errp);
}

bool change_call(struct xe *x, const char *method, const struct value *params, size_t n, struct value *ret,
                 struct error **errp) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_value_ struct value report = {.type = VALUE_VOID};
    struct value list = value_set(), outer[3];
    for (size_t i = 0; i < n; i++)
        value_set_add(&list, value_copy(&params[i]));
    value_json_emit(&text, &list);
    value_done(&list);
    outer[0] = value_string(method);
    outer[1] = value_string(buf_str(&text));
    outer[2] = read_options(x);
    bool ok = xe_call_task(x, "pool.network_change", outer, 3, &report, errp);
    for (unsigned i = 0; i < 3; i++)
        value_done(&outer[i]);
    return ok && take_result(x, &report, ret, errp);
}

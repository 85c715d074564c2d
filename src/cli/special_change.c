/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about network changes: a person's word, the history, undo, and the pool's network as one file. */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "cli/commands.h"
#include "cli/request.h"

#define CONFIG_MAX (1024 * 1024)

/* ---- changes ---- */

static bool decide(struct xe *x, const char *method, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_text(&r, "id", "");
    return request_call_void(&r, method);
}

static bool change_confirm(struct xe *x, struct error **errp) {
    return decide(x, "pool.network_change_confirm", errp);
}

static bool change_revert(struct xe *x, struct error **errp) {
    return decide(x, "pool.network_change_revert", errp);
}

static bool change_undo(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_text(&r, "id", NULL);
    return request_call_void(&r, "pool.network_change_undo");
}

static void add_change(struct buf *out, const struct value *v) {
    static const char *const keys[] = {"id", "time", "who", "what", "hosts", "outcome", "reason", "faults", "changes"};
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        const char *text = value_map_str(v, str_eq(keys[i], "changes") ? "diff" : keys[i]);
        if (str_empty(text))
            continue;
        _cleanup_strv_ struct strv lines = {0};
        bool is_first = true;
        strv_split(&lines, text, '\n');
        for (size_t k = 0; k < lines.n; k++) {
            if (!*lines.items[k])
                continue;
            buf_addf(out, "%10s%s %s\n", is_first ? keys[i] : "", is_first ? ":" : " ", lines.items[k]);
            is_first = false;
        }
    }
    buf_add_char(out, '\n');
}

static bool change_list(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    _cleanup_value_ struct value list = {.type = VALUE_VOID};
    _cleanup_buf_ struct buf out = BUF_INIT;
    const char *only = args_get(&x->args, "id");
    if (!request_call(&r, "pool.get_network_changes", &list))
        return false;
    for (size_t i = 0; list.type == VALUE_SET && i < list.set.n; i++) {
        const struct value *v = &list.set.items[i];
        const char *id = v->type == VALUE_MAP ? str_or_empty(value_map_str(v, "id")) : "";
        if (only && !str_eq(only, id))
            continue;
        if (args_is(&x->args, ARGS_MINIMAL))
            buf_addf(&out, "%s%s", out.size ? "," : "", id);
        else
            add_change(&out, v);
    }
    if (args_is(&x->args, ARGS_MINIMAL))
        buf_add_char(&out, '\n');
    xe_print(&out);
    return true;
}

/* ---- the pool's network as one file ---- */

/* The text of file=, "-" for standard input; false with *errp. */
static bool read_config(struct xe *x, struct buf *ret, struct error **errp) {
    const char *path = args_get(&x->args, "file");
    if (!path)
        return true;
    if (!xe_may_use_files(path, errp))
        return false;
    int r = fs_read(str_eq(path, "-") ? "/dev/stdin" : path, CONFIG_MAX, ret);
    if (r < 0)
        error_set(errp, "CLI_FILE", path, strerror(-r), NULL);
    return r >= 0;
}

static bool config_export(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    const char *path = args_get(&x->args, "file");
    _cleanup_value_ struct value text = {.type = VALUE_VOID};
    if (!path)
        return request_print_text(&r, "pool.network_config_export");
    if (!xe_may_use_files(path, errp))
        return false;
    if (!request_call(&r, "pool.network_config_export", &text))
        return false;
    int e = fs_write_atomic(path, value_str(&text), strlen(value_str(&text)), 0644);
    if (e < 0)
        error_set(errp, "CLI_FILE", path, strerror(-e), NULL);
    return e >= 0;
}

/* Prints the differences; without any, nothing. As with diff(1), a difference is an exit code of 1. */
static bool config_diff(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_value_ struct value diff = {.type = VALUE_VOID};
    if (!read_config(x, &text, errp))
        return false;
    request_add(&r, value_string(buf_str(&text)));
    if (!request_call(&r, "pool.network_config_diff", &diff))
        return false;
    if (!*value_str(&diff))
        return true;
    fputs(value_str(&diff), stdout);
    error_set(errp, "CLI_SAID", NULL);
    return false;
}

static bool config_apply(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (!read_config(x, &text, errp))
        return false;
    request_add(&r, value_string(buf_str(&text)));
    return request_call_void(&r, "pool.network_config_apply");
}

static const struct command list[] = {
    {"network-change-confirm", "", "id", "keep a change that waits for somebody to confirm it", change_confirm, 0},
    {"network-change-list", "", "id", "the network changes of the past: who, when, what, outcome", change_list, 0},
    {"network-change-revert", "", "id", "take back a change that waits for somebody to confirm it", change_revert, 0},
    {"network-change-undo", "id", "", "change back what a past change did", change_undo, COMMAND_CHANGES_NETWORKS},
    {"network-config-apply", "file", "", "make the pool's network as a file says", config_apply,
     COMMAND_CHANGES_NETWORKS},
    {"network-config-diff", "", "file", "what a file says, what the pool wants, what hosts have: the differences",
     config_diff, 0},
    {"network-config-export", "", "file", "the pool's network as one file that can be read, edited and applied",
     config_export, 0},
};
const struct command_group commands_change = {list, ARRAY_SIZE(list)};

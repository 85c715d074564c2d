/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/power.h"

#include <string.h>

#include "base/str.h"
#include "loop/child.h"
#include "model/model.h"

#define COMMAND_TIMEOUT_MS 20000
#define COMMAND_MAX_WORDS 16

struct power {
    power_done_fn *done;
    void *userdata;
    char *command;
};

static void on_done(const struct child_result *r, void *userdata) {
    struct power *p = userdata;
    _cleanup_error_ struct error *e = NULL;
    if (r->exit_code != 0)
        error_internal(&e, "'%s' failed (%s): %.200s", p->command,
                       r->start_error ? strerror(r->start_error)
                       : r->timed_out ? "no end in time"
                                      : "see its output",
                       buf_str(&r->err));
    p->done(e, p->userdata);
    free(p->command);
    free(p);
}

void power_run(struct loop *l, enum api_host_op op, power_done_fn *done, void *userdata) {
    const char *set = getenv(op == API_HOST_REBOOT ? "MUSTER_REBOOT_COMMAND" : "MUSTER_POWEROFF_COMMAND");
    const char *command = str_empty(set) ? (op == API_HOST_REBOOT ? "systemctl reboot" : "systemctl poweroff") : set;
    _cleanup_strv_ struct strv words = {0};
    strv_split(&words, command, ' ');
    const char *argv[COMMAND_MAX_WORDS + 1] = {0};
    for (size_t i = 0; i < words.n && i < COMMAND_MAX_WORDS; i++)
        argv[i] = words.items[i];
    struct power *p = xnew0(struct power);
    *p = (struct power){.done = done, .userdata = userdata, .command = xstrdup(command)};
    child_run(l, argv, NULL, COMMAND_TIMEOUT_MS, 4096, on_done, p);
}

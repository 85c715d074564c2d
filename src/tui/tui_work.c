/* SPDX-License-Identifier: Apache-2.0 */
#include "tui/tui_work.h"

#include <string.h>

#include "loop/child.h"

#define OUTPUT_MAX 16384

struct client *tui_work_connect(struct tui_work *w, bool is_host_only) {
    struct client_config config = {.is_host_only = is_host_only, .interrupt = w->interrupt};
    struct error *e = NULL;
    struct client *c = client_open(&config, &e);
    if (!c)
        tui_said_error(&w->said, e);
    error_free(e);
    return c;
}

bool tui_work_call(struct tui_work *w, struct client *c, const char *method, const struct value *params, size_t n,
                   bool as_task, struct value *ret) {
    struct error *e = NULL;
    bool ok = as_task ? client_call_async(c, method, params, n, /* progress= */ NULL, NULL, ret, &e)
                      : client_call(c, method, params, n, ret, &e);
    if (!ok)
        tui_said_error(&w->said, e);
    error_free(e);
    return ok;
}

static void say_output(struct tui_work *w, const struct buf *text) {
    _cleanup_strv_ struct strv lines = {0};
    strv_split(&lines, buf_str(text), '\n');
    for (size_t i = 0; i < lines.n; i++)
        if (*lines.items[i])
            tui_said_add(&w->said, TUI_PLAIN, "  %s", lines.items[i]);
}

bool tui_work_program(struct tui_work *w, const char *const argv[], uint64_t timeout_ms) {
    struct child_result r;
    int n = child_run_sync(argv, NULL, timeout_ms, OUTPUT_MAX, &r);
    if (n < 0) {
        tui_said_add(&w->said, TUI_BAD, "'%s' cannot be run: %s", argv[0], strerror(-n));
        return false;
    }
    _cleanup_free_ char *words = argv[1] ? strf("%s %s", argv[0], argv[1]) : xstrdup(argv[0]);
    bool ok = r.exit_code == 0;
    if (r.timed_out)
        tui_said_add(&w->said, TUI_BAD, "'%s' came to no end in time", words);
    else if (r.start_error)
        tui_said_add(&w->said, TUI_BAD, "'%s' cannot be run: %s", argv[0], strerror(r.start_error));
    else if (!ok)
        tui_said_add(&w->said, TUI_BAD, "'%s' ended with %d:", words, r.exit_code);
    say_output(w, &r.out);
    say_output(w, &r.err);
    child_result_done(&r);
    return ok;
}

const char *tui_work_netboot(void) {
    const char *path = getenv("MUSTER_NETBOOT");
    return str_empty(path) ? "muster-netboot" : path;
}

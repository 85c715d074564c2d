/* SPDX-License-Identifier: Apache-2.0 */
/* What takes long: a bar on the terminal, and Ctrl-C. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/change.h"

#define BAR_AFTER_S 2.0
#define BAR_WIDTH 40

volatile sig_atomic_t xe_interrupt;

static void on_interrupt(int signo) {
    xe_interrupt = 1;
}

void xe_catch_interrupt(void) {
    /* Once: the second Ctrl-C does what it always does. No SA_RESTART, so that it ends a question, too. */
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
}

bool xe_was_interrupted(void) {
    return xe_interrupt != 0;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct bar {
    const char *what;
    double start;
    bool is_shown, is_drawn;
};

static void draw(double fraction, void *userdata) {
    struct bar *b = userdata;
    double passed = seconds() - b->start;
    if (!b->is_shown || passed < BAR_AFTER_S)
        return;
    int full = (int)(fraction * BAR_WIDTH);
    fprintf(stderr, "\r%s [%.*s%*s] %3d%% %4.0f s%s ", b->what, full,
            "========================================", BAR_WIDTH - full, "", (int)(fraction * 100), passed,
            xe_interrupt ? ", being cancelled" : "");
    b->is_drawn = true;
}

static void erase(const struct bar *b) {
    if (b->is_drawn)
        fprintf(stderr, "\r%*s\r", (int)strlen(b->what) + BAR_WIDTH + 36, "");
}

bool xe_call(struct xe *x, const char *method, const struct value *params, size_t n, struct value *ret,
             struct error **errp) {
    return change_takes(x, method) ? change_call(x, method, params, n, ret, errp)
                                   : xe_call_task(x, method, params, n, ret, errp);
}

bool xe_call_task(struct xe *x, const char *method, const struct value *params, size_t n, struct value *ret,
                  struct error **errp) {
    const struct call_def *def = model_call_by_name(method);
    if (x->is_host_only || !def || !def->has_async)
        return client_call(x->client, method, params, n, ret, errp);
    struct bar bar = {.what = method, .start = seconds(), .is_shown = isatty(STDERR_FILENO)};
    bool ok = client_call_async(x->client, method, params, n, draw, &bar, ret, errp);
    erase(&bar);
    return ok;
}

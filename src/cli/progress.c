/* SPDX-License-Identifier: Apache-2.0 */
/* What takes long: a bar on the terminal, and Ctrl-C. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/change.h"
#include "client/client.h"

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

/* ---- files ---- */

static int open_file(const char *file, bool is_upload, int64_t *size, struct error **errp) {
    struct stat st;
    int fd = is_upload ? open(file, O_RDONLY | O_CLOEXEC) : open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || (is_upload && fstat(fd, &st) < 0)) {
        error_setf(errp, "CLI_FAILURE", "Failure: cannot %s the file '%s': %s", is_upload ? "read" : "make", file,
                   strerror(errno));
        cleanup_closep(&fd);
        return -1;
    }
    if (is_upload) /* of a pipe or a device the length is not known */
        *size = S_ISREG(st.st_mode) ? st.st_size : -1;
    return fd;
}

static bool carry(struct xe *x, const char *path, int fd, bool is_upload, int64_t size, const struct value *task,
                  struct bar *bar, struct value *ret, struct error **errp) {
    _cleanup_free_ char *whole = strf("%s&task_id=%s", path, value_str(task));
    _cleanup_value_ struct value record = {.type = VALUE_VOID}, nothing = {.type = VALUE_VOID};
    struct client_file f = {.path = whole, .fd = fd, .is_upload = is_upload, .size = size};
    struct error *e = NULL, *ignored = NULL;
    bool ok = client_carry_file(x->client, &f, draw, bar, &e);
    /* What the server did not begin it does not end; whatever it began says itself how it ended. */
    if (!ok && !xe_was_interrupted() && client_call(x->client, "task.get_record", task, 1, &record, &ignored) &&
        str_eq(str_or_empty(value_map_str(&record, "status")), "pending") &&
        (error_is(e, "SERVER_REFUSED") || error_is(e, "SERVER_RESPONSE_INVALID"))) {
        error_propagate(errp, e);
        if (!client_call(x->client, "task.destroy", task, 1, &nothing, &ignored))
            error_free(ignored);
        return false;
    }
    error_free(ignored);
    if (client_task_end(x->client, task, draw, bar, ret, errp)) {
        if (ok)
            return true;
        error_propagate(errp, e);
        return false;
    }
    if (f.problem) { /* the server has only seen this end go */
        error_free(TAKE(*errp));
        error_setf(errp, "CLI_FAILURE", "Failure: the file cannot be %s: %s", is_upload ? "read" : "written",
                   strerror(f.problem));
    }
    error_free(e);
    return false;
}

bool xe_carry_file(struct xe *x, const char *label, const char *path, const char *file, bool is_upload,
                   int64_t expected, struct value *ret, struct error **errp) {
    _cleanup_value_ struct value task = {.type = VALUE_VOID};
    struct value params[] = {value_string(label), value_string(file)};
    int64_t size = expected;
    _cleanup_close_ int fd = xe_may_use_files(file, errp) ? open_file(file, is_upload, &size, errp) : -1;
    bool ok = fd >= 0 && client_call(x->client, "task.create", params, ARRAY_SIZE(params), &task, errp);
    struct bar bar = {.what = label, .start = seconds(), .is_shown = isatty(STDERR_FILENO)};
    ok = ok && carry(x, path, fd, is_upload, size, &task, &bar, ret, errp);
    erase(&bar);
    if (!is_upload && fd >= 0 && ok && fsync(fd) < 0 && errno != EINVAL && errno != EROFS) {
        error_setf(errp, "CLI_FAILURE", "Failure: the file '%s' cannot be written: %s", file, strerror(errno));
        ok = false;
    }
    if (!is_upload && fd >= 0 && !ok)
        (void)unlink(file);
    for (size_t i = 0; i < ARRAY_SIZE(params); i++)
        value_done(&params[i]);
    return ok;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Disk images, by qemu-img. The format is always said: an image never tells what it is. */
#include <jansson.h>
#include <time.h>

#include "base/str.h"
#include "loop/child.h"
#include "model/model.h"
#include "store/store_private.h"

#define TOOL "qemu-img"
#define TOOL_TIMEOUT_MS (60 * 1000)
#define COPY_TIMEOUT_MS (60 * 60 * 1000) /* a copy of a large disk takes its time */
#define OUTPUT_MAX (1 << 20)
#define ARGS_MAX 16

static int64_t end_ms = INT64_MAX; /* of all tools of this program */

static int64_t now_ms(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void image_limit_tools(uint64_t ms) {
    end_ms = now_ms() + (int64_t)ms;
}

static bool run_tool(const char *const argv[], int64_t timeout_ms, struct buf *out, struct error **errp) {
    const char *all[ARGS_MAX + 2] = {TOOL};
    size_t n = 1;
    for (; argv[n - 1] && n <= ARGS_MAX; n++)
        all[n] = argv[n - 1];
    struct child_result r;
    uint64_t left = (uint64_t)MAX(MIN(timeout_ms, end_ms - now_ms()), 0);
    /* The helper program works under a lease that is given back when it is gone: nothing of it may go on then. */
    int started = folder_can_far() ? child_run_sync_bound(all, /* input= */ NULL, left, OUTPUT_MAX, &r)
                                   : child_run_sync(all, /* input= */ NULL, left, OUTPUT_MAX, &r);
    if (started < 0) {
        store_error(errp, "cannot run", TOOL, started);
        return false;
    }
    bool ok = r.exit_code == 0 && !r.truncated;
    if (ok && out)
        buf_add(out, r.out.data, r.out.size);
    if (!ok && (strstr(buf_str(&r.err), "No space left") || strstr(buf_str(&r.err), "NFS3ERR_NOSPC")))
        error_set(errp, ERR_SR_FULL, "0", "0", NULL);
    else if (!ok)
        error_set(errp, ERR_SR_BACKEND_FAILURE, TOOL, argv[0], r.timed_out ? "no end in time" : buf_str(&r.err), NULL);
    child_result_done(&r);
    return ok;
}

bool image_tool(const char *const argv[], bool copies, struct error **errp) {
    return run_tool(argv, copies ? COPY_TIMEOUT_MS : TOOL_TIMEOUT_MS, /* out= */ NULL, errp);
}

static bool parent_of(const json_t *info, char parent[static UUID_TEXT_SIZE]) {
    const char *file = json_string_value(json_object_get(info, "backing-filename"));
    struct uuid u;
    if (!file)
        return true;
    _cleanup_free_ char *name = xstrdup(file);
    char *dot = strrchr(name, '.');
    if (!dot || !str_eq(dot, ".qcow2"))
        return false;
    *dot = '\0';
    return uuid_parse(name, &u) && str_copy(parent, UUID_TEXT_SIZE, name);
}

bool image_info(const struct folder *f, const char *name, const char *path, const char *format, struct image_info *ret,
                struct error **errp) {
    _cleanup_buf_ struct buf out = BUF_INIT;
    struct image_info info = {0};
    struct folder_stat st;
    int r = f->ops->stat(f->at, name, &st);
    if (r < 0) {
        store_error(errp, "cannot look at", path, r);
        return false;
    }
    info.physical_size = st.physical_size;
    if (str_eq(format, "raw") || str_eq(format, "save")) {
        info.virtual_size = st.size;
        *ret = info;
        return true;
    }
    /* A running VM has the image locked; reading its head does no harm. */
    const char *const argv[] = {"info", "--force-share", "--output=json", "-f", format, path, NULL};
    if (!run_tool(argv, TOOL_TIMEOUT_MS, &out, errp))
        return false;
    json_t *json = json_loadb(out.data ? out.data : "", out.size, 0, NULL);
    info.virtual_size = json_integer_value(json_object_get(json, "virtual-size"));
    info.cluster_size = json_integer_value(json_object_get(json, "cluster-size"));
    bool ok = json_is_object(json) && info.virtual_size > 0 && info.virtual_size <= STORE_SIZE_MAX &&
              parent_of(json, info.parent);
    json_decref(json);
    if (!ok) {
        error_set(errp, ERR_SR_BACKEND_FAILURE, TOOL, path, "the image is damaged, or leads to a file elsewhere", NULL);
        return false;
    }
    *ret = info;
    return true;
}

bool image_create(const char *path, const char *format, int64_t size, const char *base, struct error **errp) {
    _cleanup_free_ char *text = strf("%lld", (long long)size);
    const char *plain[] = {"create", "-q", "-f", format, path, text, NULL};
    const char *on_base[] = {"create", "-q", "-f", format, "-F", "qcow2", "-b", base, path, text, NULL};
    return image_tool(base ? on_base : plain, /* copies= */ false, errp);
}

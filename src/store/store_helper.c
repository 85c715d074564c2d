/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The helper program's two ends. Storage over the network is looked after in a program of its own (muster-store), one
 * run per operation: a server that no longer answers then holds up a process that can be ended, not a thread of the
 * daemon, and the daemon has no NFS code in it. The request goes in as one line of JSON, the answer comes out as one.
 */
#include <errno.h>

#include "base/str.h"
#include "loop/child.h"
#include "model/model.h"
#include "store/store_message.h"
#include "store/store_private.h"

#define PROGRAM "muster-store"
#define ANSWER_MAX (16 << 20)

uint64_t store_deadline_ms(const char *op) {
    static const struct {
        const char *op;
        unsigned seconds;
    } slow[] = {{"vdi_copy", 65 * 60}, {"vdi_create", 90}, {"vdi_resize", 90}, {"vdi_fork", 100}, {"vdi_destroy", 60},
                {"scan", 100},         {"open", 60},       {"create", 40},     {"destroy", 40}};
    for (size_t i = 0; i < ARRAY_SIZE(slow); i++)
        if (str_eq(slow[i].op, op))
            return slow[i].seconds * UINT64_C(1000);
    return 15000;
}

static bool no_answer(const struct child_result *r, const char *place, uint64_t deadline_ms, struct error **errp) {
    if (r->start_error == ENOENT)
        error_set(errp, ERR_SR_BACKEND_FAILURE, "the program " PROGRAM " is not installed", place, "", NULL);
    else if (r->timed_out)
        error_setf(errp, ERR_SR_BACKEND_FAILURE, "the storage '%s' does not answer within %llu s", place,
                   (unsigned long long)(deadline_ms / 1000));
    else
        error_setf(errp, ERR_SR_BACKEND_FAILURE, PROGRAM " ended with code %d on '%s': %s", r->exit_code, place,
                   buf_str(&r->err));
    return false;
}

bool store_run_helper(const char *op, const struct value *args, struct value *ret, struct error **errp) {
    static const char *const argv[] = {PROGRAM, NULL};
    _cleanup_buf_ struct buf request = BUF_INIT;
    const char *place = str_or_empty(value_map_str(args, "path"));
    uint64_t deadline_ms = store_deadline_ms(op);
    struct child_result r;
    store_request_write(&request, op, args);
    int started = child_run_sync(argv, buf_str(&request), deadline_ms, ANSWER_MAX, &r);
    if (started < 0) {
        store_error(errp, "cannot run " PROGRAM " for", place, started);
        return false;
    }
    bool ok = r.exit_code == 0 && !r.truncated ? store_answer_read(buf_str(&r.out), r.out.size, ret, errp)
                                               : no_answer(&r, place, deadline_ms, errp);
    child_result_done(&r);
    return ok;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * muster-store: does one operation on storage of the network, or carries one stream (store_stream.h), and ends
 * (store_helper.c says why). Reads a request on its standard input, writes the answer on its standard output; 0 also
 * when the answer is an error.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/str.h"
#include "loop/child.h"
#include "store/store_board.h"
#include "store/store_iscsi.h"
#include "store/store_message.h"
#include "store/store_nfs.h"
#include "store/store_private.h"
#include "store/store_probe.h"
#include "store/store_stream.h"
#include "store/store_watch.h"

#define KEPT_MS 20000

static bool read_all(struct buf *out) {
    char block[65536];
    ssize_t n;
    while ((n = read(STDIN_FILENO, block, sizeof(block))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || out->size + (size_t)n > STORE_REQUEST_MAX)
            return false;
        buf_add(out, block, (size_t)n);
    }
    return true;
}

/*
 * Whoever has started this keeps the lease that it works under, and gives it back when it finds nobody who does: so
 * nothing goes on without it. `parent` is its process; it may have gone before this was said.
 */
static bool bind_to(int64_t parent) {
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && (parent == 0 || getppid() == (pid_t)parent);
}

/* What the tools of an operation may take together: the rest is for giving the lease back. */
static uint64_t tools_ms(const char *op) {
    uint64_t all = store_deadline_ms(op);
    return MAX(all * 3 / 4, all - MIN(all, (uint64_t)KEPT_MS));
}

static bool run(const char *op, const struct value *args, struct value *ret, struct error **errp) {
    if (!str_eq(op, "probe"))
        return store_run_here(op, args, ret, errp);
    struct value found = value_map();
    if (store_probe(args, &found, errp)) {
        *ret = found;
        return true;
    }
    value_done(&found);
    return false;
}

/* `muster-store stream`: the request is the same, the content goes through a descriptor of its own. */
static bool run_stream(const char *op, const struct value *args, struct value *ret, struct error **errp) {
    watch_stream(CHILD_DATA_FD);
    return store_stream_run(op, args, CHILD_DATA_FD, ret, errp);
}

int main(int argc, char **argv) {
    _cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT;
    _cleanup_value_ struct value args = {0}, result = {0};
    _cleanup_error_ struct error *e = NULL;
    _cleanup_free_ char *op = NULL;
    bool is_stream = argc == 2 && str_eq(argv[1], "stream");
    if (argc > 1 && !is_stream) {
        fprintf(stderr, "muster-store is started by musterd, which says on its standard input what it is to do.\n");
        return 2;
    }
    /* Nobody waits longer than this: a server that does not answer must not leave programs behind. */
    folder_set_far(nfs_folder_open, board_folder_open);
    bool ok = false;
    if (!read_all(&in))
        error_internal(&e, "the request is longer than %d bytes, or cannot be read", STORE_REQUEST_MAX);
    else if (store_request_read(buf_str(&in), in.size, &op, &args, &e)) {
        iscsi_set_initiator(value_map_str(&args, "initiator"));
        const struct value *parent = value_map_get(&args, "parent");
        if (!bind_to(parent ? value_as_int(parent) : 0))
            return 1;
        if (!is_stream) { /* a stream ends when musterd cuts it (store_watch.h) */
            (void)alarm((unsigned)(store_deadline_ms(op) / 1000) + 5);
            image_limit_tools(tools_ms(op));
        }
        ok = is_stream ? run_stream(op, &args, &result, &e) : run(op, &args, &result, &e);
    }
    store_answer_write(&out, ok ? &result : NULL, e);
    return fwrite(out.data, 1, out.size, stdout) == out.size && fflush(stdout) == 0 ? 0 : 1;
}

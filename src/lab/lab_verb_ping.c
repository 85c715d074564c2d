/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that ping in the background while a story changes something, and tell what was lost. */
#include "lab/lab_verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/str.h"
#include "lab/lab_monitor.h"
#include "lab/lab_ns.h"
#include "lab/lab_ping.h"

#define MAX_OUTPUT (64 * 1024 * 1024)
#define STOP_TIMEOUT_MS 5000

struct ping_options {
    const char *from, *to;
    int64_t interval_ms, seconds, size, max_lost;
};

static bool options_parse(struct ping_options *o, int argc, char **argv) {
    *o = (struct ping_options){.interval_ms = 10, .seconds = 600, .size = 56, .max_lost = -1};
    for (int i = 0; i < argc; i++) {
        bool more = i + 1 < argc;
        if (str_eq(argv[i], "--interval-ms") && more) {
            if (!str_parse_int(argv[++i], 2, 10000, &o->interval_ms))
                return false;
        } else if (str_eq(argv[i], "--seconds") && more) {
            if (!str_parse_int(argv[++i], 1, 86400, &o->seconds))
                return false;
        } else if (str_eq(argv[i], "--size") && more) {
            if (!str_parse_int(argv[++i], 16, 65000, &o->size))
                return false;
        } else if (str_eq(argv[i], "--max-lost") && more) {
            if (!str_parse_int(argv[++i], 0, 1000000, &o->max_lost))
                return false;
        } else if (!o->from) {
            o->from = argv[i];
        } else if (!o->to) {
            o->to = argv[i];
        } else {
            return false;
        }
    }
    return o->from && !strchr(o->from, '/') && (!o->to || !strpbrk(o->to, "/'"));
}

static const char *target_address(const struct lab *lab, const char *to) {
    const struct topo_host *h = topology_host(&lab->topo, to);
    return h                        ? h->address
           : str_eq(to, TOPO_DESK)  ? TOPO_DESK_ADDRESS
           : str_eq(to, TOPO_ARRAY) ? TOPO_ARRAY_ADDRESS
                                    : to;
}

static int node_run(const struct lab *lab, const char *node, const char *script, int out, bool detach,
                    struct error **errp) {
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct node n;
    struct ns_command c = {.argv = argv, .fds = {-1, out, out}, .detach = detach};
    _cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    c.fds[0] = null;
    if (!lab_node(lab, node, &n, errp) || !node_init(lab, node, &c.init, errp))
        return -1;
    return ns_exec(lab, &c, errp);
}

int verb_ping_start(const struct verb_context *c, int argc, char **argv) {
    _cleanup_error_ struct error *err = NULL;
    struct ping_options o;
    if (!options_parse(&o, argc, argv) || !o.to)
        return verb_misuse("ping-start", "Wrong arguments.");
    _cleanup_lab_ struct lab *lab = lab_open(c->dir, /* lock= */ false, &err);
    if (!lab)
        return verb_fail(err);
    _cleanup_free_ char *path = lab_path(lab, "run/ping-%s-%s.log", o.from, o.to);
    _cleanup_close_ int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (out < 0) {
        error_setf(&err, LAB_ERROR, "Cannot write '%s': %s", path, strerror(errno));
        return verb_fail(err);
    }
    _cleanup_free_ char *script =
        strf("echo $$ > '" LAB_RUN_DIR "/ping-%s.pid'; exec ping -n -D -i %d.%03d -w %d -s %d '%s'", o.to,
             (int)(o.interval_ms / 1000), (int)(o.interval_ms % 1000), (int)o.seconds, (int)o.size,
             target_address(lab, o.to));
    if (node_run(lab, o.from, script, out, /* detach= */ true, &err) != 0)
        return verb_fail(err);
    lab_say("%s pings %s every %d ms, for %d s at most", o.from, o.to, (int)o.interval_ms, (int)o.seconds);
    return 0;
}

/* ping writes its summary when it is interrupted, and is gone after that. */
static void ping_stop(const struct lab *lab, const struct ping_options *o) {
    _cleanup_error_ struct error *ignored = NULL;
    _cleanup_close_ int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    _cleanup_free_ char *script =
        strf("p=$(cat '" LAB_RUN_DIR "/ping-%s.pid') && kill -INT $p && timeout %d tail --pid=$p -s 0.05 -f /dev/null",
             o->to, STOP_TIMEOUT_MS / 1000);
    (void)node_run(lab, o->from, script, null, /* detach= */ false, &ignored);
}

/* The target of the ping that was started last from a node. */
static char *last_target(const struct lab *lab, const char *from) {
    _cleanup_free_ char *pattern = lab_path(lab, "run/ping-%s-*.log", from);
    size_t skip = strlen(lab->dir) + strlen("/run/ping--") + strlen(from);
    glob_t found = {0};
    char *target = NULL;
    struct timespec newest = {0};
    if (glob(pattern, 0, NULL, &found) != 0)
        return NULL;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct stat st;
        if (stat(found.gl_pathv[i], &st) < 0 || st.st_mtim.tv_sec < newest.tv_sec ||
            (st.st_mtim.tv_sec == newest.tv_sec && st.st_mtim.tv_nsec < newest.tv_nsec))
            continue;
        newest = st.st_mtim;
        free(target);
        const char *name = found.gl_pathv[i] + skip;
        target = xstrndup(name, strlen(name) - strlen(".log"));
    }
    globfree(&found);
    return target;
}

int verb_ping_report(const struct verb_context *c, int argc, char **argv) {
    _cleanup_error_ struct error *err = NULL;
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct ping_options o;
    struct ping_report r;
    if (!options_parse(&o, argc, argv))
        return verb_misuse("ping-report", "Wrong arguments.");
    _cleanup_lab_ struct lab *lab = lab_open(c->dir, /* lock= */ false, &err);
    if (!lab)
        return verb_fail(err);
    _cleanup_free_ char *target = o.to ? NULL : last_target(lab, o.from);
    if (!o.to)
        o.to = target;
    if (!o.to) {
        error_setf(&err, LAB_ERROR, "No ping was started from '%s'. Start one with: muster-lab ping-start %s TO",
                   o.from, o.from);
        return verb_fail(err);
    }
    ping_stop(lab, &o);
    _cleanup_free_ char *path = lab_path(lab, "run/ping-%s-%s.log", o.from, o.to);
    int got = fs_read(path, MAX_OUTPUT, &text);
    if (got < 0) {
        error_setf(&err, LAB_ERROR,
                   "There is no ping from '%s' to '%s' (%s). Start one with: muster-lab ping-start %s %s", o.from, o.to,
                   strerror(-got), o.from, o.to);
        return verb_fail(err);
    }
    ping_report_parse(buf_str(&text), &r);
    printf("sent=%u answered=%u lost=%u twice=%u longest_gap_ms=%u%s\n", r.sent, r.answered, r.lost, r.twice, r.gap_ms,
           r.complete ? "" : " (it did not come to its end)");
    if (o.max_lost >= 0 && (r.lost > o.max_lost || r.sent == 0)) {
        fprintf(stderr, "muster-lab: %u of %u pings were lost, at most %d may be.\n", r.lost, r.sent, (int)o.max_lost);
        return 1;
    }
    return 0;
}

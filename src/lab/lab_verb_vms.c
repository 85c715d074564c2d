/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the guests of a lab fare, seen from outside: the desk listens to their beats, and where each of them runs is read
 * off the processes of the hosts. Nothing is asked of the toolstack, which is what the stories break.
 */
#include "lab/lab_verbs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "lab/lab_beats.h"
#include "lab/lab_net.h"
#include "lab/lab_ns.h"
#include "lab/lab_switch.h"

#define BEATS_PORT 7000
#define BEATS_FILE "run/beats.log"
#define MAX_LOG (256 * 1024 * 1024) /* a day of 20 guests; the listener stops there */
#define MAX_PROCESSES 512
#define MAX_COMMAND (64 * 1024)

/* ---- listening ---- */

static void stamp(struct msghdr *m, struct timespec *ret) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS)
            memcpy(ret, CMSG_DATA(c), sizeof(*ret));
    }
}

/* The moment is the kernel's: a listener that had to wait for a processor must not look like a guest that did. */
static _noreturn_ void listen_to_beats(int s, int log) {
    size_t written = 0;
    while (written < MAX_LOG) {
        char data[256], name[32], address[INET_ADDRSTRLEN], control[256], line[160];
        struct sockaddr_in from = {0};
        struct iovec part = {.iov_base = data, .iov_len = sizeof(data)};
        struct msghdr m = {.msg_name = &from,
                           .msg_namelen = sizeof(from),
                           .msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof(control)};
        struct timespec when;
        unsigned long beat, wrong;
        ssize_t n = recvmsg(s, &m, 0);
        if (n < 0 && errno != EINTR)
            _exit(1);
        if (n < 0 || !beats_parse_packet(data, (size_t)n, &beat, &wrong, name))
            continue;
        clock_gettime(CLOCK_REALTIME, &when);
        stamp(&m, &when);
        inet_ntop(AF_INET, &from.sin_addr, address, sizeof(address));
        int len = snprintf(line, sizeof(line), "%lld.%03ld %s %s %lu %lu\n", (long long)when.tv_sec,
                           when.tv_nsec / 1000000, address, name[0] ? name : address, beat, wrong);
        if (write(log, line, (size_t)len) != len)
            _exit(1);
        written += (size_t)len;
    }
    _exit(0);
}

/* A socket at the desk; we stay in the desk's namespace, by which `down` finds who listens. */
static int desk_socket(const struct lab *lab, struct error **errp) {
    _cleanup_free_ char *ns = lab_netns(lab, TOPO_DESK);
    _cleanup_close_ int home = netns_enter(ns, errp);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(BEATS_PORT)};
    int s = home >= 0 ? socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    if (home < 0)
        return -1;
    int yes = 1;
    if (s >= 0 && setsockopt(s, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof(yes)) == 0 &&
        bind(s, (struct sockaddr *)&at, sizeof(at)) == 0)
        return s;
    error_setf(errp, LAB_ERROR,
               errno == EADDRINUSE ? "The desk listens already." : "The desk cannot listen to beats: %s",
               strerror(errno));
    if (s >= 0)
        close(s);
    netns_return(home);
    return -1;
}

/* The desk gets a NIC of its own for each VLAN, at an untagged port, which carries large frames. */
static bool plug_vlan(const struct lab *lab, int vlan, struct error **errp) {
    _cleanup_free_ char *nic = strf("vlan%d", vlan);
    _cleanup_free_ char *port = strf("%s-v%d", TOPO_DESK, vlan);
    _cleanup_free_ char *address = strf("10.77.%d.1", vlan);
    return net_plug_desk(lab, nic, port, address, errp) && switch_add_access_port(lab, 0, port, (unsigned)vlan, errp);
}

static int listen_verb(const struct verb_context *c, int argc, char **argv) {
    _cleanup_error_ struct error *err = NULL;
    int64_t vlans[16];
    if (argc > (int)ARRAY_SIZE(vlans))
        return verb_misuse("vms", "At most 16 VLANs.");
    for (int i = 0; i < argc; i++) {
        if (!str_parse_int(argv[i], 1, 254, &vlans[i]))
            return verb_misuse("vms", "A VLAN is a number from 1 to 254: its guests have 10.77.VLAN.0/24.");
    }
    _cleanup_lab_ struct lab *lab = lab_open(c->dir, /* lock= */ true, &err);
    if (!lab)
        return verb_fail(err);
    for (int i = 0; i < argc; i++) {
        if (!plug_vlan(lab, (int)vlans[i], &err))
            return verb_fail(err);
    }
    _cleanup_free_ char *path = lab_path(lab, BEATS_FILE);
    _cleanup_close_ int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    _cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (log < 0 || null < 0) {
        error_setf(&err, LAB_ERROR, "Cannot write '%s': %s", path, strerror(errno));
        return verb_fail(err);
    }
    _cleanup_close_ int s = desk_socket(lab, &err);
    if (s < 0)
        return verb_fail(err);
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        error_setf(&err, LAB_ERROR, "Cannot fork: %s", strerror(errno));
        return verb_fail(err);
    }
    if (child == 0) {
        setsid();
        signal(SIGTERM, SIG_DFL);
        signal(SIGINT, SIG_DFL);
        for (int i = 0; i < 3; i++)
            dup2(null, i);
        if (lab->lock_fd >= 0)
            close(lab->lock_fd);
        if (chdir("/") < 0)
            _exit(1);
        listen_to_beats(s, log);
    }
    lab_say("the desk listens to beats of guests on port %d", BEATS_PORT);
    return 0;
}

/* ---- where they run ---- */

/* The command line of an emulator holds the one of its guest's kernel, and that the guest's address: "... ip=ADDRESS".
 */
static bool runs_guest(pid_t pid, const char *word) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_free_ char *path = strf("/proc/%d/cmdline", (int)pid);
    if (fs_read(path, MAX_COMMAND, &text) < 0 || text.size == 0 || !strstr(buf_str(&text), "qemu-system"))
        return false;
    size_t len = strlen(word);
    for (size_t at = 0; at < text.size; at += strlen(text.data + at) + 1) {
        for (const char *p = text.data + at; (p = strstr(p, word)); p += len) {
            if ((p == text.data + at || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0'))
                return true;
        }
    }
    return false;
}

/* "h1", "h1,h2" while it moves, "-" when it runs nowhere. */
static void places(const struct lab *lab, const char *address, struct buf *out) {
    _cleanup_free_ char *word = strf("ip=%s", address);
    struct proc_id *found = xcalloc(MAX_PROCESSES, sizeof(*found));
    bool any = false;
    for (unsigned i = 0; i < lab->topo.n_hosts; i++) {
        _cleanup_free_ char *ns = lab_netns(lab, lab->topo.hosts[i].name);
        struct stat st;
        uint64_t inode = stat(ns, &st) == 0 ? st.st_ino : 0;
        size_t n = inode ? proc_find_members("", &inode, 1, found, MAX_PROCESSES) : 0;
        for (size_t k = 0; k < n; k++) {
            if (!runs_guest(found[k].pid, word))
                continue;
            buf_addf(out, "%s%s", any ? "," : "", lab->topo.hosts[i].name);
            any = true;
        }
    }
    if (!any)
        buf_add_str(out, "-");
    free(found);
}

/* ---- telling ---- */

struct limits {
    double since;
    int64_t gap_ms, lost; /* -1: none */
    char **guests;        /* those who are meant; none: all */
    int n_guests;
    bool check; /* a limit was given: blocks may not be wrong either */
};

static bool is_meant(const struct limits *l, const char *name) {
    for (int i = 0; i < l->n_guests; i++) {
        if (str_eq(l->guests[i], name))
            return true;
    }
    return l->n_guests == 0;
}

static bool is_within(const struct limits *l, const struct beats_guest *g) {
    if (!l->check)
        return true;
    bool ok = g->received > 0 && g->wrong == 0 && (l->gap_ms < 0 || g->gap_ms <= l->gap_ms) &&
              (l->lost < 0 || g->lost <= l->lost);
    if (!ok)
        fprintf(stderr, "muster-lab: guest %s: %u beats, %u lost, longest gap %u ms, %u blocks wrong\n", g->name,
                g->received, g->lost, g->gap_ms, g->wrong);
    return ok;
}

static bool limits_parse(struct limits *l, int argc, char **argv) {
    *l = (struct limits){.gap_ms = -1, .lost = -1, .guests = argv};
    for (int i = 0; i < argc; i++) {
        bool more = i + 1 < argc;
        char *end;
        if (str_eq(argv[i], "--since") && more) {
            l->since = strtod(argv[++i], &end);
            if (*end || end == argv[i] || !(l->since >= 0 && l->since < 1e11))
                return false;
        } else if (str_eq(argv[i], "--max-gap") && more) {
            if (!str_parse_int(argv[++i], 0, 86400000, &l->gap_ms))
                return false;
        } else if (str_eq(argv[i], "--max-lost") && more) {
            if (!str_parse_int(argv[++i], 0, 1000000000, &l->lost))
                return false;
        } else if (argv[i][0] == '-') {
            return false;
        } else {
            argv[l->n_guests++] = argv[i];
        }
    }
    l->check = l->gap_ms >= 0 || l->lost >= 0;
    return true;
}

static bool tell(const struct lab *lab, const struct limits *l, const struct beats_report *r) {
    bool ok = true;
    int told = 0;
    printf("%-12s %-14s %-8s %8s %6s %7s %10s %10s %6s\n", "guest", "address", "on", "beats", "lost", "starts",
           "gap/ms", "silent/ms", "wrong");
    for (unsigned i = 0; i < r->n; i++) {
        const struct beats_guest *g = &r->guests[i];
        _cleanup_buf_ struct buf where = BUF_INIT;
        if (!is_meant(l, g->name))
            continue;
        told++;
        places(lab, g->address, &where);
        printf("%-12s %-14s %-8s %8u %6u %7u %10u %10u %6u\n", g->name, g->address, buf_str(&where), g->received,
               g->lost, g->starts, g->gap_ms, g->silent_ms, g->wrong);
        ok &= is_within(l, g);
    }
    fflush(stdout);
    if (told < l->n_guests || (told == 0 && l->check)) {
        fprintf(stderr, "muster-lab: %d guests are meant, %d were ever heard.\n", MAX(l->n_guests, 1), told);
        return false;
    }
    return ok;
}

int verb_vms(const struct verb_context *c, int argc, char **argv) {
    _cleanup_error_ struct error *err = NULL;
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct limits l;
    if (argc > 0 && str_eq(argv[0], "listen"))
        return listen_verb(c, argc - 1, argv + 1);
    if (!limits_parse(&l, argc, argv))
        return verb_misuse("vms", "Wrong arguments.");
    _cleanup_lab_ struct lab *lab = lab_open(c->dir, /* lock= */ false, &err);
    if (!lab)
        return verb_fail(err);
    _cleanup_free_ char *path = lab_path(lab, BEATS_FILE);
    int got = fs_read(path, MAX_LOG * 2, &text);
    if (got < 0) {
        error_setf(&err, LAB_ERROR,
                   got == -ENOENT ? "Nobody listens to beats. Start with: muster-lab vms listen [VLAN...]"
                                  : "Cannot read the beats: %s",
                   strerror(-got));
        return verb_fail(err);
    }
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    struct beats_report *r = xcalloc(1, sizeof(*r));
    beats_parse(buf_str(&text), l.since, (double)t.tv_sec + (double)t.tv_nsec / 1e9, r);
    bool ok = tell(lab, &l, r);
    free(r);
    return ok ? 0 : 1;
}

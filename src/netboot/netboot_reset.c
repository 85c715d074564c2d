/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The emergency network reset: one NIC, nothing else. At once through the checkpoint (`reset`), or at the next boot by
 * a trigger file, as XenServer's xe-reset-networking has it.
 */
#define LOG_MODULE "netboot"
#include "netboot/netboot_change.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "loop/child.h"
#include "net/net_reset.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define REBOOT_MS 10000

enum { OPT_AT_BOOT = 700, OPT_YES, OPT_NO_REBOOT, OPT_HELP };

static const struct option options[] = {{"device", required_argument, NULL, NET_RESET_DEVICE},
                                        {"mode", required_argument, NULL, NET_RESET_MODE},
                                        {"ip", required_argument, NULL, NET_RESET_IP},
                                        {"netmask", required_argument, NULL, NET_RESET_NETMASK},
                                        {"gateway", required_argument, NULL, NET_RESET_GATEWAY},
                                        {"dns", required_argument, NULL, NET_RESET_DNS},
                                        {"vlan", required_argument, NULL, NET_RESET_VLAN},
                                        {"mtu", required_argument, NULL, NET_RESET_MTU},
                                        {"mode-v6", required_argument, NULL, NET_RESET_MODE_V6},
                                        {"ipv6", required_argument, NULL, NET_RESET_IPV6},
                                        {"gateway-v6", required_argument, NULL, NET_RESET_GATEWAY_V6},
                                        {"master", required_argument, NULL, NET_RESET_MASTER},
                                        {"at-boot", no_argument, NULL, OPT_AT_BOOT},
                                        {"yes", no_argument, NULL, OPT_YES},
                                        {"no-reboot", no_argument, NULL, OPT_NO_REBOOT},
                                        {"help", no_argument, NULL, OPT_HELP},
                                        NETBOOT_CHANGE_OPTIONS,
                                        {0}};

static const char xe_help[] =
    "Usage: xe-reset-networking [OPTIONS]\n"
    "Sets this host's network up anew at its next boot, which it begins: management on one NIC, nothing else. What "
    "the\n"
    "pool wants of the host (bonds, VLANs) stays recorded; see muster-netboot(8) for repairs that keep it in force.\n"
    "\n"
    "  -m, --master=ADDRESS   of the pool's coordinator, for a member that is to find it elsewhere\n"
    "  --device=NIC           that is to carry management; default: the one that does now\n"
    "  --mode=dhcp|static     default dhcp, or static with --ip\n"
    "  --ip= --netmask= --gateway= --dns=ADDRESS[,ADDRESS]\n"
    "  --vlan=TAG             management in a VLAN\n"
    "  --mode-v6=dhcp|autoconf|static|none --ipv6=ADDRESS/LENGTH --gateway-v6=\n"
    "  --mtu=N                default 1500\n"
    "  --yes                  ask nothing\n"
    "  --no-reboot            leave the restart to you\n";

struct request {
    struct net_reset_words words;
    bool at_boot, yes, no_reboot;
};

static void request_done(struct request *q) {
    net_reset_words_done(&q->words);
}

/* -1: go on; else the exit code. */
static int parse(struct netboot_change *c, int argc, char *const argv[], struct request *q) {
    struct error *e = NULL;
    optind = 0; /* a new vector, from its start */
    for (int opt; !e && (opt = getopt_long(argc, argv, "+m:", options, NULL)) != -1;) {
        if (opt >= 0 && opt < N_NET_RESET_WORDS)
            net_reset_words_set(&q->words, (enum net_reset_word)opt, optarg);
        else if (opt == 'm')
            net_reset_words_set(&q->words, NET_RESET_MASTER, optarg);
        else if (opt == OPT_AT_BOOT)
            q->at_boot = true;
        else if (opt == OPT_YES)
            q->yes = true;
        else if (opt == OPT_NO_REBOOT)
            q->no_reboot = true;
        else if (opt == OPT_HELP) {
            printf("%s", xe_help);
            return NETBOOT_OK;
        } else if (!netboot_change_option(c, opt, optarg, &e))
            error_internal(&e, "see --help for the arguments");
    }
    if (!e && optind < argc)
        error_internal(&e, "'%s' is too much; arguments are written --NAME=VALUE, see --help", argv[optind]);
    return e ? netboot_complain(e, NETBOOT_USAGE) : -1;
}

/* The NIC that carries management now, when none is named. */
static void default_device(const struct net_config *good, struct net_reset_words *w) {
    const struct net_bridge *m = good ? net_config_management(good) : NULL, *base = m ? net_config_base(good, m) : NULL;
    if (base && base->n_legs && !w->text[NET_RESET_DEVICE])
        net_reset_words_set(w, NET_RESET_DEVICE, net_bridge_primary_leg(base));
}

/* The network that it gives this host, checked in full. NULL with an error. */
static struct net_config *reset_config(const struct net_config *base, const struct net_config *good,
                                       const struct net_reset_words *words, char **ret_words, struct error **errp) {
    _cleanup_net_repair_ struct net_repair r = {0};
    if (!net_reset_build(words, &r.reset, errp))
        return NULL;
    _cleanup_net_config_ struct net_config *target = net_config_copy(base);
    if (!net_repair_apply(&r, target, errp))
        return NULL;
    netboot_repair_sign(&r);
    *ret_words = net_repair_words(&r);
    netboot_repair_mark(target, good, &r);
    char host[256] = "";
    if (!target->host_name && gethostname(host, sizeof host - 1) == 0)
        net_config_set_host_name(target, host);
    net_config_set_provenance(target, "emergency network reset");
    return TAKE(target);
}

/* ---- the trigger ---- */

static char *trigger_path(const struct netboot *n) {
    return strf("%s/../network-reset", n->net_dir);
}

static char *master_path(const struct netboot *n) {
    return strf("%s/master", n->net_dir);
}

static bool ask(const char *words) {
    char line[64] = "";
    printf("This host's network will be: %s.\n"
           "It restarts now; its VMs stop. Bonds and VLANs are not set up until the pool's own network is taken back "
           "with: xe host-network-repair-withdraw\n"
           "Type 'yes' to go on.\n",
           words);
    fflush(stdout);
    return fgets(line, sizeof(line), stdin) && (str_eq(line, "yes\n") || str_eq(line, "yes"));
}

static int reboot(void) {
    const char *const argv[] = {"reboot", NULL};
    struct child_result r = {0};
    int failed = child_run_sync(argv, NULL, REBOOT_MS, 4096, &r);
    if (failed == 0 && (r.start_error || r.exit_code))
        failed = r.start_error ? -r.start_error : -EIO;
    child_result_done(&r);
    if (failed)
        fprintf(stderr, "the restart could not be begun (%s); restart the host yourself\n", strerror(-failed));
    return failed ? NETBOOT_FAILED : NETBOOT_OK;
}

static int at_boot(struct netboot_change *c, struct request *q, const char *words) {
    _cleanup_free_ char *path = trigger_path(c->netboot), *text = net_reset_words_text(&q->words);
    if (c->dry_run) {
        printf("at the next boot: %s\n", words);
        return NETBOOT_OK;
    }
    if (!q->yes && !ask(words)) {
        fprintf(stderr, "nothing was changed\n");
        return NETBOOT_FAILED;
    }
    int r = fs_write_atomic(path, text, strlen(text), 0600);
    if (r < 0) {
        fprintf(stderr, "'%s' cannot be written: %s\n", path, strerror(-r));
        return NETBOOT_FAILED;
    }
    printf("at the next boot: %s\n", words);
    fflush(stdout);
    return q->no_reboot ? NETBOOT_OK : reboot();
}

/* A trigger is obeyed when nobody but root can have written it: XenServer's lies in a folder open to all. */
static int read_trigger(const char *path, struct buf *ret) {
    struct stat st;
    char text[NET_RESET_MAX_SIZE + 1];
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & 022) || st.st_nlink != 1)
        return -EPERM;
    ssize_t n = read(fd, text, sizeof(text));
    if (n < 0)
        return -errno;
    if (n > NET_RESET_MAX_SIZE)
        return -EFBIG;
    buf_add(ret, text, (size_t)n);
    return 0;
}

static char *find_trigger(const struct netboot *n, struct buf *text, char **ret_refused) {
    static const char *const foreign[] = {"/tmp/network-reset", "/var/tmp/network-reset"};
    for (unsigned i = 0; i <= ARRAY_SIZE(foreign); i++) {
        char *path = i ? xstrdup(foreign[i - 1]) : trigger_path(n);
        int r = read_trigger(path, text);
        if (r == 0)
            return path;
        if (r != -ENOENT && r != -ENOTDIR && !*ret_refused)
            *ret_refused =
                strf("'%s' is not obeyed: %s", path,
                     r == -EPERM || r == -ELOOP ? "root alone must own it and be able to write it" : strerror(-r));
        free(path);
    }
    return NULL;
}

bool netboot_trigger_is_there(const struct netboot *n) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_free_ char *refused = NULL;
    _cleanup_free_ char *path = find_trigger(n, &text, &refused);
    return path != NULL;
}

/* What the network would be after it; nothing is written. */
static struct net_config *read_reset(struct netboot *n, const struct buf *text, struct net_reset_words *words,
                                     char **ret_words, struct error **errp) {
    struct net_problems ignored = {0};
    enum net_store_source source;
    struct error *none = NULL;
    if (!net_reset_words_parse(buf_str(text), text->size, words, errp))
        return NULL;
    _cleanup_net_observed_ struct net_observed *is = netboot_observe(n, errp);
    if (!is)
        return NULL;
    _cleanup_net_config_ struct net_config *good = net_store_load(n->net_dir, &source, &ignored, &none);
    error_free(none);
    net_problems_done(&ignored);
    _cleanup_net_config_ struct net_config *base = good ? net_config_copy(good) : net_config_new();
    netboot_add_nics(base, is);
    default_device(good, words);
    return reset_config(base, good, words, ret_words, errp);
}

static bool obey(struct netboot *n, const struct buf *text, char **ret_words, struct error **errp) {
    _cleanup_net_reset_words_ struct net_reset_words words = {0};
    _cleanup_net_config_ struct net_config *target = read_reset(n, text, &words, ret_words, errp);
    if (!target)
        return false;
    if (words.text[NET_RESET_MASTER]) {
        _cleanup_free_ char *path = master_path(n);
        int r = fs_write_atomic(path, words.text[NET_RESET_MASTER], strlen(words.text[NET_RESET_MASTER]), 0600);
        if (r < 0) {
            error_errno(errp, r, "cannot write '%s'", path);
            return false;
        }
    }
    return net_store_commit(n->net_dir, target, errp) && net_store_clear_pending(n->net_dir, errp) &&
           net_store_clear_refused(n->net_dir, errp);
}

void netboot_foresee_trigger(struct netboot *n, struct netboot_trigger *ret) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_net_reset_words_ struct net_reset_words words = {0};
    struct error *e = NULL;
    *ret = (struct netboot_trigger){0};
    ret->path = find_trigger(n, &text, &ret->problem);
    if (!ret->path)
        return;
    free(TAKE(ret->problem)); /* of another one, which is not looked at then */
    _cleanup_net_config_ struct net_config *target = read_reset(n, &text, &words, &ret->words, &e);
    if (!target)
        ret->problem = strf("the network reset that '%s' asks for is not done: %s", ret->path,
                            error_n_params(e) ? error_param(e, 0) : error_text(e));
    error_free(e);
}

void netboot_trigger_done(struct netboot_trigger *t) {
    free(t->path);
    free(t->words);
    free(t->problem);
    *t = (struct netboot_trigger){0};
}

char *netboot_take_trigger(struct netboot *n) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_free_ char *refused = NULL, *words = NULL;
    _cleanup_free_ char *path = find_trigger(n, &text, &refused);
    struct error *e = NULL;
    if (!path)
        return TAKE(refused);
    if (obey(n, &text, &words, &e)) {
        log_notice("the network is set up anew, as '%s' says: %s", path, words);
        int r = fs_unlink(path); /* done once more by the next boot if this fails: the same comes of it */
        if (r < 0)
            log_warn("cannot remove '%s': %s", path, strerror(-r));
        return NULL;
    }
    char *problem = strf("the network reset that '%s' asks for is not done: %s", path,
                         error_n_params(e) ? error_param(e, 0) : error_text(e));
    error_free(e);
    _cleanup_free_ char *aside = strf("%s.refused", path);
    int r = fs_rename(path, aside);
    (void)r; /* then it is refused at the next boot as well */
    return problem;
}

/* ---- the command ---- */

int netboot_reset(struct netboot *n, int argc, char *const argv[], bool is_xe) {
    struct netboot_change c = {.netboot = n, .lock = -1, .seconds = NETBOOT_CHANGE_SECONDS};
    _cleanup_(request_done) struct request q = {.at_boot = is_xe};
    _cleanup_net_config_ struct net_config *target = NULL, *base = NULL;
    _cleanup_free_ char *words = NULL;
    struct error *e = NULL;
    int code = parse(&c, argc, argv, &q);
    if (code >= 0)
        return code;
    if (!q.at_boot && q.words.text[NET_RESET_MASTER])
        error_internal(&e, "--master is for a reset at the next boot; add --at-boot, or use 'xe "
                           "pool-emergency-reset-master' on the running host");
    else if (netboot_change_begin(&c, &e)) {
        base = netboot_change_base(&c);
        default_device(c.good, &q.words);
        target = reset_config(base, c.good, &q.words, &words, &e);
    }
    if (!target)
        code = netboot_complain(e, NETBOOT_USAGE);
    else
        code = q.at_boot ? at_boot(&c, &q, words) : netboot_change_run(&c, target, words);
    netboot_change_done(&c);
    return code;
}

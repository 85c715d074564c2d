/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_MODULE "netboot"
#include "netboot/netboot.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "netboot/netboot_rehearse.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static const char help[] =
    "Usage: muster-netboot [OPTIONS] COMMAND [ARGUMENTS]\n"
    "Builds this host's network from its own disk, before any agent runs.\n"
    "\n"
    "Commands:\n"
    "  boot              before ovs-vswitchd: write the network into the switch's database, bring NICs up\n"
    "  verify            after ovs-vswitchd: read back, heal, set addresses and locked routes, report\n"
    "  init ARGUMENTS    write the first network: --device NIC[,NIC...]\n"
    "                    [--bond-mode active-backup|balance-slb|lacp] [--mode static|dhcp|none|adopt]\n"
    "                    [--ip ADDRESS[/N]] [--netmask MASK] [--gateway ADDRESS] [--dns ADDRESS[,ADDRESS]] [--vlan "
    "TAG] [--mtu N]\n"
    "                    [--datapath system|netdev] [--control-size N]\n"
    "  adopt             the same as init --mode adopt, the device being the one with the default route\n"
    "  repair WHAT       change one thing, keep bonds and VLANs; without daemon and pool, taken back unless it is "
    "proven:\n"
    "                    --set-mtu N, --drop-leg NIC, --management-on NIC (also together), or --last-proven\n"
    "                    [--probe ADDRESS] [--no-proof] [--confirm] [--seconds N] [--dry-run]\n"
    "  reset ARGUMENTS   management on one NIC, nothing else, by the same checkpoint: --device NIC --mode dhcp|static\n"
    "                    [--ip] [--netmask] [--gateway] [--dns] [--vlan] [--mtu] [--mode-v6] [--ipv6] [--gateway-v6]\n"
    "                    [--at-boot [--master ADDRESS] [--yes] [--no-reboot]], which xe-reset-networking does\n"
    "  rollback          make the previous network the last known good again (the next boot uses it)\n"
    "  rehearse [--json] [--model-only]  play the next boot from the disk and say what would come out otherwise than "
    "it "
    "is now\n"
    "  plan [FILE]       say what would be done to get there; changes nothing\n"
    "  show              print the last known good network\n"
    "  check [FILE]      check the last known good network, or FILE\n"
    "  dhcp-event EVENT  for the DHCP client\n"
    "\n"
    "Options:\n"
    "  --state-dir DIR   default /var/lib/muster (MUSTER_STATE_DIR)\n"
    "  --run-dir DIR     default /run/muster (MUSTER_RUN_DIR)\n"
    "  --switch-dir DIR  where the switch's sockets are, default /run/openvswitch\n"
    "  --resolv-conf FILE  default /etc/resolv.conf\n"
    "  --timeout MS      how long to wait for the switch, default 10000\n"
    "  --quiet           only warnings\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 done, 1 a step failed, 2 wrong arguments, 3 no usable configuration. See muster-netboot(8).\n";

bool netboot_open(struct netboot *n, bool need_switch, struct error **errp) {
    int r = n->link ? 0 : link_kernel_open(&n->link);
    if (r < 0) {
        error_errno(errp, r, "cannot talk to the kernel");
        return false;
    }
    struct error *e = NULL;
    if (!n->ovs)
        n->ovs = ovs_db_open(n->switch_dir, need_switch ? n->switch_timeout_ms : 0, &e);
    if (n->ovs || !need_switch) {
        error_free(e);
        return true;
    }
    error_propagate(errp, e);
    return false;
}

struct net_observe_from netboot_observe_from(const struct netboot *n) {
    return (struct net_observe_from){
        .link = n->link, .ovs = n->ovs, .lease_dir = n->net_dir, .run_dir = n->run_dir, .resolv_conf = n->resolv_conf};
}

struct net_observed *netboot_observe(struct netboot *n, struct error **errp) {
    struct net_observe_from from = netboot_observe_from(n);
    return net_observe(&from, errp);
}

static int fail(struct error *e, int code) {
    log_err("%s", error_text(e));
    error_free(e);
    return code;
}

/* The configuration in `file`, or the last known good. */
static struct net_config *load(struct netboot *n, const char *file, struct error **errp) {
    if (!file) {
        enum net_store_source source;
        struct net_problems problems = {0};
        struct net_config *c = net_store_load(n->net_dir, &source, &problems, errp);
        for (size_t i = 0; i < problems.n; i++) {
            _cleanup_free_ char *line = net_problem_line(&problems.items[i]);
            log_warn("%s", line);
        }
        net_problems_done(&problems);
        return c;
    }
    _cleanup_buf_ struct buf text = BUF_INIT;
    int r = fs_read(file, NET_CONFIG_MAX_SIZE, &text);
    if (r < 0) {
        error_errno(errp, r, "cannot read '%s'", file);
        return NULL;
    }
    struct net_config *c = net_config_from_json(text.data ? text.data : "", text.size, errp);
    if (c && net_config_validate(c, errp))
        return c;
    net_config_free(c);
    return NULL;
}

static int command_check(struct netboot *n, const char *file) {
    struct error *e = NULL;
    _cleanup_net_config_ struct net_config *c = load(n, file, &e);
    if (!c)
        return fail(e, NETBOOT_NO_CONFIG);
    char hash[NET_HASH_TEXT_SIZE];
    net_config_hash(c, hash);
    printf("valid: generation %llu, hash %s, %u bridges, management on %s\n", (unsigned long long)c->generation, hash,
           c->n_bridges, c->management[0] ? c->management : "nothing");
    return NETBOOT_OK;
}

static int command_show(struct netboot *n) {
    struct error *e = NULL;
    _cleanup_net_config_ struct net_config *c = load(n, NULL, &e);
    if (!c)
        return fail(e, NETBOOT_NO_CONFIG);
    _cleanup_free_ char *text = net_config_to_json(c);
    printf("%s", text);
    return NETBOOT_OK;
}

static int command_plan(struct netboot *n, const char *file) {
    struct error *e = NULL;
    _cleanup_net_config_ struct net_config *c = load(n, file, &e);
    if (!c)
        return fail(e, NETBOOT_NO_CONFIG);
    if (!netboot_open(n, /* need_switch= */ false, &e))
        return fail(e, NETBOOT_FAILED);
    _cleanup_net_observed_ struct net_observed *is = netboot_observe(n, &e);
    if (!is)
        return fail(e, NETBOOT_FAILED);
    _cleanup_net_plan_ struct net_plan plan = {0};
    struct net_plan_options options = {.mode = is->switch_running ? NET_PLAN_LIVE : NET_PLAN_BOOT};
    if (!net_plan_compute(c, is, &options, &plan, &e))
        return fail(e, NETBOOT_NO_CONFIG);
    _cleanup_free_ char *text = net_plan_text(&plan);
    printf("%s", text);
    return NETBOOT_OK;
}

/* The configuration before the present one becomes last known good; the present one is kept as the previous. */
static int command_rollback(struct netboot *n) {
    struct error *e = NULL;
    _cleanup_free_ char *path = strf("%s/good.prev.json", n->net_dir);
    _cleanup_net_config_ struct net_config *c = load(n, path, &e);
    if (!c)
        return fail(e, NETBOOT_NO_CONFIG);
    if (!net_store_commit(n->net_dir, c, &e) || !net_store_clear_pending(n->net_dir, &e))
        return fail(e, NETBOOT_FAILED);
    printf("generation %llu is the previous network; 'muster-netboot boot' or a restart puts it to work\n",
           (unsigned long long)c->generation);
    return NETBOOT_OK;
}

int netboot_dhcp_event(struct netboot *n, const char *event) {
    struct error *e = NULL;
    int r = link_kernel_open(&n->link);
    if (r < 0)
        error_errno(&e, r, "cannot talk to the kernel");
    int64_t size;
    const char *text = getenv("MUSTER_CONTROL_SIZE");
    n->services.control_size = text && str_parse_int(text, 0, NET_MTU_MAX, &size) ? (int)size : 0;
    if (r == 0 && net_dhcp_event(&n->services, n->link, event, &e))
        return NETBOOT_OK;
    return fail(e, NETBOOT_FAILED);
}

static int run(struct netboot *n, int argc, char *argv[]) {
    const char *command = argv[0];
    const char *file = argc > 1 ? argv[1] : NULL;
    if (str_eq(command, "boot") && argc == 1)
        return netboot_boot(n);
    if (str_eq(command, "verify") && argc == 1)
        return netboot_verify(n);
    if (str_eq(command, "init") || str_eq(command, "adopt"))
        return netboot_init(n, argc, argv);
    if (str_eq(command, "repair"))
        return netboot_repair(n, argc, argv);
    if (str_eq(command, "reset") || str_eq(command, "xe-reset-networking"))
        return netboot_reset(n, argc, argv, str_eq(command, "xe-reset-networking"));
    if (str_eq(command, "rollback") && argc == 1)
        return command_rollback(n);
    if (str_eq(command, "show") && argc == 1)
        return command_show(n);
    if (str_eq(command, "check") && argc <= 2)
        return command_check(n, file);
    if (str_eq(command, "rehearse"))
        return netboot_rehearse(n, argc, argv);
    if (str_eq(command, "rehearse-inside") && argc == 2) /* what rehearse starts in the namespaces */
        return netboot_scratch_inside(n, argv[1]);
    if (str_eq(command, "plan") && argc <= 2)
        return command_plan(n, file);
    if (str_eq(command, "dhcp-event") && argc >= 2)
        return netboot_dhcp_event(n, argv[1]);
    fprintf(stderr, "muster-netboot: '%s' is not a command or has too many arguments; see --help\n", command);
    return NETBOOT_USAGE;
}

static char *env_or(const char *name, const char *fallback) {
    const char *v = getenv(name);
    return xstrdup(str_empty(v) ? fallback : v);
}

static void set(char **dst, const char *value) {
    free(*dst);
    *dst = xstrdup(value);
}

static void done(struct netboot *n) {
    link_free(n->link);
    ovs_free(n->ovs);
    free(n->net_dir);
    free(n->run_dir);
    free(n->switch_dir);
    free(n->resolv_conf);
    free(n->program);
}

/* What the DHCP client starts is this program under another name, with the event as its only argument; and so is
 * xe-reset-networking. */
static bool is_called(const char *argv0, const char *name) {
    const char *slash = strrchr(argv0, '/');
    return str_eq(slash ? slash + 1 : argv0, name);
}

static char *own_path(void) {
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    return n > 0 ? xstrndup(path, (size_t)n) : xstrdup("muster-netboot");
}

enum { OPT_STATE_DIR = 256, OPT_RUN_DIR, OPT_SWITCH_DIR, OPT_RESOLV, OPT_TIMEOUT, OPT_QUIET, OPT_HELP, OPT_VERSION };

static const struct option options[] = {{"state-dir", required_argument, NULL, OPT_STATE_DIR},
                                        {"run-dir", required_argument, NULL, OPT_RUN_DIR},
                                        {"switch-dir", required_argument, NULL, OPT_SWITCH_DIR},
                                        {"resolv-conf", required_argument, NULL, OPT_RESOLV},
                                        {"timeout", required_argument, NULL, OPT_TIMEOUT},
                                        {"quiet", no_argument, NULL, OPT_QUIET},
                                        {"help", no_argument, NULL, OPT_HELP},
                                        {"version", no_argument, NULL, OPT_VERSION},
                                        {0}};

/* -1: go on; else the exit code. */
static int parse_options(struct netboot *n, int argc, char *argv[]) {
    int64_t ms;
    for (int opt; (opt = getopt_long(argc, argv, "+", options, NULL)) != -1;)
        switch (opt) {
        case OPT_STATE_DIR:
            free(n->net_dir);
            n->net_dir = strf("%s/network", optarg);
            break;
        case OPT_RUN_DIR:
            set(&n->run_dir, optarg);
            break;
        case OPT_SWITCH_DIR:
            set(&n->switch_dir, optarg);
            break;
        case OPT_RESOLV:
            set(&n->resolv_conf, optarg);
            break;
        case OPT_TIMEOUT:
            if (!str_parse_int(optarg, 0, 600000, &ms)) {
                fprintf(stderr, "muster-netboot: --timeout wants milliseconds, up to 600000\n");
                return NETBOOT_USAGE;
            }
            n->switch_timeout_ms = (unsigned)ms;
            break;
        case OPT_QUIET:
            n->quiet = true;
            break;
        case OPT_HELP:
            printf("%s", help);
            return NETBOOT_OK;
        case OPT_VERSION:
            printf("muster-netboot %s\n", MUSTER_VERSION);
            return NETBOOT_OK;
        default:
            return NETBOOT_USAGE;
        }
    if (optind + 1 < argc && str_eq(argv[optind + 1], "--help")) { /* of a command: all are on one page */
        printf("%s", help);
        return NETBOOT_OK;
    }
    if (optind < argc)
        return -1;
    fprintf(stderr, "muster-netboot: a command is needed; see --help\n");
    return NETBOOT_USAGE;
}

int main(int argc, char *argv[]) {
    log_init("muster-netboot", LOG_LEVEL_INFO);
    _cleanup_free_ char *state_dir = env_or("MUSTER_STATE_DIR", "/var/lib/muster");
    const char *net_dir = getenv("MUSTER_NET_DIR"); /* set for the DHCP client's events */
    struct netboot n = {.net_dir = net_dir ? xstrdup(net_dir) : strf("%s/network", state_dir),
                        .run_dir = env_or("MUSTER_RUN_DIR", "/run/muster"),
                        .switch_dir = env_or("MUSTER_SWITCH_DIR", "/run/openvswitch"),
                        .resolv_conf = env_or("MUSTER_RESOLV_CONF", NET_RESOLV_CONF),
                        .program = own_path(),
                        .switch_timeout_ms = 10000};
    bool by_client = argc == 2 && is_called(argv[0], NET_DHCP_EVENT_NAME);
    bool is_xe = is_called(argv[0], "xe-reset-networking");
    int code = by_client || is_xe ? -1 : parse_options(&n, argc, argv);
    if (n.quiet)
        log_set_level(LOG_LEVEL_WARN);
    n.services = (struct net_services){.net_dir = n.net_dir,
                                       .run_dir = n.run_dir,
                                       .resolv_conf = n.resolv_conf,
                                       .netboot_path = n.program,
                                       .management = ""};
    if (code < 0)
        code = by_client ? netboot_dhcp_event(&n, argv[1])
               : is_xe   ? netboot_reset(&n, argc, argv, /* is_xe= */ true)
                         : run(&n, argc - optind, argv + optind);
    done(&n);
    return code;
}

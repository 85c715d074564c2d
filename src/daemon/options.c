/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

#ifndef MUSTER_LIBDIR
#define MUSTER_LIBDIR "/usr/lib/muster"
#endif

static const char help[] =
    "Usage: musterd [OPTION]...\n"
    "The daemon of a Muster host: XenAPI server, member or coordinator of its pool, network agent and prober.\n"
    "\n"
    "  --state-dir DIR       what must survive a reboot (default /var/lib/muster; MUSTER_STATE_DIR)\n"
    "  --run-dir DIR         sockets and reports (default /run/muster; MUSTER_RUN_DIR)\n"
    "  --schema FILE         schema of the pool database (default: beside the program, MUSTER_SCHEMA)\n"
    "  --netboot FILE        the program muster-netboot (default: from PATH, MUSTER_NETBOOT)\n"
    "  --xapi-socket PATH    where tools of XenServer look for the local API (default /var/lib/xcp/xapi; \"\": "
    "nowhere)\n"
    "  --hypervisor URI      of libvirt, such as xen:///system (default: QEMU by a libvirtd of its own; "
    "MUSTER_HYPERVISOR)\n"
    "  --https-port PORT     default 443\n"
    "  --http-port PORT      without TLS, where https_only was turned off (default 80)\n"
    "  --log-level LEVEL     err, warn, notice, info or debug (default info)\n"
    "  --help, --version\n"
    "\n"
    "Signals: SIGTERM ends the daemon and nothing else: VMs, switch and pool database go on. SIGPWR tells it that the "
    "host goes\n"
    "down: it says goodbye to the pool and leaves the database cluster first. See musterd(8).\n";

static const char *from_environment(const char *name, const char *fallback) {
    const char *v = getenv(name);
    return str_empty(v) ? fallback : v;
}

/* Where it is installed, or beside the program in a build folder. */
static const char *find_schema(void) {
    static char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
    char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;
    if (slash) {
        str_copy(slash, 64, "/../model/muster.ovsschema");
        if (fs_exists(path))
            return path;
    }
    return MUSTER_LIBDIR "/muster.ovsschema";
}

static void wrong(const char *what, const char *value) {
    fprintf(stderr, "musterd: %s '%s'\nTry 'musterd --help'.\n", what, value);
    exit(2);
}

void options_parse(struct options *ret, int argc, char **argv) {
    enum { STATE = 256, RUN, SCHEMA, NETBOOT, HYPERVISOR, XAPI, PORT, HTTP_PORT, LEVEL, HELP, VERSION };
    static const struct option longs[] = {{"state-dir", required_argument, NULL, STATE},
                                          {"run-dir", required_argument, NULL, RUN},
                                          {"schema", required_argument, NULL, SCHEMA},
                                          {"netboot", required_argument, NULL, NETBOOT},
                                          {"hypervisor", required_argument, NULL, HYPERVISOR},
                                          {"xapi-socket", required_argument, NULL, XAPI},
                                          {"https-port", required_argument, NULL, PORT},
                                          {"http-port", required_argument, NULL, HTTP_PORT},
                                          {"log-level", required_argument, NULL, LEVEL},
                                          {"help", no_argument, NULL, HELP},
                                          {"version", no_argument, NULL, VERSION},
                                          {0}};
    *ret = (struct options){.state_dir = from_environment("MUSTER_STATE_DIR", "/var/lib/muster"),
                            .run_dir = from_environment("MUSTER_RUN_DIR", "/run/muster"),
                            .switch_run_dir = "/run/openvswitch",
                            .schema_path = from_environment("MUSTER_SCHEMA", find_schema()),
                            .netboot_path = from_environment("MUSTER_NETBOOT", "muster-netboot"),
                            .hypervisor = from_environment("MUSTER_HYPERVISOR", ""),
                            .xapi_socket = "/var/lib/xcp/xapi",
                            .https_port = 443,
                            .http_port = 80,
                            .log_level = LOG_LEVEL_INFO};
    enum log_level level;
    int64_t port;
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (c) {
        case STATE:
            ret->state_dir = optarg;
            break;
        case RUN:
            ret->run_dir = optarg;
            break;
        case SCHEMA:
            ret->schema_path = optarg;
            break;
        case NETBOOT:
            ret->netboot_path = optarg;
            break;
        case HYPERVISOR:
            ret->hypervisor = optarg;
            break;
        case XAPI:
            ret->xapi_socket = optarg;
            break;
        case PORT:
        case HTTP_PORT:
            if (!str_parse_int(optarg, 1, 65535, &port))
                wrong("no port:", optarg);
            *(c == PORT ? &ret->https_port : &ret->http_port) = (uint16_t)port;
            break;
        case LEVEL:
            if (!log_level_parse(optarg, &level))
                wrong("no log level:", optarg);
            ret->log_level = level;
            break;
        case HELP:
            fputs(help, stdout);
            exit(0);
        case VERSION:
            puts("musterd 0.1.0");
            exit(0);
        default:
            fputs("Try 'musterd --help'.\n", stderr);
            exit(2);
        }
    }
    if (optind < argc)
        wrong("unexpected argument", argv[optind]);
}

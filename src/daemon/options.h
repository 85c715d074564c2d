/* SPDX-License-Identifier: Apache-2.0 */
/* Where musterd finds its files and where it listens; from the command line, the environment, or the defaults of a real
 * host. */
#pragma once

#include "base/macro.h"

struct options {
    const char *state_dir;      /* MUSTER_STATE_DIR, /var/lib/muster */
    const char *run_dir;        /* MUSTER_RUN_DIR, /run/muster */
    const char *switch_run_dir; /* /run/openvswitch */
    const char *schema_path;    /* MUSTER_SCHEMA: muster.ovsschema */
    const char *netboot_path;   /* MUSTER_NETBOOT: the program muster-netboot */
    const char *hypervisor;  /* MUSTER_HYPERVISOR: a URI of libvirt; "": the host's own daemon, started when needed */
    const char *xapi_socket; /* XenServer's path for tools that look there; "" for none */
    uint16_t https_port;     /* 443 */
    uint16_t http_port;      /* 80; open only where host.https_only was turned off */
    int log_level;           /* enum log_level */
};

/* Exits by itself for --help, --version and wrong options. */
void options_parse(struct options *ret, int argc, char **argv);

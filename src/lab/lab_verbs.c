/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_verbs.h"

#include "base/str.h"

const struct verb lab_verbs[] = {
    {"up",
     "[--hosts N] [--nics N] [--topology NAME|FILE] [--bin BUILD-FOLDER] [--password TEXT] [--no-daemon] [--off] "
     "[--replace]",
     "Build a lab and start it",
     "  --hosts N      that many hosts h1.. in one pool (default 4)\n"
     "  --nics N       that many NICs per host (default 4); even ones on switch swA, odd ones on swB\n"
     "  --topology T   a file, or the name of one that comes with the program: four, two-pools, single-nic, lacp\n"
     "  --bin DIR      the build folder with musterd, muster-netboot and xe (default: the one this program is in)\n"
     "  --password P   root's password in every host (default: muster)\n"
     "  --no-daemon    hosts run everything but musterd\n"
     "  --off          leave the hosts switched off\n"
     "  --replace      remove the lab that is in the folder first\n"
     "A Ctrl-C, or a failure, removes everything again.",
     verb_up},
    {"down", "", "Remove the lab: processes, namespaces, disks, files",
     "Works after anything was killed, and when there is no lab.", verb_down},
    {"status", "", "Show every node: power, PID 1, address, what its daemon says", NULL, verb_status},
    {"exec", "HOST [--] COMMAND...", "Run a command in a host, on a switch or at the desk; ends with its exit code",
     NULL, verb_exec},
    {"shell", "HOST", "A shell in a host", NULL, verb_shell},
    {"xe", "HOST|-- ARGUMENTS...", "Run xe on a host, or with -- at the desk over the network",
     "At the desk the first host that is on is asked, as root; give -s, -u, -pw to ask another.", verb_xe},
    {"logs", "HOST [SERVICE]", "What happened to a node, or the log of a service in it",
     "Services: musterd, muster-netboot, ovsdb-server, ovs-vswitchd, lldpd, hooks.", verb_logs},
    {"reboot", "HOST...", "Restart hosts in an orderly way; returns when they are up again", NULL, verb_reboot},
    {"power-cut", "HOST...", "Take a host's power: what was not synced to its disk is lost", NULL, verb_power_cut},
    {"power-on", "HOST...", "Switch hosts on; returns when their services have started", NULL, verb_power_on},
    {"power-off", "HOST...", "Switch hosts off in an orderly way", NULL, verb_power_off},
    {"wait-ready", "[HOST...] [--timeout SECONDS]", "Wait until the daemons of hosts (default: all) say ready", NULL,
     verb_wait_ready},
};
const unsigned lab_n_verbs = ARRAY_SIZE(lab_verbs);

const struct verb *verb_find(const char *name) {
    for (unsigned i = 0; i < lab_n_verbs; i++) {
        if (str_eq(lab_verbs[i].name, name))
            return &lab_verbs[i];
    }
    return NULL;
}

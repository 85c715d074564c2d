/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_verbs.h"

#include "base/str.h"

const struct verb lab_verbs[] = {
    {"up",
     "[--hosts N] [--nics N] [--topology NAME|FILE] [--bin BUILD-FOLDER] [--password TEXT] "
     "[--management NICS] [--mtu N] [--no-daemon] [--off] [--replace] [--storage]",
     "Build a lab and start it",
     "  --hosts N      that many hosts h1.. in one pool (default 4)\n"
     "  --nics N       that many NICs per host (default 4); even ones on switch swA, odd ones on swB\n"
     "  --topology T   a file, or the name of one that comes with the program: four, two-pools, single-nic, lacp\n"
     "  --bin DIR      the build folder with musterd, muster-netboot and xe (default: the one this program is in)\n"
     "  --password P   root's password in every host (default: muster)\n"
     "  --management N NICs of the first network configuration (default eth0); eth0,eth1 is a bond\n"
     "  --mtu N        MTU of that configuration (default 1500)\n"
     "  --no-daemon    hosts run everything but musterd\n"
     "  --off          leave the hosts switched off\n"
     "  --replace      remove the lab that is in the folder first\n"
     "  --storage      with a storage array (node 'array', 10.9.0.9) that serves NFS and iSCSI\n"
     "A Ctrl-C, or a failure, removes everything again.",
     verb_up},
    {"down", "", "Remove the lab: processes, namespaces, disks, files",
     "Works after anything was killed, and when there is no lab.", verb_down},
    {"status", "", "Show every node: power, PID 1, address, what its daemon says", NULL, verb_status},
    {"exec", "HOST [--] COMMAND...", "Run a command in a host, on a switch or at the desk; ends with its exit code",
     NULL, verb_exec, .ends_in_command = true},
    {"shell", "HOST", "A shell in a host", NULL, verb_shell},
    {"xe", "HOST|-- ARGUMENTS...", "Run xe on a host, or with -- at the desk over the network",
     "At the desk the first host that is on is asked, as root; give -s, -u, -pw to ask another.", verb_xe,
     .ends_in_command = true},
    {"logs", "HOST [SERVICE] | --all", "What happened to a node and what its services logged",
     "Services: musterd, muster-netboot, ovsdb-server, ovs-vswitchd, lldpd, hooks. Without one, the first two are "
     "shown.",
     verb_logs},
    {"reboot", "HOST...", "Restart hosts in an orderly way; returns when they are up again", NULL, verb_reboot},
    {"power-cut", "HOST...", "Take a host's power: what was not synced to its disk is lost", NULL, verb_power_cut},
    {"power-on", "HOST...", "Switch hosts on; returns when their services have started", NULL, verb_power_on},
    {"power-off", "HOST...", "Switch hosts off in an orderly way", NULL, verb_power_off},
    {"wait-ready", "[HOST...] [--timeout SECONDS]", "Wait until the daemons of hosts (default: all) say ready", NULL,
     verb_wait_ready},
    {"link", "HOST NIC up|down [--host-end]", "Plug or unplug a cable at the switch, or set the host's NIC", NULL,
     verb_link},
    {"port-mtu", "HOST NIC SIZE|clear [--direction to-host|from-host|both]",
     "Limit the size of frames at a switch port, without a word to anybody",
     "SIZE is what an operator says of a port (1500): an untagged frame may be 14 bytes longer, a tagged one 18.",
     verb_port_mtu},
    {"port-drop", "HOST NIC to-host|from-host|both|clear", "Lose every frame at a switch port while its link stays up",
     NULL, verb_port_drop},
    {"trunk", "HOST NIC all|LIST", "Choose the VLANs of a switch port, such as 0,101,102 (0: untagged)", NULL,
     verb_trunk},
    {"isl", "up|down", "The link between the two switches", NULL, verb_isl},
    {"isl-mtu", "SIZE|clear", "Limit the size of frames on the link between the switches", NULL, verb_isl_mtu},
    {"fabric-mtu", "SIZE|clear", "Limit the size of frames at every switch port", NULL, verb_fabric_mtu},
    {"lacp", "HOST on|off|silent|speak [--nics eth0,eth1]", "Aggregate switch ports of a host with LACP, or silence it",
     "Only for NICs on the same switch (topology 'lacp', or 'nic move' first): two switches do not aggregate "
     "together.\n"
     "silent: the switch sends no LACP frames on these ports; speak: it does again.",
     verb_lacp},
    {"lldp", "HOST NIC on|off", "Whether a switch port says its name", NULL, verb_lldp},
    {"faults", "", "List the faults of switches and cables", NULL, verb_faults},
    {"heal", "", "Take all faults of switches and cables away", NULL, verb_heal},
    {"nic", "add|remove|replace|move HOST NIC [swA|swB]", "Plug in, take out, replace (new MAC) or move a NIC", NULL,
     verb_nic},
    {"fdb", "[swA|swB]", "What the switches learned: MAC addresses and their ports", NULL, verb_fdb},
    {"hook", "HOST before-netboot|after-netboot|before-musterd COMMAND|clear [--once]",
     "Run a command at a point of a host's start",
     "before-netboot, after-netboot: the switch's database is up, the switch is not; before-musterd: all but musterd "
     "is up.\n"
     "The host must be on. A hook survives reboots and power cuts; with --once it runs at the next start only.",
     verb_hook, .ends_in_command = true},
    {"legs-mtu", "HOST SIZE|clear [--nics eth0,eth1] [--at-boot|--every-boot]",
     "Set the MTU of legs behind the daemon's back, under a port that keeps its own", NULL, verb_legs_mtu},
    {"ping-start", "FROM TO [--interval-ms 10] [--size 56] [--seconds 600]",
     "Ping in the background, from a node to a node or an address", NULL, verb_ping_start},
    {"ping-report", "FROM [TO] [--max-lost N]", "Stop that ping and tell what was lost; fails when it was more than N",
     NULL, verb_ping_report},
    {"vms", "[--since SECONDS] [--max-gap MS] [--max-lost N] [GUEST...] | listen [VLAN...]",
     "Tell how guests fare by their beats: where each runs, what was lost, the longest gap",
     "Guests send 'beat N wrong W name NAME' over UDP to port 7000 at the desk, ten times a second.\n"
     "listen VLAN...   the desk listens from now on; in each VLAN it is 10.77.VLAN.1, with frames of up to 9000 bytes\n"
     "--since SECONDS  only what came since that moment (date +%s.%N)\n"
     "--max-gap, --max-lost   fail when a guest (of those named, or of all) was silent for longer or lost more, or "
     "when\n"
     "                 it was not heard or read a block that it had not written\n"
     "on               the host whose emulator it is by the processes of the hosts: two while it moves, - when there "
     "is "
     "none",
     verb_vms},
    {"dhcp", "on [--lease SECONDS] [HOST=ADDRESS...]|off",
     "A DHCP server at the desk; addresses 10.9.0.100 to 199, or the one named for a host", NULL, verb_dhcp},
    {"storage", "stop|start|slow [KBIT]|fast|full|free|show", "Faults of the storage array of a lab with --storage",
     "stop: it is gone without a word, as at a power cut; start: it is back with all that was synced.\n"
     "slow: it sends at most KBIT (1000) kilobits a second; fast: as many as it can.\n"
     "full: its disk is filled to the last block; free: there is room again.\n"
     "show: what it serves: the NFS export /srv/array/nfs, iSCSI target iqn.2026-01.lab.muster:array.",
     verb_storage},
    {"disk-fill", "HOST", "Fill a host's disk to the last block", NULL, verb_disk_fill},
    {"disk-free", "HOST", "Make room on it again", NULL, verb_disk_free},
};
const unsigned lab_n_verbs = ARRAY_SIZE(lab_verbs);

const struct verb *verb_find(const char *name) {
    for (unsigned i = 0; i < lab_n_verbs; i++) {
        if (str_eq(lab_verbs[i].name, name))
            return &lab_verbs[i];
    }
    return NULL;
}

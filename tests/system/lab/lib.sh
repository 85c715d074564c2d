# shellcheck shell=bash
# What the system tests of muster-lab share: a lab folder of their own, checks that name what did not hold, and a
# removal that happens however the test ends.
set -euo pipefail

build=${1:?usage: test BUILD-FOLDER}
lab_program=$build/src/lab/muster-lab
# shellcheck source=tests/system/lab/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"
[ -x "$lab_program" ] || skip "there is no build in '$build' (make build)"
[ "$(id -u)" -eq 0 ] || skip 'it needs root'
for tool in ip nft ovs-vswitchd lldpd mkfs.ext4 losetup dnsmasq udhcpc python3; do
    command -v "$tool" >/dev/null || skip "'$tool' is not installed (tools/install-deps)"
done
unshare --mount --net --pid --fork true 2>/dev/null || skip 'namespaces cannot be made here'
[ -e /dev/loop-control ] || skip 'there are no loop devices here'

top=$(mktemp -d)
export MUSTER_LAB_DIR=$top/lab
have_netboot() { [ -x "$build/src/netboot/muster-netboot" ]; }

lab() { "$lab_program" "$@"; }

# What the hosts' daemons said last, for a failure that shows only on another machine.
last_words() {
    local h
    for h in h1 h2 h3 h4; do
        printf -- '--- %s\n' "$h"
        timeout 10 "$lab_program" exec "$h" -- tail -n 25 /var/log/musterd.log 2>/dev/null || true
    done
}

cleanup() {
    local status=$?
    [ "$status" -eq 0 ] || [ "$status" -eq 77 ] || last_words
    lab down >/dev/null 2>&1 || true
    "$lab_program" down --dir "$top/second" >/dev/null 2>&1 || true
    rm -rf "$top"
    if [ "$status" -eq 0 ]; then printf 'all of it holds\n'; else printf 'the test ended with %d\n' "$status"; fi
}
trap cleanup EXIT

# Management by hand, for a build without muster-netboot, and with data networks that carry large frames.
bond_by_hand() { # HOST LAST-BYTE
    lab exec "$1" -- sh -ec "
        ovs-vsctl --timeout=10 --if-exists del-br xenbr0 -- --if-exists del-br xapi0 -- add-br xapi9 -- \
            set bridge xapi9 datapath_type=netdev other_config:hwaddr=02:4d:4c:00:09:$2 -- \
            add-bond xapi9 bond9 eth0 eth1 bond_mode=active-backup -- set port bond9 other_config:bond-primary=eth0 -- \
            set interface eth0 mtu_request=9000 -- set interface eth1 mtu_request=9000 -- set interface xapi9 mtu_request=9000 -- \
            add-port xapi9 v42 tag=42 -- set interface v42 type=internal mtu_request=9000
        for i in eth0 eth1 xapi9 v42; do ip link set \$i up; done
        ip addr add 10.9.1.$2/24 dev xapi9
        ip addr add 10.9.42.$2/24 dev v42"
}
# passes HOST ADDRESS BYTES: an unfragmented packet of that size at the network layer is answered.
passes() { lab exec "$1" -- ping -n -q -c 3 -i 0.2 -W 1 -M 'do' -s $(($3 - 28)) "$2" | grep -q ' [123] received'; }

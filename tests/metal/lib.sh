# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash source-path=SCRIPTDIR/../..
# What the tests on metal share: hosts in QEMU, a switch between them, questions to them. Sourced with BUILD-FOLDER,
# RELEASE-FOLDER and HOST-INIT as arguments. All of it lives in one namespace of processes, network and mounts, and ends with the test.
set -euo pipefail

build=${1:?usage: test BUILD-FOLDER RELEASE-FOLDER HOST-INIT}
programs=${2:?usage: test BUILD-FOLDER RELEASE-FOLDER HOST-INIT}
host_init=${3:?usage: test BUILD-FOLDER RELEASE-FOLDER HOST-INIT}
metal=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source_root=$(cd "$metal/../.." && pwd)
kernel=$build/metal
# shellcheck source=tests/system/lab/check.sh
. "$source_root/tests/system/lab/check.sh"

# Before others: heartbeats are due every second, and a host for which a second is short is no host. Where the kernel groups
# processes by session, only the group's priority counts.
renice -n -10 -p $$ >/dev/null 2>&1 || true
{ echo -10 >/proc/$$/autogroup; } 2>/dev/null || true

if [ -z "${METAL_TOP:-}" ]; then
    [ "$(id -u)" -eq 0 ] || skip 'it needs root'
    for tool in qemu-system-x86_64 ovs-vswitchd ip nft mkfs.ext4 python3 openssl; do
        command -v "$tool" >/dev/null || skip "'$tool' is not installed (tools/install-deps)"
    done
    [ -x /usr/lib/qemu/virtiofsd ] || skip "'virtiofsd' is not installed (tools/install-deps)"
    [ -c /dev/net/tun ] || skip 'there are no tap devices here (/dev/net/tun)'
    [ -x "$programs/src/daemon/musterd" ] || skip "there is no release build in '$programs' (make build): emulated hosts run that"
    unshare --mount --net --pid --fork true 2>/dev/null || skip 'namespaces cannot be made here'
    "$metal/prepare-kernel" "$kernel" "$host_init" || exit $?
    top=$(mktemp -d)
    trap 'rm -rf "$top"' EXIT
    status=0
    METAL_TOP=$top unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private bash "$0" "$@" || status=$?
    if [ "$status" -eq 0 ]; then printf 'all of it holds\n'; else printf 'the test ended with %d\n' "$status"; fi
    exit "$status"
fi
top=$METAL_TOP
# virtiofsd leaves a file there for each socket that it ever had.
mkdir -p /run/virtiofsd
mount -t tmpfs none /run/virtiofsd
# What the hosts said, where a test fails (or for who sets METAL_VERBOSE).
last_words() {
    local status=$? h
    [ "$status" -ne 0 ] || [ -n "${METAL_VERBOSE:-}" ] || return 0
    for h in "$top"/h*; do
        printf -- '---- %s ----\n' "${h##*/}"
        tail -n "${METAL_LINES:-25}" "$h/console" "$h/qemu.log" "$h/files.log" 2>/dev/null || true
        timeout 20 "$metal/ask" "$h/ask" 15 <<<'tail -n 40 /var/log/muster-netboot.log /var/log/musterd.log 2>/dev/null' || true
    done
}
trap last_words EXIT

# ---- the switch: Open vSwitch in user space, one port per leg ----

switch_run=$top/switch
vsctl() { ovs-vsctl --timeout=20 --db="unix:$switch_run/db.sock" "$@"; }
switch_start() { # PORT...
    local port add=()
    mkdir "$switch_run"
    export OVS_RUNDIR=$switch_run OVS_LOGDIR=$switch_run
    for port in "$@"; do
        # No address of any kind: the kernel of this machine must not answer for a switch.
        ip tuntap add dev "$port" mode tap
        echo 1 >"/proc/sys/net/ipv6/conf/$port/disable_ipv6"
        ip link set dev "$port" mtu 9216 up
        add+=(-- add-port sw "$port" -- set interface "$port" mtu_request=9216)
    done
    ovsdb-tool create "$switch_run/conf.db" /usr/share/openvswitch/vswitch.ovsschema
    ovsdb-server "$switch_run/conf.db" --remote="punix:$switch_run/db.sock" --pidfile --detach --no-chdir -vconsole:off -vsyslog:off --log-file
    vsctl --no-wait init
    ovs-vswitchd "unix:$switch_run/db.sock" --pidfile --detach --no-chdir -vconsole:off -vsyslog:off --log-file
    # A MAC that moved is relearnt quickly, as hardware does.
    vsctl set Open_vSwitch . other_config:max-revalidator=100 -- add-br sw -- set bridge sw datapath_type=netdev "${add[@]}"
}
# limit PORT BYTES: frames through that port of the switch that are larger than an MTU of BYTES are lost, both ways; limit: none.
limit() {
    {
        printf 'delete\n'
        if [ $# -eq 2 ]; then
            printf 'add table=0,priority=110,in_port="%s",vlan_tci=0x1000/0x1000,actions=check_pkt_larger(%d)->NXM_NX_REG0[0],resubmit(,1)\n' \
                "$1" $(($2 + 18))
            printf 'add table=0,priority=100,in_port="%s",actions=check_pkt_larger(%d)->NXM_NX_REG0[0],resubmit(,1)\n' "$1" $(($2 + 14))
        fi
        printf 'add table=0,priority=0,actions=resubmit(,1)\nadd table=1,priority=10,reg0=1,actions=drop\n'
        printf 'add table=1,priority=0,actions=NORMAL\n'
    } >"$top/flows"
    ovs-ofctl --bundle add-flows "unix:$switch_run/sw.mgmt" "$top/flows"
    # What leaves through a port cannot be measured by a rule of the switch.
    {
        printf 'table netdev metal\ndelete table netdev metal\n'
        if [ $# -eq 2 ]; then
            printf 'table netdev metal {\n  chain out {\n    type filter hook egress device "%s" priority 0; policy accept;\n' "$1"
            printf '    @ll,96,16 0x8100 meta length > %d drop\n    @ll,96,16 != 0x8100 meta length > %d drop\n  }\n}\n' $(($2 + 18)) $(($2 + 14))
        fi
    } | nft -f -
}
# desk_start TAG ADDRESS: a place in that VLAN (0: untagged) from which a test looks at hosts, with frames of 9000 bytes; their gateway.
desk_start() {
    vsctl add-port sw desk tag="$1" -- set interface desk type=internal mtu_request=9000
    ip addr add "$2" dev desk
    ip link set dev desk up
}

# ---- hosts ----

# host_make NAME ADDRESS: a disk with our programs on it. What the test puts into $top/NAME/etc/metal is a hook.
host_make() {
    local name=$1 d=$top/$1 u=$top/$1/disk/upper
    mkdir -p "$u"/{etc/openvswitch,etc/metal,etc/pam.d,etc/muster,root,usr/sbin,usr/bin,var/lib/muster,var/lib/xcp,var/log/openvswitch,var/tmp} \
        "$d/disk/work"
    # The switch's database as its package leaves it.
    ovsdb-tool create "$u/etc/openvswitch/conf.db" /usr/share/openvswitch/vswitch.ovsschema
    ovsdb-tool transact "$u/etc/openvswitch/conf.db" '["Open_vSwitch", {"op": "insert", "table": "Open_vSwitch", "row": {}}]' >/dev/null
    install -m 755 "$programs/src/daemon/musterd" "$programs/src/netboot/muster-netboot" "$u/usr/sbin/"
    install -m 755 "$programs/src/cli/xe" "$u/usr/bin/"
    install -m 644 -D "$programs/src/model/muster.ovsschema" "$u/usr/lib/muster/muster.ovsschema"
    install -m 644 "$source_root/packaging/pam.d/muster" "$u/etc/pam.d/"
    printf '%s\n' "$name" >"$u/etc/hostname"
    printf '127.0.0.1 localhost\n%s %s\n' "$2" "$name" >"$u/etc/hosts"
    printf 'root:%s:19000:0:99999:7:::\n' "$(openssl passwd -6 muster)" >"$u/etc/shadow"
    chmod 640 "$u/etc/shadow"
    printf 'uuid=%s\n' "$(cat /proc/sys/kernel/random/uuid)" >"$d/uuid"
}
# host_start NAME NUMBER [KERNEL-PARAMETER...]: power. Legs NAME-eth0 and NAME-eth1; METAL_NIC adds options to every NIC.
host_start() {
    local name=$1 number=$2 d=$top/$1 i nics=()
    shift 2
    if [ ! -e "$d/disk.img" ]; then
        mkfs.ext4 -q -d "$d/disk" "$d/disk.img" 256M 2>/dev/null
        rm -rf "$d/disk"
        # The machine may run a Muster or a switch itself; a fresh host has none of it: an opaque folder hides the one below.
        printf 'ea_set /upper/%s trusted.overlay.opaque y\n' etc/openvswitch etc/muster root var/lib/muster var/lib/xcp var/log \
            var/tmp | debugfs -w -f - "$d/disk.img" >/dev/null 2>&1
    fi
    for i in 0 1; do
        # vnet_hdr=off: no frames larger than the MTU for the switch to take apart.
        nics+=(-netdev "tap,id=n$i,ifname=$name-eth$i,script=no,downscript=no,vnet_hdr=off"
            -device "virtio-net-pci,netdev=n$i,romfile=,mac=52:54:00:00:0$number:0$i${METAL_NIC-,host_mtu=9000}")
    done
    rm -f "$d/files.sock"
    /usr/lib/qemu/virtiofsd --socket-path="$d/files.sock" -o "source=$top/machine,sandbox=chroot,cache=always" -f >"$d/files.log" 2>&1 &
    printf '%d\n' $! >"$d/files.pid"
    eventually_quietly 10 test -S "$d/files.sock"
    qemu-system-x86_64 -name "$name" -accel tcg,tb-size=128 -M pc,memory-backend=m -cpu max -smp 1 -m 384 -nodefaults -no-user-config -display none \
        -object memory-backend-memfd,id=m,size=384M,share=on \
        -kernel "$kernel/vmlinux" -initrd "$kernel/initrd" \
        -append "console=ttyS0 ${METAL_KERNEL_LOG:-quiet} panic=1 mitigations=off nokaslr no_timer_check tsc=reliable cryptomgr.notests nowatchdog norandmaps random.trust_cpu=on audit=0 8250.nr_uarts=1 net.ifnames=0 $*" \
        -serial "file:$d/console" -monitor "unix:$d/monitor,server=on,wait=off" \
        -device virtio-serial-pci -chardev "socket,id=ask,path=$d/ask,server=on,wait=off" -device virtserialport,chardev=ask,name=ask \
        -chardev "socket,id=files,path=$d/files.sock" -device vhost-user-fs-pci,chardev=files,tag=machine,queue-size=512 \
        -uuid "$(sed 's/uuid=//' "$d/uuid")" \
        -drive "file=$d/disk.img,format=raw,if=virtio,cache=writeback" "${nics[@]}" >"$d/qemu.log" 2>&1 &
    printf '%d\n' $! >"$d/pid"
    eventually_quietly 10 test -S "$d/ask"
}
# on HOST SCRIPT: runs it there. On a machine that does other things at the same time everything takes long;
# ASK_S: seconds until a question counts as lost, as it is when the host restarts.
on() { "$metal/ask" "$top/$1/ask" "${ASK_S:-240}" <<<"$2"; }
booted() { on "$1" 'until [ -e /run/metal/booted ]; do sleep 0.1; done'; }
# Takes the power away; host_start gives it again.
power_off() {
    local what pid
    # Who serves its files holds a lock on them as long as it lives, which may be longer than the host by a moment.
    for what in pid files.pid; do
        pid=$(cat "$top/$1/$what")
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}
# A reset as by the button, or a power cut: nothing is written any more.
reset() { printf 'system_reset\n' | python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.recv(4096)
s.sendall(sys.stdin.buffer.read())
time.sleep(0.2)' "$top/$1/monitor"; }
eventually_quietly() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}

# The machine's own files, for all hosts to read.
mkdir "$top/machine"
mount --bind / "$top/machine"
mount -o remount,bind,ro "$top/machine"
for folder in usr etc var opt; do
    if mountpoint -q "/$folder"; then
        mount --bind "/$folder" "$top/machine/$folder"
        mount -o remount,bind,ro "$top/machine/$folder"
    fi
done
ip link set lo up
# Seconds of processor that a host has cost so far, which is what a busy machine does not stretch.
cpu_of() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); printf "%.1f", ($12 + $13) / hz }' "/proc/$(cat "$top/$1/pid")/stat"; }

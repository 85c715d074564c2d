# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A host with a real Open vSwitch in namespaces, and a peer behind a switch. Sourced by the tests of this folder.
#
#   host: netns + pid + mount + uts namespaces, NICs eth0.. (veth), own /run, own switch database
#   peer: a Linux bridge "lan" that plays the switch and bears the peer's address (it moves a MAC on the first frame,
#         as hardware does); its ports are named h0..
# Everything lives in $WORK and in namespaces whose names carry this process's number.

set -euo pipefail
NETBOOT=${MUSTER_NETBOOT:?path of muster-netboot}
GUARD=${MUSTER_TEST_GUARD:-1}
WORK=$(mktemp -d /tmp/muster-net.XXXXXX)
HOST_NS=mnh$$
PEER_NS=mnp$$
N_NICS=${N_NICS:-2}
INIT_PID=

skip() { echo "skipped: $*"; exit 77; }
fail() { echo "FAILED: $*" >&2; exit 1; }
say() { echo "--- $*"; }

[ "$(id -u)" = 0 ] || skip "needs root"
for tool in ip nft unshare nsenter ovsdb-server ovs-vswitchd ovsdb-tool ovs-vsctl ovs-appctl ethtool ping; do
    command -v "$tool" >/dev/null || skip "needs $tool"
done
ip netns add "$PEER_NS" 2>/dev/null || skip "cannot make network namespaces"

cleanup() {
    set +e
    [ -n "$INIT_PID" ] && kill -9 "$INIT_PID" 2>/dev/null
    for ns in "$HOST_NS" "$PEER_NS"; do
        ip netns pids "$ns" 2>/dev/null | xargs -r kill -9 2>/dev/null
        ip netns del "$ns" 2>/dev/null
    done
    [ -n "${KEEP:-}" ] || rm -rf "$WORK"
}
trap cleanup EXIT

# wait_for SECONDS COMMAND...: until the command succeeds
wait_for() {
    local limit=$(($(date +%s) + $1))
    shift
    until "$@"; do
        [ "$(date +%s)" -lt "$limit" ] || { echo "gave up waiting for: $*" >&2; return 1; }
        read -rt 0.05 <> <(:) || true
    done
}

p() { ip netns exec "$PEER_NS" "$@"; }
h() { nsenter -t "$INIT_PID" -m -u -n -p -- "$@"; }
netboot() {
    h "$NETBOOT" --state-dir "$WORK/state" --run-dir /run/muster --resolv-conf "$WORK/resolv.conf" "$@"
}

offloads_off() { # namespace-command interface
    local iface=${!#}
    "${@:1:$#-1}" ethtool -K "$iface" tx off rx off tso off gso off gro off lro off sg off >/dev/null 2>&1 || true
}

peer_up() {
    p ip link set lo up
    p ip link add lan type bridge
    p ip link set lan up mtu 9000
    p ip addr add 10.66.0.1/24 dev lan
    p ip addr add fd66::1/64 dev lan nodad
    offloads_off p lan
}

# NICs of the host, off, with the peer's ends in its bridge. Done once: a power cut leaves them.
wire() {
    ip netns add "$HOST_NS"
    local i
    for ((i = 0; i < N_NICS; i++)); do
        ip -n "$HOST_NS" link add "eth$i" address "0a:66:00:00:00:1$i" type veth peer name "h$i" netns "$PEER_NS"
        p ip link set "h$i" mtu 9000 master lan up
        offloads_off p "h$i"
        offloads_off ip netns exec "$HOST_NS" "eth$i"
    done
    if [ "$GUARD" = 1 ]; then
        # The userspace datapath only taps its NICs: without this the host's kernel would hear all frames as well.
        local nics
        nics=$(for ((i = 0; i < N_NICS; i++)); do printf 'eth%s,' "$i"; done)
        ip netns exec "$HOST_NS" nft -f - <<NFT
table netdev guard {
  chain i {
    type filter hook ingress devices = { ${nics%,} } priority -500; policy drop;
    meta protocol 0x88b5 accept
  }
}
NFT
    fi
}

# Starts the host's init: private /run and switch database server. The switch daemon and netboot are the test's.
power_on() {
    mkdir -p "$WORK/etc-ovs" "$WORK/log" "$WORK/state"
    touch "$WORK/resolv.conf"
    cat > "$WORK/init" <<'INIT'
#!/bin/bash
set -e
WORK=$1
mount --make-rprivate /
mount -t proc proc /proc
hostname h1
mount -t tmpfs -o size=64m tmpfs /run
mkdir -p /run/openvswitch /run/muster /run/netns
mount --bind "$WORK/etc-ovs" /etc/openvswitch
mount --bind "$WORK/log" /var/log/openvswitch
[ -e /etc/openvswitch/conf.db ] || ovsdb-tool create /etc/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema
ip link set lo up
ovsdb-server /etc/openvswitch/conf.db --remote=punix:/run/openvswitch/db.sock --pidfile --detach \
    --log-file=/var/log/openvswitch/ovsdb-server.log -vconsole:off
ovs-vsctl --no-wait init
ovs-vsctl --no-wait set Open_vSwitch . other_config:n-revalidator-threads=1 other_config:n-handler-threads=1
touch "$WORK/ready"
while :; do sleep 3600 & wait $!; done
INIT
    chmod +x "$WORK/init"
    mkdir -p /etc/openvswitch /var/log/openvswitch
    rm -f "$WORK/ready"
    ip netns exec "$HOST_NS" unshare --pid --fork --mount --uts --kill-child=SIGKILL "$WORK/init" "$WORK" \
        >"$WORK/log/init.log" 2>&1 &
    local unshare_pid=$!
    wait_for 20 test -e "$WORK/ready" || { cat "$WORK/log/init.log" >&2; fail "the host's init did not start"; }
    INIT_PID=$(tr -d " " <"/proc/$unshare_pid/task/$unshare_pid/children")
}

vswitchd_start() {
    h ovs-vswitchd unix:/run/openvswitch/db.sock --pidfile --detach --log-file=/var/log/openvswitch/ovs-vswitchd.log \
        -vconsole:off
}

vswitchd_kill() {
    # shellcheck disable=SC2016 # expanded inside the host
    h bash -c 'kill -9 "$(cat /run/openvswitch/ovs-vswitchd.pid)"'
}

# All processes die at once; what the kernel of a namespace would keep, and a real power cut would not, is removed.
power_cut() {
    kill -9 "$INIT_PID" 2>/dev/null || true
    wait_for 10 bash -c "! kill -0 $INIT_PID 2>/dev/null"
    INIT_PID=
    local link
    for link in $(ip -n "$HOST_NS" -o link | sed 's/^[0-9]*: \([^:@]*\).*/\1/'); do
        case $link in
        lo) ;;
        eth*) ip -n "$HOST_NS" link set "$link" down mtu 1500 ;;
        *) ip -n "$HOST_NS" link del "$link" 2>/dev/null || true ;;
        esac
    done
}

boot() {
    power_on
    netboot boot
    vswitchd_start
    netboot verify
}

report() { # FILTER: python expression over r
    h cat /run/muster/netboot.json | python3 -c "import json,sys; r=json.load(sys.stdin); print($1)"
}

expect_eq() { # WHAT WANTED GOT
    [ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
}
mtu_of() { h ip -o link show "$1" | sed 's/.* mtu \([0-9]*\).*/\1/'; }
expect_mtu() { expect_eq "MTU of $1" "$2" "$(mtu_of "$1")"; }
expect_lock() { # ADDRESS SIZE
    local got
    got=$(h ip route get "$1")
    case $got in
    *"mtu lock $2 "* | *"mtu lock $2") ;; # without the word what a peer says of its path may lower and raise it
    *) fail "route to $1 is not locked to $2: $got" ;;
    esac
}
expect_ping() { # ARGS...
    h ping -q -i 0.1 -w 10 -c 3 "$@" >"$WORK/ping.log" 2>&1 || { cat "$WORK/ping.log" >&2; fail "ping $*"; }
}

# Counts losses from the peer to the host while a command runs: sets LOST and SENT.
ping_during() {
    ip netns exec "$PEER_NS" ping -q -i 0.01 -w 60 10.66.0.2 >"$WORK/ping.log" 2>&1 &
    local ping_pid=$!
    read -rt 0.3 <> <(:) || true
    "$@" || { kill -INT $ping_pid; fail "$*"; }
    read -rt 0.5 <> <(:) || true
    kill -INT $ping_pid
    wait $ping_pid || true
    SENT=$(sed -n 's/^\([0-9]*\) packets transmitted.*/\1/p' "$WORK/ping.log")
    # shellcheck disable=SC2034 # for the tests
    LOST=$((SENT - $(sed -n 's/.*transmitted, \([0-9]*\) received.*/\1/p' "$WORK/ping.log")))
}

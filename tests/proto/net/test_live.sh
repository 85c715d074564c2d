#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Changes of the management network of a running host, under ping every 10 ms: a bond grown over the address and shrunk
# again, MTU up and down, the way back when the pool does not confirm, a daemon that dies in the middle, hand-made changes.
# shellcheck source=tests/proto/net/lib.sh
. "$(dirname "$0")/lib.sh"
AGENT=${MUSTER_AGENT_RUN:?path of agent_run}

# make NAME INIT-ARGUMENTS: a configuration as a file
make_config() {
    local name=$1
    shift
    h "$NETBOOT" --quiet --state-dir "$WORK/make" --run-dir /run/muster init --datapath netdev --mode static \
        --ip 10.66.0.2/24 --gateway 10.66.0.1 "$@"
    cp "$WORK/make/network/good.json" "$WORK/$name.json"
}

agent_start() { # POOL CHECKPOINT_MS
    [ -p "$WORK/ask" ] || mkfifo "$WORK/ask"
    : >"$WORK/agent.log"
    # shellcheck disable=SC2016 # expanded inside the host
    h env MUSTER_RESOLV_CONF="$WORK/resolv.conf" bash -c 'echo $$ >/run/agent.pid; exec "$@"' agent \
        "$AGENT" "$WORK/state/network" /run/muster "$NETBOOT" "$1" "$2" \
        <>"$WORK/ask" >"$WORK/agent.log" 2>"$WORK/agent.err" &
    AGENT_JOB=$!
}
agent_kill() {
    # shellcheck disable=SC2016
    h bash -c 'kill -9 "$(cat /run/agent.pid)"'
    wait "$AGENT_JOB" 2>/dev/null || true
}
ask() { echo "$1" >"$WORK/ask"; }
said() { grep -q "^$1" "$WORK/agent.log"; }
change() { # NAME OUTCOME: asks and waits
    : >"$WORK/agent.log"
    ask "$WORK/$1.json"
    wait_for 30 said "$2" || { cat "$WORK/agent.log" "$WORK/agent.err" >&2; return 1; }
}
handful() { # WHAT LIMIT
    echo "$1: $LOST of $SENT pings lost"
    [ "$LOST" -le "$2" ] || fail "$1 lost $LOST of $SENT pings"
}

peer_up
wire
power_on
netboot --quiet init --device eth0 --mode static --ip 10.66.0.2/24 --gateway 10.66.0.1 --datapath netdev
netboot --quiet boot
vswitchd_start
netboot --quiet verify
make_config single --device eth0
make_config single9000 --device eth0 --mtu 9000
make_config bond --device eth0,eth1
make_config bond9000 --device eth0,eth1 --mtu 9000
agent_start yes 20000
wait_for 10 said "none eth0=1500" || fail "the agent does not start: $(cat "$WORK/agent.err")"

say "MTU up and down"
ping_during change single9000 applied
handful "MTU 1500 to 9000" 3
expect_mtu eth0 9000
expect_mtu xenbr0 9000
expect_lock 10.66.0.1 1500
ping_during change single applied
handful "MTU 9000 to 1500" 3
expect_mtu eth0 1500
expect_mtu xenbr0 1500

say "a bond over the management NIC, live, and away again"
ping_during change bond9000 applied
handful "single NIC to bond" 6
h ovs-appctl bond/show | grep -q 'member eth1: enabled' || fail "eth1 is no leg"
expect_mtu eth1 9000
expect_mtu xapi0 9000
expect_lock 10.66.0.1 1500
expect_lock 192.0.2.1 1500
ping_during change single applied
handful "bond to single NIC" 6
expect_lock 10.66.0.1 1500
h ovs-vsctl br-exists xapi0 && fail "the bond's bridge is still there"

say "the pool does not confirm: the host returns by itself"
ask '!silent'
agent_before=$(md5sum <"$WORK/state/network/good.json")
: >"$WORK/agent.log"
ask "$WORK/bond.json"
wait_for 10 test -e "$WORK/state/network/pending.json"
wait_for 40 said "rolled_back" || fail "not rolled back: $(cat "$WORK/agent.log" "$WORK/agent.err")"
expect_eq "good.json" "$agent_before" "$(md5sum <"$WORK/state/network/good.json")"
[ ! -e "$WORK/state/network/pending.json" ] || fail "pending.json is still there"
grep -q 'the pool did not confirm it in time' "$WORK/agent.log" || fail "no sentence"
expect_ping 10.66.0.1
expect_lock 10.66.0.1 1500
h ovs-vsctl br-exists xapi0 && fail "the refused bridge is still there"

say "the daemon dies in the middle; its successor takes the change back"
: >"$WORK/agent.log"
ask "$WORK/bond9000.json"
wait_for 20 test -e "$WORK/state/network/pending.json"
wait_for 20 h ovs-vsctl br-exists xapi0
agent_kill
agent_start yes 20000
wait_for 30 said "rolled_back" || fail "not rolled back: $(cat "$WORK/agent.log" "$WORK/agent.err")"
expect_ping 10.66.0.1
expect_mtu xenbr0 1500

say "hand-made changes are healed"
change single9000 applied
h ovs-vsctl set interface eth0 mtu_request=1500
is_9000() { [ "$(mtu_of eth0)" = 9000 ]; }
wait_for 20 is_9000 || fail "the leg stayed at 1500"
h ip route replace 10.66.0.0/24 dev xenbr0 src 10.66.0.2
is_locked() { h ip route get 10.66.0.1 | grep -q 'mtu.* 1500'; }
wait_for 20 is_locked || fail "the route stayed unlocked"

echo "PASSED"

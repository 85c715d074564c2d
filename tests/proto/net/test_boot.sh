#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One NIC, MTU 9000: first boot, power cut and boot again, stale and foreign content of the switch's database, legs at
# 1500 under a port at 9000, a power cut in the middle of a change, damaged files, and the size lock of both families.
# shellcheck source=tests/proto/net/lib.sh
. "$(dirname "$0")/lib.sh"

peer_up
wire
power_on

say "a host without a network says so"
code=0
netboot --quiet boot || code=$?
expect_eq "exit code" 3 "$code"
expect_eq result failed "$(report 'r["result"]')"

say "first boot: static address, MTU 9000"
netboot init --device eth0 --mode static --ip 10.66.0.2/24 --gateway 10.66.0.1 --dns 10.66.0.1 --mtu 9000 \
    --datapath netdev
netboot boot
vswitchd_start
netboot verify
expect_eq result ok "$(report 'r["result"]')"
expect_mtu eth0 9000
expect_mtu xenbr0 9000
expect_ping 10.66.0.1
expect_ping -M "do" -s 1472 10.66.0.1
expect_lock 10.66.0.1 1500
expect_lock 192.0.2.1 1500
grep -q '^nameserver 10.66.0.1$' "$WORK/resolv.conf" || fail "resolver not written"
h ovs-vsctl get bridge xenbr0 external_ids | grep -q muster || fail "our bridge is not marked"

say "a second verify finds nothing to do"
netboot verify
expect_eq "steps" 0 "$(report 'len(r["verify"]["steps"])')"

say "power cut, boot; the switch's own file held stale and foreign rows"
h ovs-vsctl --no-wait set interface eth0 mtu_request=1500 -- add-port xenbr0 eth1 \
    -- set port eth1 external_ids:muster=uplink -- add-br theirs -- set bridge theirs datapath_type=netdev
power_cut
boot
expect_eq result ok "$(report 'r["result"]')"
expect_mtu eth0 9000
expect_mtu xenbr0 9000
expect_ping 10.66.0.1
expect_lock 10.66.0.1 1500
h ovs-vsctl list-ports xenbr0 | grep -q eth1 && fail "a stale port of ours survived"
h ovs-vsctl br-exists theirs || fail "a bridge of others was deleted"
echo "boot $(report 'r["boot"]["took_ms"]') ms, verify $(report 'r["verify"]["took_ms"]') ms"

say "M1: leg at 1500 under a port at 9000"
h ovs-vsctl clear interface eth0 mtu_request
h ip link set eth0 mtu 1500
expect_mtu xenbr0 9000
netboot verify
expect_mtu eth0 9000
expect_mtu xenbr0 9000
expect_ping 10.66.0.1
[ "$(report '"MUSTER-N205" in [p["code"] for p in r["problems"]]')" = True ] || fail "M1 is not named in the report"

say "power cut in the middle of a change: the host returns"
python3 - "$WORK/state/network" <<'PY'
import json, sys
d = sys.argv[1]
good = open(d + '/good.json').read()
json.dump({"previous": good, "tried_hash": "ab" * 32, "deadline": 0}, open(d + '/pending.json', 'w'))
PY
power_cut
boot
expect_eq source "rolled back" "$(report 'r["source"]')"
expect_eq "rolled back" "$(printf 'ab%.0s' {1..32})" "$(report 'r["rolled_back"]')"
[ ! -e "$WORK/state/network/pending.json" ] || fail "pending.json is still there"
expect_ping 10.66.0.1

say "a damaged file: the previous one is taken, with a fault"
netboot init --device eth0 --mode static --ip 10.66.0.2/24 --mtu 9000 --datapath netdev
head -c 200 "$WORK/state/network/good.json" >"$WORK/cut"
cp "$WORK/cut" "$WORK/state/network/good.json"
code=0
netboot --quiet check "$WORK/state/network/good.json" || code=$?
expect_eq "exit code of check" 3 "$code"
power_cut
boot
expect_eq source previous "$(report 'r["source"]')"
[ "$(report '"MUSTER-N207" in [p["code"] for p in r["problems"]]')" = True ] || fail "the damage is not named"
expect_ping 10.66.0.1

say "a bond, with management in a VLAN on it"
netboot init --device eth0,eth1 --bond-mode balance-slb --vlan 42 --mode static --ip 10.66.0.2/24 --mtu 9000 \
    --datapath netdev
power_cut
boot
expect_eq result ok "$(report 'r["result"]')"
expect_eq "VLAN" 42 "$(h ovs-vsctl br-to-vlan xapi1)"
expect_eq "parent" xapi0 "$(h ovs-vsctl br-to-parent xapi1)"
h ovs-appctl bond/show bond0 | grep -q 'bond_mode: balance-slb' || fail "no bond of that mode"
for link in eth0 eth1 xapi0 xapi1; do expect_mtu "$link" 9000; done
expect_lock 10.66.0.1 1500

say "one leg of the bond has no carrier, the other is gone"
p ip link set h1 down
ip -n "$HOST_NS" link set eth0 netns "$PEER_NS"
power_cut
boot
expect_eq result degraded "$(report 'r["result"]')"
[ "$(report '"MUSTER-N201" in [p["code"] for p in r["problems"]]')" = True ] || fail "the missing NIC is not named"
[ "$(report '"MUSTER-N211" in [p["code"] for p in r["problems"]]')" = True ] || fail "the missing carrier is not named"
ip -n "$PEER_NS" link set eth0 netns "$HOST_NS"
p ip link set h1 up

say "IPv6, static"
netboot init --device eth0 --mode static --ip fd66::2/64 --gateway fd66::1 --mtu 9000 --datapath netdev
power_cut
boot
expect_ping fd66::1
expect_lock fd66::1 1500
expect_lock 2001:db8::1 1500

echo "PASSED"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Management by DHCP: address, locked routes and resolver from the lease; an offered MTU (M8) is reported, not obeyed;
# the client outlives whoever started it; without a server the last lease is used.
# shellcheck source=tests/proto/net/lib.sh
. "$(dirname "$0")/lib.sh"
command -v udhcpc >/dev/null || skip "needs udhcpc"
command -v dnsmasq >/dev/null || skip "needs dnsmasq"

server_start() {
    ip netns exec "$PEER_NS" dnsmasq --no-daemon --conf-file=/dev/null --port=0 --interface=lan --bind-interfaces \
        --dhcp-range=10.66.0.50,10.66.0.60,255.255.255.0,120 --dhcp-option=option:router,10.66.0.1 \
        --dhcp-option=option:dns-server,10.66.0.1 --dhcp-option=26,1400 --dhcp-leasefile="$WORK/leases" \
        --no-resolv --no-ping >"$WORK/dnsmasq.log" 2>&1 &
    SERVER=$!
}

peer_up
wire
server_start
power_on
netboot init --device eth0 --mode dhcp --mtu 9000 --datapath netdev
netboot boot
vswitchd_start
netboot verify
lease() { python3 -c "import json; print(json.load(open('$WORK/state/network/lease-xenbr0-4.json'))['$1'])"; }
address=$(lease address)
case $address in 10.66.0.5?/24 | 10.66.0.60/24) ;; *) fail "strange address $address" ;; esac
h ip -o addr show xenbr0 | grep -q "$address" || fail "the address is not on the bridge"
expect_ping 10.66.0.1
expect_mtu xenbr0 9000
expect_lock 10.66.0.1 1500
expect_lock 192.0.2.1 1500
grep -q '^nameserver 10.66.0.1$' "$WORK/resolv.conf" || fail "resolver not written"
expect_eq "offered MTU" 1400 "$(lease interface_mtu)"

say "a second verify leaves the client alone and reports the offered MTU"
client=$(h cat /run/muster/dhcp-xenbr0-4.pid)
netboot verify
expect_eq "client" "$client" "$(h cat /run/muster/dhcp-xenbr0-4.pid)"
[ "$(report '"MUSTER-N206" in [p["code"] for p in r["problems"]]')" = True ] || fail "option 26 is not reported"

say "no server at boot: the last lease"
kill "$SERVER"
power_cut
boot
h ip -o addr show xenbr0 | grep -q "$address" || fail "the last lease was not used"
expect_ping 10.66.0.1
expect_lock 10.66.0.1 1500

say "the server comes back: the client was still asking"
rm "$WORK/state/network/lease-xenbr0-4.json"
server_start
wait_for 40 test -e "$WORK/state/network/lease-xenbr0-4.json"

say "static again: the client goes"
netboot init --device eth0 --mode static --ip 10.66.0.2/24 --gateway 10.66.0.1 --mtu 9000 --datapath netdev
netboot boot
netboot verify
h test ! -e /run/muster/dhcp-xenbr0-4.pid || fail "the client's pid file is still there"
h ip -o addr show xenbr0 | grep -q '10.66.0.2/24' || fail "no static address"
h ip -o -4 addr show xenbr0 | grep -q '10.66.0.[56]' && fail "the leased address is still there"
expect_ping 10.66.0.1
kill "$SERVER"
echo "PASSED"

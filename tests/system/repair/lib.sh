# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2016
# What the tests of this folder share: a pool of two with a bond and a VLAN under management on both hosts, and how a
# repair is seen from the host and from the pool. Sourced after ../lab/lib.sh and ../faults/lib.sh.

uuid_of() { on h1 "$1-list" "${@:2}" --minimal; }
bonded_pool() {
    pool_of_two
    management=$(on h1 network-create name-label=management)
    local tagged host
    tagged=$(on h1 network-create name-label=v101)
    for host in h1 h2; do
        check "management of $host on a bond" lab exec h1 -- xe bond-create network-uuid="$management" mode=active-backup \
            pif-uuids="$(uuid_of pif host-name-label=$host device=eth0),$(uuid_of pif host-name-label=$host device=eth1)"
        check "a VLAN on it" lab exec h1 -- xe vlan-create network-uuid="$tagged" vlan=101 \
            pif-uuid="$(uuid_of pif host-name-label=$host device=bond0 VLAN=-1)"
    done
    for host in h1 h2; do eventually 60 "$host is ready" is_ready $host; done
}
fault_is() { on "${3:-h1}" host-param-get uuid="$(on "${3:-h1}" host-list name-label="$1" --minimal)" param-name=faults | grep -q "$2"; }
# The host shows the repair, and the pool's row has it: a moment lies between the two.
is_recorded() { on h1 host-param-get uuid="$(on h1 host-list name-label="$1" --minimal)" param-name=other-config | grep -q network-repair; }
is_marked() { fault_is "$1" "MUSTER-N219.*$2" && is_recorded "$1"; }
is_unmarked() { ! fault_is "$1" MUSTER-N219; }
# The kernel and the switch have what the disk says, and nothing is left to be done.
is_whole() { lab exec "$1" -- muster-netboot plan | grep -q 'Nothing to do'; }
bridges_of() { lab exec "$1" -- ovs-vsctl list-br | tr '\n' ' '; }
legs_of() { lab exec "$1" -- ovs-vsctl list-ifaces "$2" | grep '^eth' | tr '\n' ' '; }
has_legs() { [ "$(legs_of "$1" "$2")" = "$3" ]; }
has_bridges() { [ "$(bridges_of "$1")" = "$2" ]; }
mtu_is() { lab exec "$1" -- ip link show dev "$2" | grep -q " mtu $3 "; }
address_on() { lab exec "$1" -- ip -br addr show dev "$2" | grep -q "$3"; }
# Dead and not coming back: what would start it again finds no program. A boot puts it back.
kill_daemon() {
    lab exec "$1" -- sh -c 'rm "$(command -v musterd)" && kill -KILL $(pidof musterd)'
    eventually 10 "the daemon of $1 is dead" no_daemon "$1"
}
no_daemon() { ! lab exec "$1" -- pidof musterd; }
# Alive and deaf: it holds nothing that a repair needs.
hang_daemon() { lab exec "$1" -- sh -c 'kill -STOP $(pidof musterd)'; }
wake_daemon() { lab exec "$1" -- sh -c 'kill -CONT $(pidof musterd)'; }
# said WHAT PATTERN: the last check or refusal printed it.
said() {
    if grep -q -e "$2" "$top/out"; then
        printf 'ok   %s\n' "$1"
        return
    fi
    printf 'NOT  %s\n     nothing like: %s\n' "$1" "$2"
    sed 's/^/     | /' "$top/out"
    exit 1
}
back_from_cut() {
    check "$1 loses its power" lab power-cut "$1"
    check "$1 is switched on" lab power-on "$1"
    eventually 60 "$1 is ready, as it says itself" is_ready "$1" "$1" # others may not have missed it yet
    eventually 60 "$1 is ready" is_ready "$1" "${2:-h1}"
}

# shellcheck shell=bash
# Guests for stories: a pool of four with two bonds on each host, MTU 9000 on both, VLANs 101 and 102, disks on the lab's
# storage array, and eight tiny guests that beat ten times a second. Sourced behind lib.sh.

HOSTS=(h1 h2 h3 h4)
GUESTS=(v1 v2 v3 v4 v5 v6 v7 v8)
# Milliseconds without a beat that a guest may have. STORY_GAP_MS is for a machine that is busy with other things: the gap
# with nothing broken, which is measured first, says how busy.
# shellcheck disable=SC2034 # the stories use it
GAP=${STORY_GAP_MS:-2000}
LIMIT=60 # seconds in which a host must be ready again after a boot, on a busy machine
GUEST_DIR=${MUSTER_GUEST_DIR:-$MUSTER_BUILD/tests/system/vm/guest}
GUEST_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# shellcheck source=tests/system/vm/kvm.sh
. "$GUEST_ROOT/tests/system/vm/kvm.sh"

pif() { ask pif-list host-name-label="$1" device="$2" VLAN="${3:--1}" --minimal; }
alert_there() { ask message-list params=name,body | grep -q "$1"; }
no_alert() { ! alert_there 'MUSTER-N1'; }
proven() { [ "$(ask pif-list host-name-label="$1" device="$2" params=proven-size --minimal)" = "$3" ]; }
all_proven() {
    local h leg
    for h in "${HOSTS[@]}"; do
        for leg in eth0 eth1 eth2 eth3; do proven "$h" "$leg" 9000 || return 1; done
    done
}
# all_ready SECONDS: every host is ready, by one question.
are_ready() { [ "$(ask host-list host-metrics-live=true params=membership-state --minimal | tr ',' '\n' | grep -c '^ready')" = "${#HOSTS[@]}" ]; }
all_ready() { until_true "$1" 'all hosts are ready' are_ready; }
vm_get() { ask vm-list name-label="$1" params="$2" --minimal; }
is_halted() { [ "$(vm_get "$1" power-state)" = Halted ]; }
is_running() { [ "$(vm_get "$1" power-state)" = Running ]; }
all_running() { [ "$(ask vm-list is-control-domain=false power-state=Running --minimal | tr ',' '\n' | grep -c .)" = "${#GUESTS[@]}" ]; }
guests_on() { ask vm-list resident-on="$(host_uuid "$1")" is-control-domain=false params=name-label --minimal | tr ',' ' '; }

number() { echo "${1#v}"; }
vlan_of() { echo $((101 + ($(number "$1") - 1) % 2)); }
address_of() { echo "10.77.$(vlan_of "$1").$((10 + $(number "$1")))"; }

# jumbo_pool: the lab, the pool and its networks.
jumbo_pool() {
    local fingerprint h vlan net mgmt traffic
    lab up --hosts 4 --storage
    wait_ready "$LIMIT" h1
    fingerprint=$(ask pool-fingerprint)
    for h in h2 h3 h4; do
        quiet_lab exec "$h" -- xe pool-join master-address=10.9.0.11 master-username=root master-password=muster \
            master-fingerprint="$fingerprint"
        wait_ready "$LIMIT" "$h"
    done
    mgmt=$(xe network-create name-label=management MTU=9000)
    traffic=$(xe network-create name-label=traffic MTU=9000)
    for h in "${HOSTS[@]}"; do
        xe bond-create network-uuid="$mgmt" pif-uuids="$(pif "$h" eth0),$(pif "$h" eth1)" mode=active-backup >/dev/null
        xe bond-create network-uuid="$traffic" pif-uuids="$(pif "$h" eth2),$(pif "$h" eth3)" mode=balance-slb >/dev/null
    done
    for vlan in 101 102; do
        net=$(xe network-create name-label="vlan$vlan" MTU=9000)
        xe pool-vlan-create pif-uuid="$(pif h1 bond1)" vlan="$vlan" network-uuid="$net" >/dev/null
    done
    until_true 90 'every leg of every host has proven 9000 bytes to every peer, both ways' all_proven
}

sr_attached() { [ "$(ask pbd-list sr-uuid="$sr" currently-attached=true --minimal | tr ',' '\n' | grep -c .)" = "${#HOSTS[@]}" ]; }

# make_guests: halted VMs of 112 MiB with a disk on the array and an interface in their VLAN. Two of their ten beats a second
# go to the disk: eight emulated guests have two processors here.
make_guests() {
    local g words='console=ttyS0 quiet nokaslr mitigations=off audit=0 apparmor=0 no_timer_check tsc=reliable cryptomgr.notests nowatchdog random.trust_cpu=on rcupdate.rcu_expedited=1 8250.nr_uarts=1'
    # shellcheck disable=SC2016 # it is the host's shell that reads this
    for g in "${GUESTS[@]}"; do
        printf '%s %s %s\n' "$g" "$(address_of "$g")" "$(vlan_of "$g")"
    done | quiet_lab exec h1 -- bash -ec '
        while read -r name address vlan; do
            vm=$(xe vm-install template="Other install media" new-name-label="$name" </dev/null)
            vdi=$(xe vdi-create sr-uuid="$1" name-label="$name" virtual-size=8MiB </dev/null)
            xe vbd-create vm-uuid="$vm" vdi-uuid="$vdi" device=0 </dev/null >/dev/null
            xe vif-create vm-uuid="$vm" network-uuid="$(xe network-list name-label="vlan$vlan" --minimal </dev/null)" device=0 </dev/null >/dev/null
            xe vm-param-set uuid="$vm" memory-dynamic-min=$((96 << 20)) </dev/null
            xe vm-param-set uuid="$vm" memory-dynamic-max=$((112 << 20)) </dev/null
            xe vm-param-set uuid="$vm" memory-static-max=$((112 << 20)) PV-kernel=/var/lib/xcp/guest/vmlinux </dev/null \
                PV-ramdisk=/var/lib/xcp/guest/initrd PV-args="$2 name=$name ip=$address hb=10.77.$vlan.1:7000 every=5"
        done' sh "$sr" "$words"
}

# eight_guests: storage, the guests, two on each host; the desk listens to them.
eight_guests() {
    local h f i start made=0 pids=()
    "$GUEST_ROOT/tests/system/vm/make-guest" "$MUSTER_BUILD/tests/system/vm/guest_init" "$GUEST_DIR" >&2 || made=$?
    [ "$made" -eq 0 ] || fail 'the guest can be made (see above)'
    sr=$(xe sr-create host-uuid="$(host_uuid h1)" name-label=array type=nfs shared=true device-config:server=10.9.0.9 \
        device-config:serverpath=/srv/array/nfs)
    until_true 30 'all hosts have the storage' sr_attached
    for h in "${HOSTS[@]}"; do
        quiet_lab exec "$h" -- mkdir -p /var/lib/xcp/guest
        for f in vmlinux initrd; do quiet_lab exec "$h" -- sh -c "cat >/var/lib/xcp/guest/$f" <"$GUEST_DIR/$f"; done
    done
    lab vms listen 101 102
    start=$(now_ms)
    make_guests
    figure 'eight guests made' "$(seconds_since "$start")" s
    start=$(now_ms)
    for i in "${GUESTS[@]}"; do xe vm-start vm="$i" on="h$((1 + ($(number "$i") - 1) / 2))" & pids+=($!); done
    for i in "${pids[@]}"; do wait "$i" || fail 'every guest starts'; done
    figure 'eight guests started at once' "$(seconds_since "$start")" s
    until_true 120 'all eight beat' all_beat "${GUESTS[@]}"
}
# all_beat GUEST...: each was heard in the last second and a half.
all_beat() { quiet_lab vms --since "$(awk -v t="$(date +%s.%N)" 'BEGIN { printf "%.3f", t - 1.5 }')" --max-gap 1200 "$@"; }
now_s() { date +%s.%N; }

# big_frames GUEST...: packets of 9000 bytes are answered from the desk, through the traffic bond.
big_frames() {
    local g
    for g; do
        quiet_lab exec admin -- ping -n -q -c 5 -i 0.2 -W 2 -M 'do' -s 8972 "$(address_of "$g")" | grep -Eq ' [1-5] received' || return 1
    done
}

# longest SINCE GUEST...: the longest gap of any of them since then, in milliseconds.
longest() { quiet_lab vms --since "$1" "${@:2}" | awk 'NR > 1 && $7 > m { m = $7 } END { print m + 0 }'; }

# online WHAT SINCE MS GUEST...: none of the guests was silent for longer since then, none lost more beats than fit into
# that, no block is wrong, none began again, each runs in one place.
online() {
    local what=$1 since=$2 limit=$3 report
    shift 3
    [ $# -gt 0 ] || set -- "${GUESTS[@]}"
    report=$(quiet_lab vms --since "$since" --max-gap "$limit" --max-lost $((limit / 100)) "$@") || {
        printf '%s\n' "$report"
        fail "$what: every guest stays online"
    }
    awk 'NR > 1 && ($3 !~ /^h[0-9]+$/ || $6 > 0) { bad = 1 } END { exit bad }' <<<"$report" || {
        printf '%s\n' "$report"
        fail "$what: every guest runs in one place, and has not begun again"
    }
    figure "$what: longest gap, $# guests" "$(awk 'NR > 1 && $7 > m { m = $7 } END { print m + 0 }' <<<"$report")" ms
    figure "$what: beats lost" "$(awk 'NR > 1 { l += $5 } END { print l + 0 }' <<<"$report")" "of $(awk 'NR > 1 { b += $4 + $5 } END { print b + 0 }' <<<"$report")"
}

# still_of GUEST HOST: the pool holds that it runs there, and nowhere is an emulator for it.
still_of() { [ "$(vm_get "$1" resident-on)" = "$(host_uuid "$2")" ] && [ "$(quiet_lab vms "$1" | awk 'NR > 1 { print $3 }')" = - ]; }
# one_place: each guest has one emulator.
one_place() { quiet_lab vms "${GUESTS[@]}" | awk 'NR > 1 && $3 !~ /^h[0-9]+$/ { bad = 1 } END { exit bad }'; }
# never_begun_again: since they were made, no block was wrong and no guest counted from the start again.
never_begun_again() { quiet_lab vms --max-lost 1000000000 "${GUESTS[@]}" | awk 'NR > 1 && $6 > 0 { bad = 1 } END { exit bad }'; }
host_is_away() { ! host_is_ready "$1"; }

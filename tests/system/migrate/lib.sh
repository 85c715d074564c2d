# shellcheck shell=bash disable=SC2154,SC2034
# SPDX-License-Identifier: Apache-2.0
# A pool of two with a tiny guest on the management network, whose beats the desk counts.

# shellcheck source=tests/system/vm/kvm.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/kvm.sh"

guest_address=10.9.0.50
desk=10.9.0.2

on() { lab exec h1 -- timeout 100 xe "$@"; }
is_ready() { lab exec "$1" -- xe host-list params=membership-state --minimal | tr , '\n' | grep -q ready; }
two_ready() { [ "$(on host-list params=membership-state --minimal | tr , '\n' | grep -c ready)" = 2 ]; }
place() { on vm-param-get uuid="$vm" param-name=resident-on; }
is_on() { [ "$(place)" = "${host[$1]}" ]; }
is_state() { [ "$(on vm-param-get uuid="$vm" param-name=power-state)" = "$1" ]; }
idle() { [ -z "$(on vm-param-get uuid="$vm" param-name=current-operations | tr -d ' ')" ]; }

# make_pool: two hosts in one pool; host[h1], host[h2] and network are set.
declare -A host
make_pool() {
    check 'two hosts come up' lab up --hosts 2 --bin "$build"
    eventually 40 'the first is ready' is_ready h1
    eventually 40 'the second is ready' is_ready h2
    local print
    print=$(lab exec h1 -- xe pool-fingerprint)
    check 'they make a pool' lab exec h2 -- timeout 100 xe pool-join master-address=10.9.0.11 master-username=root \
        master-password=muster master-fingerprint="$print"
    eventually 60 'both are ready' two_ready
    host[h1]=$(on host-list name-label=h1 --minimal)
    host[h2]=$(on host-list name-label=h2 --minimal)
    network=$(on pif-list management=true host-uuid="${host[h1]}" params=network-uuid --minimal)
}

# make_vm: v1 runs on h1, its disk on storage of h1 alone.
make_vm() {
    local h f
    declare -gA sr
    for h in h1 h2; do
        sr[$h]=$(on sr-create name-label="local-$h" type=file device-config:location=/srv/sr host-uuid="${host[$h]}")
        lab exec "$h" -- mkdir -p /var/lib/xcp/guest
        for f in vmlinux initrd; do lab exec "$h" -- sh -c "cat >/var/lib/xcp/guest/$f" <"$guest/$f"; done
    done
    check 'a VM' on vm-install template='Other install media' new-name-label=v1
    vm=$(on vm-list name-label=v1 --minimal)
    vdi=$(on vdi-create sr-uuid="${sr[h1]}" name-label=root virtual-size=32MiB)
    # Content that takes its time: the guest runs while it is copied.
    check 'its content' lab exec h1 -- sh -c "head -c 10M /dev/urandom >/root/content && \
        qemu-img convert -n -f raw -O qcow2 /root/content /srv/sr/$vdi.qcow2 && rm /root/content"
    check 'its disk' on vbd-create vm-uuid="$vm" vdi-uuid="$vdi" device=0
    check 'its interface' on vif-create vm-uuid="$vm" network-uuid="$network" device=0
    local words='console=ttyS0 quiet nokaslr mitigations=off audit=0 apparmor=0 no_timer_check tsc=reliable
        cryptomgr.notests nowatchdog random.trust_cpu=on rcupdate.rcu_expedited=1 8250.nr_uarts=1'
    check 'its memory' on vm-param-set uuid="$vm" memory-dynamic-min=$((96 << 20)) memory-dynamic-max=$((112 << 20)) \
        memory-static-max=$((112 << 20)) PV-kernel=/var/lib/xcp/guest/vmlinux PV-ramdisk=/var/lib/xcp/guest/initrd \
        PV-args="$(tr -s ' \n' ' ' <<<"$words") ip=$guest_address hb=$desk:7000"
    check 'it starts' on vm-start vm=v1 on=h1
}

# listen: the desk writes "SECONDS NUMBER WRONG" per beat into $top/beats, from now on.
listen() {
    cat >"$top/listen.py" <<'PY'
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 7000))
while True:
    words = s.recv(200).decode().split()
    print("%.3f %s %s" % (time.time(), words[1], words[3]), flush=True)
PY
    # shellcheck disable=SC2094 # one writes, the others read
    lab exec admin -- python3 -u - <"$top/listen.py" >"$top/beats" &
    listener=$!
}
beats_now() { [ "$(tail -n 1 "$top/beats" | cut -d. -f1)" -ge $(($(date +%s) - 2)) ]; }

# story SINCE: what the beats since that moment (seconds) say: "lost N gap S wrong N restarts N".
story() {
    awk -v since="$1" '$1 >= since {
        if (n && $2 > last + 1) lost += $2 - last - 1
        if (n && $2 < last) back++
        if (n && $1 - at > gap) gap = $1 - at
        last = $2; at = $1; wrong = $3; n++
    } END { printf "beats %d lost %d gap %.2f wrong %d back %d\n", n, lost, gap, wrong, back }' "$top/beats"
}
# whole SINCE MAX-LOST MAX-GAP: no block is wrong, no beat came twice (two guests would), few are lost.
whole() {
    story "$1" >&2
    story "$1" | awk -v lost="$2" -v gap="$3" '{ exit !($2 > 5 && $4 <= lost && $6 <= gap && $8 == 0 && $10 == 0) }'
}

qemus() { lab exec "$1" -- pgrep -x qemu-system-x86 | wc -l; }
has_qemu() { [ "$(qemus "$1")" = 1 ]; }
has_none() { [ "$(qemus "$1")" = 0 ]; }
# shellcheck disable=SC2016 # it is the host's shell that looks
kill_in() { lab exec "$1" -- sh -c 'for n; do kill -9 $(pgrep -x "$n"); done' sh "${@:2}"; }
# Files of disks that lie on a host's storage.
files() { lab exec "$1" -- sh -c 'ls /srv/sr | wc -l'; }
has_files() { [ "$(files "$1")" = "$2" ]; }

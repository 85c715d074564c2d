# shellcheck shell=bash disable=SC2154
# The tiny guest of the tests, on hosts of a lab. Sourced behind lab/lib.sh; wants on(), which runs xe on a host.
need_guest() {
    local tool made=0
    for tool in libvirtd qemu-system-x86_64 qemu-img; do
        command -v "$tool" >/dev/null || skip "'$tool' is not installed (tools/install-deps)"
    done
    guest=${MUSTER_GUEST_DIR:-$build/tests/system/vm/guest}
    "$(dirname "${BASH_SOURCE[0]}")/make-guest" "$build/tests/system/vm/guest_init" "$guest" >&2 || made=$?
    [ "$made" -eq 0 ] || skip 'the guest cannot be made (see above)'
}
# ready HOST [N]: the host says of itself (or of all N hosts) that it is ready.
ready() { [ "$(lab exec "$1" -- timeout 20 xe host-list params=membership-state --minimal | tr ',' '\n' | grep -c '^ready')" -eq "${2:-1}" ]; }
give_guest() { # HOST...: its kernel and its user space
    local h f
    for h; do
        lab exec "$h" -- mkdir -p /var/lib/xcp/guest
        for f in vmlinux initrd; do lab exec "$h" -- sh -c "cat >/var/lib/xcp/guest/$f" <"$guest/$f"; done
    done
}
# make_vm NAME [WORDS]: a halted VM of 112 MiB that boots the guest, with more words for its kernel.
make_vm() {
    local u words='console=ttyS0 quiet nokaslr mitigations=off audit=0 apparmor=0 no_timer_check tsc=reliable cryptomgr.notests nowatchdog random.trust_cpu=on rcupdate.rcu_expedited=1 8250.nr_uarts=1'
    u=$(on vm-install template='Other install media' new-name-label="$1") &&
        on vm-param-set uuid="$u" memory-dynamic-min=$((96 << 20)) &&
        on vm-param-set uuid="$u" memory-dynamic-max=$((112 << 20)) &&
        on vm-param-set uuid="$u" memory-static-max=$((112 << 20)) PV-kernel=/var/lib/xcp/guest/vmlinux \
            PV-ramdisk=/var/lib/xcp/guest/initrd PV-args="$words ${2:-}"
}

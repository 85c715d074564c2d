# shellcheck shell=bash
# Sourced by tests and stories of VMs: whether guests of this machine are emulated, by the rule of src/virt/virt_kvm.h.
guests_are_emulated() { [ ! -w /dev/kvm ] || ! grep -qwE 'vmx|svm' /proc/cpuinfo; }

/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/virt_kvm.h"

#include <stdbool.h>
#include <unistd.h>

#ifdef __x86_64__
#include <cpuid.h>

/* Intel SDM vol. 2A, CPUID leaf 1, ECX bit 5; AMD APM vol. 3, leaf 8000_0001h, ECX bit 2. */
static bool has_virtualization(void) {
    unsigned a, b, c, d;
    return (__get_cpuid(1, &a, &b, &c, &d) && c & (1u << 5)) ||
           (__get_cpuid(0x80000001, &a, &b, &c, &d) && c & (1u << 2));
}
#else
static bool has_virtualization(void) {
    return true; /* where it is no flag of the processor, the device says it */
}
#endif

const char *virt_kvm_trouble(void) {
    if (access("/dev/kvm", F_OK) < 0)
        return "there is no /dev/kvm";
    if (access("/dev/kvm", R_OK | W_OK) < 0)
        return "/dev/kvm cannot be opened";
    return has_virtualization() ? NULL : "the processor has neither VMX nor SVM";
}

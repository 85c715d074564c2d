/* SPDX-License-Identifier: Apache-2.0 */
/* Whether guests of this host run on its processor or are emulated. Thread-safe. */
#pragma once

/*
 * Why they are emulated, for people; NULL: they run on KVM. The device alone is no proof: a kernel that is a guest
 * itself may offer it for guests made for it alone, without VMX or SVM, and others stand still there.
 */
const char *virt_kvm_trouble(void);

/* SPDX-License-Identifier: Apache-2.0 */
/* What is another thing on the host that a VM moves to: changed in the XML that libvirt gives of it. Pure. */
#pragma once

#include <stddef.h>

struct virt_swap {
    char *after;     /* only behind the first place where this attribute value stands (a MAC); NULL: anywhere */
    char *from, *to; /* whole values of attributes, unescaped: a path, a bridge */
};
void virt_swap_done(struct virt_swap *s);

/* With all swaps made, in their order. NULL when one of them finds nothing to change: that XML is another VM's than was
 * thought. `ret_missing` is then what it looked for (borrowed). The caller frees. */
char *virt_xml_swap(const char *xml, const struct virt_swap *swaps, size_t n, const char **ret_missing);

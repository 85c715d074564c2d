/* SPDX-License-Identifier: Apache-2.0 */
/* What every ICMP message needs. Internal to src/link; pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * The Internet checksum (RFC 1071) of `size` bytes, an even number, at any alignment; as it stands in the message. The
 * field itself must be zero. The kernel fills in that of ICMPv6.
 */
uint16_t link_icmp_checksum(const void *data, size_t size);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe frame: one Ethernet frame of the private ethertype 0x88b5 that asks "did all of this arrive?", and its
 * short answer. Pure: bytes in, bytes out; any thread.
 *
 * Layout behind the Ethernet header (a VLAN tag in front of the ethertype is written by the sender and seen out of band
 * by the receiver), big-endian:
 *    0  4  magic "MuP1"           4  1  type (1 request, 2 answer)    5  1  reserved, 0
 *    6  2  size of the request in bytes of payload, as sent           8  8  nonce, echoed by the answer
 *   16 16  uuid of the sending host                                  32 16  name of the sending leg, NUL-padded
 *   48      padding up to `size` (requests) or the 60-byte minimum (answers)
 * A "size" here is what an IP packet could be: the bytes behind the Ethernet header and any VLAN tag.
 */
#pragma once

#include "base/uuid.h"

#define PROBE_ETHERTYPE 0x88b5
#define PROBE_HEADER_SIZE 48
#define PROBE_MIN_SIZE 64   /* smallest request */
#define PROBE_MAX_SIZE 9600 /* largest request; above any jumbo MTU in use */
#define PROBE_MAX_FRAME (PROBE_MAX_SIZE + 18)
#define PROBE_LEG_SIZE 16

enum probe_type { PROBE_REQUEST = 1, PROBE_ANSWER = 2 };

struct probe_frame {
    uint8_t dst[6];
    uint8_t src[6];
    uint16_t vlan; /* 0: untagged */
    enum probe_type type;
    uint16_t size;
    uint64_t nonce;
    struct uuid host;
    char leg[PROBE_LEG_SIZE];
};

/* Writes the frame, tag included; returns its length in bytes. `out` must hold PROBE_MAX_FRAME. */
size_t probe_frame_write(const struct probe_frame *f, uint8_t *out);
/*
 * Reads a frame whose VLAN tag has been taken out of band (`vlan`). False when it is not a sound probe: wrong
 * ethertype, magic, type, a leg name without end, or a request that is shorter than it says.
 */
bool probe_frame_read(const uint8_t *data, size_t size, uint16_t vlan, struct probe_frame *ret) _warn_unused_;
/* The address that a leg's probes come from and go to: derived from the NIC's, so that a switch never learns a wrong
 * place for the NIC's own. */
void probe_derive_mac(const uint8_t nic[static 6], uint8_t ret[static 6]);

/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/probe_frame.h"

#include <string.h>

static const uint8_t magic[4] = {'M', 'u', 'P', '1'};

static void put16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static uint16_t get16(const uint8_t *p) {
    return (uint16_t)(p[0] << 8 | p[1]);
}

size_t probe_frame_write(const struct probe_frame *f, uint8_t *out) {
    size_t at = 12;
    memcpy(out, f->dst, 6);
    memcpy(out + 6, f->src, 6);
    if (f->vlan) {
        put16(out + at, 0x8100);
        put16(out + at + 2, f->vlan & 0x0fff);
        at += 4;
    }
    put16(out + at, PROBE_ETHERTYPE);
    at += 2;
    size_t payload = f->type == PROBE_REQUEST ? MIN(MAX(f->size, PROBE_MIN_SIZE), PROBE_MAX_SIZE) : PROBE_HEADER_SIZE;
    uint8_t *p = out + at;
    memset(p, 0, payload);
    memcpy(p, magic, sizeof(magic));
    p[4] = (uint8_t)f->type;
    put16(p + 6, f->type == PROBE_REQUEST ? (uint16_t)payload : f->size);
    for (unsigned i = 0; i < 8; i++)
        p[8 + i] = (uint8_t)(f->nonce >> (56 - 8 * i));
    memcpy(p + 16, f->host.b, 16);
    memcpy(p + 32, f->leg, PROBE_LEG_SIZE);
    return at + payload;
}

bool probe_frame_read(const uint8_t *data, size_t size, uint16_t vlan, struct probe_frame *ret) {
    if (size < 14 + PROBE_HEADER_SIZE || get16(data + 12) != PROBE_ETHERTYPE)
        return false;
    const uint8_t *p = data + 14;
    if (memcmp(p, magic, sizeof(magic)) != 0 || (p[4] != PROBE_REQUEST && p[4] != PROBE_ANSWER))
        return false;
    if (!memchr(p + 32, 0, PROBE_LEG_SIZE))
        return false;
    uint16_t claimed = get16(p + 6);
    if (p[4] == PROBE_REQUEST && (claimed < PROBE_MIN_SIZE || claimed > PROBE_MAX_SIZE || size - 14 < claimed))
        return false;
    struct probe_frame f = {.vlan = vlan, .type = p[4], .size = claimed};
    memcpy(f.dst, data, 6);
    memcpy(f.src, data + 6, 6);
    for (unsigned i = 0; i < 8; i++)
        f.nonce = f.nonce << 8 | p[8 + i];
    memcpy(f.host.b, p + 16, 16);
    memcpy(f.leg, p + 32, PROBE_LEG_SIZE);
    *ret = f;
    return true;
}

void probe_derive_mac(const uint8_t nic[static 6], uint8_t ret[static 6]) {
    ret[0] = 0x0a; /* locally administered, unicast */
    ret[1] = 0x5e;
    memcpy(ret + 2, nic + 2, 4);
}

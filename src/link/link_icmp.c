/* SPDX-License-Identifier: Apache-2.0 */
#include "link/link_icmp.h"

#include <assert.h>
#include <string.h>

uint16_t link_icmp_checksum(const void *data, size_t size) {
    assert(size % 2 == 0);
    uint32_t sum = 0;
    for (size_t i = 0; i < size; i += 2) {
        uint16_t word;
        memcpy(&word, (const uint8_t *)data + i, sizeof word);
        sum += word;
    }
    while (sum >> 16)
        sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)~sum;
}

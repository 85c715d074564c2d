/* SPDX-License-Identifier: Apache-2.0 */
/* Raw frames of the kernel driver: gratuitous ARP, unsolicited neighbour advertisements (RFC 4861 4.4), ARP probes. */
#include "link/link_kernel.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct arp_frame {
    uint8_t dst[6], src[6];
    uint16_t ethertype;
    uint16_t hardware, protocol;
    uint8_t hardware_size, protocol_size;
    uint16_t operation;
    uint8_t sender_mac[6], sender_ip[4], target_mac[6], target_ip[4];
    uint8_t pad[18]; /* to the 60 bytes that Ethernet wants */
} __attribute__((packed));

struct advertisement_frame {
    uint8_t dst[6], src[6];
    uint16_t ethertype;
    uint8_t version[4];
    uint16_t payload_size;
    uint8_t next_header, hop_limit;
    uint8_t src_ip[16], dst_ip[16];
    uint8_t type, code;
    uint16_t checksum;
    uint8_t flags[4];
    uint8_t target[16];
    uint8_t option_type, option_len;
    uint8_t option_mac[6];
} __attribute__((packed));

static int send_frame(const char *name, const void *frame, size_t size, uint16_t protocol) {
    _cleanup_close_ int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    unsigned index = if_nametoindex(name);
    if (index == 0)
        return -errno;
    struct sockaddr_ll to = {
        .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = (int)index, .sll_halen = 6};
    memcpy(to.sll_addr, frame, 6);
    return sendto(fd, frame, size, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to) < 0 ? -errno : 0;
}

static struct arp_frame arp_request(const struct link_mac *mac, const struct link_ip *sender,
                                    const struct link_ip *target) {
    struct arp_frame f = {.ethertype = htons(ETH_P_ARP),
                          .hardware = htons(ARPHRD_ETHER),
                          .protocol = htons(ETH_P_IP),
                          .hardware_size = 6,
                          .protocol_size = 4,
                          .operation = htons(ARPOP_REQUEST)};
    memset(f.dst, 0xff, sizeof f.dst);
    memcpy(f.src, mac->b, sizeof f.src);
    memcpy(f.sender_mac, mac->b, sizeof f.sender_mac);
    if (sender->family == AF_INET)
        memcpy(f.sender_ip, sender->b, sizeof f.sender_ip);
    memcpy(f.target_ip, target->b, sizeof f.target_ip);
    return f;
}

static uint16_t checksum(uint32_t sum, const void *data, size_t size) {
    const uint8_t *p = data;
    for (size_t i = 0; i + 1 < size; i += 2)
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

static int announce_v6(const char *name, const struct link_mac *mac, const struct link_ip *ip) {
    struct advertisement_frame f = {.dst = {0x33, 0x33, 0, 0, 0, 1},
                                    .ethertype = htons(ETH_P_IPV6),
                                    .version = {0x60},
                                    .payload_size = htons(32),
                                    .next_header = IPPROTO_ICMPV6,
                                    .hop_limit = 255,
                                    .dst_ip = {0xff, 0x02, [15] = 1},
                                    .type = 136,
                                    .flags = {0x20}, /* override: the caches must take the new MAC */
                                    .option_type = 2,
                                    .option_len = 1};
    memcpy(f.src, mac->b, sizeof f.src);
    memcpy(f.src_ip, ip->b, sizeof f.src_ip);
    memcpy(f.target, ip->b, sizeof f.target);
    memcpy(f.option_mac, mac->b, sizeof f.option_mac);
    /* Pseudo header: addresses (copied, they lie in sequence), size 32, next header 58. */
    uint8_t summed[32 + 32];
    memcpy(summed, f.src_ip, 16);
    memcpy(summed + 16, f.dst_ip, 16);
    memcpy(summed + 32, &f.type, 32);
    f.checksum = checksum(32 + IPPROTO_ICMPV6, summed, sizeof summed);
    return send_frame(name, &f, sizeof f, ETH_P_IPV6);
}

int link_kernel_announce(struct link *l, const char *name, const struct link_mac *mac, const struct link_ip *ip) {
    if (ip->family == AF_INET6)
        return announce_v6(name, mac, ip);
    if (ip->family != AF_INET)
        return -EAFNOSUPPORT;
    struct arp_frame f = arp_request(mac, ip, ip);
    return send_frame(name, &f, sizeof f, ETH_P_ARP);
}

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int link_kernel_arp_probe(struct link *l, const char *name, const struct link_ip *src, const struct link_ip *dst,
                          unsigned timeout_ms, struct link_mac *ret_mac) {
    struct link_info info;
    int r = link_find(l, name, &info);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ARP));
    if (fd < 0)
        return -errno;
    struct sockaddr_ll here = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_ifindex = info.index};
    if (bind(fd, (struct sockaddr *)&here, sizeof here) < 0)
        return -errno;
    struct arp_frame f = arp_request(&info.mac, src, dst);
    int64_t deadline = now_ms() + timeout_ms, next_send = 0;
    for (;;) {
        int64_t now = now_ms();
        if (now >= deadline)
            return -ETIMEDOUT;
        if (now >= next_send) { /* asked again three times within the timeout, at most every 100 ms */
            (void)send_frame(name, &f, sizeof f, ETH_P_ARP);
            next_send = now + MAX(100, (int64_t)timeout_ms / 4);
        }
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, (int)(MIN(deadline, next_send) - now)) <= 0)
            continue;
        struct arp_frame in;
        ssize_t n = recv(fd, &in, sizeof in, 0);
        if (n < (ssize_t)offsetof(struct arp_frame, pad) || in.operation != htons(ARPOP_REPLY) ||
            memcmp(in.sender_ip, dst->b, 4) != 0)
            continue;
        memcpy(ret_mac->b, in.sender_mac, sizeof ret_mac->b);
        return 0;
    }
}

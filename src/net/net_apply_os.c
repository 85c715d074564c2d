/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_apply_os.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define ANSWER_MS 250

uint64_t net_clock_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void net_wait_ms(unsigned ms) {
    (void)poll(NULL, 0, (int)MIN(ms, 60000u));
}

int net_probe_neighbour6(struct link *l, const char *name, const struct link_ip *dst) {
    struct link_info info;
    int r = link_find(l, name, &info);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* A datagram to the discard port: what counts is the neighbour solicitation that must come before it. */
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_scope_id = (uint32_t)info.index};
    memcpy(&to.sin6_addr, dst->b, sizeof to.sin6_addr);
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)) < 0 ||
        sendto(fd, "", 1, 0, (struct sockaddr *)&to, sizeof to) < 0)
        return -errno;
    for (uint64_t deadline = net_clock_ms() + ANSWER_MS; net_clock_ms() < deadline; net_wait_ms(10)) {
        _cleanup_(link_neighbours_done) struct link_neighbours all = {0};
        r = link_list_neighbours(l, &all);
        if (r < 0)
            return r;
        for (size_t i = 0; i < all.n; i++)
            if (all.items[i].index == info.index && all.items[i].usable && link_ip_eq(&all.items[i].ip, dst))
                return 0;
    }
    return -ETIMEDOUT;
}

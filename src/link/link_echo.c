/* SPDX-License-Identifier: Apache-2.0 */
#include "link/link_echo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/macro.h"
#include "link/link_icmp.h"

#define PAUSE_MS 200
#define SMALL_SIZE 64
#define IP4_HEADER 20
#define IP6_HEADER 40
#define MAX_READS 256

struct echo { /* the same for both families; zeros follow up to the size */
    uint8_t type, code;
    uint16_t checksum, id, seq;
    uint32_t mark; /* ours among all answers */
    uint16_t index, is_small;
};

struct sockets {
    int v4, v6;
    uint32_t mark;
};

static uint64_t clock_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void send_one(const struct sockets *s, const char *address, unsigned index, bool is_small, unsigned size,
                     uint8_t *packet) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    bool is_v6 = inet_pton(AF_INET, address, &v4.sin_addr) != 1;
    if (is_v6 && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1)
        return;
    unsigned header = is_v6 ? IP6_HEADER : IP4_HEADER, least = header + (unsigned)sizeof(struct echo);
    size_t n = MAX(is_small ? MIN((unsigned)SMALL_SIZE, size) : size, least) - header;
    struct echo e = {.type = is_v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO,
                     .mark = s->mark,
                     .index = (uint16_t)index,
                     .is_small = is_small};
    e.checksum = is_v6 ? 0 : link_icmp_checksum(&e, sizeof(e));
    memset(packet, 0, n);
    memcpy(packet, &e, sizeof(e));
    /* No route yet, no neighbour: then there is no answer, and the next one is tried. */
    ssize_t sent = is_v6 ? sendto(s->v6, packet, n, MSG_DONTWAIT, (struct sockaddr *)&v6, sizeof(v6))
                         : sendto(s->v4, packet, n, MSG_DONTWAIT, (struct sockaddr *)&v4, sizeof(v4));
    (void)sent;
}

static void receive(const struct sockets *s, bool is_v6, struct link_echo *list, unsigned n) {
    for (unsigned i = 0; i < MAX_READS; i++) {
        uint8_t packet[256];
        ssize_t got = recv(is_v6 ? s->v6 : s->v4, packet, sizeof(packet), MSG_DONTWAIT);
        if (got <= 0)
            return;
        size_t at = is_v6 ? 0 : (size_t)(packet[0] & 15) * 4; /* a raw IPv4 socket gives the IP header, too */
        struct echo e;
        if ((size_t)got < at + sizeof(e))
            continue;
        memcpy(&e, packet + at, sizeof(e));
        if (e.type != (is_v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY) || e.mark != s->mark || e.index >= n)
            continue;
        if (e.is_small)
            list[e.index].answered_small = true;
        else
            list[e.index].answered = true;
    }
}

static bool is_done(const struct link_echo *list, unsigned n, bool all) {
    unsigned n_answered = 0;
    for (unsigned i = 0; i < n; i++)
        n_answered += list[i].answered;
    return all ? n_answered == n : n_answered > 0;
}

static int open_sockets(struct sockets *s) {
    const int probe4 = IP_PMTUDISC_PROBE, probe6 = IPV6_PMTUDISC_PROBE; /* unfragmented, whatever a route remembers */
    s->v4 = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
    int r = -errno;
    s->v6 = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);
    if (s->v4 < 0 && s->v6 < 0)
        return r;
    if (s->v4 >= 0 && setsockopt(s->v4, IPPROTO_IP, IP_MTU_DISCOVER, &probe4, sizeof(probe4)) < 0)
        return -errno;
    if (s->v6 >= 0 && setsockopt(s->v6, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe6, sizeof(probe6)) < 0)
        return -errno;
    return getrandom(&s->mark, sizeof(s->mark), 0) == sizeof(s->mark) ? 0 : -EIO;
}

static void ask_and_hear(const struct sockets *s, struct link_echo *list, unsigned n, unsigned size, uint64_t until_ms,
                         bool all, bool (*stop)(void), uint8_t *packet) {
    uint64_t next_ms = 0;
    for (uint64_t now; !is_done(list, n, all) && (now = clock_ms()) < until_ms && !(stop && stop());) {
        for (unsigned i = 0; now >= next_ms && i < n; i++) {
            if (!list[i].answered_small)
                send_one(s, list[i].address, i, /* is_small= */ true, size, packet);
            if (!list[i].answered)
                send_one(s, list[i].address, i, /* is_small= */ false, size, packet);
        }
        next_ms = now >= next_ms ? now + PAUSE_MS : next_ms;
        struct pollfd fds[2] = {{.fd = s->v4, .events = POLLIN}, {.fd = s->v6, .events = POLLIN}};
        if (poll(fds, 2, (int)MIN(next_ms - now, until_ms - now)) <= 0)
            continue;
        receive(s, /* is_v6= */ false, list, n);
        receive(s, /* is_v6= */ true, list, n);
    }
}

int link_echo_run(struct link_echo *list, unsigned n, unsigned size, unsigned timeout_ms, bool all,
                  bool (*stop)(void)) {
    struct sockets s = {.v4 = -1, .v6 = -1};
    int r = n > LINK_ECHO_MAX || size > LINK_ECHO_MAX_SIZE ? -EINVAL : open_sockets(&s);
    if (r == 0) {
        _cleanup_free_ uint8_t *packet = xcalloc(1, size + 128);
        ask_and_hear(&s, list, n, size, clock_ms() + timeout_ms, all, stop, packet);
    }
    if (s.v4 >= 0)
        close(s.v4);
    if (s.v6 >= 0)
        close(s.v6);
    return r;
}

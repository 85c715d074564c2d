/* SPDX-License-Identifier: Apache-2.0 */
#include "link/link_ping.h"

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macro.h"
#include "link/link_icmp.h"

#define PAUSE_MS 250
#define MAX_READS 64 /* in one turn: a raw socket hears every echo answer of the host */

struct link_ping {
    struct loop *loop;
    int fd;
    bool is_v6;
    struct sockaddr_storage to;
    socklen_t to_size;
    uint32_t mark; /* ours among all answers */
    uint16_t seq;
    uint64_t until_ms;
    struct loop_source *source, *timer;
    link_ping_fn *done;
    void *userdata;
};

struct echo { /* the same for both families */
    uint8_t type, code;
    uint16_t checksum, id, seq;
    uint32_t mark;
};

void link_ping_free(struct link_ping *p) {
    if (!p)
        return;
    loop_source_free(p->source);
    loop_source_free(p->timer);
    if (p->fd >= 0)
        close(p->fd);
    free(p);
}

static void end(struct link_ping *p, bool answered) {
    link_ping_fn *done = p->done;
    void *userdata = p->userdata;
    link_ping_free(p);
    done(answered, userdata);
}

static void on_timer(struct loop_source *s, void *userdata) {
    struct link_ping *p = userdata;
    uint64_t now = loop_now_ms(p->loop);
    if (now >= p->until_ms) {
        end(p, false);
        return;
    }
    struct echo e = {.type = p->is_v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO, .mark = p->mark, .seq = htons(++p->seq)};
    e.checksum = p->is_v6 ? 0 : link_icmp_checksum(&e, sizeof(e));
    /* No route yet, no neighbour: then there is no answer, and the next one is tried. */
    ssize_t n = sendto(p->fd, &e, sizeof(e), MSG_DONTWAIT, (const struct sockaddr *)&p->to, p->to_size);
    (void)n;
    loop_timer_set(p->timer, MIN((uint64_t)PAUSE_MS, p->until_ms - now));
}

static void on_readable(struct loop_source *s, int fd, unsigned events, void *userdata) {
    struct link_ping *p = userdata;
    for (unsigned i = 0; i < MAX_READS; i++) {
        uint8_t packet[512];
        ssize_t n = recv(p->fd, packet, sizeof(packet), MSG_DONTWAIT);
        if (n <= 0)
            return;
        size_t at = p->is_v6 ? 0 : (size_t)(packet[0] & 15) * 4; /* a raw IPv4 socket gives the IP header, too */
        struct echo e;
        if ((size_t)n < at + sizeof(e))
            continue;
        memcpy(&e, packet + at, sizeof(e));
        if (e.type == (p->is_v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY) && e.mark == p->mark) {
            end(p, true);
            return;
        }
    }
}

static bool parse(struct link_ping *p, const char *address) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)&p->to;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&p->to;
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        p->to_size = sizeof(*v4);
        return true;
    }
    if (inet_pton(AF_INET6, address, &v6->sin6_addr) != 1)
        return false;
    v6->sin6_family = AF_INET6;
    p->to_size = sizeof(*v6);
    p->is_v6 = true;
    return true;
}

struct link_ping *link_ping_new(struct loop *l, const char *address, uint64_t deadline_ms, link_ping_fn *done,
                                void *userdata) {
    struct link_ping *p = xnew0(struct link_ping);
    *p = (struct link_ping){.loop = l,
                            .fd = -1,
                            .mark = (uint32_t)loop_random(l),
                            .until_ms = loop_now_ms(l) + deadline_ms,
                            .done = done,
                            .userdata = userdata};
    if (parse(p, address))
        p->fd = socket(p->is_v6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                       p->is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    if (p->fd < 0) {
        link_ping_free(p);
        return NULL;
    }
    p->source = loop_add_fd(l, p->fd, LOOP_READ, on_readable, p);
    p->timer = loop_add_timer(l, 0, on_timer, p);
    return p;
}

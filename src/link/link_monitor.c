/* SPDX-License-Identifier: Apache-2.0 */
#include "link/link_monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

struct link_monitor {
    struct mnl_socket *socket;
    struct loop_source *source;
    link_monitor_fn *fn;
    void *userdata;
};

static int on_message(const struct nlmsghdr *h, void *data) {
    unsigned *events = data;
    switch (h->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
        *events |= LINK_EVENT_LINK;
        break;
    case RTM_NEWADDR:
    case RTM_DELADDR:
        *events |= LINK_EVENT_ADDRESS;
        break;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        *events |= LINK_EVENT_ROUTE;
        break;
    default:
        break;
    }
    return MNL_CB_OK;
}

static void on_readable(struct loop_source *s, int fd, unsigned ready, void *userdata) {
    struct link_monitor *m = userdata;
    char *buffer = xmalloc(65536);
    unsigned events = 0;
    for (int i = 0; i < 64; i++) { /* the rest in the next turn */
        ssize_t n = mnl_socket_recvfrom(m->socket, buffer, 65536);
        if (n < 0 && errno == ENOBUFS) { /* messages were lost: everything may have changed */
            events |= LINK_EVENT_LINK | LINK_EVENT_ADDRESS | LINK_EVENT_ROUTE;
            continue;
        }
        if (n <= 0)
            break;
        (void)mnl_cb_run(buffer, (size_t)n, 0, 0, on_message, &events);
    }
    free(buffer);
    if (events)
        m->fn(events, m->userdata);
}

int link_monitor_new(struct loop *l, link_monitor_fn *fn, void *userdata, struct link_monitor **ret) {
    struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (!s)
        return -errno;
    unsigned groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
    if (mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID) < 0) {
        int r = -errno;
        mnl_socket_close(s);
        return r;
    }
    struct link_monitor *m = xnew0(struct link_monitor);
    *m = (struct link_monitor){.socket = s, .fn = fn, .userdata = userdata};
    m->source = loop_add_fd(l, mnl_socket_get_fd(s), LOOP_READ, on_readable, m);
    *ret = m;
    return 0;
}

void link_monitor_free(struct link_monitor *m) {
    if (!m)
        return;
    loop_source_free(m->source);
    mnl_socket_close(m->socket);
    free(m);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/probe_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ETHERTYPE_ALL 0x0003

/*
 * Accept frames whose ethertype is ours. The kernel has stripped an 802.1Q tag before taps run, so the ethertype stands
 * at 12; the second half accepts a frame whose tag some driver left in place.
 */
static struct sock_filter filter[] = {
    {BPF_LD | BPF_H | BPF_ABS, 0, 0, 12},
    {BPF_JMP | BPF_JEQ | BPF_K, 3, 0, PROBE_ETHERTYPE},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0x8100},
    {BPF_LD | BPF_H | BPF_ABS, 0, 0, 16},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, PROBE_ETHERTYPE},
    {BPF_RET | BPF_K, 0, 0, 0x40000},
    {BPF_RET | BPF_K, 0, 0, 0},
};

static int socket_setup(int fd, int ifindex) {
    int on = 1, buffer = 1 << 20;
    struct sock_fprog program = {.len = ARRAY_SIZE(filter), .filter = filter};
    struct packet_mreq promiscuous = {.mr_ifindex = ifindex, .mr_type = PACKET_MR_PROMISC};
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_ALL), .sll_ifindex = ifindex};
    /* The filter goes on before the bind: no foreign frame is ever queued. */
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    return 0;
}

int probe_socket_open(const char *name) {
    int ifindex = (int)if_nametoindex(name);
    if (!ifindex)
        return -errno;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int r = socket_setup(fd, ifindex);
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

int probe_socket_send(int fd, const uint8_t *frame, size_t size) {
    return send(fd, frame, size, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int probe_socket_receive(int fd, struct probe_frame *ret) {
    static uint8_t data[PROBE_MAX_FRAME + 64]; /* loop thread only; larger frames are cut and then refused */
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
    } control;
    struct iovec part = {.iov_base = data, .iov_len = sizeof(data)};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t size = recvmsg(fd, &message, 0);
    if (size < 0)
        return -errno;
    uint16_t vlan = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
        if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
            struct tpacket_auxdata aux;
            memcpy(&aux, CMSG_DATA(c), sizeof(aux));
            if (aux.tp_status & TP_STATUS_VLAN_VALID)
                vlan = aux.tp_vlan_tci & 0x0fff;
        }
    if (size >= 18 && data[12] == 0x81 && data[13] == 0x00) {
        vlan = (uint16_t)((data[14] << 8 | data[15]) & 0x0fff);
        memmove(data + 12, data + 16, (size_t)size - 16);
        size -= 4;
    }
    return probe_frame_read(data, (size_t)size, vlan, ret) ? 1 : 0;
}

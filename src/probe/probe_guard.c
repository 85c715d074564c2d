/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/probe_guard.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "probe/probe_frame.h"

/* OpenFlow 1.0.0, sections 5.1, 5.2.3, 5.3.3: message types and the wildcard bits of a match. */
enum {
    OF_VERSION = 1,
    OF_HELLO = 0,
    OF_ERROR = 1,
    OF_ECHO_REQUEST = 2,
    OF_ECHO_REPLY = 3,
    OF_FLOW_MOD = 14,
    OF_BARRIER_REQUEST = 18,
    OF_BARRIER_REPLY = 19
};
#define WILDCARD_ALL ((1u << 22) - 1)
#define WILDCARD_DL_TYPE (1u << 4)
#define FLOW_MOD_SIZE 72
#define MAX_MESSAGE 4096

static void put16(uint8_t *p, unsigned v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v) {
    put16(p, v >> 16);
    put16(p + 2, v & 0xffff);
}

static void put_header(uint8_t *p, unsigned type, unsigned size, uint32_t xid) {
    p[0] = OF_VERSION;
    p[1] = (uint8_t)type;
    put16(p + 2, size);
    put32(p + 4, xid);
}

static int send_all(int fd, const uint8_t *data, size_t size) {
    while (size) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n < 0)
            return -errno;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

static int receive_all(int fd, uint8_t *data, size_t size) {
    while (size) {
        ssize_t n = recv(fd, data, size, 0);
        if (n <= 0)
            return n ? -errno : -ECONNRESET;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

/* Reads until the switch has answered the barrier (all before it is done) or complained. */
static int wait_barrier(int fd) {
    uint8_t message[MAX_MESSAGE];
    for (unsigned i = 0; i < 64; i++) {
        int r = receive_all(fd, message, 8);
        if (r < 0)
            return r;
        size_t size = (size_t)(message[2] << 8 | message[3]);
        if (size < 8 || size > sizeof(message))
            return -EPROTO;
        r = receive_all(fd, message + 8, size - 8);
        if (r < 0)
            return r;
        if (message[1] == OF_ERROR)
            return -EPROTO;
        if (message[1] == OF_BARRIER_REPLY)
            return 0;
        if (message[1] == OF_ECHO_REQUEST) {
            message[1] = OF_ECHO_REPLY;
            r = send_all(fd, message, size);
            if (r < 0)
                return r;
        }
    }
    return -EPROTO;
}

int probe_guard_install(const char *socket_path, int timeout_ms) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(socket_path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, socket_path, strlen(socket_path));
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;

    uint8_t out[8 + FLOW_MOD_SIZE + 8] = {0}, *flow = out + 8;
    put_header(out, OF_HELLO, 8, 1);
    put_header(flow, OF_FLOW_MOD, FLOW_MOD_SIZE, 2);
    put32(flow + 8, WILDCARD_ALL & ~WILDCARD_DL_TYPE);
    put16(flow + 8 + 22, PROBE_ETHERTYPE); /* match.dl_type */
    put16(flow + 62, 65535);               /* priority */
    put32(flow + 64, UINT32_MAX);          /* no buffered packet */
    put16(flow + 68, 0xffff);              /* out_port: any; no actions follow, so it drops */
    put_header(out + 8 + FLOW_MOD_SIZE, OF_BARRIER_REQUEST, 8, 3);
    int r = send_all(fd, out, sizeof(out));
    return r < 0 ? r : wait_barrier(fd);
}

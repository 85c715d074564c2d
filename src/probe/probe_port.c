/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/probe_port.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "probe/probe_socket.h"

#define REOPEN_MS 500
/* Frames read from one leg in one loop turn: keeps a flood on one leg from starving the rest. */
#define MAX_READS 256

struct probe_port {
    struct loop *loop;
    char name[PROBE_LEG_SIZE];
    int fd; /* -1: not open */
    struct loop_source *source, *reopen;
    probe_port_frame_fn *frame;
    probe_port_idle_fn *idle;
    void *userdata;
    bool *freed; /* set while frames are read */
};

static void port_close(struct probe_port *port) {
    loop_source_free(port->source);
    port->source = NULL;
    if (port->fd >= 0)
        close(port->fd);
    port->fd = -1;
}

static void port_lost(struct probe_port *port) {
    port_close(port);
    loop_timer_set(port->reopen, REOPEN_MS);
}

void probe_port_send(struct probe_port *port, const uint8_t *frame, size_t size) {
    if (port->fd < 0)
        return;
    /*
     * A frame above the leg's own MTU, or a link that is down, is a frame that does not arrive: the core learns it
     * from the missing answer. An interface that is gone needs a new socket.
     */
    int r = probe_socket_send(port->fd, frame, size);
    if (r == -ENXIO || r == -ENODEV)
        port_lost(port);
}

static void on_readable(struct loop_source *s, int fd, unsigned events, void *userdata) {
    struct probe_port *port = userdata;
    bool freed = false;
    port->freed = &freed;
    for (unsigned i = 0; i < MAX_READS; i++) {
        struct probe_frame f;
        int r = probe_socket_receive(fd, &f);
        if (r == 1) {
            port->frame(port, &f, port->userdata);
            if (freed)
                return;
            if (port->fd != fd)
                break; /* an answer met a vanished interface */
        } else if (r == -ENETDOWN || r == -EINTR) {
            continue; /* reported once by the kernel when the link goes down; the socket stays good */
        } else if (r == -EAGAIN) {
            break;
        } else if (r < 0) {
            port_lost(port);
            break;
        }
    }
    port->freed = NULL;
    port->idle(port, port->userdata);
}

static void port_open(struct probe_port *port) {
    port->fd = probe_socket_open(port->name);
    if (port->fd < 0) {
        port->fd = -1;
        loop_timer_set(port->reopen, REOPEN_MS);
        return;
    }
    port->source = loop_add_fd(port->loop, port->fd, LOOP_READ, on_readable, port);
}

static void on_reopen(struct loop_source *s, void *userdata) {
    port_open(userdata);
}

struct probe_port *probe_port_new(struct loop *l, const char *leg, probe_port_frame_fn *frame, probe_port_idle_fn *idle,
                                  void *userdata) {
    struct probe_port *port = xnew0(struct probe_port);
    *port = (struct probe_port){.loop = l, .fd = -1, .frame = frame, .idle = idle, .userdata = userdata};
    size_t n = strnlen(leg, sizeof(port->name) - 1);
    memcpy(port->name, leg, n);
    port->reopen = loop_add_timer(l, LOOP_NEVER, on_reopen, port);
    port_open(port);
    return port;
}

void probe_port_free(struct probe_port *port) {
    if (!port)
        return;
    if (port->freed)
        *port->freed = true;
    port_close(port);
    loop_source_free(port->reopen);
    free(port);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A server and raw client sockets in one process and one thread: whoever waits turns the loop, always under a deadline.
 */
#pragma once

#include "base/error.h"
#include "wire/http_server.h"

struct rig {
    struct loop *loop;
    struct http_server *server;
    char folder[64]; /* scratch: sockets, certificates */
};

void rig_init(struct rig *r, const struct http_limits *limits);
void rig_done(struct rig *r);
/* Turns the loop until check(arg) holds; fails the test after deadline_ms. */
void rig_wait(struct rig *r, bool (*check)(void *arg), void *arg, unsigned deadline_ms);
int rig_connect(uint16_t port); /* to 127.0.0.1; non-blocking */
void rig_send(int fd, const char *text);
/* Collects what comes until `end` stands in it (NULL: until the peer closes). */
void rig_receive_until(struct rig *r, int fd, struct buf *out, const char *end, unsigned deadline_ms);
/* A self-signed certificate or, with an issuer, one of that authority: <folder>/<name>.crt and .key. */
void rig_make_certificate(struct rig *r, const char *name, const char *issuer, const char *common_name);
const char *rig_path(struct rig *r, const char *name, char *text, size_t size);
unsigned rig_count(const char *text, const char *part);

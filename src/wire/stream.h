/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte stream on the loop: a connected unix or TCP socket, plain or in TLS. Reading is pushed: what arrives is handed
 * to `data` at once (or stays in the kernel while paused). Writing goes straight to the socket when it can and is
 * queued otherwise. Handshakes and connects run by themselves under a deadline. Loop thread only.
 *
 * Life: the one who holds the stream frees it, with stream_free (at once) or stream_finish (after what is queued). Both
 * are allowed inside its callbacks. No callback comes after either. A stream never frees itself.
 */
#pragma once

#include "loop/loop.h"
#include "wire/tls.h"
#include "wire/tls_trust.h"

struct stream;

struct stream_callbacks {
    /* Connected and, with TLS, the handshake is done. May be NULL. For accepted plain streams it comes from
     * stream_start. */
    void (*ready)(struct stream *s, void *userdata);
    /* Bytes came. They are borrowed for the call. */
    void (*data)(struct stream *s, const char *data, size_t size, void *userdata);
    /*
     * Nothing more will come. r == 0: the peer has ended its direction in an orderly way; writing may still work.
     * r < 0: the stream is broken (-ETIMEDOUT connect or handshake, -ECONNRESET, -EPROTO for TLS, -EKEYREJECTED when
     * the certificate was refused ...). Called once. The holder then frees or finishes the stream.
     */
    void (*end)(struct stream *s, int r, void *userdata);
    /* The queue, having been above the high-water mark, is below a quarter of it. May be NULL. */
    void (*drain)(struct stream *s, void *userdata);
};

/* The other end. */
struct stream_peer {
    bool is_unix;
    bool is_tls;
    unsigned uid;     /* unix: of the process that connected, else UINT_MAX */
    int pid;          /* unix, else 0 */
    char address[64]; /* numeric, "" for unix; IPv4-mapped addresses in IPv4 form; link-local ones with %zone */
    uint16_t port;
    struct tls_peer tls; /* complete from `ready` on */
};

/* Takes over fd (connected, non-blocking, CLOEXEC). `tls` may be NULL (plain). Nothing happens before stream_start. */
struct stream *stream_new(struct loop *l, int fd, struct tls_context *tls, bool is_server);
/* May be called again later, when a stream changes hands; an end that the old holder was told is told again. */
void stream_set_callbacks(struct stream *s, const struct stream_callbacks *callbacks, void *userdata);
/* Starts reading, and the handshake; `deadline_ms` limits the handshake (0: 15 s). */
void stream_start(struct stream *s, unsigned deadline_ms);

/*
 * Connects. `address` is numeric (IPv4, IPv6, optional %zone), or a path when it begins with '/'. `source` may name the
 * numeric local address to use. The outcome is `ready` or `end`, never before this returns. NULL with errp only when
 * the address makes no sense. `server_name` is checked against the certificate under TLS_VERIFY_CA (NULL: the address).
 */
struct stream *stream_connect(struct loop *l, const char *address, uint16_t port, const char *source,
                              struct tls_context *tls, const char *server_name, unsigned deadline_ms,
                              const struct stream_callbacks *callbacks, void *userdata, struct error **errp);

/*
 * Queues bytes (copied). False when the stream has ended or broken or the queue would pass its hard limit (then nothing
 * of it was taken). The `end` callback tells about errors, later, not this.
 */
bool stream_write(struct stream *s, const void *data, size_t size);
/* Head and body as one: one writev, or one TLS record when they fit. The body's memory is taken, `body` left empty,
 * also on false. */
bool stream_write_buf(struct stream *s, const void *head, size_t head_size, struct buf *body);
size_t stream_queued(const struct stream *s);
/* Defaults: 256 KiB and 64 MiB. */
void stream_set_limits(struct stream *s, size_t high_water, size_t hard_limit);
bool stream_is_congested(const struct stream *s); /* above the high-water mark, and not yet drained */

void stream_pause(struct stream *s, bool paused); /* stops reading; a paused stream still notices a broken connection */
/* Ends when no byte has come and none could be written for that long (`end` with -ETIMEDOUT); 0: never (default).
 * Precision one second. */
void stream_set_idle_timeout(struct stream *s, unsigned timeout_ms);
void stream_free(struct stream *s); /* accepts NULL */
/* Sends what is queued, says goodbye, closes; gives up after deadline_ms. The stream is no longer the caller's. */
void stream_finish(struct stream *s, unsigned deadline_ms);

const struct stream_peer *stream_get_peer(const struct stream *s);
/* Whether the certificate that the other end has shown stands for a login in this name; see tls_trust_judge. Only once
 * the stream is ready; false without TLS. */
bool stream_is_trusted(const struct stream *s, const struct tls_trust *trust, const char *name,
                       struct tls_vouched *ret);
struct loop *stream_get_loop(const struct stream *s);
const char *stream_error_text(const struct stream *s); /* after `end` with r < 0: one line for a log, never NULL */

/* ---- listening ---- */
struct listener;
/* A new connection; the stream is the callee's (not started: set callbacks, then stream_start). */
typedef void listener_accept_fn(struct listener *n, struct stream *s, void *userdata);

/*
 * Listens on a unix path (replaced when nobody answers there; mode as given) or on a numeric address and port ("::"
 * takes both families, "0.0.0.0" one). The address need not exist yet. tls may be NULL.
 */
struct listener *listener_new(struct loop *l, const char *address, uint16_t port, unsigned unix_mode,
                              struct tls_context *tls, listener_accept_fn *fn, void *userdata, struct error **errp);
void listener_free(struct listener *n); /* accepts NULL; accepted streams live on; removes the unix path */
void listener_pause(struct listener *n, bool paused);
uint16_t listener_port(const struct listener *n); /* the real one when 0 was asked */

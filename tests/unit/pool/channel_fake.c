/* SPDX-License-Identifier: Apache-2.0 */
#include "channel_fake.h"

#include <stdlib.h>

#include "base/macro.h"
#include "wire/channel.h"
#include "wire/tls.h"

struct channel {
    struct channel_callbacks callbacks;
    void *userdata;
};

static struct stream_peer shown = {.is_tls = true, .address = "10.0.0.2"};
static struct channel *latest; /* the one that was made last and is still there */
static channel_fake_sent_fn *sent_fn;
static void *sent_userdata;
static listener_accept_fn *accept_fn;
static void *accept_userdata;

void channel_fake_begin(channel_fake_sent_fn *sent, void *userdata) {
    latest = NULL;
    sent_fn = sent;
    sent_userdata = userdata;
}

void channel_fake_accept(void) {
    accept_fn(NULL, NULL, accept_userdata);
}

void channel_fake_say(const char *json, size_t size) {
    if (latest)
        latest->callbacks.message(latest, json, size, latest->userdata);
}

/* ---- wire/channel.h ---- */
static struct channel *make(const struct channel_callbacks *callbacks, void *userdata) {
    latest = xnew0(struct channel);
    *latest = (struct channel){*callbacks, userdata};
    return latest;
}

struct channel *channel_new(struct stream *s, const struct channel_callbacks *callbacks, void *userdata) {
    return make(callbacks, userdata);
}

struct channel *channel_connect(struct loop *l, const char *address, uint16_t port, const char *source,
                                struct tls_context *tls, unsigned deadline_ms,
                                const struct channel_callbacks *callbacks, void *userdata, struct error **errp) {
    return make(callbacks, userdata);
}

void channel_free(struct channel *c) {
    if (c == latest)
        latest = NULL;
    free(c);
}

void channel_finish(struct channel *c, unsigned deadline_ms) {
    channel_free(c);
}

void channel_set_authenticated(struct channel *c) {}

bool channel_send(struct channel *c, const char *json, size_t size) {
    if (size > CHANNEL_MAX_FRAME)
        return false;
    if (sent_fn)
        sent_fn(json, size, sent_userdata);
    return true;
}

size_t channel_queued(const struct channel *c) {
    return 0;
}

const struct stream_peer *channel_get_peer(const struct channel *c) {
    if (!c)
        abort();
    return &shown;
}

/* ---- TLS and the listener: files with certificates are not looked at ---- */
struct tls_context *tls_context_new(const struct tls_config *config, struct error **errp) {
    static int any;
    return (struct tls_context *)&any;
}

void tls_context_unref(struct tls_context *c) {}

bool tls_context_reload(struct tls_context *c, struct error **errp) {
    return true;
}

struct listener *listener_new(struct loop *l, const char *address, uint16_t port, unsigned unix_mode,
                              struct tls_context *tls, listener_accept_fn *fn, void *userdata, struct error **errp) {
    accept_fn = fn;
    accept_userdata = userdata;
    return (struct listener *)&accept_fn;
}

void listener_free(struct listener *n) {}

void stream_free(struct stream *s) {}

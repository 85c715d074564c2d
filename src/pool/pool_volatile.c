/* SPDX-License-Identifier: Apache-2.0 */
/* Carries the volatile store: each host's own rows to the coordinator, everybody's from there to everybody. */
#include "pool/pool_channel_private.h"

#include <string.h>

#define LOG_MODULE "pool"
#include "base/log.h"

/* A peer with this much unsent is slow; it gets the newest state once it has read the older. */
#define QUEUE_ENOUGH (1u << 20)

static struct sent *sent_of(struct peer *p, const struct uuid *owner) {
    for (size_t i = 0; i < p->n_sent; i++)
        if (uuid_eq(&p->sent[i].owner, owner))
            return &p->sent[i];
    p->sent = xrealloc_array(p->sent, p->n_sent + 1, sizeof(*p->sent));
    p->sent[p->n_sent] = (struct sent){.owner = *owner};
    return &p->sent[p->n_sent++];
}

static void send_owner(struct peer *p, const struct uuid *owner) {
    struct sent *sent = sent_of(p, owner);
    uint64_t now = db_volatile_generation(p->c->config.db, owner);
    if (now == sent->generation)
        return;
    uint64_t next = 0;
    _cleanup_free_ char *data =
        db_volatile_export(p->c->config.db, owner, now < sent->generation ? 0 : sent->generation, &next);
    if (!data)
        return;
    _cleanup_value_ struct value m = message_new("vol");
    value_map_add(&m, "owner", value_uuid(owner));
    value_map_add(&m, "data", value_string_take(TAKE(data)));
    if (peer_send(p, &m))
        sent->generation = next;
}

void volatile_flush(struct pool_channel *c) {
    for (unsigned i = 0; i < c->n_peers; i++) {
        struct peer *p = c->peers[i];
        if (!p->admitted || !p->channel || channel_queued(p->channel) > QUEUE_ENOUGH)
            continue;
        send_owner(p, &c->config.self);
        if (p == c->coordinator)
            continue; /* a member tells of itself only */
        for (const struct row *h = db_first(c->config.db, CLASS_host); h; h = db_next(c->config.db, h))
            if (!uuid_eq(&h->uuid, &p->host) && !uuid_eq(&h->uuid, &c->config.self))
                send_owner(p, &h->uuid);
    }
}

void volatile_forget(struct pool_channel *c, const struct uuid *owner) {
    for (unsigned i = 0; i < c->n_peers; i++)
        for (size_t k = 0; k < c->peers[i]->n_sent; k++)
            if (uuid_eq(&c->peers[i]->sent[k].owner, owner))
                c->peers[i]->sent[k].generation = 0;
}

void volatile_receive(struct peer *p, const struct value *message) {
    struct uuid owner;
    const char *data = value_map_str(message, "data");
    static struct log_limit limit;
    if (!data || !value_map_uuid(message, "owner", &owner))
        return;
    /* A member speaks for itself only; the coordinator for everybody but us. */
    if (p == p->c->coordinator ? uuid_eq(&owner, &p->c->config.self) : !uuid_eq(&owner, &p->host))
        return;
    _cleanup_error_ struct error *e = NULL;
    if (!db_volatile_apply(p->c->config.db, &owner, data, strlen(data), &e) && log_limit_pass(&limit, 5, 60000))
        log_warn("volatile state that another host sent is not sound and was left out: %s", error_text(e));
}

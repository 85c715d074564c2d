/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to several hosts at once: asked together, gone on when all have answered or run out of time. */
#include "classes/net_change_private.h"

struct ask {
    struct net_change *ch;
    size_t i;
    net_change_answer_fn *fn;
};

bool net_change_can_ask(const struct net_change *ch) {
    return api_hooks(ch->api)->network_ask != NULL;
}

static void close_one(struct net_change *ch) {
    if (--ch->n_open)
        return;
    void (*then)(struct net_change * ch) = TAKE(ch->then);
    if (then)
        then(ch);
}

static void on_answer(struct error *error, const struct value *result, void *data) {
    struct ask *a = data;
    struct net_change *ch = a->ch;
    if (a->fn)
        a->fn(ch, a->i, error, result);
    free(a);
    close_one(ch);
}

void net_change_ask(struct net_change *ch, const struct uuid *host, size_t i, const char *name, struct value args,
                    uint64_t deadline_ms, net_change_answer_fn *fn) {
    const struct api_hooks *h = api_hooks(ch->api);
    struct ask *a = xnew0(struct ask);
    *a = (struct ask){ch, i, fn};
    if (!ch->n_open)
        ch->n_open = 1; /* held open until net_change_await: answers may come at once */
    ch->n_open++;
    h->network_ask(h->userdata, host, name, args, deadline_ms, on_answer, a);
}

void net_change_await(struct net_change *ch, void (*then)(struct net_change *ch)) {
    ch->then = then;
    if (!ch->n_open)
        ch->n_open = 1;
    close_one(ch);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/throttle.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/strmap.h"

/*
 * A bucket holds failures: each failure adds one, one drains every THROTTLE_REFILL_MS, a full bucket refuses. An empty
 * one is forgotten; the number kept is bounded, because attackers choose names and, with IPv6, addresses.
 */
#define MAX_ENTRIES 8192
#define MAX_KEY 128 /* of a longer name only the front counts */

struct bucket {
    unsigned n;
    uint64_t drained_ms; /* when the latest drain was accounted */
};

struct throttle {
    struct strmap *buckets; /* "a:<address>", "u:<user>" */
    unsigned n_pending;
};

struct throttle *throttle_new(void) {
    struct throttle *t = xnew0(struct throttle);
    t->buckets = strmap_new();
    return t;
}

void throttle_free(struct throttle *t) {
    if (!t)
        return;
    size_t pos = 0;
    const char *key;
    void *bucket;
    while (strmap_next(t->buckets, &pos, &key, &bucket))
        free(bucket);
    strmap_free(t->buckets);
    free(t);
}

static void drain(struct bucket *b, uint64_t now_ms) {
    uint64_t n = now_ms > b->drained_ms ? (now_ms - b->drained_ms) / THROTTLE_REFILL_MS : 0;
    if (n >= b->n) {
        b->n = 0;
        b->drained_ms = now_ms;
    } else {
        b->n -= (unsigned)n;
        b->drained_ms += n * THROTTLE_REFILL_MS;
    }
}

static void source_key(const char *source, char key[static MAX_KEY]) {
    struct in6_addr a;
    char bare[64];
    str_copy(bare, sizeof(bare), source);
    bare[strcspn(bare, "%")] = '\0';
    if (inet_pton(AF_INET6, bare, &a) == 1) {
        /* A host has a whole /64 to speak from. */
        memset(&a.s6_addr[8], 0, 8);
        (void)inet_ntop(AF_INET6, &a, bare, sizeof(bare));
    }
    (void)snprintf(key, MAX_KEY, "a:%s", bare);
}

static void user_key(const char *user, char key[static MAX_KEY]) {
    (void)snprintf(key, MAX_KEY, "u:%.*s", MAX_KEY - 3, user);
}

static bool is_full(struct throttle *t, const char *key, unsigned burst, uint64_t now_ms) {
    struct bucket *b = strmap_get(t->buckets, key);
    if (!b)
        return false;
    drain(b, now_ms);
    if (b->n == 0) {
        free(strmap_remove(t->buckets, key));
        return false;
    }
    return b->n >= burst;
}

enum throttle_verdict throttle_begin(struct throttle *t, const char *source, const char *user, uint64_t now_ms) {
    char key[MAX_KEY];
    if (t->n_pending >= THROTTLE_MAX_PENDING)
        return THROTTLE_BUSY;
    t->n_pending++;
    if (source) {
        source_key(source, key);
        if (is_full(t, key, THROTTLE_SOURCE_BURST, now_ms))
            return THROTTLE_REFUSE;
    }
    user_key(user, key);
    /* The operator on the host itself is not locked out by what others try from outside. */
    return source && is_full(t, key, THROTTLE_USER_BURST, now_ms) ? THROTTLE_REFUSE : THROTTLE_ALLOW;
}

void throttle_succeeded(struct throttle *t, const char *source, const char *user, uint64_t now_ms) {
    char key[MAX_KEY];
    throttle_released(t);
    if (!source)
        return;
    source_key(source, key);
    free(strmap_remove(t->buckets, key));
}

/* Forgets what has drained; when that is not enough, anything: a flood of names must not fill the memory. */
static void make_room(struct throttle *t, uint64_t now_ms) {
    size_t pos = 0;
    const char *key;
    void *bucket;
    while (strmap_next(t->buckets, &pos, &key, &bucket)) {
        drain(bucket, now_ms);
        if (((struct bucket *)bucket)->n == 0)
            free(strmap_remove(t->buckets, key));
    }
    for (unsigned enough = 2; strmap_size(t->buckets) >= MAX_ENTRIES; enough++) {
        pos = 0;
        while (strmap_next(t->buckets, &pos, &key, &bucket))
            if (((struct bucket *)bucket)->n < enough)
                free(strmap_remove(t->buckets, key));
    }
}

static void count(struct throttle *t, const char *key, unsigned burst, uint64_t now_ms) {
    struct bucket *b = strmap_get(t->buckets, key);
    if (!b) {
        if (strmap_size(t->buckets) >= MAX_ENTRIES)
            make_room(t, now_ms);
        b = xnew0(struct bucket);
        b->drained_ms = now_ms;
        (void)strmap_put(t->buckets, key, b);
    }
    drain(b, now_ms);
    if (b->n < burst)
        b->n++;
}

unsigned throttle_failed(struct throttle *t, const char *source, const char *user, uint64_t now_ms) {
    char key[MAX_KEY];
    if (source) {
        source_key(source, key);
        count(t, key, THROTTLE_SOURCE_BURST, now_ms);
        user_key(user, key);
        count(t, key, THROTTLE_USER_BURST, now_ms);
    }
    return THROTTLE_DELAY_MS;
}

void throttle_released(struct throttle *t) {
    if (t->n_pending == 0)
        abort(); /* given back twice: a mistake of the caller */
    t->n_pending--;
}

unsigned throttle_n_pending(const struct throttle *t) {
    return t->n_pending;
}

size_t throttle_n_entries(const struct throttle *t) {
    return strmap_size(t->buckets);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both maps are one table: entries in the order of their insertion, and an open-addressing index of their positions.
 * Iteration follows insertion, so nothing depends on the hash, whose seed differs from process to process.
 */
#include "base/strmap.h"
#include "base/str.h"

#include <stdatomic.h>
#include <sys/random.h>

#define SLOT_EMPTY 0u
#define SLOT_REMOVED UINT32_MAX
#define N_MAX (UINT32_MAX / 4) /* slots hold position + 1 in 32 bits */

struct entry {
    char *text;       /* key of a strmap; owned */
    struct uuid uuid; /* key of a uuidmap */
    void *value;
    uint64_t hash;
    bool live;
};

struct table {
    struct entry *entries;
    size_t n_entries; /* dead ones included */
    size_t n_live;
    size_t capacity; /* of entries; the index has twice as many slots */
    uint32_t *slots; /* SLOT_EMPTY, SLOT_REMOVED, or position + 1 */
};

struct strmap {
    struct table t;
};
struct uuidmap {
    struct table t;
};

/* Keys come from peers: a secret seed keeps them from aiming at one slot. */
static uint64_t hash_seed(void) {
    static _Atomic uint64_t seed;
    uint64_t s = atomic_load_explicit(&seed, memory_order_relaxed);
    while (s == 0) {
        uint64_t fresh = 0, unset = 0;
        if (getrandom(&fresh, sizeof(fresh), GRND_NONBLOCK) != sizeof(fresh))
            fresh = (uint64_t)(uintptr_t)&seed;
        atomic_compare_exchange_strong(&seed, &unset, fresh | 1);
        s = atomic_load(&seed);
    }
    return s;
}

static uint64_t mix(uint64_t h) {
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

static uint64_t text_hash(const char *s) {
    uint64_t seed = hash_seed(), h = seed;
    size_t size = strlen(s);
    for (uint64_t word; size >= sizeof(word); s += sizeof(word), size -= sizeof(word)) {
        memcpy(&word, s, sizeof(word));
        h = mix(h ^ word) + seed;
    }
    uint64_t tail = size;
    memcpy((char *)&tail + 1, s, size); /* at most 7 bytes */
    return mix(mix(h ^ tail) + seed);
}

static bool entry_is(const struct entry *e, uint64_t hash, const char *text, const struct uuid *uuid) {
    return e->live && e->hash == hash && (text ? str_eq(e->text, text) : uuid_eq(&e->uuid, uuid));
}

/* The slot that holds the key, or NULL. */
static uint32_t *table_find(const struct table *t, uint64_t hash, const char *text, const struct uuid *uuid) {
    if (t->n_live == 0)
        return NULL;
    size_t mask = t->capacity * 2 - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        uint32_t slot = t->slots[i];
        if (slot == SLOT_EMPTY)
            return NULL;
        if (slot != SLOT_REMOVED && entry_is(&t->entries[slot - 1], hash, text, uuid))
            return &t->slots[i];
    }
}

static void table_index(struct table *t, size_t position) {
    size_t mask = t->capacity * 2 - 1;
    size_t i = t->entries[position].hash & mask;
    while (t->slots[i] != SLOT_EMPTY && t->slots[i] != SLOT_REMOVED)
        i = (i + 1) & mask;
    t->slots[i] = (uint32_t)position + 1;
}

/* Called when the entries are full: drops dead ones, doubles when more than half are alive. */
static void table_rebuild(struct table *t) {
    size_t capacity = t->capacity == 0 ? 8 : t->n_live > t->capacity / 2 ? t->capacity * 2 : t->capacity;
    if (capacity > N_MAX)
        abort();
    struct entry *entries = xcalloc(capacity, sizeof(*entries));
    size_t n = 0;
    for (size_t i = 0; i < t->n_entries; i++)
        if (t->entries[i].live)
            entries[n++] = t->entries[i];
    free(t->entries);
    free(t->slots);
    t->entries = entries;
    t->n_entries = n;
    t->capacity = capacity;
    t->slots = xcalloc(capacity * 2, sizeof(*t->slots));
    for (size_t i = 0; i < n; i++)
        table_index(t, i);
}

static void *table_get(const struct table *t, uint64_t hash, const char *text, const struct uuid *uuid) {
    const uint32_t *slot = table_find(t, hash, text, uuid);
    return slot ? t->entries[*slot - 1].value : NULL;
}

static void *table_put(struct table *t, uint64_t hash, const char *text, const struct uuid *uuid, void *value) {
    const uint32_t *slot = table_find(t, hash, text, uuid);
    if (slot) {
        struct entry *e = &t->entries[*slot - 1];
        void *old = e->value;
        e->value = value;
        return old;
    }
    if (t->n_entries == t->capacity)
        table_rebuild(t);
    struct entry *e = &t->entries[t->n_entries];
    *e = (struct entry){.text = text ? xstrdup(text) : NULL, .value = value, .hash = hash, .live = true};
    if (uuid)
        e->uuid = *uuid;
    table_index(t, t->n_entries++);
    t->n_live++;
    return NULL;
}

static void *table_remove(struct table *t, uint64_t hash, const char *text, const struct uuid *uuid) {
    uint32_t *slot = table_find(t, hash, text, uuid);
    if (!slot)
        return NULL;
    struct entry *e = &t->entries[*slot - 1];
    void *value = e->value;
    *slot = SLOT_REMOVED;
    free(e->text); /* `text` may be this very key, from an iteration: not touched after this line */
    *e = (struct entry){0};
    t->n_live--;
    return value;
}

static void table_done(struct table *t) {
    for (size_t i = 0; i < t->n_entries; i++)
        free(t->entries[i].text);
    free(t->entries);
    free(t->slots);
}

static const struct entry *table_next(const struct table *t, size_t *pos) {
    while (*pos < t->n_entries) {
        const struct entry *e = &t->entries[(*pos)++];
        if (e->live)
            return e;
    }
    return NULL;
}

struct strmap *strmap_new(void) {
    return xnew0(struct strmap);
}

void strmap_free(struct strmap *m) {
    if (!m)
        return;
    table_done(&m->t);
    free(m);
}

void *strmap_get(const struct strmap *m, const char *key) {
    return m->t.n_live ? table_get(&m->t, text_hash(key), key, /* uuid= */ NULL) : NULL;
}

void *strmap_put(struct strmap *m, const char *key, void *value) {
    return table_put(&m->t, text_hash(key), key, /* uuid= */ NULL, value);
}

void *strmap_remove(struct strmap *m, const char *key) {
    return table_remove(&m->t, text_hash(key), key, /* uuid= */ NULL);
}

size_t strmap_size(const struct strmap *m) {
    return m->t.n_live;
}

bool strmap_next(const struct strmap *m, size_t *pos, const char **ret_key, void **ret_value) {
    const struct entry *e = table_next(&m->t, pos);
    if (!e)
        return false;
    if (ret_key)
        *ret_key = e->text;
    if (ret_value)
        *ret_value = e->value;
    return true;
}

struct uuidmap *uuidmap_new(void) {
    return xnew0(struct uuidmap);
}

void uuidmap_free(struct uuidmap *m) {
    if (!m)
        return;
    table_done(&m->t);
    free(m);
}

static uint64_t seeded(const struct uuid *key) {
    return mix(uuid_hash(key) ^ hash_seed());
}

void *uuidmap_get(const struct uuidmap *m, const struct uuid *key) {
    return table_get(&m->t, seeded(key), /* text= */ NULL, key);
}

void *uuidmap_put(struct uuidmap *m, const struct uuid *key, void *value) {
    return table_put(&m->t, seeded(key), /* text= */ NULL, key, value);
}

void *uuidmap_remove(struct uuidmap *m, const struct uuid *key) {
    return table_remove(&m->t, seeded(key), /* text= */ NULL, key);
}

size_t uuidmap_size(const struct uuidmap *m) {
    return m->t.n_live;
}

bool uuidmap_next(const struct uuidmap *m, size_t *pos, struct uuid *ret_key, void **ret_value) {
    const struct entry *e = table_next(&m->t, pos);
    if (!e)
        return false;
    if (ret_key)
        *ret_key = e->uuid;
    if (ret_value)
        *ret_value = e->value;
    return true;
}

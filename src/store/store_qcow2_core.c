/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_qcow2_core.h"

#include <string.h>

#define MAGIC 0x514649fbu
#define CLUSTER_BITS 16
#define ENTRIES (QCOW2_CLUSTER / 8)    /* of a table */
#define REFCOUNTS (QCOW2_CLUSTER / 2)  /* of a block, 16 bits each */
#define COPIED (UINT64_C(1) << 63)     /* nothing else goes on from the cluster */
#define COMPRESSION (UINT64_C(1) << 3) /* features that an image may need */
#define DIRTY (UINT64_C(1) << 0)

static void put32(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void put64(uint8_t *p, uint64_t v) {
    put32(p, (uint32_t)(v >> 32));
    put32(p + 4, (uint32_t)v);
}

static uint32_t get32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t get64(const uint8_t *p) {
    return (uint64_t)get32(p) << 32 | get32(p + 4);
}

static int64_t div_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static bool has(const uint8_t *map, int64_t i) {
    return map[i / 8] & 1u << (i % 8);
}

/* Clusters that are there among those of one table of the second level. */
static int64_t n_in_table(const struct qcow2_layout *l, const uint8_t *map, int64_t table) {
    int64_t n = 0;
    for (int64_t i = table * ENTRIES; i < (table + 1) * ENTRIES && i < l->n_clusters; i++)
        n += has(map, i);
    return n;
}

static int64_t n_l1(const struct qcow2_layout *l) {
    return div_up(l->n_clusters, ENTRIES);
}

void qcow2_layout_init(struct qcow2_layout *l, int64_t size, const uint8_t *map) {
    *l = (struct qcow2_layout){.size = size, .n_clusters = div_up(size, QCOW2_CLUSTER)};
    for (int64_t t = 0; t < n_l1(l); t++) {
        int64_t n = n_in_table(l, map, t);
        l->n_data += n;
        l->n_l2 += n > 0;
    }
    l->n_l1_clusters = div_up(n_l1(l), ENTRIES);
    /* The counts count themselves: a little more until it is enough. */
    for (int64_t before = -1; l->n_refcount_blocks != before;) {
        before = l->n_refcount_blocks;
        l->n_front = 1 + l->n_refcount_tables + l->n_refcount_blocks + l->n_l1_clusters + l->n_l2;
        l->n_all = l->n_front + l->n_data;
        l->n_refcount_blocks = div_up(l->n_all, REFCOUNTS);
        l->n_refcount_tables = div_up(l->n_refcount_blocks, ENTRIES);
    }
    l->n_front = 1 + l->n_refcount_tables + l->n_refcount_blocks + l->n_l1_clusters + l->n_l2;
    l->n_all = l->n_front + l->n_data;
}

static uint64_t at(int64_t cluster) {
    return (uint64_t)cluster << CLUSTER_BITS;
}

static void put_head(const struct qcow2_layout *l, uint8_t *out) {
    put32(out, MAGIC);
    put32(out + 4, 3);
    put32(out + 20, CLUSTER_BITS);
    put64(out + 24, (uint64_t)l->size);
    put32(out + 36, (uint32_t)n_l1(l));
    put64(out + 40, at(1 + l->n_refcount_tables + l->n_refcount_blocks));
    put64(out + 48, at(1));
    put32(out + 56, (uint32_t)l->n_refcount_tables);
    put32(out + 96, 4); /* refcounts of 16 bits */
    put32(out + 100, QCOW2_HEAD_SIZE);
}

static void put_l2(struct qcow2_writer *w, uint8_t *out) {
    const struct qcow2_layout *l = w->layout;
    while (n_in_table(l, w->map, w->l2_index) == 0)
        w->l2_index++;
    for (int64_t i = 0; i < ENTRIES && w->l2_index * ENTRIES + i < l->n_clusters; i++)
        if (has(w->map, w->l2_index * ENTRIES + i))
            put64(out + 8 * i, at(l->n_front + w->n_placed++) | COPIED);
    w->l2_index++;
}

static void put_l1(struct qcow2_writer *w, uint8_t *out) {
    const struct qcow2_layout *l = w->layout;
    for (int64_t i = 0; i < ENTRIES && w->l1_next < n_l1(l); i++, w->l1_next++)
        if (n_in_table(l, w->map, w->l1_next) > 0)
            put64(out + 8 * i, at(l->n_front - l->n_l2 + w->l1_placed++) | COPIED);
}

void qcow2_front(struct qcow2_writer *w, int64_t k, uint8_t out[static QCOW2_CLUSTER]) {
    const struct qcow2_layout *l = w->layout;
    memset(out, 0, QCOW2_CLUSTER);
    if (k == 0) {
        put_head(l, out);
        return;
    }
    k -= 1;
    if (k < l->n_refcount_tables) {
        for (int64_t i = 0; i < ENTRIES && k * ENTRIES + i < l->n_refcount_blocks; i++)
            put64(out + 8 * i, at(1 + l->n_refcount_tables + k * ENTRIES + i));
        return;
    }
    k -= l->n_refcount_tables;
    if (k < l->n_refcount_blocks) {
        for (int64_t i = 0; i < REFCOUNTS && k * REFCOUNTS + i < l->n_all; i++)
            out[2 * i + 1] = 1;
        return;
    }
    k -= l->n_refcount_blocks;
    if (k < l->n_l1_clusters)
        put_l1(w, out);
    else
        put_l2(w, out);
}

int64_t qcow2_length_max(int64_t size, int64_t cluster) {
    int64_t entries = cluster / 8, n_data = div_up(size, cluster), n_l2 = div_up(n_data, entries),
            n_l1 = div_up(n_l2, entries), n = 1 + n_data + n_l2 + 2 * n_l1, n_all = n;
    for (int64_t before = 0; before != n_all;) {
        int64_t n_blocks = div_up(n_all, entries);
        before = n_all;
        n_all = n + n_blocks + 2 * div_up(n_blocks, entries);
    }
    return (n_all + n_all / 64 + 64) * cluster; /* with holes where tables lay that had to grow */
}

static bool refuse(const char **why, const char *text) {
    *why = text;
    return false;
}

bool qcow2_head_check(const uint8_t in[static QCOW2_HEAD_SIZE], int64_t *ret_size, const char **why) {
    uint32_t version = get32(in + 4), cluster_bits = get32(in + 20);
    uint64_t size = get64(in + 24);
    if (get32(in) != MAGIC)
        return refuse(why, "this is no qcow2 image");
    if (version != 2 && version != 3)
        return refuse(why, "its version is not known");
    if (get64(in + 8) != 0 || get32(in + 16) != 0)
        return refuse(why, "it goes on from another file");
    if (get32(in + 32) != 0)
        return refuse(why, "it is encrypted");
    if (version == 3 && (get64(in + 72) & ~(COMPRESSION | DIRTY)))
        return refuse(why, "it needs features that are not taken, such as a file of its own for its data");
    if (cluster_bits < 9 || cluster_bits > 21)
        return refuse(why, "its size of clusters is out of bounds");
    if (size == 0 || size > UINT64_C(1) << 46)
        return refuse(why, "its size is out of bounds");
    *ret_size = (int64_t)size;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2 images (version 3) as a stream: all that describes the image stands in front of what it holds, so that it can
 * be written from the beginning to the end, from a map of what there is. And what the head of somebody else's image may
 * say. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

#define QCOW2_CLUSTER 65536
#define QCOW2_HEAD_SIZE 104

struct qcow2_layout {
    int64_t size;       /* of the disk */
    int64_t n_clusters; /* of the disk: bits of the map */
    int64_t n_data;     /* of them that are there */
    int64_t n_l1_clusters, n_l2, n_refcount_tables, n_refcount_blocks;
    int64_t n_front; /* clusters in front of the data */
    int64_t n_all;
};

/* `map`: a bit per cluster of the disk (disk_map of the stream code). */
void qcow2_layout_init(struct qcow2_layout *l, int64_t size, const uint8_t *map);

struct qcow2_writer { /* where it is; {.layout, .map} at first */
    const struct qcow2_layout *layout;
    const uint8_t *map;
    int64_t l2_index; /* of the next table that is written: number in the first level */
    int64_t n_placed; /* data clusters that tables have named */
    int64_t l1_next, l1_placed;
};
/* Cluster k of those in front, k from 0 to n_front - 1, in this order. */
void qcow2_front(struct qcow2_writer *w, int64_t k, uint8_t out[static QCOW2_CLUSTER]);

/*
 * No image of a disk of `size` bytes whose clusters have `cluster` bytes becomes longer than that, however much of the
 * disk is written: data, tables, counts of up to 64 bits, and holes where tables lay that had to grow.
 */
int64_t qcow2_length_max(int64_t size, int64_t cluster);

/*
 * Judges the first QCOW2_HEAD_SIZE bytes of an image that came from outside: no other file, no encryption, no features
 * that are not known. False with a sentence part.
 */
bool qcow2_head_check(const uint8_t in[static QCOW2_HEAD_SIZE], int64_t *ret_size, const char **why) _warn_unused_;

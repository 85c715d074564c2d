/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the volatile store: per owner host, what it says about rows, each field with the owner's counter at its
 * last change. It outlives the rows of the replica it is laid over: a column may arrive before the row of the database
 * does. Only db_volatile*.c include this. Loop thread only.
 */
#pragma once

#include "db/db.h"

/* Deletions remembered per owner; a receiver further behind gets a full export. */
#define VOL_GONE_MAX 1024
/* Limits of what another host may send. */
#define VOL_EXPORT_SIZE_MAX ((size_t)16 << 20)
#define VOL_ROWS_MAX ((size_t)100000)
#define VOL_STRING_SIZE_MAX ((size_t)1 << 20)
#define VOL_ITEMS_MAX ((size_t)65536)

struct vol_field {
    unsigned index;
    uint64_t gen;
    struct value value;
};

struct vol_row {
    int class_id;
    struct uuid uuid;
    struct vol_owner *owner;
    bool whole; /* a row of a volatile class, not only columns of a row of the database */
    uint64_t put_gen;
    uint64_t seen_gen; /* of the last applied export that named it; UINT64_MAX while a full one is applied */
    struct vol_field *fields;
    size_t n_fields;
    struct vol_row *next_same; /* what another owner says about the same row */
};

struct vol_gone {
    int class_id;
    struct uuid uuid;
    uint64_t gen;
};

struct vol_owner {
    struct uuid uuid;
    uint64_t generation;
    struct uuidmap *rows[N_CLASSES]; /* uuid -> struct vol_row *; NULL while empty */
    size_t n_rows;
    struct vol_gone gone[VOL_GONE_MAX]; /* oldest first */
    size_t n_gone;
    uint64_t gone_floor; /* deletions up to here are forgotten */
};

struct vol_owner *vol_owner_get(struct db *d, const struct uuid *owner, bool create);
struct vol_row *vol_row_find(struct vol_owner *w, int class_id, const struct uuid *uuid);
void vol_put(struct db *d, struct vol_owner *w, int class_id, const struct uuid *uuid, uint64_t gen);
bool vol_set(struct db *d, struct vol_owner *w, int class_id, const struct uuid *uuid, unsigned field,
             struct value value, uint64_t gen);
void vol_unset(struct db *d, struct vol_row *v, unsigned field); /* back to what others say, or the default */
void vol_delete(struct db *d, struct vol_row *v);
void vol_remember_gone(struct vol_owner *w, int class_id, const struct uuid *uuid, uint64_t gen);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a network change does to rows, as a list that can be tried on a fork, written into a transaction, turned round,
 * kept as text and shown to people. Values of the list are its own. Loop thread only.
 */
#pragma once

#include "base/error.h"
#include "db/db.h"

enum net_op_kind { NET_OP_ROW_SET, NET_OP_ROW_INSERT, NET_OP_ROW_DELETE };

struct net_op_row {
    enum net_op_kind kind;
    int class_id;
    struct uuid uuid;
    unsigned field;         /* SET */
    struct value old, then; /* SET */
    struct value fields;    /* INSERT, DELETE: the whole row as a map, field name to value */
};

struct net_ops {
    struct net_op_row *items;
    size_t n;
};

#define NET_OPS_MAX 4096

void net_ops_done(struct net_ops *ops);
/* Values are taken. */
void net_ops_set(struct net_ops *ops, const struct row *r, unsigned field, struct value v);
void net_ops_insert(struct net_ops *ops, int class_id, const struct uuid *uuid);
/* A field of a row that the list inserts. */
void net_ops_set_new(struct net_ops *ops, int class_id, const struct uuid *uuid, unsigned field, struct value v);
void net_ops_delete(struct net_ops *ops, const struct row *r);

/* A fork of what networks are made of, as it would be after the list (NULL: as it is). */
struct db *net_ops_fork(struct db *d, const struct net_ops *ops);
void net_ops_write(const struct net_ops *ops, struct db_txn *t);
/* The way back. */
struct net_ops net_ops_inverse(const struct net_ops *ops);
/* Whether rows are still as the list left them, so that the way back undoes nothing else. *errp says what is not. */
bool net_ops_still_hold(const struct net_ops *ops, struct db *d, struct error **errp) _warn_unused_;

/* The hosts whose configuration the list changes; the caller frees. */
struct uuid *net_ops_hosts(const struct net_ops *ops, struct db *d, size_t *ret_n);

/* For people: a line for each thing that changes; the caller owns it. */
char *net_ops_text(const struct net_ops *ops, struct db *d);
/* As JSON text and back. */
char *net_ops_to_json(const struct net_ops *ops);
bool net_ops_from_json(const char *text, struct net_ops *ret, struct error **errp) _warn_unused_;

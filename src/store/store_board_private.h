/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the board share (store_board.h): its blocks, and the leases on them. Only in the helper program. */
#pragma once

#include "base/str.h"
#include "store/store_iscsi.h"
#include "store/store_lease.h"

#define CHUNK 64 /* blocks that are read at once */

struct board {
    struct iscsi_context *c;
    char *portal, *target, *place;
    struct lun *luns, board;
    size_t n_luns;
    bool is_alone;     /* nobody else can change the board */
    struct uuid sr;    /* of the mark; null: there is none */
    struct strv fresh; /* folders of leases that are not in their place yet, each with its file: "folder/name" */
};

/* ---- store_board_slots.c; 0 or negative errno ---- */
/* Blocks as nobody changes them meanwhile; waits for whoever has the board to itself. */
int board_read_blocks(struct board *b, uint64_t at, size_t n, char *ret) _warn_unused_;
int board_reserve(struct board *b) _warn_unused_;
/* The size of the board, where the list did not have it. */
int board_measure(struct board *b) _warn_unused_;
/*
 * Runs `fn` with the board reserved; anew from the beginning when something happened to the LUN meanwhile. After a
 * command of which nobody knows what became of it the session is given up: a write that is still on its way must not
 * come after somebody else's, so the reservation is not given back before the target has ended the session with it.
 */
typedef int alone_fn(struct board *b, void *userdata);
int board_alone(struct board *b, alone_fn *fn, void *userdata) _warn_unused_;
/* The slot of a disk, or the one that it would get; `ret_name` is its lease, "" for none. */
int board_find_slot(struct board *b, const struct uuid *vdi, unsigned *ret_slot,
                    char ret_name[static LEASE_NAME_SIZE]) _warn_unused_;
/* From one lease to the next ("" is none), in one step; -ENOENT and -ENOTEMPTY when it is another by then. */
int board_swap(struct board *b, const struct uuid *vdi, const char *expected, const char *next) _warn_unused_;
/*
 * Slots that cannot be read, as names (LEASES_DAMAGED and their number): they may be of any disk, so they are in the
 * way of each whose search passes them before it finds its own. Those in the way of one disk, or (NULL) all.
 */
int board_list_damaged(struct board *b, const struct uuid *vdi, struct strv *ret) _warn_unused_;
/* Such a slot becomes nobody's, by a person's word. It stays taken: searches go on past it. -ENOENT: it is not damaged.
 */
int board_clear_damaged(struct board *b, const char *name) _warn_unused_;
/* Disks that have a lease, and damaged slots. */
int board_list_leases(struct board *b, size_t max, struct strv *ret) _warn_unused_;

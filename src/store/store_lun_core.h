/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What LUNs say of themselves, and what Muster writes on the one LUN of a repository that it keeps for itself (the
 * board): block 0 has the mark of the repository, each block after it, a slot, the lease of one disk. Everything read
 * here was written by others. Pure; any thread. docs/decisions/0018.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"
#include "store/store_lease_core.h"

#define LUN_ID_SIZE 96
#define LUN_TEXT_SIZE 33

/* The SCSIid of a LUN from its device identification (SPC-4 7.8.6, VPD page 83h): "3" and the NAA name, else "2" and
 * the EUI-64, else "1" and vendor and text, as Linux's scsi_id has it. Of what belongs to the LUN, not to the port.
 * False: the page has none, or is not one. */
bool lun_id_parse(const uint8_t *page, size_t size, char ret[static LUN_ID_SIZE]) _warn_unused_;
/* Letters, digits, "." "_" "-": it goes into URLs and names. */
bool lun_id_is_good(const char *id);
/* `size` bytes of text that may be padded, not ended, or no text at all, as plain characters. Returns `ret`. */
const char *lun_text(const uint8_t *text, size_t size, char ret[static LUN_TEXT_SIZE]);

struct lun {
    int number;
    char id[LUN_ID_SIZE]; /* "" when it has none that lasts */
    char vendor[LUN_TEXT_SIZE], serial[LUN_TEXT_SIZE];
    int64_t size; /* 0: not known at this moment */
    int block_size;
};
#define LUNS_MAX 1024

/*
 * Takes the board out of the LUNs: the one that `key` names, by its id or as "lun-<number>". What stays are disks that
 * a row can stand for: the board has one number more where it is mapped twice, and is no disk under that either; of
 * LUNs that say the same name (copies that an array has made, or one that is mapped twice) none is, for nobody can say
 * which one is meant; those without a name that lasts are not either. False: there is no such LUN.
 */
bool luns_take_board(struct lun *luns, size_t *n, const char *key, struct lun *ret) _warn_unused_;

#define BOARD_SLOTS 1024
#define BOARD_BLOCKS (1 + BOARD_SLOTS)
#define BOARD_BLOCK_MIN 512
#define BOARD_BLOCK_MAX 4096

enum board_slot {
    SLOT_EMPTY,   /* never used: nothing but zeros */
    SLOT_DISK,    /* of a disk, with a lease or without */
    SLOT_DAMAGED, /* it may be of any disk */
};

/* Where the search for a disk's slot begins, 0..BOARD_SLOTS-1; it goes on upwards, and round. Slots are never given up
 * while the repository lives, so hosts that look for the same disk meet in the same slot. */
unsigned board_first_slot(const struct uuid *vdi);
/* A slot as one block; `name` is the lease (store_lease_core.h), "" for none. */
void board_slot_format(const struct uuid *vdi, const char *name, char *block, size_t size);
enum board_slot board_slot_parse(const char *block, size_t size, struct uuid *ret_vdi,
                                 char ret_name[static LEASE_NAME_SIZE]);
/* The mark of a repository, as block 0. */
void board_mark_format(const struct uuid *sr, char *block, size_t size);
bool board_mark_parse(const char *block, size_t size, struct uuid *ret_sr) _warn_unused_;
bool board_is_blank(const char *data, size_t size);

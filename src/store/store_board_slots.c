/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks of the board, one host at a time, and the leases on them. */
#include <errno.h>
#include <time.h>

#include "store/store_board_private.h"

#define PAUSE_MS 40
#define RESET_AFTER_MS 6000 /* whoever has had the board that long is gone: a change takes milliseconds */
#define GIVE_UP_MS 10000
#define ATTENTIONS_MAX 8

/* ---- blocks of the board ---- */

static uint64_t now_ms(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void pause_a_little(void) {
    static const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000 * 1000};
    (void)nanosleep(&pause, NULL);
}

/*
 * Waits while another session has the board to itself: `r` is what the target said, and it is to be asked again when
 * this is true. A host that was cut off in the middle may have left its reservation behind where the target has not
 * noticed yet: a reset of this one LUN ends it, and its command that may still come fails, for the target says first
 * that there was a reset.
 */
static bool wait_turn(struct board *b, int r, uint64_t start, bool *was_reset) {
    uint64_t waited = now_ms() - start;
    if ((r != -EBUSY && r != -EAGAIN) || waited >= GIVE_UP_MS)
        return false;
    if (r == -EBUSY && waited >= RESET_AFTER_MS && !*was_reset) {
        *was_reset = true;
        (void)!iscsi_reset_lun(b->c, &b->board);
    }
    if (r == -EBUSY)
        pause_a_little();
    return true;
}

int board_read_blocks(struct board *b, uint64_t at, size_t n, char *ret) {
    uint64_t start = now_ms();
    bool was_reset = false;
    int r;
    if (b->is_alone) { /* news of the LUN, or a refusal: one is alone no more, and what was read before counts no more
                        */
        r = iscsi_read_blocks(b->c, &b->board, at, n, ret);
        return r == -EBUSY ? -EAGAIN : r;
    }
    do
        r = iscsi_read_blocks(b->c, &b->board, at, n, ret);
    while (wait_turn(b, r, start, &was_reset));
    return r;
}

int board_reserve(struct board *b) {
    uint64_t start = now_ms();
    bool was_reset = false;
    int r;
    do
        r = iscsi_reserve(b->c, &b->board);
    while (wait_turn(b, r, start, &was_reset));
    return r;
}

int board_measure(struct board *b) {
    uint64_t start = now_ms();
    bool was_reset = false;
    int r;
    if (b->board.size > 0)
        return 0;
    do
        r = iscsi_measure(b->c, &b->board);
    while (wait_turn(b, r, start, &was_reset));
    return r;
}

/* Nobody knows what became of the command: there was no answer, or none that says it. */
static bool is_unknown(int r) {
    return r == -ETIMEDOUT || r == -ENOTCONN || r == -EIO;
}

static void give_up_session(struct board *b) {
    iscsi_drop(b->c);
    b->c = NULL;
}

int board_alone(struct board *b, alone_fn *fn, void *userdata) {
    int r = -EAGAIN;
    for (unsigned i = 0; r == -EAGAIN && i < ATTENTIONS_MAX; i++) {
        r = board_reserve(b);
        if (r == 0) {
            b->is_alone = true;
            r = fn(b, userdata);
            b->is_alone = false;
        } else if (!is_unknown(r)) {
            return r;
        }
        int end = is_unknown(r) ? r : iscsi_release(b->c, &b->board);
        if (is_unknown(end))
            give_up_session(b);
        r = r == 0 && end < 0 && end != -EAGAIN ? end : r;
    }
    return r;
}

/* ---- leases ---- */

/* The slot of a disk, or the one that it would get; `ret_name` is its lease, "" for none. */
int board_find_slot(struct board *b, const struct uuid *vdi, unsigned *ret_slot, char ret_name[LEASE_NAME_SIZE]) {
    unsigned first = board_first_slot(vdi);
    bool is_damaged = false;
    char block[BOARD_BLOCK_MAX];
    size_t size = (size_t)b->board.block_size;
    for (unsigned i = 0; i < BOARD_SLOTS; i++) {
        unsigned slot = (first + i) % BOARD_SLOTS;
        struct uuid u = {0};
        int r = board_read_blocks(b, 1 + slot, 1, block);
        if (r < 0)
            return r;
        enum board_slot what = board_slot_parse(block, size, &u, ret_name);
        is_damaged |= what == SLOT_DAMAGED;
        if (what == SLOT_DAMAGED || (what == SLOT_DISK && !uuid_eq(&u, vdi)))
            continue;
        if (what == SLOT_EMPTY && is_damaged)
            return -EBADMSG; /* the damaged one may have been this disk's */
        if (what == SLOT_EMPTY)
            ret_name[0] = '\0';
        *ret_slot = slot;
        return 0;
    }
    return is_damaged ? -EBADMSG : -ENOSPC;
}

int board_list_damaged(struct board *b, const struct uuid *vdi, struct strv *ret) {
    unsigned first = vdi ? board_first_slot(vdi) : 0;
    char block[BOARD_BLOCK_MAX], name[LEASE_NAME_SIZE];
    for (unsigned i = 0; i < BOARD_SLOTS; i++) {
        unsigned slot = (first + i) % BOARD_SLOTS;
        struct uuid u;
        int r = board_read_blocks(b, 1 + slot, 1, block);
        if (r < 0)
            return r;
        enum board_slot what = board_slot_parse(block, (size_t)b->board.block_size, &u, name);
        if (what == SLOT_DAMAGED)
            strv_take(ret, strf(LEASES_DAMAGED "%u", slot));
        if (vdi && (what == SLOT_EMPTY || (what == SLOT_DISK && uuid_eq(&u, vdi))))
            return 0;
    }
    return 0;
}

static int clear_alone(struct board *b, void *userdata) {
    const unsigned *slot = userdata;
    static const struct uuid nobody = {0};
    char block[BOARD_BLOCK_MAX], name[LEASE_NAME_SIZE];
    struct uuid u;
    int r = board_read_blocks(b, 1 + *slot, 1, block);
    if (r < 0)
        return r;
    if (board_slot_parse(block, (size_t)b->board.block_size, &u, name) != SLOT_DAMAGED)
        return -ENOENT;
    board_slot_format(&nobody, "", block, (size_t)b->board.block_size);
    r = iscsi_write_blocks(b->c, &b->board, 1 + *slot, 1, block);
    return r == -EBUSY ? -EAGAIN : r;
}

int board_clear_damaged(struct board *b, const char *name) {
    int64_t n;
    if (!str_starts(name, LEASES_DAMAGED) || !str_parse_int(name + strlen(LEASES_DAMAGED), 0, BOARD_SLOTS - 1, &n))
        return -ENOENT;
    unsigned slot = (unsigned)n;
    return board_alone(b, clear_alone, &slot);
}

struct swap {
    const struct uuid *vdi;
    const char *expected, *next;
};

static int swap_alone(struct board *b, void *userdata) {
    const struct swap *s = userdata;
    char name[LEASE_NAME_SIZE], block[BOARD_BLOCK_MAX];
    unsigned slot;
    int r = board_find_slot(b, s->vdi, &slot, name);
    if (r < 0)
        return r;
    if (!str_eq(name, s->expected))
        return *s->expected ? -ENOENT : -ENOTEMPTY;
    board_slot_format(s->vdi, s->next, block, (size_t)b->board.block_size);
    r = iscsi_write_blocks(b->c, &b->board, 1 + slot, 1, block);
    return r == -EBUSY ? -EAGAIN : r;
}

/* From one lease to the next ("" is none), in one step; -ENOENT and -ENOTEMPTY when it is another by then. */
int board_swap(struct board *b, const struct uuid *vdi, const char *expected, const char *next) {
    struct swap s = {.vdi = vdi, .expected = expected, .next = next};
    return board_alone(b, swap_alone, &s);
}

int board_list_leases(struct board *b, size_t max, struct strv *ret) {
    size_t size = (size_t)b->board.block_size;
    _cleanup_free_ char *blocks = xcalloc(CHUNK, size);
    for (unsigned at = 0; at < BOARD_SLOTS; at += CHUNK) {
        int r = board_read_blocks(b, 1 + at, CHUNK, blocks);
        if (r < 0)
            return r;
        for (unsigned i = 0; i < CHUNK; i++) {
            char name[LEASE_NAME_SIZE], text[UUID_TEXT_SIZE];
            struct uuid u;
            enum board_slot what = board_slot_parse(blocks + i * size, size, &u, name);
            if (what == SLOT_DISK && *name && ret->n < max)
                strv_add(ret, uuid_text(&u, text));
            if (what == SLOT_DAMAGED && ret->n < max)
                strv_take(ret, strf(LEASES_DAMAGED "%u", at + i));
        }
    }
    return 0;
}

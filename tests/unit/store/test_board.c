/* SPDX-License-Identifier: Apache-2.0 */
/* Leases on the board of a target that is played here: one LUN, sessions, what they reserve, and what they do late. */
#include "base/str.h"
#include "model/model.h"
#include "store/store_board.h"
#include "store/store_board_private.h"
#include "store/store_lease.h"
#include "store/store_private.h"
#include <errno.h>
#include <stdarg.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#define BLOCK 512
#define PLACE "iscsi://10.0.0.1:3260/iqn.2026-01.lab.muster:array/3b"
#define SESSIONS_MAX 32
#define TARGET_LUNS_MAX 8

struct iscsi_context {
    bool is_open;
    bool is_late; /* its next write is answered too late, and done later */
    uint64_t late_at;
    char late[BLOCK];
    bool has_late;
};

static struct {
    char blocks[BOARD_BLOCKS][BLOCK];
    struct iscsi_context sessions[SESSIONS_MAX];
    size_t n_sessions;
    struct iscsi_context *holder; /* of the reservation */
    struct lun luns[TARGET_LUNS_MAX];
    size_t n_luns;
    int release_says;
    bool gives_way;
} target;

/* ---- the target ---- */

void iscsi_set_initiator(const char *name) {}

const char *iscsi_initiator(void) {
    return "iqn.2026-11.local.muster:test";
}

struct iscsi_context *iscsi_open(const char *portal, const char *name, struct error **errp) {
    assert_true(target.n_sessions < SESSIONS_MAX);
    struct iscsi_context *c = &target.sessions[target.n_sessions++];
    c->is_open = true;
    return c;
}

/* A target ends what a session has under way before it gives its reservation to others. */
void iscsi_drop(struct iscsi_context *c) {
    if (!c)
        return;
    if (c->has_late)
        memcpy(target.blocks[c->late_at], c->late, BLOCK);
    c->has_late = false;
    if (target.holder == c)
        target.holder = NULL;
    c->is_open = false;
}

void iscsi_close(struct iscsi_context *c) {
    iscsi_drop(c);
}

bool iscsi_luns(struct iscsi_context *c, struct lun **ret, size_t *ret_n, struct error **errp) {
    *ret = xcalloc(TARGET_LUNS_MAX, sizeof(**ret));
    memcpy(*ret, target.luns, sizeof(target.luns));
    *ret_n = target.n_luns;
    return true;
}

int iscsi_measure(struct iscsi_context *c, struct lun *l) {
    if (target.holder && target.holder != c) {
        if (target.gives_way)
            target.holder = NULL;
        return -EBUSY;
    }
    l->size = (int64_t)BLOCK * 4096;
    l->block_size = BLOCK;
    return 0;
}

static bool is_refused(const struct iscsi_context *c) {
    return target.holder && target.holder != c;
}

int iscsi_read_blocks(struct iscsi_context *c, const struct lun *l, uint64_t at, size_t n, char *ret) {
    if (!c)
        return -ENOTCONN;
    if (is_refused(c))
        return -EBUSY;
    assert_true(at + n <= BOARD_BLOCKS);
    memcpy(ret, target.blocks[at], n * BLOCK);
    return 0;
}

int iscsi_write_blocks(struct iscsi_context *c, const struct lun *l, uint64_t at, size_t n, const char *data) {
    if (!c)
        return -ENOTCONN;
    if (is_refused(c))
        return -EBUSY;
    if (c->is_late) {
        assert_int_equal(n, 1);
        c->is_late = false;
        c->has_late = true;
        c->late_at = at;
        memcpy(c->late, data, BLOCK);
        return -ETIMEDOUT;
    }
    memcpy(target.blocks[at], data, n * BLOCK);
    return 0;
}

int iscsi_reserve(struct iscsi_context *c, const struct lun *l) {
    if (!c)
        return -ENOTCONN;
    if (is_refused(c))
        return -EBUSY;
    target.holder = c;
    return 0;
}

int iscsi_release(struct iscsi_context *c, const struct lun *l) {
    if (!c)
        return -ENOTCONN;
    if (target.release_says)
        return target.release_says;
    if (target.holder == c)
        target.holder = NULL;
    return 0;
}

int iscsi_reset_lun(struct iscsi_context *c, const struct lun *l) {
    target.holder = NULL;
    return 0;
}

/* ---- two hosts ---- */

struct host {
    struct folder f;
    struct lease_id id;
    struct error *error;
};

static struct uuid sr;

static struct lun lun(int number, const char *id) {
    struct lun l = {.number = number, .size = (int64_t)BLOCK * 4096, .block_size = BLOCK};
    assert_true(str_copy(l.id, sizeof(l.id), id));
    return l;
}

static int setup(void **state) {
    memset(&target, 0, sizeof(target));
    sr = uuid_random();
    board_mark_format(&sr, target.blocks[0], BLOCK);
    target.luns[target.n_luns++] = lun(1, "3a");
    target.luns[target.n_luns++] = lun(5, "3b");
    return 0;
}

static struct host arrive(void) {
    struct host h = {.id = {.host = uuid_random(), .vm = uuid_random(), .generation = 1}};
    if (!board_folder_open(PLACE, &h.f, &h.error))
        fail_msg("%s", error_text(h.error));
    return h;
}

static void leave(struct host *h) {
    folder_close(&h->f);
    error_free(h->error);
}

static bool take(struct host *h, const struct uuid *vdi) {
    error_free(TAKE(h->error));
    return lease_take(&h->f, vdi, &h->id, &h->error);
}

static void test_one_holder(void **state) {
    struct host a = arrive(), b = arrive();
    struct uuid vdi = uuid_random();
    int64_t n;
    assert_true(take(&a, &vdi));
    assert_false(take(&b, &vdi));
    assert_string_equal(error_code(b.error), ERR_VDI_IN_USE);
    assert_true(lease_break(&b.f, &vdi, NULL, &n, &b.error));
    assert_int_equal(n, 1);
    assert_true(take(&b, &vdi));
    assert_false(take(&a, &vdi));
    leave(&a);
    leave(&b);
}

/* A write whose answer does not come may be done at any time: nobody else gets the board before its session is over. */
static void test_late_write(void **state) {
    struct host a = arrive(), b = arrive();
    struct iscsi_context *session = &target.sessions[0];
    struct uuid vdi = uuid_random();
    session->is_late = true;
    assert_false(take(&a, &vdi));
    assert_false(session->is_open);
    assert_false(session->has_late);
    assert_false(take(&a, &vdi)); /* and it does not come back by itself */
    bool b_has_it = take(&b, &vdi);
    struct value all;
    assert_true(lease_list(&b.f, &all, &b.error));
    assert_int_equal(all.set.n, 1);
    char text[UUID_TEXT_SIZE];
    assert_int_equal(str_eq(value_map_str(&all.set.items[0], "host"), uuid_text(&b.id.host, text)), b_has_it);
    value_done(&all);
    leave(&a);
    leave(&b);
}

static void test_release_unknown(void **state) {
    struct host a = arrive(), b = arrive();
    struct uuid vdi = uuid_random();
    target.release_says = -ETIMEDOUT;
    assert_false(take(&a, &vdi));
    target.release_says = 0;
    assert_null(target.holder);
    assert_false(take(&b, &vdi)); /* it was taken, and nobody gives it back but its host */
    assert_string_equal(error_code(b.error), ERR_VDI_IN_USE);
    leave(&a);
    leave(&b);
}

static size_t n_disks(const char *place) {
    _cleanup_strv_ struct strv names = {0};
    _cleanup_folder_ struct folder f = {0};
    struct error *e = NULL;
    if (!board_folder_open(place, &f, &e))
        fail_msg("%s", error_text(e));
    assert_int_equal(f.ops->list(f.at, "", 100, &names), 0);
    return names.n;
}

/* No disk is the board, whatever number it has; and of two that say the same name none is a disk. */
static void test_one_name_each(void **state) {
    static const char by_number[] = "iscsi://10.0.0.1:3260/iqn.2026-01.lab.muster:array/lun-5";
    assert_int_equal(n_disks(PLACE), 1);
    target.luns[target.n_luns++] = lun(7, "3b"); /* the board once more */
    assert_int_equal(n_disks(PLACE), 1);
    assert_int_equal(n_disks(by_number), 1);
    target.luns[target.n_luns++] = lun(8, "3c");
    assert_int_equal(n_disks(PLACE), 2);
    target.luns[target.n_luns++] = lun(9, "3a");
    assert_int_equal(n_disks(PLACE), 1);
    target.luns[target.n_luns++] = lun(10, "");
    assert_int_equal(n_disks(by_number), 1);
    target.luns[1].id[0] = '\0'; /* the board has no name */
    assert_int_equal(n_disks(by_number), 2);
}

/* Another host has the board at the moment at which the LUNs are looked at, and lets it go when it is asked again. */
static void test_busy_board(void **state) {
    struct host a = arrive();
    target.holder = &target.sessions[0];
    target.gives_way = true;
    target.luns[0].size = target.luns[1].size = 0;
    assert_int_equal(n_disks(PLACE), 0);
    assert_null(target.holder);
    leave(&a);
}

/* A block that cannot be read may be any disk's lease: those that come by it are refused until a person says so. */
static void test_damaged(void **state) {
    struct host a = arrive(), b = arrive();
    struct uuid vdi = uuid_random(), next;
    char text[UUID_TEXT_SIZE];
    unsigned slot = board_first_slot(&vdi);
    do
        next = uuid_random();
    while (board_first_slot(&next) != slot);
    assert_true(take(&b, &next)); /* it has the slot that both look for first */
    assert_true(take(&a, &vdi));
    memset(target.blocks[1 + slot], 'x', BLOCK);
    assert_true(take(&a, &vdi)); /* found behind it */
    assert_false(take(&b, &next));
    assert_string_equal(error_code(b.error), ERR_SR_BACKEND_FAILURE);
    struct value all;
    assert_true(lease_list(&b.f, &all, &a.error));
    assert_int_equal(all.set.n, 2);
    unsigned n_damaged = 0;
    for (size_t i = 0; i < all.set.n; i++)
        n_damaged += value_map_str(&all.set.items[i], "damaged") != NULL;
    assert_int_equal(n_damaged, 1);
    value_done(&all);
    int64_t n = 0;
    assert_true(lease_break(&a.f, NULL, &b.id.host, &n, &a.error));
    assert_int_equal(n, 0); /* nobody can say whose it is */
    assert_true(lease_sweep(&b.f, &b.id.host, 1, NULL, 0, &n, &a.error));
    assert_int_equal(n, 0);
    assert_true(lease_break(&a.f, &next, NULL, &n, &a.error));
    assert_int_equal(n, 1);
    assert_true(take(&b, &next));
    assert_false(take(&b, &vdi)); /* what lay behind it is found as before */
    assert_string_equal(error_param(b.error, 2), uuid_text(&a.id.host, text));
    assert_true(lease_break(&a.f, &next, NULL, &n, &a.error));
    assert_int_equal(n, 1);
    assert_true(lease_break(&a.f, &next, NULL, &n, &a.error));
    assert_int_equal(n, 0);
    leave(&a);
    leave(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_one_holder, setup),      cmocka_unit_test_setup(test_late_write, setup),
        cmocka_unit_test_setup(test_release_unknown, setup), cmocka_unit_test_setup(test_one_name_each, setup),
        cmocka_unit_test_setup(test_busy_board, setup),      cmocka_unit_test_setup(test_damaged, setup)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

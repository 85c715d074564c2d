/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "db/db_volatile.h"

#define H1 U(1)
#define H2 U(2)

static void set_int(struct db *d, struct uuid owner, int class_id, unsigned n, unsigned field, int64_t v) {
    struct uuid u = U(n);
    db_volatile_set(d, &owner, class_id, &u, field, value_int(v));
}

static void put(struct db *d, struct uuid owner, int class_id, unsigned n) {
    struct uuid u = U(n);
    db_volatile_put(d, &owner, class_id, &u);
}

static void carry(struct db *from, struct db *to, struct uuid owner, uint64_t since) {
    uint64_t generation;
    _cleanup_free_ char *text = db_volatile_export(from, &owner, since, &generation);
    struct error *e = NULL;
    if (!db_volatile_apply(to, &owner, text, strlen(text), &e))
        fail_msg("%s: %s", error_text(e), text);
    assert_int_equal(db_volatile_generation(to, &owner), generation);
}

static void test_rows_and_columns(void **state) {
    struct db *d = ((struct fixture *)*state)->db;
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct uuid owner = H1, u = U(10);
    db_watch_add(d, -1, record_event, &b);
    put(d, H1, CLASS_host_metrics, 10);
    db_volatile_set(d, &owner, CLASS_host_metrics, &u, FIELD_host_metrics_live, value_bool(true));
    set_int(d, H1, CLASS_PIF, 11, FIELD_PIF_proven_size, 9000); /* before the row is there */
    db_batch_close(d);
    assert_buf(&b, "+host_metrics10 ");
    assert_true(row_bool(get(d, CLASS_host_metrics, 10), FIELD_host_metrics_live));
    insert(d, CLASS_PIF, 11, "{}");
    db_batch_close(d);
    assert_int_equal(row_int(get(d, CLASS_PIF, 11), FIELD_PIF_proven_size), 9000);
    buf_clear(&b);
    set_int(d, H1, CLASS_PIF, 11, FIELD_PIF_proven_size, 9000); /* equal: no event */
    db_batch_close(d);
    assert_buf(&b, "");
    modify(d, CLASS_PIF, 11, "{'device':'eth0'}");
    assert_int_equal(row_int(get(d, CLASS_PIF, 11), FIELD_PIF_proven_size), 9000);
    db_volatile_delete(d, &owner, CLASS_host_metrics, &u);
    db_batch_close(d);
    assert_buf(&b, "~PIF11 -host_metrics10 ");
    /* Late words about a row that is gone do not bring it back. */
    db_volatile_set(d, &owner, CLASS_host_metrics, &u, FIELD_host_metrics_live, value_bool(true));
    assert_null(get(d, CLASS_host_metrics, 10));
    db_volatile_drop_owner(d, &owner);
    db_batch_close(d);
    assert_int_not_equal(row_int(get(d, CLASS_PIF, 11), FIELD_PIF_proven_size), 9000);
}

/* A row of the database that goes takes its columns with it, for all owners. */
static void test_row_goes(void **state) {
    struct db *d = ((struct fixture *)*state)->db;
    insert(d, CLASS_PIF, 11, "{}");
    set_int(d, H1, CLASS_PIF, 11, FIELD_PIF_proven_size, 9000);
    db_batch_close(d);
    delete (d, CLASS_PIF, 11);
    db_batch_close(d);
    insert(d, CLASS_PIF, 11, "{}");
    db_batch_close(d);
    assert_int_not_equal(row_int(get(d, CLASS_PIF, 11), FIELD_PIF_proven_size), 9000);
    set_int(d, H1, CLASS_PIF, 11, FIELD_PIF_proven_size, 9000);
    delete (d, CLASS_PIF, 11); /* replaced in one batch: they stay */
    insert(d, CLASS_PIF, 11, "{}");
    db_batch_close(d);
    assert_int_equal(row_int(get(d, CLASS_PIF, 11), FIELD_PIF_proven_size), 9000);
}

static void test_export(void **state) {
    struct fixture *f = *state;
    struct db *a = f->db, *b = db_new(f->loop);
    struct uuid owner = H1, task = U(20);
    insert(b, CLASS_PIF, 11, "{}");
    put(a, H1, CLASS_task, 20);
    db_volatile_set(a, &owner, CLASS_task, &task, FIELD_task_name_label, value_string("t \"x\" \xc3\xa9"));
    db_volatile_set(a, &owner, CLASS_task, &task, FIELD_task_progress, value_float(0.25));
    db_volatile_set(a, &owner, CLASS_task, &task, FIELD_task_created, value_time(1787277623));
    struct value errors = value_set();
    value_set_add(&errors, value_string("CODE"));
    db_volatile_set(a, &owner, CLASS_task, &task, FIELD_task_error_info, errors);
    db_volatile_set(a, &owner, CLASS_task, &task, FIELD_task_resident_on, value_ref(&owner));
    set_int(a, H1, CLASS_PIF, 11, FIELD_PIF_proven_size, 9000);
    carry(a, b, H1, 0);
    db_batch_close(a);
    db_batch_close(b);
    assert_string_equal(buf_str(db_row_json(a, get(a, CLASS_task, 20))),
                        buf_str(db_row_json(b, get(b, CLASS_task, 20))));
    assert_int_equal(row_int(get(b, CLASS_PIF, 11), FIELD_PIF_proven_size), 9000);

    /* Deltas: only what changed, deletions too. */
    _cleanup_buf_ struct buf events = BUF_INIT;
    db_watch_add(b, -1, record_event, &events);
    uint64_t since = db_volatile_generation(b, &owner), generation;
    set_int(a, H1, CLASS_PIF, 11, FIELD_PIF_proven_size, 1500);
    put(a, H1, CLASS_task, 21);
    _cleanup_free_ char *text = db_volatile_export(a, &owner, since, &generation);
    assert_null(strstr(text, "9000"));
    assert_null(strstr(text, "CODE"));
    carry(a, b, H1, since);
    db_batch_close(b);
    buf_clear(&events);
    since = db_volatile_generation(b, &owner);
    db_volatile_delete(a, &owner, CLASS_task, &task);
    carry(a, b, H1, since);
    carry(a, b, H1, since); /* twice does no harm */
    db_batch_close(b);
    assert_buf(&events, "-task20 ");

    /* A full export over what is there: only the differences are events. */
    carry(a, b, H1, 0);
    db_batch_close(b);
    assert_buf(&events, "");
    struct uuid u21 = U(21);
    db_volatile_delete(a, &owner, CLASS_task, &u21);
    carry(a, b, H1, 0);
    db_batch_close(b);
    assert_buf(&events, "-task21 ");

    /* Passed on by the one who received it. */
    struct db *c = db_new(f->loop);
    insert(c, CLASS_PIF, 11, "{}");
    carry(b, c, H1, 0);
    assert_int_equal(row_int(get(c, CLASS_PIF, 11), FIELD_PIF_proven_size), 1500);
    since = db_volatile_generation(c, &owner);
    set_int(a, H1, CLASS_PIF, 11, FIELD_PIF_proven_size, 1400);
    carry(a, b, H1, db_volatile_generation(b, &owner));
    carry(b, c, H1, since);
    assert_int_equal(row_int(get(c, CLASS_PIF, 11), FIELD_PIF_proven_size), 1400);

    /* An owner that starts again takes back what it has not said yet. */
    struct db *again = db_new(f->loop);
    put(again, H1, CLASS_task, 30);
    carry(again, b, H1, 0);
    assert_non_null(get(b, CLASS_task, 30));
    assert_int_not_equal(row_int(get(b, CLASS_PIF, 11), FIELD_PIF_proven_size), 1400);
    db_free(again);
    db_free(c);
    db_free(b);
}

static void test_gap(void **state) {
    struct fixture *f = *state;
    struct db *a = f->db, *b = db_new(f->loop);
    struct uuid owner = H1;
    put(a, H1, CLASS_task, 20);
    uint64_t generation, first = db_volatile_generation(a, &owner);
    put(a, H1, CLASS_task, 21);
    _cleanup_free_ char *text = db_volatile_export(a, &owner, first, &generation);
    _cleanup_error_ struct error *e = NULL;
    assert_false(db_volatile_apply(b, &owner, text, strlen(text), &e));
    assert_null(get(b, CLASS_task, 21));
    db_free(b);
}

/* Exports older than the remembered deletions are full ones. */
static void test_old_since(void **state) {
    struct fixture *f = *state;
    struct db *a = f->db, *b = db_new(f->loop);
    struct uuid owner = H1;
    put(a, H1, CLASS_task, 5000);
    carry(a, b, H1, 0);
    uint64_t since = db_volatile_generation(b, &owner);
    for (unsigned i = 0; i < VOL_GONE_MAX + 10; i++) {
        struct uuid u = U(100 + i);
        db_volatile_put(a, &owner, CLASS_task, &u);
        db_volatile_delete(a, &owner, CLASS_task, &u);
    }
    uint64_t generation;
    _cleanup_free_ char *text = db_volatile_export(a, &owner, since, &generation);
    assert_non_null(strstr(text, "\"since\":0"));
    carry(a, b, H1, since);
    assert_int_equal(db_count(b, CLASS_task), 1);
    db_free(b);
}

/* Two hosts speak about the same row: the last word counts, and it falls back when that one leaves. */
static void test_two_owners(void **state) {
    struct db *d = ((struct fixture *)*state)->db;
    struct uuid h1 = H1, h2 = H2;
    put(d, H1, CLASS_task, 20);
    put(d, H2, CLASS_task, 20);
    insert(d, CLASS_PIF, 11, "{}");
    set_int(d, H1, CLASS_PIF, 11, FIELD_PIF_proven_size, 1);
    set_int(d, H2, CLASS_PIF, 11, FIELD_PIF_proven_size, 2);
    assert_int_equal(row_int(get(d, CLASS_PIF, 11), FIELD_PIF_proven_size), 2);
    db_volatile_drop_owner(d, &h2);
    assert_int_equal(row_int(get(d, CLASS_PIF, 11), FIELD_PIF_proven_size), 1);
    assert_non_null(get(d, CLASS_task, 20));
    db_volatile_drop_owner(d, &h1);
    assert_null(get(d, CLASS_task, 20));
}

/* What a broken or hostile host may send: refused whole, nothing applied. */
static void test_refused(void **state) {
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{'since':0}",
        "{'since':5,'gen':4,'rows':[],'gone':[]}",
        "{'since':-1,'gen':4,'rows':[],'gone':[]}",
        "{'since':0,'gen':4,'rows':{},'gone':[]}",
        "{'since':0,'gen':4,'rows':[]}",
        "{'since':0,'gen':4,'rows':[1],'gone':[]}",
        "{'since':0,'gen':4,'rows':[{'c':'task','u':'x','f':{}}],'gone':[]}",
        "{'since':0,'gen':4,'rows':[{'c':'nothing','u':'a0000000-0000-4000-8000-000000000014','f':{}}],'gone':[]}",
        "{'since':0,'gen':4,'rows':[{'c':'task','u':'00000000-0000-0000-0000-000000000000','f':{}}],'gone':[]}",
        "{'since':0,'gen':4,'rows':[{'c':'pool','u':'a0000000-0000-4000-8000-000000000014','put':true,'f':{}}],'gone':["
        "]}",
        "{'since':0,'gen':4,'rows':[{'c':'pool','u':'a0000000-0000-4000-8000-000000000014','f':{'name_label':'x'}}],'"
        "gone':[]}",
        "{'since':0,'gen':4,'rows':[{'c':'task','u':'a0000000-0000-4000-8000-000000000014','put':true,'f':{'progress':'"
        "x'}}],'gone':[]}",
        "{'since':0,'gen':4,'rows':[{'c':'task','u':'a0000000-0000-4000-8000-000000000014','put':true,'f':{'uuid':'x'}}"
        "],'gone':[]}",
        "{'since':0,'gen':4,'rows':[{'c':'task','u':'a0000000-0000-4000-8000-000000000014','put':true,'f':[]}],'gone':["
        "]}",
        "{'since':0,'gen':4,'rows':[{'c':'task','u':'a0000000-0000-4000-8000-000000000014','put':true,'f':{'error_info'"
        ":[1]}}],'gone':[]}",
        "{'since':0,'gen':4,'rows':[],'gone':[['task']]}",
        "{'since':0,'gen':4,'rows':[],'gone':['task']}",
    };
    struct db *d = ((struct fixture *)*state)->db;
    struct uuid owner = H1;
    put(d, H1, CLASS_task, 20);
    db_batch_close(d);
    uint64_t generation = db_generation(d);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_free_ char *text = xstrdup(bad[i]);
        for (char *c = text; *c; c++)
            *c = *c == '\'' ? '"' : *c;
        _cleanup_error_ struct error *e = NULL;
        if (db_volatile_apply(d, &owner, text, strlen(text), &e))
            fail_msg("taken: %s", text);
        assert_non_null(e);
        db_batch_close(d);
        assert_int_equal(db_generation(d), generation);
    }
    size_t size = VOL_EXPORT_SIZE_MAX + 1;
    char *huge = xmalloc(size);
    memset(huge, '[', size);
    struct error *e = NULL;
    assert_false(db_volatile_apply(d, &owner, huge, size, &e));
    error_free(e);
    e = NULL;
    assert_false(db_volatile_apply(d, &owner, huge, 100000, &e));
    error_free(e);
    free(huge);
    assert_non_null(get(d, CLASS_task, 20));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows_and_columns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_row_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_export, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_since, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_owners, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

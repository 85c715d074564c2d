/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#define A1 "['uuid','a0000000-0000-4000-8000-000000000001']"
#define A2 "['uuid','a0000000-0000-4000-8000-000000000002']"

static size_t size(struct db *d, int class_id, unsigned n, unsigned field) {
    return row_value(get(d, class_id, n), field)->set.n;
}

static bool has(struct db *d, int class_id, unsigned n, unsigned field, unsigned member) {
    struct uuid u = U(member);
    struct value v = value_ref(&u);
    return value_set_has(row_value(get(d, class_id, n), field), &v);
}

static void test_reverse(void **state) {
    struct db *d = ((struct fixture *)*state)->db;
    insert(d, CLASS_host, 1, "{}");
    insert(d, CLASS_host, 2, "{}");
    db_batch_close(d);
    _cleanup_buf_ struct buf b = BUF_INIT;
    db_watch_add(d, -1, record_event, &b);
    insert(d, CLASS_PIF, 11, "{'host':" A1 "}");
    insert(d, CLASS_PIF, 12, "{'host':" A1 "}");
    db_batch_close(d);
    assert_buf(&b, "+PIF11 ~host1 +PIF12 "); /* the host has changed, too */
    assert_int_equal(size(d, CLASS_host, 1, FIELD_host_PIFs), 2);
    modify(d, CLASS_PIF, 11, "{'host':" A2 "}");
    db_batch_close(d);
    assert_int_equal(size(d, CLASS_host, 1, FIELD_host_PIFs), 1);
    assert_true(has(d, CLASS_host, 2, FIELD_host_PIFs, 11));
    buf_clear(&b);
    delete (d, CLASS_PIF, 11);
    db_batch_close(d);
    assert_buf(&b, "~host2 -PIF11 ");
    assert_int_equal(size(d, CLASS_host, 2, FIELD_host_PIFs), 0);
    modify(d, CLASS_PIF, 12, "{'host':['set',[]]}");
    assert_int_equal(size(d, CLASS_host, 1, FIELD_host_PIFs), 0);
}

/* A row may come before the one it refers to, and stay after it. */
static void test_orphans(void **state) {
    struct db *d = ((struct fixture *)*state)->db;
    insert(d, CLASS_PIF, 11, "{'host':" A1 "}");
    insert(d, CLASS_PIF, 12, "{'host':" A1 "}");
    insert(d, CLASS_PIF, 13, "{'host':" A2 "}");
    delete (d, CLASS_PIF, 13);
    insert(d, CLASS_host, 1, "{}");
    assert_int_equal(size(d, CLASS_host, 1, FIELD_host_PIFs), 2);
    delete (d, CLASS_host, 1);
    modify(d, CLASS_PIF, 11, "{'host':['set',[]]}");
    insert(d, CLASS_host, 1, "{}");
    insert(d, CLASS_host, 2, "{}");
    assert_int_equal(size(d, CLASS_host, 1, FIELD_host_PIFs), 1);
    assert_true(has(d, CLASS_host, 1, FIELD_host_PIFs, 12));
    assert_int_equal(size(d, CLASS_host, 2, FIELD_host_PIFs), 0);
}

/* The referring field is itself a set: pool_update.hosts is the reverse of host.updates. */
static void test_many_to_many(void **state) {
    struct db *d = ((struct fixture *)*state)->db;
    insert(d, CLASS_pool_update, 1, "{}");
    insert(d, CLASS_pool_update, 2, "{}");
    insert(d, CLASS_host, 5, "{'updates':['set',[" A1 "," A2 "]]}");
    insert(d, CLASS_host, 6, "{'updates':" A1 "}");
    assert_int_equal(size(d, CLASS_pool_update, 1, FIELD_pool_update_hosts), 2);
    assert_int_equal(size(d, CLASS_pool_update, 2, FIELD_pool_update_hosts), 1);
    modify(d, CLASS_host, 5, "{'updates':" A1 "}"); /* the difference: it goes */
    assert_int_equal(size(d, CLASS_pool_update, 1, FIELD_pool_update_hosts), 1);
    assert_true(has(d, CLASS_pool_update, 1, FIELD_pool_update_hosts, 6));
}

/* Random comings and goings; then every reverse set is what a full count says. */
static void test_random(void **state) {
    struct db *d = ((struct fixture *)*state)->db;
    unsigned seed = 7;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1103515245 + 12345;
        unsigned what = seed >> 16 & 3, host = 1 + (seed >> 18) % 5, pif = 100 + (seed >> 22) % 20;
        char columns[100];
        snprintf(columns, sizeof(columns), "{'host':['uuid','a0000000-0000-4000-8000-%012x']}", host);
        if (what == 0 && get(d, CLASS_host, host))
            delete (d, CLASS_host, host);
        else if (what == 0)
            insert(d, CLASS_host, host, "{}");
        else if (what == 1 && get(d, CLASS_PIF, pif))
            delete (d, CLASS_PIF, pif);
        else if (what == 2 && get(d, CLASS_PIF, pif))
            modify(d, CLASS_PIF, pif, columns);
        else if (what == 3 && !get(d, CLASS_PIF, pif))
            insert(d, CLASS_PIF, pif, columns);
        if (i % 50 == 0)
            db_batch_close(d);
    }
    for (unsigned h = 1; h <= 5; h++) {
        size_t n = 0;
        for (const struct row *r = db_first(d, CLASS_PIF); r; r = db_next(d, r)) {
            struct uuid u = U(h);
            n += uuid_eq(row_ref(r, FIELD_PIF_host), &u);
        }
        if (get(d, CLASS_host, h))
            assert_int_equal(size(d, CLASS_host, h, FIELD_host_PIFs), n);
    }
}

static void test_companion(void **state) {
    struct db *d = ((struct fixture *)*state)->db;
    insert(d, CLASS_host, 1, "{}");
    struct uuid h = U(1), m = db_companion_uuid(&h, "host_metrics"), other = db_companion_uuid(&h, "PIF_metrics");
    assert_true(uuid_eq(row_ref(get(d, CLASS_host, 1), FIELD_host_metrics), &m));
    assert_false(uuid_eq(&m, &other));
    assert_null(db_follow(d, get(d, CLASS_host, 1), FIELD_host_metrics));
    db_volatile_put(d, &h, CLASS_host_metrics, &m);
    assert_non_null(db_follow(d, get(d, CLASS_host, 1), FIELD_host_metrics));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reverse, setup, teardown),
        cmocka_unit_test_setup_teardown(test_orphans, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_to_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random, setup, teardown),
        cmocka_unit_test_setup_teardown(test_companion, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/str.h"
#include "base/strmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static int numbers[4000];

static void test_put_get_remove(void **state) {
    struct strmap *m = strmap_new();
    assert_null(strmap_get(m, "a"));
    assert_null(strmap_remove(m, "a"));
    assert_null(strmap_put(m, "a", &numbers[1]));
    assert_ptr_equal(strmap_put(m, "a", &numbers[2]), &numbers[1]);
    assert_int_equal(strmap_size(m), 1);
    assert_null(strmap_put(m, "", &numbers[3])); /* the empty key is a key */
    assert_ptr_equal(strmap_get(m, ""), &numbers[3]);
    assert_ptr_equal(strmap_remove(m, "a"), &numbers[2]);
    assert_null(strmap_get(m, "a"));
    assert_int_equal(strmap_size(m), 1);
    strmap_free(m);
    strmap_free(NULL);
}

static void test_against_an_array(void **state) {
    struct strmap *m = strmap_new();
    bool there[ARRAY_SIZE(numbers)] = {false};
    size_t n = 0;
    uint32_t luck = 1;
    for (int round = 0; round < 60000; round++) {
        luck = luck * 1664525 + 1013904223;
        size_t i = (luck >> 8) % ARRAY_SIZE(numbers);
        _cleanup_free_ char *key = strf("key-%zu", i);
        if (luck >> 31) {
            assert_ptr_equal(strmap_put(m, key, &numbers[i]), there[i] ? &numbers[i] : NULL);
            n += !there[i];
            there[i] = true;
        } else {
            assert_ptr_equal(strmap_remove(m, key), there[i] ? &numbers[i] : NULL);
            n -= there[i];
            there[i] = false;
        }
        assert_int_equal(strmap_size(m), n);
    }
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        _cleanup_free_ char *key = strf("key-%zu", i);
        assert_ptr_equal(strmap_get(m, key), there[i] ? &numbers[i] : NULL);
    }
    strmap_free(m);
}

/* Many come and go, few stay: neither room nor time may grow with the number that ever were. */
static void test_churn(void **state) {
    struct strmap *m = strmap_new();
    for (int i = 0; i < 200000; i++) {
        char key[32];
        _cleanup_free_ char *text = strf("%d", i);
        (void)str_copy(key, sizeof(key), text);
        assert_null(strmap_put(m, key, &numbers[0]));
        assert_ptr_equal(strmap_remove(m, key), &numbers[0]);
    }
    assert_int_equal(strmap_size(m), 0);
    strmap_free(m);
}

static void test_iteration(void **state) {
    struct strmap *m = strmap_new();
    for (int i = 0; i < 100; i++) {
        _cleanup_free_ char *key = strf("%d", i);
        strmap_put(m, key, &numbers[i]);
    }
    size_t pos = 0;
    const char *key;
    void *value;
    int i = 0;
    while (strmap_next(m, &pos, &key, &value)) { /* in the order of insertion */
        assert_ptr_equal(value, &numbers[i]);
        if (i++ % 2)
            assert_ptr_equal(strmap_remove(m, key), value); /* the key is the map's own text */
    }
    assert_int_equal(i, 100);
    assert_int_equal(strmap_size(m), 50);
    pos = 0;
    for (i = 0; strmap_next(m, &pos, NULL, &value); i += 2)
        assert_ptr_equal(value, &numbers[i]);
    assert_int_equal(i, 100);
    strmap_free(m);
}

static void test_uuidmap(void **state) {
    struct uuidmap *m = uuidmap_new();
    struct uuid u[1000];
    for (size_t i = 0; i < ARRAY_SIZE(u); i++) {
        u[i] = uuid_random();
        assert_null(uuidmap_put(m, &u[i], &numbers[i]));
    }
    for (size_t i = 0; i < ARRAY_SIZE(u); i += 2)
        assert_ptr_equal(uuidmap_remove(m, &u[i]), &numbers[i]);
    assert_int_equal(uuidmap_size(m), 500);
    size_t pos = 0, i = 1;
    struct uuid key;
    void *value;
    for (; uuidmap_next(m, &pos, &key, &value); i += 2) {
        assert_true(uuid_eq(&key, &u[i]));
        assert_ptr_equal(value, &numbers[i]);
        assert_ptr_equal(uuidmap_get(m, &key), value);
    }
    assert_int_equal(i, 1001);
    assert_null(uuidmap_get(m, &u[0]));
    uuidmap_free(m);
    uuidmap_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_put_get_remove), cmocka_unit_test(test_against_an_array),
                                       cmocka_unit_test(test_churn), cmocka_unit_test(test_iteration),
                                       cmocka_unit_test(test_uuidmap)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "base/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_text(void **state) {
    struct uuid u, v;
    char text[UUID_TEXT_SIZE];
    assert_true(uuid_parse("6BA7B810-9dad-11d1-80b4-00c04fd430c8", &u));
    assert_string_equal(uuid_text(&u, text), "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    assert_int_equal(u.b[0], 0x6b);
    assert_int_equal(u.b[15], 0xc8);
    static const char *const bad[] = {"",
                                      "6ba7b810-9dad-11d1-80b4-00c04fd430c",
                                      "6ba7b810-9dad-11d1-80b4-00c04fd430c80",
                                      "6ba7b8109dad11d180b400c04fd430c8",
                                      "6ba7b810-9dad-11d1-80b4-00c04fd430cg",
                                      "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}",
                                      "6ba7b810-9dad-11d1-80b4_00c04fd430c8"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(uuid_parse(bad[i], &v));
}

static void test_random(void **state) {
    struct uuid a = uuid_random(), b = uuid_random();
    assert_false(uuid_eq(&a, &b));
    assert_false(uuid_is_null(&a));
    assert_int_equal(a.b[6] >> 4, 4);
    assert_int_equal(a.b[8] >> 6, 2);
}

/* The name-based example that RFC 9562 (A.4) prints for the DNS space. */
static void test_derive(void **state) {
    struct uuid dns, u;
    char text[UUID_TEXT_SIZE];
    assert_true(uuid_parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8", &dns));
    u = uuid_derive(&dns, "www.example.com");
    assert_string_equal(uuid_text(&u, text), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

static void test_ref(void **state) {
    struct uuid u = {0}, v;
    char text[REF_TEXT_SIZE];
    assert_string_equal(ref_text(&u, text), "OpaqueRef:NULL");
    v = uuid_random();
    assert_true(ref_parse("OpaqueRef:NULL", &v));
    assert_true(uuid_is_null(&v));
    u = uuid_random();
    assert_int_equal(strlen(ref_text(&u, text)), REF_TEXT_SIZE - 1);
    assert_true(ref_parse(text, &v));
    assert_true(uuid_eq(&u, &v));
    assert_false(ref_parse("OpaqueRef:", &v));
    assert_false(ref_parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8", &v));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_random),
                                       cmocka_unit_test(test_derive), cmocka_unit_test(test_ref)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

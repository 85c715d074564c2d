/* SPDX-License-Identifier: Apache-2.0 */
/* Base64: the vectors of RFC 4648, section 10, and what is none. */
#include "wire/base64.h"
#include <stdarg.h>
#include <string.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static void test_vectors(void **state) {
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        size_t size;
        _cleanup_free_ char *text = base64_encode(vectors[i][0], strlen(vectors[i][0])),
                            *data = base64_decode(vectors[i][1], strlen(vectors[i][1]), &size);
        assert_string_equal(text, vectors[i][1]);
        assert_non_null(data);
        assert_int_equal(size, strlen(vectors[i][0]));
        assert_string_equal(data, vectors[i][0]);
    }
}

static void test_none(void **state) {
    static const char *const none[] = {"Z", "Zg", "Zg=", "Zm9v!", "Z*==", "\n===", "    ", "Zm9v\xff\xff\xff\xff"};
    for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
        size_t size = 0;
        _cleanup_free_ char *data = base64_decode(none[i], strlen(none[i]), &size);
        assert_true(!data || size == 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

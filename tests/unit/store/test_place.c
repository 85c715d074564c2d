/* SPDX-License-Identifier: Apache-2.0 */
/* Places of repositories, from device_config to what the host is told; and what musterd and its helper say. */
#include "base/str.h"
#include "model/model.h"
#include "store/store_message.h"
#include "store/store_place_core.h"
#include <stdarg.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static struct value config(const char *server, const char *path) {
    struct value v = value_map();
    value_map_add(&v, "server", value_string(server));
    value_map_add(&v, "serverpath", value_string(path));
    return v;
}

static void test_nfs(void **state) {
    static const struct {
        const char *server, *path, *place, *export;
    } good[] = {{"10.9.0.9", "/srv/array/nfs", "nfs://10.9.0.9/srv/array/nfs/%s", "/srv/array/nfs"},
                {"array-1.lan", "/", "nfs://array-1.lan/%s", "/"},
                {"fd00::9", "/x", "nfs://[fd00::9]/x/%s", "/x"}};
    struct uuid sr = uuid_random();
    char text[UUID_TEXT_SIZE];
    uuid_text(&sr, text);
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        _cleanup_value_ struct value c = config(good[i].server, good[i].path);
        _cleanup_free_ char *place = store_place("nfs", &c, &sr), *expected = strf(good[i].place, text);
        struct nfs_place p;
        assert_string_equal(place, expected);
        assert_true(store_place_is_shared(place));
        assert_null(store_place_trouble(place));
        assert_true(nfs_place_parse(place, &p));
        assert_string_equal(p.server, good[i].server);
        assert_string_equal(p.export, good[i].export);
        assert_string_equal(p.folder, text);
        nfs_place_done(&p);
    }
}

static void test_nfs_refused(void **state) {
    static const char *const bad[][3] = {{"", "/x", "server"},
                                         {"10.9.0.9", "", "serverpath"},
                                         {"10.9.0.9", "x", "serverpath"},
                                         {"-x", "/x", "server"},
                                         {"a b", "/x", "server"},
                                         {"10.9.0.9/x", "/x", "server"},
                                         {"h@h", "/x", "server"},
                                         {"10.9.0.9", "/x?uid=0", "serverpath"},
                                         {"10.9.0.9", "/x/../y", "serverpath"},
                                         {"10.9.0.9", "/x%2e", "serverpath"},
                                         {"10.9.0.9", "/x\n", "serverpath"},
                                         {"10.9.0.9", "/x/", "serverpath"}};
    struct uuid sr = uuid_random();
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_value_ struct value c = config(bad[i][0], bad[i][1]);
        const char *key;
        assert_non_null(store_config_trouble("nfs", &c, &key));
        assert_string_equal(key, bad[i][2]);
        _cleanup_free_ char *place = store_place("nfs", &c, &sr);
        assert_string_equal(place, "");
    }
    static const char *const places[] = {"nfs://", "nfs://h", "nfs://h/x", "nfs:///x", "nfs://[::1/x", "nfs://h/../x"};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        assert_non_null(store_place_trouble(places[i]));
    _cleanup_free_ char *none = store_place("cloud", NULL, &sr), *empty = store_place("nfs", NULL, &sr);
    assert_string_equal(none, "");
    assert_string_equal(empty, "");
}

static void test_discs(void **state) {
    static const struct {
        const char *location, *place, *file;
    } good[] = {{"/opt/iso", "/opt/iso", "/opt/iso/a b.iso"},
                {"10.9.0.9:/srv/iso", "nfs://10.9.0.9/srv/iso/", "nfs://10.9.0.9/srv/iso/a b.iso"}};
    static const char *const bad[] = {"", "iso", "10.9.0.9:", "10.9.0.9:/", "10.9.0.9:/a/../b", "a b:/x", "/etc"};
    static const char *const names[] = {"", ".iso", "a.img", "../a.iso", "a/b.iso", "a\nb.iso", "a?.iso", ".a.iso"};
    struct uuid sr = uuid_random();
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        _cleanup_value_ struct value c = value_map();
        value_map_add(&c, "location", value_string(good[i].location));
        _cleanup_free_ char *place = store_place("iso", &c, &sr), *file = store_iso_file(place, "a b.iso");
        assert_string_equal(place, good[i].place);
        assert_string_equal(file, good[i].file);
        assert_null(store_place_trouble(place));
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_value_ struct value c = value_map();
        const char *key;
        value_map_add(&c, "location", value_string(bad[i]));
        assert_non_null(store_config_trouble("iso", &c, &key));
    }
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_false(store_iso_name_is_good(names[i]));
    assert_true(store_iso_name_is_good("debian-12.iso") && store_iso_name_is_good("A (1).ISO"));
}

static void test_messages(void **state) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_value_ struct value args = config("h", "/x"), read = {0}, result = {0};
    _cleanup_free_ char *op = NULL;
    struct error *e = NULL, *said = NULL;
    value_map_add(&args, "size", value_int(INT64_MAX));
    store_request_write(&text, "vdi_create", &args);
    assert_true(store_request_read(buf_str(&text), text.size, &op, &read, &e));
    assert_string_equal(op, "vdi_create");
    assert_true(value_equal(&args, &read));
    buf_clear(&text);
    error_set(&said, ERR_VDI_IN_USE, "disk", "lease", "host", NULL);
    store_answer_write(&text, NULL, said);
    assert_false(store_answer_read(buf_str(&text), text.size, &result, &e));
    assert_string_equal(error_code(e), ERR_VDI_IN_USE);
    assert_string_equal(error_param(e, 2), "host");
    error_free(TAKE(e));
    error_free(said);
    static const char *const bad[] = {"",
                                      "{}",
                                      "[]",
                                      "{\"result\":3}",
                                      "{\"error\":[]}",
                                      "{\"error\":\"x\"}",
                                      "{\"result\":{},\"error\":[\"X\"]}",
                                      "{\"result\":{}"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_false(store_answer_read(bad[i], strlen(bad[i]), &result, &e));
        assert_string_equal(error_code(e), ERR_SR_BACKEND_FAILURE);
        error_free(TAKE(e));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nfs), cmocka_unit_test(test_nfs_refused),
                                       cmocka_unit_test(test_discs), cmocka_unit_test(test_messages)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

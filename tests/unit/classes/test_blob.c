/* SPDX-License-Identifier: Apache-2.0 */
/* Binary attachments: made, named, filled, limited, and gone with what they are attached to. */
#include "api/call_private.h"
#include "base/str.h"
#include "classes/class_blob.h"
#include "net_fixture.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static int setup(void **state) {
    *state = nf_new(2);
    return 0;
}

static int teardown(void **state) {
    nf_free(*state);
    return 0;
}

static struct uuid attach(struct nf *nf, const char *name) {
    return ref_of(fx_call(nf->fx, "network.create_new_blob", "[$S, \"%s\", \"%s\", \"image/png\", true]",
                          fx_ref(&nf->networks[0]), name));
}

static const struct row *row_of(struct nf *nf, const struct uuid *blob) {
    return fx_row(nf->fx, CLASS_blob, blob);
}

static void test_attached(void **state) {
    struct nf *nf = *state;
    struct uuid b = attach(nf, "map");
    assert_string_equal(row_str(row_of(nf, &b), FIELD_blob_name_label), "map");
    assert_string_equal(row_str(row_of(nf, &b), FIELD_blob_mime_type), "image/png");
    assert_true(row_bool(row_of(nf, &b), FIELD_blob_public));
    assert_non_null(strstr(fx_call(nf->fx, "network.get_blobs", "[$S, \"%s\"]", fx_ref(&nf->networks[0])), "\"map\""));
    assert_true(
        str_starts(fx_fail(nf->fx, "network.create_new_blob", "[$S, \"%s\", \"map\", \"\"]", fx_ref(&nf->networks[0])),
                   "MAP_DUPLICATE_KEY network blobs"));
    assert_null(strstr(fx_call(nf->fx, "blob.get_record", "[$S, \"%s\"]", fx_ref(&b)), "content"));
    fx_call(nf->fx, "blob.destroy", "[$S, \"%s\"]", fx_ref(&b));
    assert_null(row_of(nf, &b));
    assert_string_equal(fx_call(nf->fx, "network.get_blobs", "[$S, \"%s\"]", fx_ref(&nf->networks[0])), "{}");
}

static void test_goes_with_its_object(void **state) {
    struct nf *nf = *state;
    struct uuid n = nf_network(nf, 1500);
    struct uuid b =
        ref_of(fx_call(nf->fx, "network.create_new_blob", "[$S, \"%s\", \"plan\", \"text/plain\"]", fx_ref(&n)));
    fx_call(nf->fx, "network.destroy", "[$S, \"%s\"]", fx_ref(&n));
    assert_null(row_of(nf, &b));
}

static void test_refused(void **state) {
    struct nf *nf = *state;
    /* It becomes a header line. */
    assert_true(
        str_starts(fx_fail(nf->fx, "blob.create", "[$S, \"a/b\\r\\nX: y\", false]"), "INVALID_VALUE mime_type"));
    assert_string_equal(fx_fail(nf->fx, "blob.destroy", "[$S, \"OpaqueRef:NULL\"]"),
                        "HANDLE_INVALID blob OpaqueRef:NULL");
    for (unsigned i = 0; i < BLOBS_MAX; i++)
        fx_call(nf->fx, "blob.create", "[$S, \"\", false]");
    assert_string_equal(fx_fail(nf->fx, "blob.create", "[$S, \"\", false]"), "TOO_MANY_BLOBS 256");
}

static void on_written(const struct reply *r, void *userdata) {
    *(bool *)userdata = !r->error;
}

static void write_to(struct nf *nf, const struct uuid *blob, const void *content, size_t size) {
    static const struct call_def def = {.name = "blob.put", .class_id = CLASS_blob, .kind = CALL_CUSTOM, .doc = ""};
    bool is_done = false;
    struct call *c = call_new(nf->fx->api, &def);
    c->reply = on_written;
    c->userdata = &is_done;
    blob_write(call_keep(c), row_of(nf, blob), content, size);
    fx_settle(nf->fx);
    assert_true(is_done);
}

static void test_content(void **state) {
    struct nf *nf = *state;
    static const char bytes[] = {0, 'a', (char)0xff, '\n', 0};
    struct uuid b = attach(nf, "bytes");
    assert_null(blob_content(row_of(nf, &b)));
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        write_to(nf, &b, bytes, size);
        _cleanup_free_ char *content = blob_content(row_of(nf, &b));
        assert_non_null(content);
        assert_int_equal(row_int(row_of(nf, &b), FIELD_blob_size), size);
        assert_memory_equal(content, bytes, size);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_attached, setup, teardown),
        cmocka_unit_test_setup_teardown(test_goes_with_its_object, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_content, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

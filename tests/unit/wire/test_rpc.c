/* SPDX-License-Identifier: Apache-2.0 */
/* Calls and answers as texts, both codecs; the shapes are those of XenAPI. */
#include "wire/rpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

static struct error *last_error;

static bool decode(bool is_json, const char *text, struct rpc_request *r) {
    error_free(TAKE(last_error));
    return rpc_request_decode(is_json, text, strlen(text), r, &last_error);
}

static void refuse(bool is_json, const char *text) {
    struct rpc_request r;
    if (decode(is_json, text, &r))
        fail_msg("taken: %s", text);
    assert_non_null(last_error);
    error_free(TAKE(last_error));
}

static void test_json_requests(void **state) {
    struct rpc_request r;
    assert_true(decode(true, "{\"method\":\"a.b\",\"params\":[\"x\",1,1.5,true,null,[],{\"k\":\"v\"}],\"id\":7}", &r));
    assert_int_equal(r.version, RPC_JSON_1);
    assert_string_equal(r.method, "a.b");
    assert_string_equal(r.id_json, "7");
    assert_int_equal(r.n_params, 7);
    static const enum value_type types[] = {VALUE_STRING, VALUE_INT, VALUE_FLOAT, VALUE_BOOL,
                                            VALUE_VOID,   VALUE_SET, VALUE_MAP};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        assert_int_equal(r.params[i].type, types[i]);
    assert_string_equal(value_map_str(&r.params[6], "k"), "v");
    rpc_request_done(&r);
    assert_true(decode(true, " {\"jsonrpc\":\"2.0\",\"method\":\"a\",\"params\":null,\"id\":\"q\\\"\"} ", &r));
    assert_int_equal(r.version, RPC_JSON_2);
    assert_string_equal(r.id_json, "\"q\\\"\"");
    assert_int_equal(r.n_params, 0);
    rpc_request_done(&r);
    static const char *const bad[] = {"",
                                      "[]",
                                      "1",
                                      "{",
                                      "{}",
                                      "{\"method\":\"a\",\"params\":[]}",
                                      "{\"method\":\"a\",\"params\":[],\"id\":null}",
                                      "{\"method\":\"a\",\"params\":[],\"id\":1.5}",
                                      "{\"method\":\"a\",\"params\":{},\"id\":1}",
                                      "{\"method\":1,\"params\":[],\"id\":1}",
                                      "{\"params\":[],\"id\":1}",
                                      "{\"method\":\"\",\"id\":1}",
                                      "[{\"method\":\"a\",\"id\":1}]",
                                      "{\"jsonrpc\":\"3.0\",\"method\":\"a\",\"id\":1}",
                                      "{\"method\":\"a\",\"method\":\"b\",\"id\":1}",
                                      "{\"method\":\"a\",\"id\":1} x",
                                      "{\"method\":\"a\\u0000b\",\"id\":1}",
                                      "{\"method\":\"\xff\",\"id\":1}",
                                      "{\"method\":\"\xc0\xaf\",\"id\":1}",
                                      "{\"method\":\"a\",\"id\":99999999999999999999}"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        refuse(true, bad[i]);
}

#define XML_CALL(params)                                                                                               \
    "<?xml version=\"1.0\"?><methodCall><methodName>a.b</methodName><params>" params "</params></methodCall>"
#define XML_PARAM(v) "<param><value>" v "</value></param>"

static void test_xml_requests(void **state) {
    struct rpc_request r;
    assert_true(decode(
        false,
        XML_CALL(
            XML_PARAM("bare &amp; &#65;") XML_PARAM("<string> kept </string>") XML_PARAM("<int>-5</int>") XML_PARAM(
                "<i4>7</i4>") XML_PARAM("<i8> 9223372036854775807 </i8>") XML_PARAM("<double>1.5</double>")
                XML_PARAM("<boolean>1</boolean>") XML_PARAM("<dateTime.iso8601>20260821T02:00:23Z</dateTime.iso8601>")
                    XML_PARAM("<nil/>") XML_PARAM("") XML_PARAM(" <array> <data> <value>x</value> </data> </array> ")
                        XML_PARAM("<struct><member><name>k</name><value>v</value></member></struct>")
                            XML_PARAM("<string></string>") XML_PARAM("<array><data/></array>") XML_PARAM("<struct/>")),
        &r));
    assert_int_equal(r.version, RPC_XML);
    assert_int_equal(r.n_params, 15);
    assert_string_equal(value_str(&r.params[0]), "bare & A");
    assert_string_equal(value_str(&r.params[1]), " kept ");
    assert_int_equal(value_as_int(&r.params[2]), -5);
    assert_int_equal(value_as_int(&r.params[3]), 7);
    assert_true(value_as_int(&r.params[4]) == INT64_MAX);
    assert_true(r.params[5].type == VALUE_FLOAT && r.params[5].real == 1.5);
    assert_true(value_as_bool(&r.params[6]));
    assert_true(r.params[7].type == VALUE_TIME);
    assert_int_equal(r.params[8].type, VALUE_VOID);
    assert_true(r.params[9].type == VALUE_STRING && str_empty(value_str(&r.params[9])));
    assert_int_equal(r.params[10].set.n, 1);
    assert_string_equal(value_map_str(&r.params[11], "k"), "v");
    assert_int_equal(r.params[13].set.n, 0);
    assert_int_equal(r.params[14].map.n, 0);
    rpc_request_done(&r);
    static const char *const bad[] = {
        "",
        "<methodCall/>",
        "<methodCall><methodName>a</methodName></methodCall>",
        "<methodCall><params/></methodCall>",
        "<methodCall><methodName>a</methodName><methodName>b</methodName><params/></methodCall>",
        "<methodResponse><params/></methodResponse>",
        "<value>x</value>",
        XML_CALL("<param/>"),
        XML_CALL("<param>x</param>"),
        XML_CALL(XML_PARAM("<int>1.0</int>")),
        XML_CALL(XML_PARAM("<int>9223372036854775808</int>")),
        XML_CALL(XML_PARAM("<int></int>")),
        XML_CALL(XML_PARAM("<boolean>true</boolean>")),
        XML_CALL(XML_PARAM("<boolean>2</boolean>")),
        XML_CALL(XML_PARAM("<double>nan</double>")),
        XML_CALL(XML_PARAM("<dateTime.iso8601>yesterday</dateTime.iso8601>")),
        XML_CALL(XML_PARAM("<base64>AAAA</base64>")),
        XML_CALL(XML_PARAM("<unknown/>")),
        XML_CALL(XML_PARAM("<int>1</int><int>2</int>")),
        XML_CALL(XML_PARAM("<int>1</int>x")),
        XML_CALL(XML_PARAM("x<int>1</int>")),
        XML_CALL(XML_PARAM("<array/><struct/>")),
        XML_CALL(XML_PARAM("<array>x</array>")),
        XML_CALL(XML_PARAM("<struct><member><name>a</name></member></struct>")),
        XML_CALL(XML_PARAM("<struct><member><value>a</value></member></struct>")),
        XML_CALL(XML_PARAM(
            "<struct><member><name>a</name><value/></member><member><name>a</name><value/></member></struct>")),
        XML_CALL("<param><value>x</value><value>y</value></param>"),
        XML_CALL(XML_PARAM("\xff")),
        XML_CALL(XML_PARAM("\xc0\xaf")),
        XML_CALL(XML_PARAM("\x01")),
        XML_CALL(XML_PARAM("&unknown;")),
        XML_CALL("") "<more/>",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        refuse(false, bad[i]);
}

static void test_xml_bombs(void **state) {
    refuse(false,
           "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>"
           "<methodCall><methodName>&b;</methodName><params/></methodCall>");
    refuse(false,
           "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><methodCall><methodName>a</methodName><params/></methodCall>");
    refuse(false, "<!DOCTYPE methodCall><methodCall><methodName>a</methodName><params/></methodCall>");
}

static void nested(struct buf *out, bool is_json, unsigned depth) {
    buf_add_str(out, is_json ? "{\"method\":\"a\",\"id\":1,\"params\":["
                             : "<methodCall><methodName>a</methodName><params><param>");
    for (unsigned i = 0; i < depth; i++)
        buf_add_str(out, is_json ? "[" : i % 2 ? "<value><array><data>" : "<value><struct><member><name>n</name>");
    buf_add_str(out, is_json ? "" : "<value/>");
    for (unsigned i = depth; i-- > 0;)
        buf_add_str(out, is_json ? "]" : i % 2 ? "</data></array></value>" : "</member></struct></value>");
    buf_add_str(out, is_json ? "]}" : "</param></params></methodCall>");
}

static void test_nesting(void **state) {
    for (int is_json = 0; is_json < 2; is_json++) {
        struct buf text = BUF_INIT;
        struct rpc_request r;
        nested(&text, is_json, 50);
        assert_true(decode(is_json, text.data, &r));
        rpc_request_done(&r);
        buf_clear(&text);
        nested(&text, is_json, 70);
        refuse(is_json, text.data);
        buf_clear(&text);
        nested(&text, is_json, 100000);
        refuse(is_json, text.data);
        buf_done(&text);
    }
}

static void test_many_values(void **state) {
    for (int is_json = 0; is_json < 2; is_json++) {
        struct buf text = BUF_INIT;
        buf_add_str(&text, is_json ? "{\"method\":\"a\",\"id\":1,\"params\":[[0"
                                   : "<methodCall><methodName>a</methodName><params><param><value><array><data>");
        for (int i = 0; i < RPC_MAX_REQUEST_VALUES; i++)
            buf_add_str(&text, is_json ? ",0" : "<value/>");
        buf_add_str(&text, is_json ? "]]}" : "</data></array></value></param></params></methodCall>");
        refuse(is_json, text.data);
        buf_clear(&text);
        buf_add_str(&text, is_json ? "{\"method\":\"a\",\"id\":1,\"params\":[0"
                                   : "<methodCall><methodName>a</methodName><params>");
        for (int i = 0; i < RPC_MAX_PARAMS + 1; i++)
            buf_add_str(&text, is_json ? ",0" : "<param><value/></param>");
        buf_add_str(&text, is_json ? "]}" : "</params></methodCall>");
        refuse(is_json, text.data);
        buf_done(&text);
    }
}

/* One of everything. */
static struct value sample(void) {
    struct uuid u;
    assert_true(uuid_parse("8013b937-ff7e-60d1-ecd8-e52d66c5879e", &u));
    struct value v = value_map(), set = value_set(), inner = value_map();
    value_set_add(&set, value_int(-1));
    value_set_add(&set, value_string("b"));
    value_map_add(&inner, "k<&", value_string("\"q\" <&>\t\n\x01 \xc3\xa9"));
    value_map_add(&v, "s", value_string("text"));
    value_map_add(&v, "i", value_int(INT64_MIN));
    value_map_add(&v, "f", value_float(0.1));
    value_map_add(&v, "g", value_float(2));
    value_map_add(&v, "b", value_bool(true));
    value_map_add(&v, "t", value_time(1787277623));
    value_map_add(&v, "r", value_ref(&u));
    value_map_add(&v, "n", value_ref(NULL));
    value_map_add(&v, "v", (struct value){.type = VALUE_VOID});
    value_map_add(&v, "l", set);
    value_map_add(&v, "m", inner);
    return v;
}

static void test_results(void **state) {
    struct buf out = BUF_INIT;
    _cleanup_value_ struct value v = sample();
    char id[] = "\"x\"", method[] = "VM.get_record";
    struct rpc_request r = {.version = RPC_JSON_2, .method = method, .id_json = id};
    rpc_encode_result(&r, &v, &out);
    assert_string_equal(
        out.data,
        "{\"jsonrpc\":\"2.0\",\"result\":{\"s\":\"text\",\"i\":-9223372036854775808,\"f\":0.1,\"g\":2.0,\"b\":true,"
        "\"t\":\"20260821T02:00:23Z\",\"r\":\"OpaqueRef:8013b937-ff7e-60d1-ecd8-e52d66c5879e\",\"n\":\"OpaqueRef:"
        "NULL\","
        "\"v\":\"\",\"l\":[-1,\"b\"],\"m\":{\"k<&\":\"\\\"q\\\" <&>\\t\\n\\u0001 \xc3\xa9\"}},\"id\":\"x\"}");
    buf_clear(&out);
    r.version = RPC_JSON_1;
    rpc_encode_result_json(&r, "{}", 2, &out);
    assert_string_equal(out.data, "{\"result\":{},\"error\":null,\"id\":\"x\"}");
    buf_clear(&out);
    r.version = RPC_XML;
    rpc_encode_result(&r, &v, &out);
    assert_string_equal(
        out.data,
        "<?xml "
        "version=\"1.0\"?><methodResponse><params><param><value><struct><member><name>Status</name><value>Success</"
        "value></member>"
        "<member><name>Value</name><value><struct><member><name>s</name><value>text</value></member>"
        "<member><name>i</name><value>-9223372036854775808</value></member><member><name>f</name><value><double>0.1</"
        "double></value></member>"
        "<member><name>g</name><value><double>2</double></value></member><member><name>b</name><value><boolean>1</"
        "boolean></value></member>"
        "<member><name>t</name><value><dateTime.iso8601>20260821T02:00:23Z</dateTime.iso8601></value></member>"
        "<member><name>r</name><value>OpaqueRef:8013b937-ff7e-60d1-ecd8-e52d66c5879e</value></member>"
        "<member><name>n</name><value>OpaqueRef:NULL</value></member><member><name>v</name><value></value></member>"
        "<member><name>l</name><value><array><data><value>-1</value><value>b</value></data></array></value></member>"
        "<member><name>m</name><value><struct><member><name>k&lt;&amp;</name><value>&quot;q&quot; &lt;&amp;&gt;\t\n "
        "\xc3\xa9</value></member>"
        "</struct></value></member></struct></value></member></struct></value></param></params></methodResponse>");
    buf_done(&out);
}

static void test_special_results(void **state) {
    struct buf out = BUF_INIT;
    _cleanup_value_ struct value set = value_set(), batch = value_map();
    value_set_add(&set, value_string("a.b"));
    char list[] = "system.listMethods", from[] = "event.from";
    struct rpc_request r = {.version = RPC_XML, .method = list};
    rpc_encode_result(&r, &set, &out);
    assert_string_equal(
        out.data,
        "<?xml version=\"1.0\"?><methodResponse><params><param><value><array><data><value>a.b</value></data></array>"
        "</value></param></params></methodResponse>");
    buf_clear(&out);
    struct value counts = value_map();
    value_map_add(&counts, "vm", value_int(3));
    value_map_add(&batch, "token", value_string("t"));
    value_map_add(&batch, "valid_ref_counts", counts);
    value_map_add(&batch, "n", value_int(4));
    r.method = from;
    rpc_encode_result(&r, &batch, &out);
    assert_non_null(strstr(out.data, "<member><name>vm</name><value><i4>3</i4></value></member>"));
    assert_non_null(strstr(out.data, "<member><name>n</name><value>4</value></member>"));
    buf_done(&out);
}

static void test_errors(void **state) {
    struct buf out = BUF_INIT;
    struct error *e = NULL;
    error_set(&e, "HANDLE_INVALID", "VM", "a<\"b", NULL);
    char id[] = "5";
    struct rpc_request r = {.version = RPC_JSON_2, .id_json = id};
    rpc_encode_error(&r, e, &out);
    assert_string_equal(out.data, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":1,\"message\":\"HANDLE_INVALID\",\"data\":["
                                  "\"VM\",\"a<\\\"b\"]},\"id\":5}");
    buf_clear(&out);
    r.version = RPC_JSON_1;
    rpc_encode_error(&r, e, &out);
    assert_string_equal(out.data, "{\"result\":null,\"error\":[\"HANDLE_INVALID\",\"VM\",\"a<\\\"b\"],\"id\":5}");
    buf_clear(&out);
    r.version = RPC_XML;
    rpc_encode_error(&r, e, &out);
    assert_string_equal(
        out.data,
        "<?xml version=\"1.0\"?><methodResponse><params><param><value><struct><member><name>Status</name>"
        "<value>Failure</value></member><member><name>ErrorDescription</name><value><array><data>"
        "<value>HANDLE_INVALID</value><value>VM</value><value>a&lt;&quot;b</value></data></array></value></member>"
        "</struct></value></param></params></methodResponse>");
    /* And back. */
    for (int version = RPC_XML; version <= RPC_JSON_2; version++) {
        struct value v;
        struct error *got = NULL;
        buf_clear(&out);
        r.version = (enum rpc_version)version;
        rpc_encode_error(&r, e, &out);
        assert_false(rpc_decode_response(r.version, out.data, out.size, &v, &got));
        assert_true(error_is(got, "HANDLE_INVALID"));
        assert_int_equal(error_n_params(got), 2);
        assert_string_equal(error_param(got, 1), "a<\"b");
        error_free(got);
    }
    error_free(e);
    buf_done(&out);
}

static void test_call_round_trip(void **state) {
    _cleanup_value_ struct value v = sample();
    for (int version = RPC_XML; version <= RPC_JSON_2; version++) {
        struct buf out = BUF_INIT;
        struct rpc_request r;
        struct error *e = NULL;
        struct value params[2] = {v, value_string("<&>")};
        rpc_encode_call((enum rpc_version)version, "VM.create", params, 2, &out);
        assert_true(rpc_request_decode(version != RPC_XML, out.data, out.size, &r, &e));
        assert_int_equal(r.version, version);
        assert_string_equal(r.method, "VM.create");
        assert_int_equal(r.n_params, 2);
        assert_string_equal(value_str(&r.params[1]), "<&>");
        assert_int_equal(r.params[0].map.n, v.map.n);
        assert_true(value_as_bool(value_map_get(&r.params[0], "b")));
        assert_string_equal(value_map_str(&r.params[0], "r"), "OpaqueRef:8013b937-ff7e-60d1-ecd8-e52d66c5879e");
        /* The answer of the same value. */
        buf_clear(&out);
        rpc_encode_result(&r, &v, &out);
        struct value back;
        assert_true(rpc_decode_response(r.version, out.data, out.size, &back, &e));
        assert_int_equal(back.map.n, v.map.n);
        assert_true(value_map_get(&back, "f")->real == 0.1);
        value_done(&back);
        rpc_request_done(&r);
        value_done(&params[1]);
        buf_done(&out);
    }
}

static void test_bad_responses(void **state) {
    static const struct {
        enum rpc_version version;
        const char *text;
    } bad[] = {
        {RPC_JSON_2, ""},
        {RPC_JSON_2, "[]"},
        {RPC_JSON_2, "{}"},
        {RPC_JSON_2, "{\"error\":5,\"result\":1}"},
        {RPC_JSON_2, "{\"error\":[],\"result\":1}"},
        {RPC_JSON_2, "{\"error\":{}}"},
        {RPC_XML, "<methodResponse/>"},
        {RPC_XML, "<methodResponse><params/></methodResponse>"},
        {RPC_XML, "<methodResponse><fault><value><struct><member><name>faultString</name><value>x</value></member></"
                  "struct></value></fault></methodResponse>"},
        {RPC_XML, "<methodResponse><params><param><value><struct><member><name>Status</name><value>Odd</value></"
                  "member></struct></value></param></params></methodResponse>"},
        {RPC_XML, "<methodResponse><params><param><value><struct><member><name>Status</name><value>Failure</value></"
                  "member></struct></value></param></params></methodResponse>"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct value v;
        struct error *e = NULL;
        assert_false(rpc_decode_response(bad[i].version, bad[i].text, strlen(bad[i].text), &v, &e));
        assert_true(error_is(e, "INTERNAL_ERROR"));
        error_free(e);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_requests),   cmocka_unit_test(test_xml_requests),
        cmocka_unit_test(test_xml_bombs),       cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_many_values),     cmocka_unit_test(test_results),
        cmocka_unit_test(test_special_results), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_call_round_trip), cmocka_unit_test(test_bad_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls and answers of both codecs. The first byte chooses. What was understood must survive being written and read
 * again with the same codec.
 */
#include "fuzz.h"

#include <jansson.h>
#include <string.h>

#include "wire/rpc.h"
#include "wire/value_json.h"
#include "wire/value_xml.h"

static void require(bool holds) {
    if (!holds)
        abort();
}

static void try_request(bool is_json, const char *text, size_t size) {
    struct rpc_request r, again;
    struct error *e = NULL;
    if (!rpc_request_decode(is_json, text, size, &r, &e)) {
        require(e != NULL);
        error_free(e);
        return;
    }
    struct buf out = BUF_INIT;
    rpc_encode_call(r.version, r.method, r.params, r.n_params, &out);
    /* The second reading may exceed a limit that the first just met, but never lose anything. */
    if (rpc_request_decode(is_json, out.data, out.size, &again, &e)) {
        require(again.n_params == r.n_params);
        rpc_request_done(&again);
    } else {
        error_free(e);
    }
    buf_clear(&out);
    struct value all = value_set();
    for (size_t i = 0; i < r.n_params; i++)
        value_set_add(&all, value_copy(&r.params[i]));
    rpc_encode_result(&r, &all, &out);
    value_done(&all);
    rpc_request_done(&r);
    buf_done(&out);
}

static void try_response(bool is_json, const char *text, size_t size) {
    struct value v;
    struct error *e = NULL;
    if (rpc_decode_response(is_json ? RPC_JSON_2 : RPC_XML, text, size, &v, &e))
        value_done(&v);
    else
        require(e != NULL && error_code(e));
    error_free(e);
}

/* Another reader, jansson, takes and refuses the same texts; but for numbers of hundreds of digits and bytes of 0
 * between values, which only jansson takes. */
static void compare_readers(const char *text, size_t size) {
    if (!json_within_limits(text, size, 20, 1000) || size > 400 || memchr(text, 0, size))
        return;
    struct value v;
    struct error *e = NULL;
    json_t *theirs = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    bool is_ours = value_json_parse(text, size, 20, 1000, &v, &e);
    require(is_ours == (theirs != NULL));
    if (is_ours) {
        /* What both understood means the same to jansson when we write it. */
        struct buf out = BUF_INIT;
        value_json_emit(&out, &v);
        json_t *again = json_loadb(out.data, out.size, JSON_DECODE_ANY, NULL);
        require(again != NULL);
        require(memmem(text, size, "null", 4) || json_equal(theirs, again)); /* null is written as "" */
        json_decref(again);
        buf_done(&out);
        value_done(&v);
    }
    json_decref(theirs);
    error_free(e);
}

static void try_value(bool is_json, const char *text, size_t size) {
    struct value v, again;
    struct error *e = NULL;
    if (is_json)
        compare_readers(text, size);
    if (!(is_json ? value_json_parse(text, size, 20, 1000, &v, &e) : value_xml_parse(text, size, 20, 1000, &v, &e))) {
        error_free(e);
        return;
    }
    struct buf out = BUF_INIT;
    if (is_json)
        value_json_emit(&out, &v);
    else
        value_xml_emit(&out, &v);
    require(is_json ? value_json_parse(out.data, out.size, 20, 1000, &again, &e)
                    : value_xml_parse(out.data, out.size, 20, 1000, &again, &e));
    value_done(&again);
    value_done(&v);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    bool is_json = data[0] & 1;
    char *text = xmalloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0] >> 1 & 3) {
    case 0:
        try_request(is_json, text, size - 1);
        break;
    case 1:
        try_response(is_json, text, size - 1);
        break;
    default:
        try_value(is_json, text, size - 1);
        break;
    }
    free(text);
    return 0;
}

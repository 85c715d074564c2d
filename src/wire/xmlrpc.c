/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "wire/rpc_codecs.h"
#include "wire/value_json.h"
#include "wire/value_xml.h"
#include "wire/xml_tree.h"

static const char response_begin[] = "<?xml version=\"1.0\"?><methodResponse><params><param>";
static const char response_end[] = "</param></params></methodResponse>";

bool xmlrpc_request_decode(const char *body, size_t size, struct rpc_request *r, struct error **errp) {
    struct xml_tree tree;
    if (!xml_tree_parse(XML_DOC_CALL, body, size, RPC_MAX_DEPTH, RPC_MAX_REQUEST_VALUES, &tree, errp))
        return false;
    r->version = RPC_XML;
    r->method = TAKE(tree.method);
    r->params = TAKE(tree.params);
    r->n_params = tree.n_params;
    if (!tree.has_params) {
        error_internal(errp, "an XML-RPC call without params");
        return false;
    }
    return true;
}

/* The one place where ints have a tag: the counts of an event batch, which clients read as <i4>. */
static void emit_event_batch(struct buf *out, const struct value *batch) {
    buf_add_str(out, "<value><struct>");
    for (size_t i = 0; i < batch->map.n; i++) {
        const struct value_pair *p = &batch->map.pairs[i];
        buf_add_str(out, "<member><name>");
        xml_emit_text(out, p->key);
        buf_add_str(out, "</name>");
        if (str_eq(p->key, "valid_ref_counts") && p->value.type == VALUE_MAP) {
            buf_add_str(out, "<value><struct>");
            for (size_t k = 0; k < p->value.map.n; k++) {
                buf_add_str(out, "<member><name>");
                xml_emit_text(out, p->value.map.pairs[k].key);
                buf_add_str(out, "</name><value><i4>");
                json_emit_int(out, value_as_int(&p->value.map.pairs[k].value));
                buf_add_str(out, "</i4></value></member>");
            }
            buf_add_str(out, "</struct></value>");
        } else {
            value_xml_emit(out, &p->value);
        }
        buf_add_str(out, "</member>");
    }
    buf_add_str(out, "</struct></value>");
}

void xmlrpc_encode_result(const char *method, const struct value *result, struct buf *out) {
    buf_add_str(out, response_begin);
    if (method && str_eq(method, "system.listMethods")) { /* the only answer without a Status */
        value_xml_emit(out, result);
        buf_add_str(out, response_end);
        return;
    }
    buf_add_str(out,
                "<value><struct><member><name>Status</name><value>Success</value></member><member><name>Value</name>");
    if (method && str_eq(method, "event.from") && result->type == VALUE_MAP)
        emit_event_batch(out, result);
    else
        value_xml_emit(out, result);
    buf_add_str(out, "</member></struct></value>");
    buf_add_str(out, response_end);
}

void xmlrpc_encode_error(const struct error *e, struct buf *out) {
    buf_add_str(out, response_begin);
    buf_add_str(
        out,
        "<value><struct><member><name>Status</name><value>Failure</value></member><member><name>ErrorDescription</name>"
        "<value><array><data><value>");
    xml_emit_text(out, error_code(e));
    buf_add_str(out, "</value>");
    for (size_t i = 0; i < error_n_params(e); i++) {
        buf_add_str(out, "<value>");
        xml_emit_text(out, error_param(e, i));
        buf_add_str(out, "</value>");
    }
    buf_add_str(out, "</data></array></value></member></struct></value>");
    buf_add_str(out, response_end);
}

void xmlrpc_encode_call(const char *method, const struct value *params, size_t n_params, struct buf *out) {
    buf_add_str(out, "<?xml version=\"1.0\"?><methodCall><methodName>");
    xml_emit_text(out, method);
    buf_add_str(out, "</methodName><params>");
    for (size_t i = 0; i < n_params; i++) {
        buf_add_str(out, "<param>");
        value_xml_emit(out, &params[i]);
        buf_add_str(out, "</param>");
    }
    buf_add_str(out, "</params></methodCall>");
}

bool xmlrpc_response_decode(const char *body, size_t size, struct value *ret, struct error **errp) {
    struct xml_tree tree;
    if (!xml_tree_parse(XML_DOC_RESPONSE, body, size, RPC_MAX_DEPTH, RPC_MAX_VALUES, &tree, errp))
        return false;
    struct value *v = &tree.params[0];
    const char *status = value_map_str(v, "Status");
    bool ok = false;
    if (tree.is_fault) {
        const char *text = value_map_str(v, "faultString");
        error_internal(errp, "an XML-RPC fault: %s", text ? text : "");
    } else if (!status) {
        *ret = value_take(v);
        ok = true;
    } else if (str_eq(status, "Success") && value_map_get(v, "Value")) {
        *ret = value_take(value_map_get(v, "Value"));
        ok = true;
    } else if (str_eq(status, "Failure") && value_map_get(v, "ErrorDescription")) {
        ok = rpc_set_api_error(value_map_get(v, "ErrorDescription"), errp);
    } else {
        error_internal(errp, "an XML-RPC answer with status '%s'", status);
    }
    xml_tree_done(&tree);
    return ok;
}

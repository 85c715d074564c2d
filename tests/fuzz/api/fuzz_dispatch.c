/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A body as it arrives, decoded and run by a logged-in root over a small pool: XML when it begins with '<', else JSON.
 * "$S" stands for the session, "$H" "$P" "$N" for references of the host, a PIF and a network.
 */
#include "fuzz.h"

#include "api_fixture.h"
#include "base/log.h"
#include "base/str.h"
#include "gen_handlers.h"
#include "wire/rpc.h"

static struct fx *fx;
static struct uuid pif, network;
static unsigned n_runs;

static void renew(void) {
    if (fx && n_runs++ % 500)
        return;
    if (fx)
        fx_free(fx);
    fx = fx_new(1, 0, model_handlers);
    network = fx_add(fx, CLASS_network);
    fx_set(fx, CLASS_network, &network, FIELD_network_bridge, value_string("xenbr0"));
    pif = fx_add(fx, CLASS_PIF);
    fx_set(fx, CLASS_PIF, &pif, FIELD_PIF_device, value_string("eth0"));
    fx_set(fx, CLASS_PIF, &pif, FIELD_PIF_host, value_ref(&fx->hosts[0]));
    fx_set(fx, CLASS_PIF, &pif, FIELD_PIF_network, value_ref(&network));
    fx_set(fx, CLASS_PIF, &pif, FIELD_PIF_physical, value_bool(true));
    fx_set(fx, CLASS_PIF, &pif, FIELD_PIF_VLAN, value_int(-1));
    fx_settle(fx);
}

static void expand(struct buf *out, const char *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        const char *with = NULL;
        if (data[i] == '$' && i + 1 < size) {
            char c = data[i + 1];
            with = c == 'S'   ? fx->session
                   : c == 'H' ? fx_ref(&fx->hosts[0])
                   : c == 'P' ? fx_ref(&pif)
                   : c == 'N' ? fx_ref(&network)
                              : NULL;
        }
        if (with) {
            buf_add_str(out, with);
            i++;
        } else {
            buf_add_char(out, data[i]);
        }
    }
}

struct outcome {
    struct rpc_request rpc;
    bool is_there, is_over;
};

static void outcome_unref(struct outcome *o) {
    if (!o->is_there || !o->is_over)
        return;
    rpc_request_done(&o->rpc);
    free(o);
}

static void replied(const struct reply *r, void *userdata) {
    struct outcome *o = userdata;
    _cleanup_buf_ struct buf out = BUF_INIT;
    if (o->is_there)
        abort(); /* two answers */
    if (r->error)
        rpc_encode_error(&o->rpc, r->error, &out);
    else if (r->json)
        rpc_encode_result_json(&o->rpc, r->json, r->json_size, &out);
    else
        rpc_encode_result(&o->rpc, r->value, &out);
    o->is_there = true;
    outcome_unref(o);
}

static void run(bool is_json, const struct buf *body) {
    struct outcome *o = xnew0(struct outcome);
    struct error *e = NULL;
    if (!rpc_request_decode(is_json, buf_str(body), body->size, &o->rpc, &e)) {
        error_free(e);
        free(o);
        return;
    }
    struct api_request rq = {
        .method = o->rpc.method,
        .params = {.type = VALUE_SET, .set = {TAKE(o->rpc.params), o->rpc.n_params}},
        .caller.is_local = true,
        .wants_json = is_json,
    };
    o->rpc.n_params = 0;
    struct call *c = api_dispatch(fx->api, &rq, replied, o);
    fx_settle(fx);
    if (!o->is_there && c)
        api_client_gone(c);
    fx_settle(fx);
    o->is_over = true;
    if (!o->is_there)
        o->is_there = true; /* whoever waits on has no client any more */
    outcome_unref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    log_set_level(LOG_LEVEL_ERR);
    renew();
    fx_login(fx);
    _cleanup_buf_ struct buf body = BUF_INIT;
    expand(&body, (const char *)data, size);
    run(!(size && data[0] == '<'), &body);
    return 0;
}

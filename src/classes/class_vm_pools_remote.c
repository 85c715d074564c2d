/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to another pool's coordinator: its own API, over TLS, and only when its authority is the one that we know. */
#include "base/str.h"
#include "classes/class_vm_pools.h"
#include "wire/http_client.h"

#define CONNECT_MS 5000
#define ANSWER_MAX (256 << 10)

struct pools_remote {
    struct http_client *client;
    char *master;
    char authority[TLS_FINGERPRINT_SIZE];
    const char *method;
    struct value params; /* of the call under way */
    unsigned timeout_ms;
    bool has_followed;
    pools_answer_fn *fn;
    void *userdata;
};

struct pools_remote *pools_remote_new(struct api *a, const char *master, const char *authority) {
    struct pools_remote *r = xnew0(struct pools_remote);
    r->client = http_client_new(api_loop(a));
    r->master = xstrdup(master);
    (void)str_copy(r->authority, sizeof(r->authority), authority);
    return r;
}

void pools_remote_free(struct pools_remote *r) {
    if (!r)
        return;
    http_client_free(r->client);
    value_done(&r->params);
    free(r->master);
    free(r);
}

static void start(struct pools_remote *r);

static void on_answer(const struct value *result, const struct error *error, const struct http_response *response,
                      void *userdata) {
    struct pools_remote *r = userdata;
    if (error && error_is(error, ERR_HOST_IS_SLAVE) && !r->has_followed && !str_empty(error_param(error, 0))) {
        r->has_followed = true;
        free(r->master);
        r->master = xstrdup(error_param(error, 0));
        start(r);
        return;
    }
    value_done(&r->params);
    r->fn(result, error, r->userdata);
}

static void start(struct pools_remote *r) {
    struct http_target target = {.host = r->master,
                                 .verify = TLS_VERIFY_PIN_AUTHORITY,
                                 .pin = r->authority,
                                 .wants_pool = true,
                                 .timeout_ms = r->timeout_ms,
                                 .connect_timeout_ms = CONNECT_MS,
                                 .max_response = ANSWER_MAX};
    rpc_client_start(r->client, &target, r->method, r->params.set.items, r->params.set.n, on_answer, r);
}

void pools_remote_call(struct pools_remote *r, const char *method, struct value params, unsigned timeout_ms,
                       pools_answer_fn *fn, void *userdata) {
    value_done(&r->params);
    r->method = method;
    r->params = params;
    r->timeout_ms = timeout_ms;
    r->has_followed = false;
    r->fn = fn;
    r->userdata = userdata;
    start(r);
}

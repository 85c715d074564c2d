/* SPDX-License-Identifier: Apache-2.0 */
/* Class pool: the coordinator's half of a join. */
#include "api/api.h"
#include "gen_handlers.h"

static void on_admitted(struct error *error, const struct value *result, void *data) {
    struct call *c = data;
    if (error)
        call_fail(c, error_dup(error));
    else
        call_return(c, value_copy(result));
}

void pool_join_request(struct call *c) {
    const struct api_hooks *h = api_hooks(call_api(c));
    if (!h || !h->pool_join_request) {
        api_fail_unavailable(c, "joining this pool");
        return;
    }
    const struct value *request = call_arg(c, 0);
    h->pool_join_request(h->userdata, request, on_admitted, call_keep(c));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Class pool: the coordinator's half of a join. */
#include <string.h>

#include "api/api.h"
#include "gen_handlers.h"
#include "wire/tls.h"

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

void pool_join_look(struct call *c) {
    const struct api_hooks *h = api_hooks(call_api(c));
    if (!h || !h->pool_join_look) {
        api_fail_unavailable(c, "joining this pool");
        return;
    }
    h->pool_join_look(h->userdata, call_arg(c, 0), on_admitted, call_keep(c));
}

void pool_get_fingerprint(struct call *c) {
    const struct row *pool = db_pool(call_db(c));
    char fingerprint[TLS_FINGERPRINT_SIZE];
    struct error *e = NULL;
    const char *authorities = pool ? row_str(pool, FIELD_pool_ca_certificates) : "";
    if (tls_fingerprint_pem(authorities, strlen(authorities), fingerprint, &e))
        call_return_str(c, fingerprint);
    else
        call_fail(c, e);
}

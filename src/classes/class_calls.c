/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/class_calls.h"

void class_delete_set(struct db_txn *t, int class_id, const struct value *set) {
    for (size_t i = 0; i < set->set.n; i++)
        db_txn_delete(t, class_id, &set->set.items[i].ref);
}

struct uuid *class_all_hosts(struct db *d, size_t *ret_n) {
    struct uuid *hosts = xcalloc(db_count(d, CLASS_host) + 1, sizeof(*hosts));
    size_t n = 0;
    for (const struct row *h = db_first(d, CLASS_host); h; h = db_next(d, h))
        hosts[n++] = h->uuid;
    *ret_n = n;
    return hosts;
}

void class_op_done(struct error *error, void *data) {
    struct call *c = data;
    if (error)
        call_fail(c, error_dup(error));
    else
        call_return_void(c);
}

void class_host_op(struct call *c, enum api_host_op op, const struct uuid *host, const struct value *args) {
    const struct api_hooks *h = api_hooks(call_api(c));
    if (h->host_op)
        h->host_op(h->userdata, op, host, args, class_op_done, call_keep(c));
    else
        api_fail_unavailable(c, call_def(c)->name);
}

void class_ask_ignored(struct error *error, const struct value *result, void *data) {
    /* What came of it shows in the rows. */
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes from a storage server or from the helper that spoke with it: the first byte chooses. Names of leases must
 * write again to what they were read from; a place of a server must be made again of its parts; answers must end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "store/store_lease_core.h"
#include "store/store_message.h"
#include "store/store_place_core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void lease_names(const char *text) {
    _cleanup_strv_ struct strv names = {0};
    struct lease_id me = {.generation = 7}, id;
    const char *name;
    char again[LEASE_NAME_SIZE];
    strv_split(&names, text, '\n');
    (void)lease_judge(&names, &me, &name, &id);
    for (size_t i = 0; i < names.n && i < 16; i++)
        if (lease_parse(names.items[i], &id)) {
            uint32_t nonce = (uint32_t)strtoul(strrchr(names.items[i], '.') + 1, NULL, 16);
            struct lease_id back;
            if (!lease_parse(lease_format(&id, nonce, again), &back) || back.generation != id.generation ||
                !uuid_eq(&back.host, &id.host) || !uuid_eq(&back.vm, &id.vm))
                abort();
        }
}

static void place(const char *text) {
    struct nfs_place p;
    struct uuid sr;
    if (!nfs_place_parse(text, &p))
        return;
    if (!*p.folder) { /* the exported path itself, as for discs */
        if (text[strlen(text) - 1] != '/')
            abort();
        nfs_place_done(&p);
        return;
    }
    struct value config = value_map();
    value_map_add(&config, "server", value_string(p.server));
    value_map_add(&config, "serverpath", value_string(p.export));
    if (!uuid_parse(p.folder, &sr))
        abort();
    _cleanup_free_ char *again = store_place("nfs", &config, &sr);
    if (strcasecmp(again, text) != 0) /* a uuid may come in capitals */
        abort();
    value_done(&config);
    nfs_place_done(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > 65536)
        return 0;
    _cleanup_free_ char *text = xstrndup((const char *)data + 1, size - 1);
    _cleanup_value_ struct value v = {0};
    _cleanup_error_ struct error *e = NULL;
    _cleanup_free_ char *op = NULL;
    switch (data[0] % 4) {
    case 0:
        lease_names(text);
        break;
    case 1:
        place(text);
        break;
    case 2:
        (void)!store_answer_read(text, strlen(text), &v, &e);
        break;
    default:
        (void)!store_request_read(text, strlen(text), &op, &v, &e);
    }
    return 0;
}

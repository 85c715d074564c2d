/* SPDX-License-Identifier: Apache-2.0 */
/* The text of cluster/status, and versions of a schema. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "db/db_server.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    struct db_server_status st;
    (void)db_schema_compare(text);
    if (!db_server_parse_status(text, &st))
        return 0;
    if (st.n_peers > DB_SERVER_PEERS_MAX || strlen(st.role) >= sizeof(st.role) ||
        strlen(st.cluster) >= sizeof(st.cluster))
        abort();
    for (size_t i = 0; i < st.n_peers; i++)
        if (!st.peers[i].address[0] || strlen(st.peers[i].address) >= sizeof(st.peers[i].address) ||
            strlen(st.peers[i].sid) >= sizeof(st.peers[i].sid))
            abort();
    return 0;
}

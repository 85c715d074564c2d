/* SPDX-License-Identifier: Apache-2.0 */
/* An entry of another host's path_table: key and text, a line each. What is taken is written and taken again. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "daemon/probing_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *key = xstrndup((const char *)data, size);
    char *line_end = strchr(key, '\n'), own_key[96], own_text[32];
    struct probe_edge first, second;
    if (line_end)
        *line_end = '\0';
    if (!probing_entry_parse(key, line_end ? line_end + 1 : "", &first))
        return 0;
    if (strlen(first.leg) >= sizeof(first.leg) || first.vlan > 4094 || first.size > PROBE_MAX_SIZE)
        abort();
    probing_entry(&first, own_key, own_text);
    if (!probing_entry_parse(own_key, own_text, &second) || !str_eq(first.leg, second.leg) ||
        !str_eq(first.peer_leg, second.peer_leg) || !uuid_eq(&first.peer, &second.peer) || first.vlan != second.vlan ||
        first.size != second.size || first.wanted != second.wanted || first.doubted != second.doubted ||
        first.state != second.state)
        abort();
    return 0;
}

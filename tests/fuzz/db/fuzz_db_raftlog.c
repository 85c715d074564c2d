/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a database server, mended: what comes out is part of what went in, and has no hole. */
#include <stdlib.h>

#include "db/db_raftlog.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_buf_ struct buf once = BUF_INIT, twice = BUF_INIT;
    struct raftlog_hole hole;
    if (!raftlog_close_holes((const char *)data, size, &once, &hole))
        return 0;
    if (once.size >= size || hole.first == 0)
        abort();
    if (raftlog_close_holes(buf_str(&once), once.size, &twice, &hole))
        abort();
    return 0;
}

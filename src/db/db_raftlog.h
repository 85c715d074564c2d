/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of a database server in a cluster, as bytes: a log of records, each "OVSDB CLUSTER <size> <SHA-1>\n" and
 * that many bytes of JSON. The first holds a snapshot; the others are entries of the Raft log, which bear consecutive
 * indexes (a lower one takes back what was there from it on), and notes of terms, votes, leaders and what is committed.
 *
 * A server that cannot write an entry keeps it in memory, and writes the next one when there is room: the file then has
 * a hole: an entry behind it, or word that it is committed. No server starts with that (docs/decisions/0021). Pure:
 * bytes in, bytes out.
 */
#pragma once

#include "base/buf.h"

struct raftlog_hole {
    uint64_t first;     /* index of the first entry that is missing */
    uint64_t n_dropped; /* entries behind holes, which nobody can apply */
    size_t n_voters;    /* of the last configuration that is kept; 0: it has none */
};
/*
 * The same log without the entries behind a hole, and without word of what is committed there: every other record stays
 * as it is, for terms, votes and a goodbye bind this server whatever it has forgotten. A last record that is cut short
 * ends the log, as it does for the server. False: there is no hole, or more is wrong than that.
 */
bool raftlog_close_holes(const char *data, size_t size, struct buf *ret_data,
                         struct raftlog_hole *ret_hole) _warn_unused_;

/* SPDX-License-Identifier: Apache-2.0 */
#include "db/db_raftlog.h"

#include <jansson.h>
#include <string.h>

#include "base/str.h"

#define LEAD "OVSDB CLUSTER "
#define SHA1_DIGITS 40
#define MAX_HEADER 128

/* Where the record that begins at `at` ends, and where its JSON begins. 0: there is none, or not all of it. */
static size_t record_end(const char *data, size_t size, size_t at, size_t *ret_body) {
    const char *head = data + at, *line_end = memchr(head, '\n', MIN(size - at, (size_t)MAX_HEADER));
    size_t lead = strlen(LEAD);
    if (!line_end || (size_t)(line_end - head) < lead || memcmp(head, LEAD, lead) != 0)
        return 0;
    char text[MAX_HEADER];
    size_t n = (size_t)(line_end - head) - lead;
    memcpy(text, head + lead, n);
    text[n] = '\0';
    char *space = strchr(text, ' ');
    if (!space || strspn(space + 1, "0123456789abcdef") != SHA1_DIGITS || space[1 + SHA1_DIGITS] != '\0')
        return 0;
    *space = '\0';
    int64_t length;
    size_t body = (size_t)(line_end + 1 - data);
    if (!str_parse_int(text, 1, INT64_MAX, &length) || (uint64_t)length > size - body)
        return 0;
    *ret_body = body;
    return body + (size_t)length;
}

static bool number_of(const json_t *record, const char *key, uint64_t *ret) {
    const json_t *value = json_object_get(record, key);
    /* The highest is left out: one more must still be a number. */
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) == INT64_MAX)
        return false;
    *ret = (uint64_t)json_integer_value(value);
    return true;
}

struct reading {
    bool any;
    uint64_t log_end; /* the index that the next entry should bear */
    struct raftlog_hole hole;
};

static void note_voters(struct reading *r, const json_t *record, const char *key) {
    const json_t *servers = json_object_get(record, key);
    if (json_is_object(servers))
        r->hole.n_voters = json_object_size(servers);
}

static void note_hole(struct reading *r) {
    if (!r->hole.first)
        r->hole.first = r->log_end;
}

/* Whether this record can be kept. */
static bool take(struct reading *r, const json_t *record) {
    uint64_t index;
    if (!r->any) {
        r->any = true;
        r->log_end = number_of(record, "prev_index", &index) ? index + 1 : 1;
        note_voters(r, record, "prev_servers");
        return true;
    }
    /* The others may have told that it is committed before the next one came. */
    if (number_of(record, "commit_index", &index)) {
        if (index >= r->log_end)
            note_hole(r);
        return index < r->log_end;
    }
    if (!number_of(record, "index", &index))
        return true;
    if (index > r->log_end) {
        note_hole(r);
        r->hole.n_dropped++;
        return false;
    }
    r->log_end = index + 1;
    note_voters(r, record, "servers");
    return true;
}

bool raftlog_close_holes(const char *data, size_t size, struct buf *ret_data, struct raftlog_hole *ret_hole) {
    _cleanup_buf_ struct buf kept = BUF_INIT;
    struct reading r = {0};
    for (size_t at = 0, body, end; at < size && (end = record_end(data, size, at, &body)) > 0; at = end) {
        json_t *record = json_loadb(data + body, end - body, 0, NULL);
        bool is_object = json_is_object(record);
        if (is_object && take(&r, record))
            buf_add(&kept, data + at, end - at);
        json_decref(record);
        if (!is_object && end < size)
            return false; /* more is wrong here than a hole */
    }
    if (!r.hole.first)
        return false;
    *ret_data = kept;
    kept = (struct buf)BUF_INIT;
    *ret_hole = r.hole;
    return true;
}

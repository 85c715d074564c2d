/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/network_history.h"

#include <errno.h>
#include <string.h>

#include "base/fs.h"
#include "base/str.h"
#include "wire/value_json.h"

#define LOG_MODULE "network"
#include "base/log.h"

#define MAX_FILE_SIZE (16 * 1024 * 1024)
#define MAX_ENTRY_SIZE (128 * 1024) /* what is larger keeps its story, but cannot be undone */

struct network_history {
    char *path;
    struct value entries; /* VALUE_SET, the oldest first */
};

struct network_history *network_history_new(const char *state_dir) {
    struct network_history *h = xnew0(struct network_history);
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_value_ struct value v = {.type = VALUE_VOID};
    _cleanup_error_ struct error *e = NULL;
    h->path = strf("%s/network/history.json", state_dir);
    h->entries = value_set();
    int r = fs_read(h->path, MAX_FILE_SIZE, &text);
    if (r == -ENOENT)
        return h;
    if (r < 0 || !value_json_parse(buf_str(&text), text.size, 8, 1000000, &v, &e) || v.type != VALUE_SET) {
        log_warn("'%s' cannot be read; the history of network changes begins anew", h->path);
        return h;
    }
    for (size_t i = 0; i < v.set.n; i++)
        if (v.set.items[i].type == VALUE_MAP && value_map_str(&v.set.items[i], "id"))
            value_set_add(&h->entries, value_take(&v.set.items[i]));
    return h;
}

void network_history_free(struct network_history *h) {
    if (!h)
        return;
    value_done(&h->entries);
    free(h->path);
    free(h);
}

static void remove_at(struct value *set, size_t at) {
    value_done(&set->set.items[at]);
    memmove(&set->set.items[at], &set->set.items[at + 1], (set->set.n - at - 1) * sizeof(set->set.items[0]));
    set->set.n--;
}

void network_history_add(struct network_history *h, struct value entry) {
    const char *id = entry.type == VALUE_MAP ? value_map_str(&entry, "id") : NULL;
    if (!id) {
        value_done(&entry);
        return;
    }
    for (size_t i = 0; i < h->entries.set.n; i++)
        if (str_eq(str_or_empty(value_map_str(&h->entries.set.items[i], "id")), id)) {
            remove_at(&h->entries, i);
            break;
        }
    while (h->entries.set.n >= NETWORK_HISTORY_MAX)
        remove_at(&h->entries, 0);
    if (strlen(str_or_empty(value_map_str(&entry, "ops"))) > MAX_ENTRY_SIZE)
        value_map_remove(&entry, "ops");
    value_set_add(&h->entries, entry);
    _cleanup_buf_ struct buf text = BUF_INIT;
    value_json_emit(&text, &h->entries);
    buf_add_char(&text, '\n');
    int r = fs_write_atomic(h->path, buf_str(&text), text.size, 0600);
    if (r < 0)
        log_warn("a network change is not in the history on disk: '%s': %s", h->path, strerror(-r));
}

struct value network_history_all(const struct network_history *h) {
    return value_copy(&h->entries);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Writes of the story: an acknowledged one is never lost, a refused one never shows. */
#include <stdio.h>
#include <string.h>

#include "sim_checks.h"
#include "sim_writes.h"

#define MAX_WRITES 400
#define DEADLINE_MS 10000

enum outcome { OUTCOME_OPEN, OUTCOME_DONE, OUTCOME_REFUSED, OUTCOME_UNKNOWN };

static struct write {
    enum outcome outcome;
    unsigned host;
} writes[MAX_WRITES];
static unsigned n_writes, n_done;

void writes_init(void) {
    n_writes = n_done = 0;
}

unsigned writes_n_done(void) {
    return n_done;
}

static void on_written(struct error *error, void *userdata) {
    struct write *w = userdata;
    bool unknown = error && (error_is(error, ERR_DB_WRITE_UNKNOWN));
    w->outcome = !error ? OUTCOME_DONE : unknown ? OUTCOME_UNKNOWN : OUTCOME_REFUSED;
    n_done += w->outcome == OUTCOME_DONE;
}

void writes_try(struct sim_host *h) {
    struct db *d = sim_db(h);
    const struct row *pool = d ? db_pool(d) : NULL;
    char key[16];
    if (!pool || n_writes == MAX_WRITES || !uuid_eq(&pool->uuid, truth_pool()))
        return;
    struct write *w = &writes[n_writes];
    *w = (struct write){.host = h->i};
    (void)snprintf(key, sizeof(key), "w%u", n_writes++);
    struct db_txn *t = db_txn_new(d, "a write of the story");
    db_txn_fence(t);
    db_txn_map_put(t, CLASS_pool, &pool->uuid, FIELD_pool_other_config, key, value_string(h->name));
    db_txn_commit(t, DEADLINE_MS, on_written, w);
}

static bool has(const json_t *map, const char *key) {
    const json_t *pairs = json_array_get(map, 1);
    for (size_t i = 0; i < json_array_size(pairs); i++)
        if (str_eq(json_string_value(json_array_get(json_array_get(pairs, i), 0)), key))
            return true;
    return false;
}

void writes_check(const struct server *leader) {
    const json_t *map = json_object_get(truth_pool_row(leader), "other_config");
    for (unsigned i = 0; i < n_writes; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "w%u", i);
        bool there = has(map, key);
        if (writes[i].outcome == OUTCOME_DONE && !there)
            violate("the write %s, acknowledged to h%u, is lost", key, writes[i].host);
        if (writes[i].outcome == OUTCOME_REFUSED && there)
            violate("the write %s, refused to h%u, was performed", key, writes[i].host);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/local_repair.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "db/db_txn.h"
#include "model/model_keys.h"
#include "net/net_repair.h"
#include "net/net_store.h"
#include "net/net_wanted.h"

#define LOG_MODULE "network"
#include "base/log.h"

#define WRITE_DEADLINE_MS 10000
#define RETRY_MS 2000

struct local_repair {
    struct loop *loop;
    struct db *db;
    struct uuid self;
    char *net_dir;
    void (*again)(void *userdata);
    void *userdata;
    struct loop_source *retry;
    bool writing;
    char said[NET_REPAIR_ID_SIZE];                      /* the repair that was logged */
    struct net_addr witnesses[NET_STORE_MAX_WITNESSES]; /* as they lie on the disk */
    unsigned n_witnesses;
    bool has_witnesses;
};

static void on_retry(struct loop_source *s, void *userdata) {
    struct local_repair *r = userdata;
    r->again(r->userdata);
}

struct local_repair *local_repair_new(struct loop *l, struct db *d, const struct uuid *self, const char *net_dir,
                                      void (*again)(void *userdata), void *userdata) {
    struct local_repair *r = xnew0(struct local_repair);
    *r = (struct local_repair){
        .loop = l, .db = d, .self = *self, .net_dir = xstrdup(net_dir), .again = again, .userdata = userdata};
    r->retry = loop_add_timer(l, LOOP_NEVER, on_retry, r);
    return r;
}

void local_repair_free(struct local_repair *r) {
    if (!r)
        return;
    loop_source_free(r->retry);
    free(r->net_dir);
    free(r);
}

/* ---- into the rows ---- */

static bool read_text(const char *text, struct net_repair *ret) {
    struct error *ignored = NULL;
    bool ok = text && net_repair_from_json(text, strlen(text), ret, &ignored);
    error_free(ignored);
    return ok;
}

static void on_written(struct error *error, void *userdata) {
    struct local_repair *r = userdata;
    r->writing = false;
    if (error)
        loop_timer_set(r->retry, RETRY_MS); /* no way to the pool yet */
    else
        r->again(r->userdata);
}

static void write_row(struct local_repair *r, struct net_repair *repair) {
    if (r->writing)
        return;
    bool ends = repair->state == NET_REPAIR_WITHDRAWN;
    struct db_txn *t =
        db_txn_new(r->db, ends ? "a repair of this host's network is over" : "this host's network was repaired");
    if (ends) {
        db_txn_map_remove(t, CLASS_host, &r->self, FIELD_host_other_config, NET_REPAIR_ROW_KEY);
    } else {
        repair->state = NET_REPAIR_RECORDED;
        db_txn_map_put(t, CLASS_host, &r->self, FIELD_host_other_config, NET_REPAIR_ROW_KEY,
                       value_string_take(net_repair_to_json(repair)));
    }
    r->writing = true;
    db_txn_commit(t, WRITE_DEADLINE_MS, on_written, r);
}

bool local_repair_is_settled(struct local_repair *r, const struct net_agent_state *s) {
    _cleanup_net_repair_ struct net_repair own = {0}, known = {0};
    const struct row *host = db_get(r->db, CLASS_host, &r->self);
    if (!s->good || !host || !read_text(s->good->repair, &own) || own.state == NET_REPAIR_RECORDED)
        return true;
    bool is_known = read_text(value_map_str(row_value(host, FIELD_host_other_config), NET_REPAIR_ROW_KEY), &known);
    bool ends = own.state == NET_REPAIR_WITHDRAWN;
    if (ends ? !is_known : is_known && str_eq(own.id, known.id))
        return true;
    if (!str_eq(r->said, own.id)) {
        _cleanup_free_ char *words = net_repair_words(&own);
        memcpy(r->said, own.id, sizeof(r->said));
        log_notice("this host's network was repaired without the pool (%s)%s", words,
                   ends ? " and is back at what the pool wants" : "; it stays so, and the pool is told");
    }
    write_row(r, &own);
    return false;
}

/* ---- telling ---- */

void local_repair_add_fault(const struct local_repair *r, const struct net_agent_state *s, struct value *list) {
    _cleanup_net_repair_ struct net_repair repair = {0};
    const struct row *host = db_get(r->db, CLASS_host, &r->self);
    struct net_problems problems = {0};
    char time[TIME_TEXT_SIZE], code[NET_FAULT_CODE_SIZE], key[64];
    if (!s->good || !read_text(s->good->repair, &repair) || repair.state == NET_REPAIR_WITHDRAWN)
        return;
    _cleanup_free_ char *words = net_repair_words(&repair);
    _cleanup_free_ char *detail =
        strf("%s; made %s by %s", words, time_text(repair.since, time), *repair.by ? repair.by : "somebody");
    /* Told without the pool's rows, too: they may be on their way, and what was told before is not over. */
    const char *name = host ? row_str(host, FIELD_host_name_label) : str_or_empty(s->good->host_name);
    struct net_fault_facts facts = {.host = name, .vlan = -1, .detail = detail};
    struct net_problem *p = net_problems_add(&problems, NET_FAULT_REPAIRED, &facts);
    snprintf(key, sizeof(key), "%s/host", net_fault_code_text(p->code, code));
    value_map_put(list, key, value_string_take(net_problem_line(p)));
    net_problems_done(&problems);
}

char *local_repair_before(const struct local_repair *r, struct error **errp) {
    _cleanup_net_repair_ struct net_repair repair = {0};
    struct error *e = NULL;
    repair.whole = net_store_load_previous(r->net_dir, &e);
    if (repair.whole)
        return net_repair_to_json(&repair);
    error_set(errp, ERR_OPERATION_NOT_ALLOWED, "this host has not proven any other network before this one", NULL);
    error_free(e);
    return NULL;
}

/* ---- who can be asked for a proof ---- */

void local_repair_hosts_changed(struct local_repair *r) {
    struct net_addr list[NET_STORE_MAX_WITNESSES] = {0};
    unsigned n = 0;
    const struct row *pool = db_pool(r->db);
    for (unsigned turn = 0; turn < 2; turn++) /* the coordinator first */
        for (const struct row *h = db_first(r->db, CLASS_host); h && n < NET_STORE_MAX_WITNESSES;
             h = db_next(r->db, h)) {
            bool is_first = pool && uuid_eq(row_ref(pool, FIELD_pool_master), &h->uuid);
            if (is_first == (turn == 0) && !uuid_eq(&h->uuid, &r->self) &&
                net_addr_parse(row_str(h, FIELD_host_address), &list[n]))
                n++;
        }
    if (!db_get(r->db, CLASS_host, &r->self) ||
        (r->has_witnesses && n == r->n_witnesses && !memcmp(list, r->witnesses, n * sizeof(*list))))
        return;
    struct error *e = NULL;
    if (!net_store_set_witnesses(r->net_dir, list, n, &e)) {
        log_info("the addresses of the other hosts are not kept: %s", error_text(e));
        error_free(e);
    }
    r->has_witnesses = true; /* tried again with the next change */
    r->n_witnesses = n;
    memcpy(r->witnesses, list, n * sizeof(*list));
}

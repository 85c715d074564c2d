/* SPDX-License-Identifier: Apache-2.0 */
/* What a person does with `xe`: join, eject, forget, install anew. Outcomes that he does not learn he finds out. */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "sim_checks.h"
#include "sim_story.h"

#define PATIENCE_MS 70000
#define UNTOLD_MS 25000 /* one that was removed and does not come to know it */

static struct {
    uint64_t busy_until_ms[SIM_MAX_HOSTS];
    uint64_t lost_since_ms[SIM_MAX_HOSTS];
    uint64_t next_ms;
} op;

void operator_init(void) {
    memset(&op, 0, sizeof(op));
}

bool operator_is_busy(const struct sim_host *h) {
    return sim_now_ms() < op.busy_until_ms[h->i];
}

struct asked {
    unsigned host;
    const char *what;
};

static void on_done(const struct error *error, void *userdata) {
    struct asked *a = userdata;
    struct error *e = error ? error_dup(error) : NULL;
    sim_say("%s of h%u: %s", a->what, a->host, e ? error_text(e) : "done");
    op.busy_until_ms[a->host] = e ? 0 : sim_now_ms() + 2000;
    error_free(e);
    free(a);
}

static struct asked *ask(const struct sim_host *h, const char *what) {
    struct asked *a = xnew0(struct asked);
    *a = (struct asked){h->i, what};
    op.busy_until_ms[h->i] = sim_now_ms() + PATIENCE_MS;
    sim_say("operator: %s of %s", what, h->name);
    return a;
}

static bool fingerprint_of(const struct sim_host *h, char ret[static PKI_FINGERPRINT_SIZE]) {
    _cleanup_buf_ struct buf bundle = BUF_INIT;
    if (fs_read(h->daemon->pool->ca_path, PKI_MAX_PEM, &bundle) < 0)
        return false;
    pool_authority_newest(buf_str(&bundle), ret);
    return ret[0];
}

void operator_join(struct sim_host *h) {
    struct sim_host *c = truth_coordinator();
    char pin[PKI_FINGERPRINT_SIZE];
    if (!c || c == h || !host_is_ready(h) || !fingerprint_of(c, pin))
        return;
    struct pool_join_request r = {.address = c->address, .user = "root", .password = "secret", .fingerprint = pin};
    pool_join_other(h->daemon->pool, &r, on_done, ask(h, "join"));
}

bool operator_eject(struct sim_host *h) {
    struct sim_host *c = truth_coordinator();
    if (!c || c == h || !h->daemon || operator_is_busy(h))
        return false;
    pool_remove_host(c->daemon->pool, sim_uuid_of(h), /* forget= */ false, on_done, ask(h, "eject"));
    return true;
}

bool operator_forget(const struct uuid *host) {
    struct sim_host *c = truth_coordinator();
    const struct row *row = c ? db_get(c->daemon->db, CLASS_host, host) : NULL;
    unsigned i = row ? sim_host_at(row_str(row, FIELD_host_address)) : SIM_NOBODY;
    if (i == SIM_NOBODY || i == c->i || operator_is_busy(&sim->hosts[i]) || pool_host_is_live(c->daemon->pool, host))
        return false;
    pool_remove_host(c->daemon->pool, host, /* forget= */ true, on_done, ask(&sim->hosts[i], "forget"));
    return true;
}

void operator_wipe(struct sim_host *h) {
    char path[32];
    sim_say("operator: %s is installed anew", h->name);
    sim_power_cut(h);
    (void)snprintf(path, sizeof(path), "/%s/state", h->name);
    _cleanup_free_ char *gone = strf("/%s/gone-%llu", h->name, (unsigned long long)++sim->next_id);
    if (fs_exists(path) && fs_rename(path, gone) < 0)
        abort();
    file_remove(h->server);
    op.lost_since_ms[h->i] = 0;
    op.busy_until_ms[h->i] = 0;
    sim_power_on(h);
}

static bool is_row_of_nobody(const struct server *leader, const char *uuid, unsigned host) {
    const struct uuid *now = sim_uuid_of(&sim->hosts[host]);
    struct uuid u;
    return uuid_parse(uuid, &u) && now && host_is_ready(&sim->hosts[host]) &&
           !(uuid_eq(&u, now) && host_is_of_pool(&sim->hosts[host]));
}

/* Rows of hosts that are of another pool by now (a join that was cut short, an installation). */
static bool forget_ghosts(const struct server *leader) {
    const char *uuid;
    json_t *row;
    json_object_foreach(json_object_get(leader->state, "host"), uuid, row) {
        unsigned i = sim_host_at(str_or_empty(json_string_value(json_object_get(row, "address"))));
        struct uuid u;
        if (i != SIM_NOBODY && is_row_of_nobody(leader, uuid, i) && uuid_parse(uuid, &u))
            return operator_forget(&u);
    }
    return false;
}

bool operator_gather(void) {
    const struct server *leader = truth_leader();
    uint64_t now = sim_now_ms();
    bool all = leader && truth_coordinator();
    if (!all || now < op.next_ms)
        return false;
    op.next_ms = now + 1000;
    if (forget_ghosts(leader))
        return false;
    for (unsigned i = 0; i < sim->n_hosts; i++) {
        struct sim_host *h = &sim->hosts[i];
        bool in_rows = h->daemon && truth_host_row(leader, sim_uuid_of(h)), of_pool = host_is_of_pool(h);
        if (in_rows && of_pool) {
            op.lost_since_ms[i] = 0;
            continue;
        }
        all = false;
        if (!h->daemon || operator_is_busy(h))
            continue;
        if (of_pool) { /* it was removed and has not been told */
            if (!op.lost_since_ms[i])
                op.lost_since_ms[i] = now;
            else if (now - op.lost_since_ms[i] > UNTOLD_MS)
                operator_wipe(h);
        } else if (!in_rows) {
            operator_join(h);
            return false;
        }
    }
    return all;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/rehearsal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/str.h"
#include "daemon/rehearsal_parts.h"
#include "loop/child.h"
#include "net/net_store.h"
#include "net/net_wanted.h"
#include "wire/value_json.h"

#define LOG_MODULE "rehearsal"
#include "base/log.h"

#define NETBOOT_MS 6000
#define DATABASE_MS 1500
#define PROVE_MS 1500 /* a sound host answers within a few milliseconds */
#define EXCHANGE_MS 1500
#define REPAIR_MS 700 /* the agent writes after its next look */
#define MAX_OUTPUT (1 << 20)
#define PADDING_SIZE 6000 /* several full segments of the control size, each way */

struct waiter {
    struct waiter *next;
    rehearsal_done_fn *done;
    void *userdata;
};

struct disk_job {
    struct rehearsal *r;
    char *folder;
    struct statvfs st;
    int error;
};

struct rehearsal {
    struct daemon *d;
    struct waiter *waiters;
    unsigned n_open;                     /* parts that have not answered */
    uint64_t started_ms, proof_since_ms; /* 0: no proof of its own */
    struct loop_source *repair_timer;
    struct child *netboot, *database, *compact;
    unsigned n_database_tries;
    struct rehearsal_parts parts;
};

static void finish(struct rehearsal *r);

static void part_done(struct rehearsal *r) {
    if (--r->n_open == 0)
        finish(r);
}

/* ---- the next boot ---- */
static void on_netboot(const struct child_result *c, void *userdata) {
    struct rehearsal *r = userdata;
    struct rehearsal_parts *p = &r->parts;
    _cleanup_error_ struct error *e = NULL;
    r->netboot = NULL;
    if (c->start_error)
        p->program = strf("'%s': %s", r->d->options.netboot_path, strerror(c->start_error));
    else if (c->exit_code == 126 || c->exit_code == 127)
        p->program = strf("'%s' cannot be executed", r->d->options.netboot_path);
    else if (c->timed_out)
        p->not_done = xstrdup("it did not end in time");
    else if (!value_json_parse(buf_str(&c->out), c->out.size, 16, 65536, &p->boot, &e) || p->boot.type != VALUE_MAP) {
        value_done(&p->boot);
        p->boot = (struct value){.type = VALUE_VOID};
        p->not_done = strf("muster-netboot ended with %d: %.200s", c->exit_code, buf_str(&c->err));
    }
    part_done(r);
}

static void start_netboot(struct rehearsal *r) {
    const struct options *o = &r->d->options;
    const char *const argv[] = {
        o->netboot_path, "--quiet",         "--state-dir", o->state_dir, "--run-dir", o->run_dir,
        "--switch-dir",  o->switch_run_dir, "rehearse",    "--json",     NULL};
    r->n_open++;
    r->netboot = child_run(r->d->loop, argv, NULL, NETBOOT_MS, MAX_OUTPUT, on_netboot, r);
}

/* ---- the voter's file ---- */
static void check_database(struct rehearsal *r);

static void on_database(const struct child_result *c, void *userdata) {
    struct rehearsal *r = userdata;
    r->database = NULL;
    if (c->start_error || c->timed_out) {
        log_info("the file of the pool database could not be checked in time");
    } else if (c->exit_code != 0) {
        if (r->n_database_tries++ < 2) { /* a record may have been half written when it was read */
            check_database(r);
            return;
        }
        _cleanup_strv_ struct strv lines = {0};
        strv_split(&lines, buf_str(&c->err), '\n');
        r->parts.database_error =
            xstrdup(lines.n && *lines.items[0] ? lines.items[0] : "ovsdb-tool does not accept it");
    }
    part_done(r);
}

static void check_database(struct rehearsal *r) {
    const char *const argv[] = {"ovsdb-tool", "check-cluster", r->parts.outlook.database_file, NULL};
    r->database = child_run(r->d->loop, argv, NULL, DATABASE_MS, 4096, on_database, r);
}

/* ---- the paths ---- */
static void on_proof(const struct probing_result *p, void *userdata) {
    struct rehearsal *r = userdata;
    part_done(r);
}

static void start_proof(struct rehearsal *r) {
    /* A change's own proof is not to be disturbed; the prober's last results are seconds old. */
    if (net_agent_is_busy(netglue_agent(r->d->netglue)) || probing_is_proving(r->d->probing))
        return;
    r->n_open++;
    r->proof_since_ms = loop_now_ms(r->d->loop);
    probing_prove(r->d->probing, PROVE_MS, on_proof, r);
}

/* ---- the coordinator ---- */
static void on_exchange(const struct value *result, const struct error *error, void *userdata) {
    struct rehearsal *r = userdata;
    const struct value *wall = error ? NULL : value_map_get(result, "wall");
    const char *padding = error ? NULL : value_map_str(result, "padding");
    r->parts.coordinator_answers = padding && strlen(padding) == PADDING_SIZE;
    r->parts.clock_known = wall != NULL;
    if (wall)
        r->parts.skew_ms = value_as_int(wall) - loop_wall_ms(r->d->loop);
    part_done(r);
}

static struct value padding(void) {
    char text[PADDING_SIZE + 1];
    memset(text, '.', PADDING_SIZE);
    text[PADDING_SIZE] = '\0';
    return value_string(text);
}

static void start_exchange(struct rehearsal *r) {
    const struct row *pool = db_pool(r->d->db);
    if (!pool_get_channel(r->d->pool) || !pool || pool_is_coordinator(r->d->pool))
        return;
    struct value args = value_map();
    value_map_add(&args, "padding", padding());
    r->n_open++;
    pool_channel_call(pool_get_channel(r->d->pool), row_ref(pool, FIELD_pool_master), "rehearse_exchange", args,
                      EXCHANGE_MS, on_exchange, r);
}

static void serve_exchange(const struct uuid *from, const struct value *args, struct pool_reply *reply,
                           void *userdata) {
    struct daemon *d = userdata;
    struct value answer = value_map();
    value_map_add(&answer, "wall", value_int(loop_wall_ms(d->loop)));
    value_map_add(&answer, "padding", padding());
    pool_reply_return(reply, answer);
}

void rehearsal_serve(struct daemon *d) {
    pool_channel_serve(pool_get_channel(d->pool), "rehearse_exchange", serve_exchange, d);
}

/* ---- the disk ---- */
static void disk_run(void *data) {
    struct disk_job *j = data;
    j->error = statvfs(j->folder, &j->st) < 0 ? errno : 0;
}

static void disk_done(void *data) {
    struct disk_job *j = data;
    struct rehearsal *r = j->r;
    r->parts.disk_known = j->error == 0;
    r->parts.is_read_only = (j->st.f_flag & ST_RDONLY) != 0;
    r->parts.free_bytes = (uint64_t)j->st.f_bavail * j->st.f_frsize;
    r->parts.free_inodes = j->st.f_files ? (uint64_t)j->st.f_favail : UINT64_MAX; /* some have no such number */
    free(j->folder);
    free(j);
    part_done(r);
}

static void start_disk(struct rehearsal *r) {
    struct disk_job *j = xnew0(struct disk_job);
    *j = (struct disk_job){.r = r, .folder = xstrdup(r->d->options.state_dir)};
    r->n_open++;
    worker_submit(r->d->worker, "rehearsal-disk", disk_run, disk_done, j);
}

/* ---- what the pool wants ---- */
static void look_at_wanted(struct rehearsal *r) {
    struct net_agent_state s;
    _cleanup_error_ struct error *e = NULL;
    char wanted_hash[NET_HASH_TEXT_SIZE], good_hash[NET_HASH_TEXT_SIZE];
    net_agent_state(netglue_agent(r->d->netglue), &s);
    r->parts.good = s.good;
    r->parts.is_changing = s.outcome == NET_OUTCOME_PENDING;
    _cleanup_net_config_ struct net_config *wanted =
        db_get(r->d->db, CLASS_host, &r->d->self) ? net_wanted(r->d->db, &r->d->self, &e) : NULL;
    if (!wanted || !s.good || !net_config_management(wanted))
        return;
    net_config_hash(wanted, wanted_hash);
    net_config_hash(s.good, good_hash);
    if (str_eq(wanted_hash, good_hash))
        return;
    _cleanup_free_ char *diff = net_config_diff_text(s.good, wanted);
    _cleanup_strv_ struct strv lines = {0};
    strv_split(&lines, diff, '\n');
    while (lines.n && !*lines.items[lines.n - 1])
        free(lines.items[--lines.n]);
    r->parts.wanted_diff = strv_join(&lines, ", ");
}

/* ---- the end ---- */
static struct value to_value(const struct rehearsal_verdicts *v) {
    struct value set = value_set();
    char code[REHEARSAL_CODE_SIZE];
    for (size_t i = 0; i < v->n; i++) {
        struct value m = value_map();
        value_map_add(&m, "code", value_string(rehearsal_code_text(v->items[i].code, code)));
        value_map_add(&m, "severity", value_string(v->items[i].is_blocker ? "blocker" : "warning"));
        value_map_add(&m, "text", value_string(v->items[i].text));
        value_map_add(&m, "cure", value_string(v->items[i].cure));
        value_set_add(&set, m);
    }
    return set;
}

static void rehearsal_done(struct rehearsal *r) {
    if (r->netboot)
        child_cancel(r->netboot);
    if (r->database)
        child_cancel(r->database);
    if (r->compact)
        child_cancel(r->compact);
    loop_source_free(r->repair_timer);
    rehearsal_parts_done(&r->parts);
    free(r);
}

static void answer(void *userdata) {
    struct rehearsal *r = userdata;
    struct daemon *d = r->d;
    struct rehearsal_verdicts verdicts;
    look_at_wanted(r);
    r->parts.faults = probing_faults_now(d->probing);
    r->parts.proven = probing_now(d->probing);
    if (r->proof_since_ms)
        r->parts.doubts = probing_doubts(d->probing, r->proof_since_ms);
    rehearsal_parts_judge(d, &r->parts, &verdicts);
    _cleanup_value_ struct value set = to_value(&verdicts);
    log_info("the next boot was rehearsed in %llu ms: %zu blockers, %zu warnings",
             (unsigned long long)(loop_now_ms(d->loop) - r->started_ms), verdicts.n_blockers,
             verdicts.n - verdicts.n_blockers);
    rehearsal_verdicts_done(&verdicts);
    d->rehearsal = NULL;
    struct waiter *waiters = TAKE(r->waiters);
    rehearsal_done(r);
    while (waiters) {
        struct waiter *w = waiters;
        waiters = w->next;
        w->done(&set, w->userdata);
        free(w);
    }
}

/* The measurements of this turn are in the rows with the next one. */
static void measure(void *userdata) {
    struct rehearsal *r = userdata;
    struct value unused = probing_faults_now(r->d->probing);
    value_done(&unused);
    loop_defer(r->d->loop, answer, r);
}

/* Deferred, since the last part may answer while other parts of the daemon are being taken down. */
static void finish(struct rehearsal *r) {
    loop_defer(r->d->loop, measure, r);
}

/* ---- the beginning ---- */
static void begin(struct rehearsal *r) {
    r->n_open = 1; /* this function itself: parts may answer at once */
    pool_get_outlook(r->d->pool, &r->parts.outlook);
    start_netboot(r);
    start_proof(r);
    start_exchange(r);
    start_disk(r);
    if (r->parts.outlook.database_file) {
        r->n_open++;
        check_database(r);
    }
    part_done(r);
}

static void on_repaired(struct loop_source *s, void *userdata) {
    begin(userdata);
}

static void on_compacted(const struct child_result *c, void *userdata) {
    struct rehearsal *r = userdata;
    r->compact = NULL;
}

/* What is in memory and right is written anew. */
static void repair(struct rehearsal *r) {
    struct pool_outlook o;
    pool_get_outlook(r->d->pool, &o);
    pool_write_identity(r->d->pool);
    net_agent_rewrite(netglue_agent(r->d->netglue));
    if (o.database_file) {
        _cleanup_free_ char *ctl = strf("%s/pooldb.ctl", r->d->options.run_dir);
        const char *const argv[] = {"ovs-appctl", "-t", ctl, "ovsdb-server/compact", NULL};
        r->compact = child_run(r->d->loop, argv, NULL, DATABASE_MS, 4096, on_compacted, r);
    }
    pool_outlook_done(&o);
    loop_timer_set(r->repair_timer, REPAIR_MS);
}

void rehearsal_start(struct daemon *d, bool wants_repair, rehearsal_done_fn *done, void *userdata) {
    struct waiter *w = xnew0(struct waiter);
    *w = (struct waiter){.done = done, .userdata = userdata};
    if (d->rehearsal) {
        w->next = d->rehearsal->waiters;
        d->rehearsal->waiters = w;
        return;
    }
    struct rehearsal *r = xnew0(struct rehearsal);
    *r = (struct rehearsal){
        .d = d,
        .waiters = w,
        .started_ms = loop_now_ms(d->loop),
        .parts = {.boot = {.type = VALUE_VOID}, .faults = {.type = VALUE_VOID}, .doubts = {.type = VALUE_VOID}}};
    r->repair_timer = loop_add_timer(d->loop, LOOP_NEVER, on_repaired, r);
    d->rehearsal = r;
    if (wants_repair)
        repair(r);
    else
        begin(r);
}

void rehearsal_free(struct daemon *d) {
    struct rehearsal *r = TAKE(d->rehearsal);
    while (r && r->waiters) {
        struct waiter *w = r->waiters;
        r->waiters = w->next;
        free(w);
    }
    if (r)
        rehearsal_done(r);
}

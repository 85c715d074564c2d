/* SPDX-License-Identifier: Apache-2.0 */
/* The replica and its transactions against real database servers. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "db/db.h"
#include "servers.h"

struct outcome {
    int n;
    char code[64];
};

static void on_done(struct error *error, void *userdata) {
    struct outcome *o = userdata;
    o->n++;
    str_copy(o->code, sizeof(o->code), error ? error_text(error) : "");
}

static struct db *follow(struct loop *l, struct servers *s, unsigned i) {
    char path[100];
    servers_socket(s, i, path, sizeof(path));
    struct db *d = db_new(l);
    db_sync_start(d, path);
    return d;
}

static void commit(struct db *d, struct db_txn *t, const char *code) {
    struct outcome o = {0};
    db_txn_commit(t, 5000, on_done, &o);
    assert_int_equal(o.n, 0);
    struct loop *l = *(struct loop **)d; /* its first member */
    RUN_UNTIL(l, 15000, o.n == 1);
    if (*code ? !strstr(o.code, code) : *o.code)
        fail_msg("expected '%s', got '%s'", code, o.code);
}

static void make_pool(struct db *d, struct uuid *ret_pool, struct uuid *ret_host) {
    struct db_txn *t = db_txn_new(d, "make pool");
    *ret_host = db_txn_insert(t, CLASS_host, NULL);
    db_txn_set(t, CLASS_host, ret_host, FIELD_host_name_label, value_string("h1"));
    db_txn_set(t, CLASS_host, ret_host, FIELD_host_address, value_string("10.0.0.1"));
    *ret_pool = db_txn_insert(t, CLASS_pool, NULL);
    db_txn_set(t, CLASS_pool, ret_pool, FIELD_pool_master, value_ref(ret_host));
    db_txn_set(t, CLASS_pool, ret_pool, FIELD_pool_epoch, value_int(1));
    commit(d, t, "");
}

static void test_one_server(void **state) {
    struct servers s;
    servers_start(&s, 1);
    struct loop *l = loop_new();
    struct db *d = follow(l, &s, 0);
    RUN_UNTIL(l, 10000, db_get_status(d).loaded && db_get_status(d).has_quorum);
    assert_null(db_pool(d));

    struct uuid pool, host;
    make_pool(d, &pool, &host);
    const struct row *p = db_pool(d);
    assert_non_null(p);
    assert_string_equal(row_str(db_follow(d, p, FIELD_pool_master), FIELD_host_name_label), "h1");

    /* Sets and maps, changed in part. */
    struct db_txn *t = db_txn_new(d, "change");
    db_txn_map_put(t, CLASS_pool, &pool, FIELD_pool_other_config, "a", value_string("1"));
    db_txn_map_put(t, CLASS_pool, &pool, FIELD_pool_other_config, "b", value_string("2"));
    db_txn_set_add(t, CLASS_pool, &pool, FIELD_pool_tags, value_string("x"));
    db_txn_set_add(t, CLASS_pool, &pool, FIELD_pool_tags, value_string("y"));
    commit(d, t, "");
    t = db_txn_new(d, "change again");
    db_txn_map_put(t, CLASS_pool, &pool, FIELD_pool_other_config, "a", value_string("3"));
    db_txn_map_remove(t, CLASS_pool, &pool, FIELD_pool_other_config, "b");
    db_txn_map_remove(t, CLASS_pool, &pool, FIELD_pool_other_config, "never");
    db_txn_set_remove(t, CLASS_pool, &pool, FIELD_pool_tags, value_string("x"));
    commit(d, t, "");
    p = db_pool(d);
    assert_int_equal(row_value(p, FIELD_pool_other_config)->map.n, 1);
    assert_string_equal(value_map_str(row_value(p, FIELD_pool_other_config), "a"), "3");
    assert_int_equal(row_value(p, FIELD_pool_tags)->set.n, 1);
    assert_string_equal(value_str(&row_value(p, FIELD_pool_tags)->set.items[0]), "y");

    /* Compare and swap. */
    t = db_txn_new(d, "swap");
    db_txn_expect(t, CLASS_pool, &pool, FIELD_pool_name_label, value_string(""));
    db_txn_set(t, CLASS_pool, &pool, FIELD_pool_name_label, value_string("one"));
    commit(d, t, "");
    t = db_txn_new(d, "swap");
    db_txn_expect(t, CLASS_pool, &pool, FIELD_pool_name_label, value_string(""));
    db_txn_set(t, CLASS_pool, &pool, FIELD_pool_name_label, value_string("two"));
    commit(d, t, "DB_CONFLICT");
    assert_string_equal(row_str(db_pool(d), FIELD_pool_name_label), "one");

    /* A row that is gone. */
    struct uuid gone = uuid_random();
    t = db_txn_new(d, "gone");
    db_txn_set(t, CLASS_host, &gone, FIELD_host_name_label, value_string("x"));
    commit(d, t, "HANDLE_INVALID");

    /* The fence: not us, then us, then another epoch. */
    t = db_txn_new(d, "fenced");
    db_txn_fence(t);
    db_txn_set(t, CLASS_pool, &pool, FIELD_pool_name_label, value_string("three"));
    commit(d, t, "HOST_IS_SLAVE [10.0.0.1]");
    db_set_self(d, &host);
    t = db_txn_new(d, "fenced");
    db_txn_fence(t);
    db_txn_set(t, CLASS_pool, &pool, FIELD_pool_name_label, value_string("three"));
    commit(d, t, "");
    struct db *other = follow(l, &s, 0);
    RUN_UNTIL(l, 10000, db_pool(other));
    struct db_txn *late = db_txn_new(d, "late");
    db_txn_fence(late);
    db_txn_set(late, CLASS_pool, &pool, FIELD_pool_name_label, value_string("four"));
    t = db_txn_new(other, "take over");
    db_txn_expect(t, CLASS_pool, &pool, FIELD_pool_epoch, value_int(1));
    db_txn_set(t, CLASS_pool, &pool, FIELD_pool_epoch, value_int(2));
    commit(other, t, "");
    commit(d, late, "HOST_IS_SLAVE");
    assert_string_equal(row_str(db_pool(other), FIELD_pool_name_label), "three");

    /* Nothing to write is fine. */
    commit(d, db_txn_new(d, "nothing"), "");
    db_free(other);
    db_free(d);
    loop_free(l);
    servers_stop(&s);
}

static void count_event(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    ((int *)userdata)[event]++;
}

/* The connection goes away and comes back: only what changed meanwhile is told. */
static void test_resume(void **state) {
    struct servers s;
    servers_start(&s, 1);
    struct loop *l = loop_new();
    struct db *d = follow(l, &s, 0), *writer = follow(l, &s, 0);
    RUN_UNTIL(l, 10000, db_get_status(d).has_quorum && db_get_status(writer).has_quorum);
    struct uuid pool, host;
    make_pool(writer, &pool, &host);
    RUN_UNTIL(l, 5000, db_pool(d));

    int events[3] = {0};
    db_watch_add(d, -1, count_event, events);
    servers_kill(&s, 0);
    RUN_UNTIL(l, 5000, !db_get_status(d).connected);
    assert_non_null(db_pool(d));
    servers_run(&s, 0);
    RUN_UNTIL(l, 10000, db_get_status(d).has_quorum && db_get_status(writer).has_quorum);
    struct db_txn *t = db_txn_new(writer, "rename");
    db_txn_set(t, CLASS_pool, &pool, FIELD_pool_name_label, value_string("again"));
    commit(writer, t, "");
    RUN_UNTIL(l, 5000, str_eq(row_str(db_pool(d), FIELD_pool_name_label), "again"));
    assert_int_equal(events[DB_ADDED], 0);
    assert_int_equal(events[DB_CHANGED], 1);
    assert_int_equal(events[DB_DELETED], 0);
    db_free(writer);
    db_free(d);
    loop_free(l);
    servers_stop(&s);
}

/*
 * A server that has just started shows what is on its disk: of the past, until its leader speaks. The replica has that,
 * but is not in step with it.
 */
static void test_in_step(void **state) {
    struct servers s;
    servers_start(&s, 3);
    struct loop *l = loop_new();
    unsigned late = servers_leader(&s) == 2 ? 0 : 2;
    struct db *writer = follow(l, &s, 1);
    struct uuid pool, host;
    RUN_UNTIL(l, 10000, db_get_status(writer).in_step);
    make_pool(writer, &pool, &host);
    servers_kill(&s, late);
    struct db_txn *t = db_txn_new(writer, "rename");
    db_txn_set(t, CLASS_pool, &pool, FIELD_pool_name_label, value_string("present"));
    commit(writer, t, "");
    for (unsigned i = 0; i < 3; i++)
        if (i != late)
            kill(s.pids[i], SIGSTOP);
    servers_run(&s, late);
    struct db *d = follow(l, &s, late);
    RUN_UNTIL(l, 10000, db_get_status(d).connected && db_get_status(d).loaded);
    for (uint64_t end = loop_now_ms(l) + 1000; loop_now_ms(l) < end; loop_step(l, 20)) {
        assert_false(db_get_status(d).in_step);
        assert_true(!db_pool(d) || !str_eq(row_str(db_pool(d), FIELD_pool_name_label), "present"));
    }
    for (unsigned i = 0; i < 3; i++)
        if (i != late)
            kill(s.pids[i], SIGCONT);
    RUN_UNTIL(l, 20000, db_get_status(d).in_step);
    assert_string_equal(row_str(db_pool(d), FIELD_pool_name_label), "present");
    /* Lost and found again: asked anew. */
    servers_kill(&s, late);
    RUN_UNTIL(l, 5000, !db_get_status(d).connected);
    assert_false(db_get_status(d).in_step);
    servers_run(&s, late);
    RUN_UNTIL(l, 20000, db_get_status(d).in_step);
    db_free(d);
    db_free(writer);
    loop_free(l);
    servers_stop(&s);
}

/* Without a majority: what was never sent fails by name at its deadline; nothing is claimed. */
static void test_no_quorum(void **state) {
    struct servers s;
    servers_start(&s, 2);
    struct loop *l = loop_new();
    struct db *d = follow(l, &s, 0);
    RUN_UNTIL(l, 10000, db_get_status(d).has_quorum);
    servers_kill(&s, 1);
    RUN_UNTIL(l, 20000, !db_get_status(d).has_quorum);
    struct outcome o = {0};
    struct db_txn *t = db_txn_new(d, "hang");
    db_txn_insert(t, CLASS_network, NULL);
    db_txn_commit(t, 300, on_done, &o);
    RUN_UNTIL(l, 5000, o.n == 1);
    assert_non_null(strstr(o.code, "DB_NO_QUORUM"));
    assert_int_equal(db_count(d, CLASS_network), 0);
    servers_run(&s, 1);
    RUN_UNTIL(l, 20000, db_get_status(d).has_quorum);
    t = db_txn_new(d, "again");
    db_txn_insert(t, CLASS_network, NULL);
    commit(d, t, "");
    assert_int_equal(db_count(d, CLASS_network), 1);
    db_free(d);
    loop_free(l);
    servers_stop(&s);
}

/* ---- no acknowledged write is lost, and none is done twice, whoever dies ---- */

#define MAX_WRITES 20000

struct writer {
    struct db *d;
    struct uuid pool;
    int n_started, n_acknowledged, n_unknown, n_failed;
    bool stop;
    bool acknowledged[MAX_WRITES];
};

struct write {
    struct writer *w;
    int number;
};

static void write_next(struct writer *w);

static void on_written(struct error *error, void *userdata) {
    struct write *x = userdata;
    struct writer *w = x->w;
    if (!error) {
        w->n_acknowledged++;
        w->acknowledged[x->number] = true;
    } else if (error_is(error, "DB_WRITE_UNKNOWN")) {
        w->n_unknown++;
    } else {
        w->n_failed++;
    }
    free(x);
    if (!w->stop && w->n_started < MAX_WRITES)
        write_next(w);
}

/* Each write renames the pool from the last name it knows of: done twice, the second would show as a conflict. */
static void write_next(struct writer *w) {
    struct write *x = xnew0(struct write);
    *x = (struct write){.w = w, .number = w->n_started++};
    struct db_txn *t = db_txn_new(w->d, "write");
    struct uuid u = db_txn_insert(t, CLASS_network, NULL);
    char name[32];
    snprintf(name, sizeof(name), "%d", x->number);
    db_txn_set(t, CLASS_network, &u, FIELD_network_name_label, value_string(name));
    const struct row *p = db_pool(w->d);
    db_txn_expect(t, CLASS_pool, &w->pool, FIELD_pool_bootstrap_generation,
                  value_int(row_int(p, FIELD_pool_bootstrap_generation)));
    db_txn_set(t, CLASS_pool, &w->pool, FIELD_pool_bootstrap_generation,
               value_int(row_int(p, FIELD_pool_bootstrap_generation) + 1));
    db_txn_commit(t, 10000, on_written, x);
}

static void test_leader_killed(void **state) {
    struct servers s;
    servers_start(&s, 3);
    struct loop *l = loop_new();
    /* The writer talks to its local server: once a follower, once the leader itself. */
    for (int round = 0; round < 4; round++) {
        int leader = servers_leader(&s);
        assert_true(leader >= 0);
        unsigned local = round % 2 ? (unsigned)leader : ((unsigned)leader + 1) % 3;
        struct writer *w = xnew0(struct writer);
        w->d = follow(l, &s, local);
        RUN_UNTIL(l, 10000, db_get_status(w->d).has_quorum && db_get_status(w->d).loaded);
        if (!db_pool(w->d)) {
            struct uuid host;
            make_pool(w->d, &w->pool, &host);
        }
        w->pool = db_pool(w->d)->uuid;
        int64_t before = row_int(db_pool(w->d), FIELD_pool_bootstrap_generation);
        size_t networks_before = db_count(w->d, CLASS_network);
        write_next(w);
        RUN_UNTIL(l, 10000, w->n_acknowledged > 40);
        servers_kill(&s, (unsigned)leader);
        int at_kill = w->n_acknowledged;
        if (local == (unsigned)leader)
            servers_run(&s, local); /* the host's own server is started again by whoever watches it */
        RUN_UNTIL(l, 20000, w->n_acknowledged > at_kill + 40);
        w->stop = true;
        RUN_UNTIL(l, 30000, w->n_started == w->n_acknowledged + w->n_failed + w->n_unknown);
        assert_int_equal(w->n_failed, 0);
        assert_int_equal(w->n_unknown, 0);
        if (s.pids[leader] == 0)
            servers_run(&s, (unsigned)leader);
        db_free(w->d);

        /* Read again from another server, from nothing. */
        struct db *fresh = follow(l, &s, (local + 1) % 3);
        int64_t after = before + w->n_acknowledged, found = -1;
        for (uint64_t end = loop_now_ms(l) + 20000; found < after && loop_now_ms(l) < end; loop_step(l, 20))
            found = db_pool(fresh) ? row_int(db_pool(fresh), FIELD_pool_bootstrap_generation) : -1;
        if (found != after)
            fail_msg("round %d: expected %d, found %d: %s", round, (int)after, (int)found, db_get_status(fresh).text);
        assert_int_equal(row_int(db_pool(fresh), FIELD_pool_bootstrap_generation), before + w->n_acknowledged);
        assert_int_equal(db_count(fresh, CLASS_network), networks_before + (size_t)w->n_acknowledged);
        db_free(fresh);
        free(w);
    }
    loop_free(l);
    servers_stop(&s);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_server), cmocka_unit_test(test_resume),        cmocka_unit_test(test_in_step),
        cmocka_unit_test(test_no_quorum),  cmocka_unit_test(test_leader_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#define A1 "['uuid','a0000000-0000-4000-8000-000000000001']"
#define A2 "['uuid','a0000000-0000-4000-8000-000000000002']"

static void test_row(void **state) {
    struct db *d = ((struct fixture *)*state)->db;
    assert_null(db_pool(d));
    insert(d, CLASS_host, 1, "{'name_label':'one','address':'10.0.0.1'}");
    insert(d, CLASS_host, 2, "{'name_label':'two'}");
    insert(d, CLASS_pool, 3, "{'master':" A1 ",'epoch':7}");
    db_batch_close(d);
    assert_int_equal(db_count(d, CLASS_host), 2);
    const struct row *r = db_first(d, CLASS_host);
    assert_string_equal(row_str(r, FIELD_host_name_label), "one");
    assert_string_equal(row_str(r, FIELD_host_uuid), "a0000000-0000-4000-8000-000000000001");
    r = db_next(d, r);
    assert_string_equal(row_str(r, FIELD_host_name_label), "two");
    assert_null(db_next(d, r));
    assert_int_equal(row_int(db_pool(d), FIELD_pool_epoch), 7);
    assert_ptr_equal(db_follow(d, db_pool(d), FIELD_pool_master), get(d, CLASS_host, 1));

    modify(d, CLASS_pool, 3, "{'master':" A2 "}");
    assert_ptr_equal(db_follow(d, db_pool(d), FIELD_pool_master), get(d, CLASS_host, 2));
    modify(d, CLASS_pool, 3, "{'master':['set',[]]}");
    assert_null(db_follow(d, db_pool(d), FIELD_pool_master));
    assert_int_equal(row_int(db_pool(d), FIELD_pool_epoch), 7);
    delete (d, CLASS_host, 1);
    assert_null(get(d, CLASS_host, 1));
    assert_int_equal(db_count(d, CLASS_host), 1);
}

/* A "modify" of a set or a map carries the difference. */
static void test_differences(void **state) {
    struct db *d = ((struct fixture *)*state)->db;
    insert(d, CLASS_pool, 1, "{'tags':['set',['a','b']],'other_config':['map',[['k','1'],['l','2']]]}");
    modify(d, CLASS_pool, 1, "{'tags':['set',['b','c']],'other_config':['map',[['k','3'],['l','2'],['m','4']]]}");
    const struct value *tags = row_value(db_pool(d), FIELD_pool_tags);
    const struct value *config = row_value(db_pool(d), FIELD_pool_other_config);
    assert_int_equal(tags->set.n, 2);
    struct value a = value_string("a"), c = value_string("c");
    assert_true(value_set_has(tags, &a) && value_set_has(tags, &c));
    value_done(&a);
    value_done(&c);
    assert_int_equal(config->map.n, 2);
    assert_string_equal(value_map_str(config, "k"), "3");
    assert_string_equal(value_map_str(config, "m"), "4");
    modify(d, CLASS_pool, 1, "{'tags':'a'}"); /* a set of one */
    assert_int_equal(row_value(db_pool(d), FIELD_pool_tags)->set.n, 1);
}

/* What the server should not send changes nothing. */
static void test_bad_columns(void **state) {
    static const char *const bad[] = {
        "{'name_label':5}",
        "{'name_label':['set',['a','b']]}",
        "{'name_label':['set',[]]}",
        "{'epoch':'x'}",
        "{'epoch':1.5}",
        "{'master':['uuid','zzz']}",
        "{'master':['set',[" A1 "," A2 "]]}",
        "{'ha_enabled':1}",
        "{'tags':['set',[1]]}",
        "{'tags':['map',[]]}",
        "{'other_config':['map',[['k']]]}",
        "{'other_config':['map',[['k',1]]]}",
        "{'other_config':['map',[[1,'k']]]}",
        "{'other_config':null}",
        "{'no_such_column':1}",
    };
    struct db *d = ((struct fixture *)*state)->db;
    insert(d, CLASS_pool, 1, "{'name_label':'p','epoch':3,'tags':'t','master':" A1 "}");
    db_batch_close(d);
    _cleanup_free_ char *before = xstrdup(buf_str(db_row_json(d, db_pool(d))));
    uint64_t generation = db_generation(d);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        modify(d, CLASS_pool, 1, bad[i]);
        db_batch_close(d);
        assert_string_equal(buf_str(db_row_json(d, db_pool(d))), before);
        assert_int_equal(db_generation(d), generation);
    }
    modify(d, CLASS_pool, 9, "{'epoch':3}"); /* of a row nobody told us about */
    delete (d, CLASS_pool, 9);
    assert_int_equal(db_count(d, CLASS_pool), 1);
}

static void test_events(void **state) {
    struct fixture *f = *state;
    struct db *d = f->db;
    _cleanup_buf_ struct buf all = BUF_INIT, hosts = BUF_INIT;
    db_watch_add(d, -1, record_event, &all);
    struct db_watch *w = db_watch_add(d, CLASS_host, record_event, &hosts);
    insert(d, CLASS_host, 1, "{'name_label':'a'}");
    modify(d, CLASS_host, 1, "{'name_label':'b'}");
    insert(d, CLASS_network, 2, "{}");
    assert_buf(&all, ""); /* not before the batch is closed */
    db_batch_close(d);
    assert_buf(&all, "+host1 +network2 ");
    assert_buf(&hosts, "+host1 ");
    modify(d, CLASS_host, 1, "{'name_label':'b'}"); /* the same */
    db_batch_close(d);
    assert_buf(&all, "");
    modify(d, CLASS_host, 1, "{'name_label':'c'}");
    delete (d, CLASS_network, 2);
    db_batch_close(d);
    assert_buf(&all, "~host1 -network2 ");
    buf_clear(&hosts);
    insert(d, CLASS_network, 3, "{}"); /* comes and goes unseen */
    delete (d, CLASS_network, 3);
    db_batch_close(d);
    assert_buf(&all, "");
    delete (d, CLASS_host, 1); /* replaced under the same UUID: a change */
    insert(d, CLASS_host, 1, "{'name_label':'d'}");
    db_batch_close(d);
    assert_buf(&all, "~host1 ");
    db_watch_free(w);
    buf_clear(&hosts);
    modify(d, CLASS_host, 1, "{'name_label':'e'}");
    loop_step(f->loop, 100); /* the batch closes by itself at the end of the turn */
    assert_buf(&all, "~host1 ");
    assert_buf(&hosts, "");
}

struct meddler {
    struct db *db;
    struct db_watch *self, *victim;
    int calls;
};

static void meddle(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    struct meddler *m = userdata;
    m->calls++;
    if (m->calls > 1)
        return;
    row(d, CLASS_network, 2, OVSDB_ROW_INSERT, "{}");
    row(d, CLASS_host, 1, OVSDB_ROW_DELETE, NULL);
    db_watch_free(TAKE(m->victim));
    assert_string_equal(row_str(r, FIELD_host_name_label), "a"); /* still readable */
}

/* Watches may change rows, delete the very row they are told about, and free watches. */
static void test_watch_meddles(void **state) {
    struct fixture *f = *state;
    _cleanup_buf_ struct buf all = BUF_INIT, victim = BUF_INIT;
    struct meddler m = {.db = f->db};
    m.self = db_watch_add(f->db, CLASS_host, meddle, &m);
    m.victim = db_watch_add(f->db, -1, record_event, &victim);
    db_watch_add(f->db, -1, record_event, &all);
    insert(f->db, CLASS_host, 1, "{'name_label':'a'}");
    db_batch_close(f->db);
    assert_buf(&victim, "");
    assert_buf(&all, "+host1 ");
    uint64_t generation = db_generation(f->db);
    loop_step(f->loop, 100);
    assert_buf(&all, "+network2 -host1 ");
    assert_int_equal(db_generation(f->db), generation + 1);
    loop_step(f->loop, 10);
}

static void test_changes_since(void **state) {
    struct db *d = ((struct fixture *)*state)->db;
    _cleanup_buf_ struct buf b = BUF_INIT;
    uint64_t g0 = db_generation(d);
    assert_int_equal(g0, db_generation_base(d));
    assert_int_not_equal(g0, 0);
    insert(d, CLASS_host, 1, "{}");
    insert(d, CLASS_host, 2, "{}");
    db_batch_close(d);
    uint64_t g1 = db_generation(d);
    insert(d, CLASS_host, 3, "{}");
    modify(d, CLASS_host, 1, "{'name_label':'x'}");
    delete (d, CLASS_host, 2);
    db_batch_close(d);
    uint64_t g2 = db_generation(d);
    assert_true(db_changes_since(d, 0, record_change, &b));
    assert_buf(&b, "+host3 +host1 ");
    assert_true(db_changes_since(d, g0, record_change, &b)); /* host2 came and went after g0 */
    assert_buf(&b, "+host3 +host1 ");
    assert_true(db_changes_since(d, g1, record_change, &b));
    assert_buf(&b, "+host3 ~host1 -host2 ");
    assert_true(db_changes_since(d, g2, record_change, &b));
    assert_buf(&b, "");
    insert(d, CLASS_host, 2, "{}"); /* again: the deletion is not told any more */
    db_batch_close(d);
    assert_true(db_changes_since(d, g1, record_change, &b));
    assert_buf(&b, "+host3 +host2 ~host1 ");
    struct uuid u = U(3);
    uint64_t g3 = db_generation(d);
    db_touch(d, CLASS_host, &u);
    db_batch_close(d);
    assert_true(db_changes_since(d, g3, record_change, &b));
    assert_buf(&b, "~host3 ");
    assert_false(db_changes_since(d, g0 - 1, record_change, &b)); /* of another process */
    assert_false(db_changes_since(d, db_generation(d) + 1, record_change, &b));
    assert_buf(&b, "");
}

/* A client that is further behind than the remembered deletions is told so. */
static void test_forgotten_deletions(void **state) {
    struct db *d = ((struct fixture *)*state)->db;
    insert(d, CLASS_host, 1, "{}");
    db_batch_close(d);
    uint64_t old = db_generation(d);
    for (unsigned i = 0; i < TOMBSTONES_MAX + 10; i++) {
        insert(d, CLASS_network, 2, "{}");
        db_batch_close(d);
        delete (d, CLASS_network, 2);
        db_batch_close(d);
    }
    _cleanup_buf_ struct buf b = BUF_INIT;
    assert_false(db_changes_since(d, old, record_change, &b));
    assert_true(db_changes_since(d, db_generation(d) - 4, record_change, &b));
    assert_true(db_changes_since(d, 0, record_change, &b));
}

/* A new snapshot over what is there: only the differences are events. */
static void test_snapshot(void **state) {
    struct db *d = ((struct fixture *)*state)->db;
    insert(d, CLASS_host, 1, "{'name_label':'a','address':'x'}");
    insert(d, CLASS_host, 2, "{'name_label':'b'}");
    insert(d, CLASS_host, 3, "{'name_label':'c'}");
    db_batch_close(d);
    _cleanup_buf_ struct buf b = BUF_INIT;
    db_watch_add(d, -1, record_event, &b);
    db_snapshot_begin(d);
    row(d, CLASS_host, 3, OVSDB_ROW_INITIAL, "{'name_label':'c'}");
    row(d, CLASS_host, 1, OVSDB_ROW_INITIAL, "{'name_label':'a'}");
    row(d, CLASS_host, 4, OVSDB_ROW_INITIAL, "{'name_label':'d'}");
    db_snapshot_end(d);
    db_batch_close(d);
    assert_buf(&b, "~host1 +host4 -host2 ");
    assert_string_equal(row_str(get(d, CLASS_host, 1), FIELD_host_address), "");
}

static void check_json(struct db *d, const struct row *r, const char *part) {
    if (!strstr(buf_str(db_row_json(d, r)), part))
        fail_msg("no %s in %s", part, buf_str(db_row_json(d, r)));
}

static void test_json(void **state) {
    struct db *d = ((struct fixture *)*state)->db;
    insert(d, CLASS_pool, 1,
           "{'name_label':'q\\\"\\\\\\n\\u0001\\u00e9','master':" A1 ",'epoch':4,'tags':['set',['t','u']],"
           "'other_config':['map',[['a','b']]],'last_update_sync':1787277623,'ha_enabled':true}");
    const struct row *p = db_pool(d);
    _cleanup_json_ json_t *j = json_loads(buf_str(db_row_json(d, p)), 0, NULL);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "name_label")), "q\"\\\n\x01\xc3\xa9");
    check_json(d, p, "\"uuid\":\"a0000000-0000-4000-8000-000000000001\"");
    check_json(d, p, "\"master\":\"OpaqueRef:a0000000-0000-4000-8000-000000000001\"");
    check_json(d, p, "\"default_SR\":\"OpaqueRef:NULL\"");
    check_json(d, p, "\"tags\":[\"t\",\"u\"]");
    check_json(d, p, "\"other_config\":{\"a\":\"b\"}");
    check_json(d, p, "\"last_update_sync\":\"20260821T02:00:23Z\"");
    check_json(d, p, "\"ha_enabled\":true");
    check_json(d, p, "\"ha_host_failures_to_tolerate\":0");
    assert_null(json_object_get(j, "epoch")); /* internal */
    modify(d, CLASS_pool, 1, "{'name_label':'new'}");
    check_json(d, p, "\"name_label\":\"new\"");
    /* Every field that is not internal, once. */
    size_t n = 0;
    for (unsigned i = 0; i < p->class->n_fields; i++)
        n += !p->class->fields[i].internal;
    assert_int_equal(json_object_size(j), n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_row, setup, teardown),
        cmocka_unit_test_setup_teardown(test_differences, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_columns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watch_meddles, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes_since, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forgotten_deletions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_snapshot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

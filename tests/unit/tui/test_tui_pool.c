/* SPDX-License-Identifier: Apache-2.0 */
/* The pool's records as facts, and what the screens say of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tui/tui_pool.h"
#include "tui/tui_screen.h"
#include "wire/value_json.h"

#define H1 "11111111-1111-1111-1111-111111111111"
#define H2 "22222222-2222-2222-2222-222222222222"

static struct value json(const char *text) {
    struct value v = {.type = VALUE_VOID};
    struct error *e = NULL;
    if (!value_json_parse(text, strlen(text), 16, 10000, &v, &e))
        fail_msg("%s", error_text(e));
    return v;
}

static struct tui_records records(void) {
    return (struct tui_records){
        .pools =
            json("{\"OpaqueRef:p\": {\"uuid\": \"p\", \"name_label\": \"lab\", \"master\": \"OpaqueRef:" H2 "\"}}"),
        .hosts = json(
            "{\"OpaqueRef:" H1 "\": {\"uuid\": \"" H1 "\", \"name_label\": \"h1\", \"address\": \"10.9.0.11\","
            " \"enabled\": true, \"metrics\": \"OpaqueRef:m1\", \"membership_state\": \"ready-size-limited\","
            " \"membership_reason\": \"one leg is small\", \"membership_since\": \"20261129T14:45:32Z\","
            " \"software_version\": {\"platform_version\": \"0.1.0\"},"
            " \"faults\": {\"k\": \"MUSTER-N101 leg size-limited: Leg 'eth1' carries 1500 bytes; cure: raise the MTU of"
            " port 7\"}, \"path_table\": {\"eth0>" H2 "/eth0\": \"9000/9000\", \"eth1>" H2 "/eth0\": \"1500/9000\","
            " \"eth0>" H2 "/eth0@42\": \"0/9000\", \"nonsense\": \"1/2\"}},"
            " \"OpaqueRef:" H2 "\": {\"uuid\": \"" H2 "\", \"name_label\": \"h2\", \"address\": \"10.9.0.12\","
            " \"metrics\": \"OpaqueRef:m2\", \"membership_state\": \"ready\", \"faults\": {}}}"),
        .host_metrics = json("{\"OpaqueRef:m1\": {\"live\": true}, \"OpaqueRef:m2\": {\"live\": false}}"),
        .networks = json("{\"OpaqueRef:n\": {\"name_label\": \"\", \"bridge\": \"xapi0\", \"MTU\": 9000}}"),
        .pifs = json(
            "{\"OpaqueRef:1\": {\"device\": \"eth1\", \"host\": \"OpaqueRef:" H1 "\", \"VLAN\": -1, \"physical\": true,"
            " \"bond_slave_of\": \"OpaqueRef:b\", \"MTU\": 9000, \"network\": \"OpaqueRef:n\"},"
            " \"OpaqueRef:2\": {\"device\": \"eth0\", \"host\": \"OpaqueRef:" H1 "\", \"VLAN\": -1, \"physical\": true,"
            " \"bond_slave_of\": \"OpaqueRef:b\", \"MTU\": 9000, \"metrics\": \"OpaqueRef:pm\"},"
            " \"OpaqueRef:3\": {\"device\": \"bond0\", \"host\": \"OpaqueRef:" H1 "\", \"VLAN\": -1, \"physical\":"
            " false, \"bond_master_of\": [\"OpaqueRef:b\"], \"MTU\": 9000, \"network\": \"OpaqueRef:n\","
            " \"management\": true, \"currently_attached\": true, \"proven_size\": 1500},"
            " \"OpaqueRef:4\": {\"device\": \"eth7\", \"host\": \"OpaqueRef:" H2 "\", \"physical\": true}}"),
        .pif_metrics =
            json("{\"OpaqueRef:pm\": {\"carrier\": true, \"switch_name\": \"swA\", \"switch_port\": \"7\"}}"),
        .bonds = json("{\"OpaqueRef:b\": {\"mode\": \"active-backup\"}}"),
    };
}

static struct tui_pool *pool_of(const char *host) {
    struct tui_records r = records();
    struct error *e = NULL;
    struct tui_pool *p = tui_pool_from(&r, host, &e);
    tui_records_done(&r);
    error_free(e);
    return p;
}

static void test_facts(void **state) {
    struct tui_pool *p = pool_of(H1);
    assert_non_null(p);
    assert_false(p->is_coordinator);
    assert_string_equal(p->coordinator, "h2");
    assert_string_equal(p->reason, "one leg is small");
    assert_int_equal(p->n_hosts, 2);
    assert_int_equal(p->interfaces.n, 3);
    assert_string_equal(p->interfaces.items[0].name, "bond0");
    assert_string_equal(p->interfaces.items[0].network, "xapi0");
    assert_string_equal(p->interfaces.items[1].name, "eth0");
    assert_int_equal(p->interfaces.items[1].proven_size, 9000);
    assert_int_equal(p->interfaces.items[2].proven_size, 1500);
    assert_int_equal(p->n_paths, 3); /* nonsense is none */
    assert_int_equal(p->alerts.n, 1);
    assert_string_equal(p->alerts.items[0].code, "MUSTER-N101");
    assert_string_equal(p->alerts.items[0].cure, "raise the MTU of port 7");
    tui_pool_free(p);
    assert_null(pool_of("")); /* one of two: which? */
    assert_null(pool_of("no-such-host"));
    p = pool_of(H2);
    assert_true(p->is_coordinator);
    tui_pool_free(p);
}

static void assert_screen(unsigned screen, unsigned width, const char *wanted) {
    struct tui_pool *pool = pool_of(H1);
    struct tui_disk *d = xnew0(struct tui_disk);
    struct tui_facts f = {.disk = d, .pool = pool};
    struct tui_page p = tui_page_new(width);
    _cleanup_buf_ struct buf out = BUF_INIT;
    str_copy(d->host_name, sizeof(d->host_name), "h1");
    str_copy(d->certificate, sizeof(d->certificate), "ab12");
    d->is_root = true;
    d->uptime_s = 90061;
    d->network_text = xstrdup("generation 3");
    d->boot_result = xstrdup("ok");
    tui_screen_page(&tui_screens[screen], &f, -1, &p);
    for (size_t i = 0; i < p.n; i++) {
        assert_true(strlen(p.lines[i].text) <= width);
        buf_addf(&out, "%s\n", p.lines[i].text);
    }
    assert_string_equal(buf_str(&out), wanted);
    tui_page_done(&p);
    tui_disk_free(d);
    tui_pool_free(pool);
}

static void test_status(void **state) {
    assert_screen(0, 65,
                  "Host\n"
                  "  Name                 h1\n"
                  "  Management address   10.9.0.11\n"
                  "  Version              Muster 0.1.0\n"
                  "  Uptime               1 d 1 h 1 min\n"
                  "\n"
                  "Pool\n"
                  "  Name                 lab\n"
                  "  Role                 member; the coordinator is h2 (10.9.0.12)\n"
                  "  Hosts                2, 1 of them heard\n"
                  "                       h1: ready-size-limited\n"
                  "                       h2: not heard\n"
                  "  State                ready-size-limited since 2026-11-29\n"
                  "                       14:45:32 UTC\n"
                  "                       one leg is small\n"
                  "  Alerts               1, see the screen Alerts\n"
                  "\n"
                  "Certificate fingerprints (SHA-256)\n"
                  "  This host            ab12\n"
                  "  Its pool, for a join no authority yet\n");
}

static void test_network(void **state) {
    assert_screen(1, 65,
                  "   Interface  Link  MTU   Proven     Switch: port   Network\n"
                  "*  bond0      down  9000  1500<9000  active-backup  xapi0\n"
                  "     eth0     up    9000  9000       swA: 7\n"
                  "!    eth1     down  9000  1500<9000\n"
                  "* management   Proven: the size that every peer acknowledged\n"
                  "\n"
                  "Configuration\n"
                  "  Last proven          generation 3\n"
                  "  At boot              ok\n");
}

static void test_alerts(void **state) {
    assert_screen(2, 40,
                  "MUSTER-N101 on h1\n"
                  "  leg size-limited: Leg 'eth1' carries\n"
                  "  1500 bytes\n"
                  "  Cure: raise the MTU of port 7\n"
                  "\n");
}

static void test_paths(void **state) {
    assert_screen(3, 65,
                  "Bytes that pass both ways from each leg of this host to each leg\n"
                  "of the others; 1500<9000: less than wanted; a dot: not one\n"
                  "network.\n"
                  "\n"
                  "From          h2/eth0\n"
                  "eth0          9000\n"
                  "eth0 vlan 42  dead\n"
                  "eth1          1500<9000\n");
}

static void test_sentences(void **state) {
    struct tui_alerts v = {0};
    tui_alerts_add_sentence(&v, "h1", "MUSTER-N105 fabric: It is small. Cure: do something.");
    tui_alerts_add_sentence(&v, "h1", "only words");
    tui_alerts_add_sentence(&v, "h1", "");
    assert_int_equal(v.n, 3);
    assert_string_equal(v.items[0].text, "fabric: It is small");
    assert_string_equal(v.items[0].cure, "do something.");
    assert_string_equal(v.items[1].cure, "");
    tui_alerts_done(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),  cmocka_unit_test(test_status), cmocka_unit_test(test_network),
        cmocka_unit_test(test_alerts), cmocka_unit_test(test_paths),  cmocka_unit_test(test_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

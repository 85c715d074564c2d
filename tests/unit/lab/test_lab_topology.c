/* SPDX-License-Identifier: Apache-2.0 */
/* Topologies: what is generated, what a file may say, what is refused and with which words; they survive being written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "lab/lab_topology.h"

static void test_generated(void **state) {
    struct error *e = NULL;
    struct topology t;
    assert_true(topology_generate(&t, 8, 4, &e));
    assert_int_equal(t.n_hosts, 8);
    const struct topo_host *h = topology_host(&t, "h8");
    assert_non_null(h);
    assert_string_equal(h->address, "10.9.0.18");
    assert_string_equal(h->pool, "p1");
    assert_int_equal(h->n_nics, 4);
    assert_int_equal(topology_nic(h, "eth0")->sw, 0);
    assert_int_equal(topology_nic(h, "eth1")->sw, 1);
    assert_int_equal(topology_nic(h, "eth2")->sw, 0);
    assert_null(topology_nic(h, "eth4"));
    assert_null(topology_host(&t, "h9"));
    char port[TOPO_PORT_SIZE], mac[18];
    assert_string_equal(topology_port(h, topology_nic(h, "eth3"), port), "h8-eth3");
    topology_mac(h, topology_nic(h, "eth3"), mac);
    assert_string_equal(mac, "02:4d:4c:08:03:00");
}

static void refuse(const char *text, const char *words) {
    struct error *e = NULL;
    struct topology t = {.n_hosts = 77};
    assert_false(topology_parse(&t, text, strlen(text), &e));
    assert_non_null(e);
    assert_string_equal(error_code(e), LAB_ERROR);
    if (!strstr(error_param(e, 0), words))
        fail_msg("'%s' is not in '%s'", words, error_param(e, 0));
    assert_int_equal(t.n_hosts, 77);
    error_free(e);
}

static void test_refused(void **state) {
    struct error *e = NULL;
    struct topology t;
    assert_false(topology_generate(&t, 0, 4, &e));
    error_free(e);
    e = NULL;
    assert_false(topology_generate(&t, 33, 4, &e));
    error_free(e);
    e = NULL;
    assert_false(topology_generate(&t, 4, 17, &e));
    error_free(e);
    refuse("{", "line 1");
    refuse("", "line 1");
    refuse("[]", "no hosts");
    refuse("{\"pools\": [{\"name\": \"p1\"}]}", "list of \"hosts\"");
    refuse("{\"pools\": [{\"name\": \"p1\", \"hosts\": [\"h1\", \"h1\"]}]}", "share a name");
    refuse("{\"pools\": [{\"name\": \"p1\", \"hosts\": [\"a-host\"]}]}", "letters and digits");
    refuse("{\"pools\": [{\"name\": \"p1\", \"hosts\": [\"tenletters\"]}]}", "at most 9");
    refuse("{\"pools\": [{\"name\": \"p1\", \"hosts\": [\"admin\"]}]}", "uses it itself");
    refuse("{\"pools\": [{\"name\": \"p1\", \"hosts\": [\"swA\"]}]}", "uses it itself");
    refuse("{\"pools\": [{\"name\": \"p1\", \"hosts\": [{\"name\": \"h1\", \"number\": 300}]}]}", "between 1 and 200");
    refuse("{\"pools\": [{\"name\": \"p1\", \"nics\": 99, \"hosts\": [\"h1\"]}]}", "1 to 16 NICs");
    refuse("{\"pools\": [{\"name\": \"p1\", \"nics\": [\"en0\"], \"hosts\": [\"h1\"]}]}", "eth0 to eth99");
    refuse("{\"pools\": [{\"name\": \"p1\", \"nics\": [\"eth0\", \"eth0\"], \"hosts\": [\"h1\"]}]}", "already has");
    refuse(
        "{\"pools\": [{\"name\": \"p1\", \"nics\": [{\"name\": \"eth0\", \"switch\": \"swC\"}], \"hosts\": [\"h1\"]}]}",
        "swA or swB");
    refuse("{\"disk_mib\": 1, \"pools\": [{\"name\": \"p1\", \"hosts\": [\"h1\"]}]}", "disk_mib");
}

static void test_read_write_read(void **state) {
    static const char text[] =
        "{\"name\": \"odd\", \"disk_mib\": 64, \"pools\": ["
        " {\"name\": \"p1\", \"nics\": 2, \"hosts\": [\"a\", {\"name\": \"b\", \"nics\": [\"eth0\", \"eth7\"]}]},"
        " {\"name\": \"p2\", \"hosts\": [{\"name\": \"c\", \"number\": 9, \"nics\":"
        "  [{\"name\": \"eth1\", \"switch\": \"swA\", \"serial\": 3}]}]}]}";
    struct error *e = NULL;
    struct topology t, again;
    assert_true(topology_parse(&t, text, strlen(text), &e));
    assert_int_equal(t.n_hosts, 3);
    assert_int_equal(t.disk_mib, 64);
    assert_int_equal(topology_host(&t, "a")->n_nics, 2);
    assert_int_equal(topology_nic(topology_host(&t, "b"), "eth7")->sw, 1);
    const struct topo_host *c = topology_host(&t, "c");
    assert_string_equal(c->pool, "p2");
    assert_string_equal(c->address, "10.9.0.19");
    assert_int_equal(topology_nic(c, "eth1")->sw, 0);
    char mac[18];
    topology_mac(c, topology_nic(c, "eth1"), mac);
    assert_string_equal(mac, "02:4d:4c:09:01:03");
    _cleanup_buf_ struct buf out = BUF_INIT;
    topology_format(&t, &out);
    assert_true(topology_parse(&again, buf_str(&out), out.size, &e));
    assert_memory_equal(&t, &again, sizeof(t));
}

static void test_change_nics(void **state) {
    struct error *e = NULL;
    struct topology t;
    assert_true(topology_generate(&t, 1, 2, &e));
    struct topo_host *h = topology_host(&t, "h1");
    assert_true(topology_add_nic(h, "eth5", -1, &e));
    assert_int_equal(topology_nic(h, "eth5")->sw, 1);
    topology_remove_nic(h, "eth0");
    assert_null(topology_nic(h, "eth0"));
    assert_int_equal(h->n_nics, 2);
    assert_int_equal(topology_switch("swB"), 1);
    assert_int_equal(topology_switch("a"), 0);
    assert_int_equal(topology_switch("swC"), -1);
    assert_int_equal(topology_switch(""), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_generated), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_read_write_read), cmocka_unit_test(test_change_nics)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

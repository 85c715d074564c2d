/* SPDX-License-Identifier: Apache-2.0 */
/* The matrix of paths, to the letter. */
#include "cli/path_matrix.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct path path(const char *host, const char *leg, const char *peer, const char *peer_leg, int vlan,
                        int passes) {
    return (struct path){.host = (char *)host,
                         .leg = (char *)leg,
                         .peer = (char *)peer,
                         .peer_leg = (char *)peer_leg,
                         .vlan = vlan,
                         .passes = passes,
                         .wanted = 9000};
}

static void shows(const struct path *paths, size_t n, unsigned width, const char *expected) {
    _cleanup_buf_ struct buf out = BUF_INIT;
    path_matrix(&out, paths, n, width);
    if (!str_eq(buf_str(&out), expected))
        fail_msg("this came:\n%s", buf_str(&out));
}

static void test_nothing(void **unused) {
    shows(NULL, 0, 80, "");
}

static void test_networks_apart(void **unused) {
    const struct path paths[] = {
        path("h2", "eth2", "h1", "eth2", 0, 9000),   path("h1", "eth2", "h2", "eth2", 0, 9000),
        path("h1", "eth0", "h2", "eth1", 0, 1500),   path("h2", "eth1", "h1", "eth0", 0, 0),
        path("h1", "eth2", "h2", "eth2", 101, 9000),
    };
    shows(paths, 5, 80,
          "Untagged, 9000 bytes wanted: 2 of 2 paths carry less\n"
          "to          h1     h2\n"
          "from      eth0   eth1\n"
          "h1 eth0      .  1500<\n"
          "h2 eth1   dead      .\n"
          "\n"
          "Untagged, 9000 bytes wanted: all 2 paths carry it\n"
          "to          h1     h2\n"
          "from      eth2   eth2\n"
          "h1 eth2      .   9000\n"
          "h2 eth2   9000      .\n"
          "\n"
          "VLAN 101, 9000 bytes wanted: all 1 paths carry it\n"
          "to          h1     h2\n"
          "from      eth2   eth2\n"
          "h1 eth2      .   9000\n"
          "h2 eth2      .      .\n");
}

static void test_a_host_is_away(void **unused) {
    struct path paths[] = {path("h1", "eth0", "h2", "eth0", 0, 0), path("h2", "eth0", "h1", "eth0", 0, 9000),
                           path("h1", "eth0", "h3", "eth0", 0, 9000), path("h3", "eth0", "h1", "eth0", 0, 9000),
                           path("h2", "eth0", "h3", "eth0", 0, 0)};
    paths[1].is_old = paths[4].is_old = true;
    shows(paths, 5, 80,
          "Untagged, 9000 bytes wanted: 1 of 5 paths carry less, 2 not measured since their host is away (?)\n"
          "to          h1     h2     h3\n"
          "from      eth0   eth0   eth0\n"
          "h1 eth0      .   dead   9000\n"
          "h2 eth0  9000?      .  dead?\n"
          "h3 eth0   9000      .      .\n");
    paths[0].passes = 9000;
    shows(paths, 2, 80,
          "Untagged, 9000 bytes wanted: 1 of 2 paths carry it, 1 not measured since their host is away (?)\n"
          "to          h1     h2\n"
          "from      eth0   eth0\n"
          "h1 eth0      .   9000\n"
          "h2 eth0  9000?      .\n");
}

/* What does not fit beside goes below. */
static void test_narrow(void **unused) {
    const struct path paths[] = {path("alpha", "eth0", "beta", "eth0", 0, 9000),
                                 path("beta", "eth0", "alpha", "eth0", 0, 9000)};
    shows(paths, 2, 20,
          "Untagged, 9000 bytes wanted: all 2 paths carry it\n"
          "to          alpha\n"
          "from         eth0\n"
          "alpha eth0      .\n"
          "beta eth0    9000\n"
          "\n"
          "to           beta\n"
          "from         eth0\n"
          "alpha eth0   9000\n"
          "beta eth0       .\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing), cmocka_unit_test(test_networks_apart),
                                       cmocka_unit_test(test_a_host_is_away), cmocka_unit_test(test_narrow)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

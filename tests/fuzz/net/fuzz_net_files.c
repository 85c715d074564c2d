/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smaller files of a host's network as they may lie on a damaged disk. The first byte chooses: a lease, a change in
 * progress, a refused change, witnesses. What is taken is written and taken again as the same.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "fuzz_files.h"
#include "net/net_lease.h"
#include "net/net_store.h"

static void require(bool holds) {
    if (!holds)
        abort();
}

static void try_lease(const uint8_t *data, size_t size) {
    struct net_lease first, second;
    struct error *e = NULL;
    fuzz_files_set("/n/lease-xenbr0-4.json", data, size);
    if (net_lease_load("/n", "xenbr0", NET_FAMILY_IPV4, &first, &e)) {
        require(first.address.family == NET_FAMILY_IPV4); /* it goes to the DHCP client and to the kernel */
        fuzz_files_clear();
        require(net_lease_save("/n", &first) == 0);
        require(net_lease_load("/n", "xenbr0", NET_FAMILY_IPV4, &second, &e));
        require(net_addr_eq(&first.address, &second.address) && first.n_dns == second.n_dns &&
                first.interface_mtu == second.interface_mtu && first.seconds == second.seconds &&
                first.gateway.family == second.gateway.family);
    } else {
        require(e != NULL); /* there is a file */
    }
    error_free(e);
}

static void try_pending(const uint8_t *data, size_t size) {
    struct net_pending first = {0}, second = {0};
    struct error *e = NULL;
    fuzz_files_set("/n/pending.json", data, size);
    require(net_store_get_pending("/n", &first)); /* a damaged one counts as there */
    if (first.previous) {
        fuzz_files_clear();
        require(net_store_set_pending("/n", &first, &e) && net_store_get_pending("/n", &second));
        require(second.previous && str_eq(first.tried_hash, second.tried_hash) && first.deadline == second.deadline);
    }
    net_pending_done(&first);
    net_pending_done(&second);
}

static void try_refused(const uint8_t *data, size_t size) {
    struct net_refusal first, second;
    struct error *e = NULL;
    fuzz_files_set("/n/refused.json", data, size);
    net_store_get_refused("/n", &first);
    require(net_store_set_refused("/n", &first, &e));
    net_store_get_refused("/n", &second);
    require(str_eq(first.hash, second.hash) && (str_eq(first.sentence, second.sentence) || !second.sentence[0]));
}

static void try_witnesses(const uint8_t *data, size_t size) {
    struct net_addr first[NET_STORE_MAX_WITNESSES], second[NET_STORE_MAX_WITNESSES];
    struct error *e = NULL;
    fuzz_files_set("/n/witnesses", data, size);
    unsigned n = net_store_get_witnesses("/n", first);
    require(net_store_set_witnesses("/n", first, n, &e) && net_store_get_witnesses("/n", second) == n);
    for (unsigned i = 0; i < n; i++)
        require(first[i].family == second[i].family);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const tries[])(const uint8_t *data, size_t size) = {try_lease, try_pending, try_refused,
                                                                      try_witnesses};
    if (size == 0)
        return 0;
    tries[data[0] % ARRAY_SIZE(tries)](data + 1, size - 1);
    fuzz_files_clear();
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a DHCP server says, as its client hands it on in the environment: a variable a line, "ip=10.0.0.5". Whatever a
 * hostile server offers, what is put to work is kept, and the lease that was kept can be loaded again.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "fuzz_files.h"
#include "link/link_fake.h"
#include "net/net_lease.h"
#include "net/net_services.h"

static const char *const names[] = {"ip", "mask", "router", "dns", "mtu", "lease", "interface"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    _cleanup_strv_ struct strv lines = {0};
    const struct net_services services = {
        .net_dir = "/n", .run_dir = "/r", .resolv_conf = "/resolv.conf", .management = "xenbr0", .control_size = 1500};
    struct error *e = NULL;
    struct net_lease lease;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        (void)unsetenv(names[i]);
    (void)setenv("interface", "xenbr0", 1);
    strv_split(&lines, text, '\n');
    for (size_t i = 0; i < lines.n; i++)
        for (size_t k = 0; k < ARRAY_SIZE(names); k++)
            if (str_starts(lines.items[i], names[k]) && lines.items[i][strlen(names[k])] == '=')
                (void)setenv(names[k], lines.items[i] + strlen(names[k]) + 1, 1);
    struct link *link = link_fake_new();
    (void)link_fake_add(link, "xenbr0", "02:00:00:00:00:01", 1500, 9000);
    fuzz_files_set("/resolv.conf", "search example.org\n", 19);
    if (net_dhcp_event(&services, link, "bound", &e) &&
        (!net_lease_load("/n", getenv("interface"), NET_FAMILY_IPV4, &lease, &e) || lease.address.prefix > 32))
        abort();
    error_free(e);
    link_free(link);
    fuzz_files_clear();
    return 0;
}

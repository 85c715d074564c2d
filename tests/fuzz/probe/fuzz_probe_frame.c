/* SPDX-License-Identifier: Apache-2.0 */
/* Frames from anybody on the wire: first through the parser, then into a core that is measuring. */
#include <assert.h>
#include <string.h>

#include "fuzz.h"

#include "probe/probe_core.h"

static void sink(unsigned leg, const uint8_t *frame, size_t size, void *userdata) {
    assert(size <= PROBE_MAX_FRAME && leg < 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct probe_frame f;
    if (!probe_frame_read(data, size, 0, &f))
        return 0;
    struct uuid self = {.b = {1}}, group = {.b = {9}};
    struct probe_vlan vlan = {0, 9000};
    struct probe_leg legs[2] = {{.name = "eth0", .group = group, .vlans = &vlan, .n_vlans = 1},
                                {.name = "eth1", .group = group, .lag = true, .vlans = &vlan, .n_vlans = 1}};
    struct probe_peer peer = {.host = f.host, .leg = "eth0", .group = group};
    struct probe_core *c = probe_core_new(&self, 0);
    probe_core_configure(c, legs, 2, &peer, 1, 1000);
    uint64_t now = 1000;
    for (unsigned i = 0; i < 20; i++) {
        probe_core_run(c, now, sink, NULL);
        probe_core_receive(c, i % 2, &f, now, sink, NULL);
        now += 200;
    }
    probe_core_free(c);
    return 0;
}

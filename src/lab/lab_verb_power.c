/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that switch nodes: reboot, power-cut, power-on, power-off. Several nodes go at once. */
#include "lab/lab_verbs.h"

#include "base/str.h"
#include "lab/lab_monitor.h"
#include "lab/lab_switch.h"

#define TIMEOUT_MS 240000

static int power_request(const struct verb_context *c, int argc, char **argv, const char *request) {
    _cleanup_error_ struct error *err = NULL;
    struct node nodes[LAB_MAX_NODES];
    bool fabric = false;
    if (argc < 1 || argc > LAB_MAX_NODES)
        return verb_misuse(request, "It needs the names of one or more hosts.");
    _cleanup_lab_ struct lab *lab = lab_open(c->dir, /* lock= */ false, &err);
    if (!lab)
        return verb_fail(err);
    for (int i = 0; i < argc; i++) {
        if (!lab_node(lab, argv[i], &nodes[i], &err))
            return verb_fail(err);
        fabric = fabric || nodes[i].kind == NODE_SWITCH;
        /* A power control that was killed took its node with it; a new one starts from there. */
        struct node_state s;
        _cleanup_error_ struct error *missing = NULL;
        if (str_eq(request, "power-on") &&
            (!node_state_load(lab, nodes[i].name, &s, &missing) || !proc_alive(&s.monitor)) &&
            !monitor_start(lab, nodes[i].name, &err))
            return verb_fail(err);
    }
    if (!monitor_request(lab, nodes, (unsigned)argc, request, TIMEOUT_MS, &err))
        return verb_fail(err);
    /* A switch that started again has none of the faults that were asked for. */
    if (fabric && (str_eq(request, "power-on") || str_eq(request, "reboot")) && !switch_apply(lab, &err))
        return verb_fail(err);
    lab_say("%s: done", request);
    return 0;
}

int verb_reboot(const struct verb_context *c, int argc, char **argv) {
    return power_request(c, argc, argv, "reboot");
}

int verb_power_cut(const struct verb_context *c, int argc, char **argv) {
    return power_request(c, argc, argv, "power-cut");
}

int verb_power_on(const struct verb_context *c, int argc, char **argv) {
    return power_request(c, argc, argv, "power-on");
}

int verb_power_off(const struct verb_context *c, int argc, char **argv) {
    return power_request(c, argc, argv, "power-off");
}

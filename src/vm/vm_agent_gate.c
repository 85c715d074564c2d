/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that need the hypervisor. Its daemon is away for a second now and then (new certificates, an upgrade, its
 * death): what is asked meanwhile waits for it and is then served as if nothing had been.
 */
#include "vm/vm_agent_private.h"

#define UP_WAIT_MS 15000

struct vm_gate {
    struct vm_agent *a;
    pool_serve_fn *fn;
};

struct waiting {
    const struct vm_gate *gate;
    struct uuid from;
    struct value args;
    struct pool_reply *reply;
};

static void on_up(struct error *error, void *userdata) {
    struct waiting *w = userdata;
    if (!w->gate->a->is_freed && error)
        pool_reply_fail(w->reply, error_dup(error));
    else if (!w->gate->a->is_freed)
        w->gate->fn(&w->from, &w->args, w->reply, w->gate->a);
    value_done(&w->args);
    free(w);
}

static void serve(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    const struct vm_gate *gate = userdata;
    if (virt_is_up(gate->a->virt)) {
        gate->fn(from, args, reply, gate->a);
        return;
    }
    struct waiting *w = xnew0(struct waiting);
    *w = (struct waiting){.gate = gate, .from = *from, .args = value_copy(args), .reply = reply};
    virt_when_up(gate->a->virt, UP_WAIT_MS, on_up, w);
}

void vm_gates_serve(struct vm_agent *a, struct pool_channel *channel) {
    static const struct {
        const char *name;
        pool_serve_fn *fn;
    } calls[] = {
        {"vm_start", vm_serve_start},       {"vm_save", vm_serve_save},         {"vm_power", vm_serve_power},
        {"vm_device", vm_serve_device},     {"vm_snapshot", vm_serve_snapshot}, {"vm_receive", vm_serve_receive},
        {"vm_received", vm_serve_received}, {"vm_facts", vm_serve_facts},       {"vm_send", vm_serve_send},
        {"vm_machine", vm_serve_machine},   {"vm_far_send", vm_serve_far_send}, {"vm_admit", vm_serve_admit}};
    a->gates = xcalloc(ARRAY_SIZE(calls), sizeof(*a->gates));
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        a->gates[i] = (struct vm_gate){.a = a, .fn = calls[i].fn};
        pool_channel_serve(channel, calls[i].name, serve, &a->gates[i]);
    }
}

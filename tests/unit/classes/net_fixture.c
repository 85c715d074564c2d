/* SPDX-License-Identifier: Apache-2.0 */
#include "net_fixture.h"

#include "base/str.h"
#include "classes/net_change.h"
#include "gen_handlers.h"
#include "net/net_types.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static void report(struct nf *nf, unsigned i) {
    struct fx *fx = nf->fx;
    const struct uuid *host = &fx->hosts[i];
    static const char *const outcomes[] = {"applied", "rolled_back", "failed", ""};
    char wanted[65];
    struct error *e = NULL;
    if (nf->obedience[i] == SILENT)
        return;
    if (!net_change_hash_of_rows(fx->db, host, wanted, &e)) {
        error_free(e);
        return;
    }
    const struct row *r = fx_row(fx, CLASS_host, host);
    bool is_new = !str_eq(row_str(r, FIELD_host_network_intent), wanted);
    if (!is_new)
        return;
    /* A host refuses one configuration; back at the one before, it is content. */
    enum obedience o = nf->obedience[i];
    if (o != OBEY && *row_str(r, FIELD_host_network_text))
        o = OBEY;
    db_volatile_set(fx->db, host, CLASS_host, host, FIELD_host_network_intent, value_string(wanted));
    db_volatile_set(fx->db, host, CLASS_host, host, FIELD_host_network_outcome, value_string(outcomes[o]));
    db_volatile_set(fx->db, host, CLASS_host, host, FIELD_host_network_text,
                    value_string(o == OBEY ? "" : "eth1 does not pass 9000 bytes"));
}

static void look(struct loop_source *s, void *userdata) {
    struct nf *nf = userdata;
    for (unsigned i = 0; i < nf->fx->n_hosts; i++)
        report(nf, i);
}

static void batch(struct db *d, uint64_t generation, void *userdata) {
    struct nf *nf = userdata;
    if (!loop_timer_armed(nf->timer))
        loop_timer_set(nf->timer, 50);
}

static struct uuid add_pif(struct nf *nf, unsigned host, unsigned nic) {
    struct fx *fx = nf->fx;
    struct uuid u = fx_add(fx, CLASS_PIF);
    fx_set(fx, CLASS_PIF, &u, FIELD_PIF_device, value_stringf("eth%u", nic));
    fx_set(fx, CLASS_PIF, &u, FIELD_PIF_network, value_ref(&nf->networks[nic]));
    fx_set(fx, CLASS_PIF, &u, FIELD_PIF_host, value_ref(&fx->hosts[host]));
    fx_set(fx, CLASS_PIF, &u, FIELD_PIF_MAC, value_stringf("02:00:00:00:0%u:0%u", host, nic));
    fx_set(fx, CLASS_PIF, &u, FIELD_PIF_MTU, value_int(1500));
    fx_set(fx, CLASS_PIF, &u, FIELD_PIF_VLAN, value_int(-1));
    fx_set(fx, CLASS_PIF, &u, FIELD_PIF_physical, value_bool(true));
    if (nic == 0) {
        fx_set(fx, CLASS_PIF, &u, FIELD_PIF_management, value_bool(true));
        fx_set(fx, CLASS_PIF, &u, FIELD_PIF_ip_configuration_mode, value_string("Static"));
        fx_set(fx, CLASS_PIF, &u, FIELD_PIF_IP, value_stringf("10.0.0.%u", host + 1));
        fx_set(fx, CLASS_PIF, &u, FIELD_PIF_netmask, value_string("255.255.255.0"));
    }
    return u;
}

struct nf *nf_new(unsigned n_hosts) {
    struct nf *nf = xnew0(struct nf);
    nf->fx = fx_new(n_hosts, 0, model_handlers);
    for (unsigned nic = 0; nic < NICS; nic++) {
        nf->networks[nic] = fx_add(nf->fx, CLASS_network);
        fx_set(nf->fx, CLASS_network, &nf->networks[nic], FIELD_network_bridge, value_stringf("xenbr%u", nic));
        for (unsigned host = 0; host < n_hosts; host++)
            nf->pifs[host][nic] = add_pif(nf, host, nic);
    }
    nf->timer = loop_add_timer(nf->fx->loop, LOOP_NEVER, look, nf);
    nf->watch = db_watch_batches(nf->fx->db, batch, nf);
    fx_login(nf->fx);
    loop_sim_advance(nf->fx->sim, 1000);
    return nf;
}

void nf_free(struct nf *nf) {
    db_watch_free(nf->watch);
    loop_source_free(nf->timer);
    fx_free(nf->fx);
    free(nf);
}

void nf_set_live(struct nf *nf, unsigned host, bool live) {
    struct fx *fx = nf->fx;
    struct uuid metrics = *row_ref(fx_row(fx, CLASS_host, &fx->hosts[host]), FIELD_host_metrics);
    db_volatile_set(fx->db, &fx->hosts[host], CLASS_host_metrics, &metrics, FIELD_host_metrics_live, value_bool(live));
    nf->obedience[host] = live ? OBEY : SILENT;
}

const char *nf_str(struct nf *nf, const struct uuid *pif, unsigned field) {
    return row_str(fx_row(nf->fx, CLASS_PIF, pif), field);
}

int64_t nf_int(struct nf *nf, const struct uuid *pif, unsigned field) {
    return row_int(fx_row(nf->fx, CLASS_PIF, pif), field);
}

bool nf_bool(struct nf *nf, const struct uuid *pif, unsigned field) {
    return row_bool(fx_row(nf->fx, CLASS_PIF, pif), field);
}

struct uuid ref_of(const char *json) {
    struct uuid u = {0};
    _cleanup_free_ char *text = xstrndup(json + 1, strcspn(json + 1, "\""));
    assert_true(ref_parse(text, &u));
    return u;
}

struct uuid nf_network(struct nf *nf, int mtu) {
    return ref_of(
        fx_call(nf->fx, "network.create", "[$S, {\"name_label\":\"n\",\"MTU\":%d,\"other_config\":{}}]", mtu));
}

struct uuid nf_bond(struct nf *nf, unsigned host, const struct uuid *network, unsigned nic1, unsigned nic2) {
    struct uuid bond = ref_of(fx_call(nf->fx, "Bond.create", "[$S, \"%s\", [\"%s\", \"%s\"], \"\", \"active-backup\"]",
                                      fx_ref(network), fx_ref(&nf->pifs[host][nic1]), fx_ref(&nf->pifs[host][nic2])));
    return *row_ref(fx_row(nf->fx, CLASS_Bond, &bond), FIELD_Bond_master);
}

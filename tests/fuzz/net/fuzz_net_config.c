/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file of a host. What parses must write and parse again to the same; what is valid must plan, at
 * boot on an empty host. The checksum is put right first, else nothing would get past it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "net/net_config_value.h"
#include "net/net_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void plan(const struct net_config *c) {
    _cleanup_(net_observed_freep) struct net_observed *is = net_observed_new();
    struct net_plan_options options = {.mode = NET_PLAN_BOOT};
    struct net_plan p = {0};
    struct error *e = NULL;
    for (unsigned i = 0; i < c->n_nics; i += 2)
        net_observed_add_link(is, c->nics[i].name, NET_LINK_PHYSICAL)->mac = c->nics[i].mac;
    if (net_plan_compute(c, is, &options, &p, &e)) {
        free(net_plan_text(&p));
        net_plan_done(&p);
    }
    error_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error *e = NULL;
    struct net_config *strict = net_config_from_json((const char *)data, size, &e);
    net_config_free(strict);
    error_free(e);
    e = NULL;
    json_t *o = net_json_parse((const char *)data, size, NET_CONFIG_MAX_SIZE, "input", "X", &e);
    error_free(e);
    if (!o)
        return 0;
    e = NULL;
    struct net_json_reader r = {.code = "X", .errp = &e};
    struct net_json j;
    struct net_config *c = net_config_new();
    net_json_root(&j, &r, o);
    net_config_read(&j, c);
    error_free(e);
    json_decref(o);
    if (!r.failed) {
        char *text = net_config_to_json(c);
        e = NULL;
        struct net_config *d = net_config_from_json(text, strlen(text), &e);
        if (!d)
            abort();
        char *again = net_config_to_json(d);
        if (!str_eq(text, again))
            abort();
        free(again);
        free(text);
        if (net_config_validate(c, &e) && c->n_bridges <= 32)
            plan(c);
        error_free(e);
        free(net_config_diff_text(c, d));
        net_config_free(d);
    }
    net_config_free(c);
    return 0;
}

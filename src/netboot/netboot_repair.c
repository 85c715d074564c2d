/* SPDX-License-Identifier: Apache-2.0 */
/* `repair`: one thing of the host's network, the rest stays. */
#include "netboot/netboot_change.h"

#include "base/str.h"

#include <getopt.h>
#include <stdio.h>

enum { OPT_SET_MTU = 600, OPT_DROP_LEG, OPT_MANAGEMENT_ON, OPT_LAST_PROVEN };

static const struct option options[] = {{"set-mtu", required_argument, NULL, OPT_SET_MTU},
                                        {"drop-leg", required_argument, NULL, OPT_DROP_LEG},
                                        {"management-on", required_argument, NULL, OPT_MANAGEMENT_ON},
                                        {"last-proven", no_argument, NULL, OPT_LAST_PROVEN},
                                        NETBOOT_CHANGE_OPTIONS,
                                        {0}};

static bool add_legs(struct net_repair *r, const char *list, struct error **errp) {
    _cleanup_strv_ struct strv legs = {0};
    strv_split(&legs, list, ',');
    for (size_t i = 0; i < legs.n; i++)
        if (r->n_drops == NET_MAX_NICS || !net_name_set(r->drops[r->n_drops++], legs.items[i])) {
            error_internal(errp, "--drop-leg is '%.40s', which no NIC is named; give one such as eth1", legs.items[i]);
            return false;
        }
    return true;
}

static bool parse(struct netboot_change *c, int argc, char *const argv[], struct net_repair *r, bool *ret_last,
                  struct error **errp) {
    int64_t mtu;
    optind = 0; /* a new vector, from its start */
    for (int opt; !*errp && (opt = getopt_long(argc, argv, "+", options, NULL)) != -1;)
        switch (opt) {
        case OPT_SET_MTU:
            if (str_parse_int(optarg, NET_MTU_MIN, NET_MTU_MAX, &mtu))
                r->mtu = (int)mtu;
            else
                error_internal(errp, "--set-mtu is '%.40s'; it is a number from %d to %d", optarg, NET_MTU_MIN,
                               NET_MTU_MAX);
            break;
        case OPT_DROP_LEG:
            (void)!add_legs(r, optarg, errp);
            break;
        case OPT_MANAGEMENT_ON:
            if (!net_name_set(r->management_on, optarg))
                error_internal(errp, "--management-on is '%.40s', which no NIC is named; give one such as eth0",
                               optarg);
            break;
        case OPT_LAST_PROVEN:
            *ret_last = true;
            break;
        default:
            if (!netboot_change_option(c, opt, optarg, errp))
                error_internal(errp, "see --help for the arguments of repair");
        }
    if (*errp)
        return false;
    if (optind < argc)
        error_internal(errp, "'%s' is too much; see --help", argv[optind]);
    else if (*ret_last && !net_repair_is_empty(r))
        error_internal(errp, "--last-proven takes all of the network back and goes with no other repair; do one after "
                             "the other");
    else if (!*ret_last && net_repair_is_empty(r))
        error_internal(errp, "it is not said what to repair: --set-mtu N, --drop-leg NIC, --management-on NIC or "
                             "--last-proven");
    return !*errp;
}

static struct net_config *load_previous(const struct netboot *n, struct error **errp) {
    struct error *e = NULL;
    struct net_config *c = net_store_load_previous(n->net_dir, &e);
    if (!c)
        error_internal(errp,
                       "this host has not proven any other network before this one (%s); use --set-mtu, "
                       "--drop-leg, --management-on, or 'muster-netboot reset'",
                       error_text(e));
    error_free(e);
    return c;
}

/* What the host has now is not what it has proven: then back to that; else to the one before. */
static struct net_config *last_proven(const struct netboot_change *c, char **ret_words, struct error **errp) {
    _cleanup_net_repair_ struct net_repair r = {0};
    if (c->is_interrupted || !netboot_change_is_there(c, c->good)) {
        *ret_words = strf("back to the last proven network, generation %llu", (unsigned long long)c->good->generation);
        return net_config_copy(c->good);
    }
    r.whole = load_previous(c->netboot, errp);
    if (!r.whole)
        return NULL;
    *ret_words = strf("back to the network proven before, generation %llu", (unsigned long long)r.whole->generation);
    netboot_repair_sign(&r);
    return netboot_change_repaired(c, c->good, &r, errp);
}

static struct net_config *edited(const struct netboot_change *c, struct net_repair *r, char **ret_words,
                                 struct error **errp) {
    netboot_repair_sign(r);
    *ret_words = net_repair_words(r);
    return netboot_change_repaired(c, c->good, r, errp);
}

int netboot_repair(struct netboot *n, int argc, char *const argv[]) {
    struct netboot_change c = {.netboot = n, .lock = -1, .seconds = NETBOOT_CHANGE_SECONDS};
    _cleanup_net_repair_ struct net_repair r = {0};
    _cleanup_net_config_ struct net_config *target = NULL;
    _cleanup_free_ char *words = NULL;
    bool last = false;
    struct error *e = NULL;
    if (!parse(&c, argc, argv, &r, &last, &e))
        return netboot_complain(e, NETBOOT_USAGE);
    int code = NETBOOT_FAILED;
    if (netboot_change_begin(&c, &e)) {
        if (!c.good) {
            error_internal(&e, "this host has no usable network configuration that could be repaired; make one with "
                               "'muster-netboot reset --device NIC ...'");
            code = NETBOOT_NO_CONFIG;
        } else {
            target = last ? last_proven(&c, &words, &e) : edited(&c, &r, &words, &e);
            code = NETBOOT_USAGE;
        }
    }
    if (!target)
        code = netboot_complain(e, code);
    else if (!c.is_interrupted && netboot_change_is_there(&c, target) && netboot_same_content(c.good, target)) {
        printf("nothing to do: the host has it (%s)\n", words);
        code = NETBOOT_OK;
    } else
        code = netboot_change_run(&c, target, words);
    netboot_change_done(&c);
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "netboot/netboot_prove.h"

#include "base/str.h"
#include "net/net_apply_os.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define ECHO_TURN_MS 2000
#define ECHO_SHORT_MS 500 /* a look at who has answered in between */

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    interrupted = 1;
}

static bool is_interrupted(void) {
    return interrupted;
}

void netboot_proof_survive(void) {
    const struct sigaction ignore = {.sa_handler = SIG_IGN}, stop = {.sa_handler = on_signal};
    static const int lost[] = {SIGHUP, SIGPIPE, SIGTTOU, SIGTTIN}, asked[] = {SIGINT, SIGTERM};
    for (unsigned i = 0; i < ARRAY_SIZE(lost); i++)
        (void)sigaction(lost[i], &ignore, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(asked); i++)
        (void)sigaction(asked[i], &stop, NULL);
}

void netboot_proof_done(struct netboot_proof *p) {
    net_config_free(p->target);
    p->target = NULL;
}

static void add(struct netboot_proof *p, const struct net_addr *a) {
    if (!a->family || p->n == LINK_ECHO_MAX)
        return;
    net_addr_text(a, /* with_prefix= */ false, p->texts[p->n]);
    for (unsigned i = 0; i < p->n; i++)
        if (str_eq(p->texts[i], p->texts[p->n]))
            return;
    p->list[p->n] = (struct link_echo){.address = p->texts[p->n]};
    p->n++;
}

/* Its own addresses answer whatever is cut. */
static bool is_own(const struct net_config *c, const struct net_addr *a) {
    for (unsigned i = 0; i < c->n_bridges; i++)
        if (net_addr_same_host(&c->bridges[i].ip4.address, a) || net_addr_same_host(&c->bridges[i].ip6.address, a))
            return true;
    return false;
}

bool netboot_proof_prepare(struct netboot_proof *p, const struct netboot_change *c, const struct net_config *target,
                           struct error **errp) {
    const struct net_bridge *m = net_config_management(target);
    struct net_addr witnesses[NET_STORE_MAX_WITNESSES], a;
    p->netboot = c->netboot;
    p->target = net_config_copy(target);
    p->size = (unsigned)target->control_size;
    p->all = c->n_probes > 0;
    for (unsigned i = 0; i < c->n_probes; i++)
        if (net_addr_parse(c->probes[i], &a))
            add(p, &a);
    if (p->all)
        return true;
    unsigned n = net_store_get_witnesses(c->netboot->net_dir, witnesses);
    for (unsigned i = 0; i < n; i++)
        if (!is_own(target, &witnesses[i]))
            add(p, &witnesses[i]);
    p->n_hosts = p->n;
    if (m) {
        add(p, &m->ip4.gateway);
        add(p, &m->ip6.gateway);
    }
    if (p->n || (m && m->ip4.mode == NET_IP_DHCP))
        return true;
    if (p->confirm || isatty(STDIN_FILENO)) {
        p->confirm = true;
        return true;
    }
    error_internal(errp, "nobody is known who could answer after this change (no other host of a pool, no gateway), so "
                         "it could not be proven; name an address with --probe, or add --no-proof");
    return false;
}

/* What a DHCP server gave by now. */
static void add_leased(struct netboot_proof *p) {
    struct error *ignored = NULL;
    _cleanup_net_observed_ struct net_observed *is = netboot_observe(p->netboot, &ignored);
    error_free(ignored);
    const struct net_obs_lease *lease = is ? net_observed_lease(is, p->target->management, NET_FAMILY_IPV4) : NULL;
    if (lease)
        add(p, &lease->gateway);
}

static void list_texts(const struct netboot_proof *p, bool small_only, struct buf *b) {
    for (unsigned i = 0; i < p->n; i++)
        if (!small_only || (p->list[i].answered_small && !p->list[i].answered))
            buf_addf(b, "%s%s", b->size ? ", " : "", p->texts[i]);
}

static char *why_not(const struct netboot_proof *p) {
    _cleanup_buf_ struct buf all = BUF_INIT, small = BUF_INIT;
    if (interrupted)
        return xstrdup("somebody interrupted it");
    list_texts(p, /* small_only= */ false, &all);
    list_texts(p, /* small_only= */ true, &small);
    if (small.size)
        return strf("%s answers small packets, but none of %u bytes within %u seconds: something on the way loses them",
                    buf_str(&small), p->size, p->seconds);
    if (!all.size)
        return strf("no address came from a DHCP server within %u seconds", p->seconds);
    return strf("no answer from %s%s within %u seconds", p->n > 1 && !p->all ? "any of " : "", buf_str(&all),
                p->seconds);
}

/* A host of the pool is what counts; a gateway does when none of them has answered for half of the time: they may all
 * be off. */
static bool has_answered(const struct netboot_proof *p, uint64_t until_ms) {
    unsigned n = 0, n_hosts = 0;
    for (unsigned i = 0; i < p->n; i++) {
        n += p->list[i].answered;
        n_hosts += i < p->n_hosts && p->list[i].answered;
    }
    if (p->all)
        return n == p->n;
    bool is_late = net_clock_ms() + p->seconds * 500ULL >= until_ms;
    return n_hosts || (n && (!p->n_hosts || is_late));
}

/* Until somebody types yes. */
static bool ask_person(uint64_t until_ms) {
    char line[64] = "";
    printf("Type 'yes' within %llu seconds to keep it.\n",
           (unsigned long long)((until_ms - MIN(net_clock_ms(), until_ms)) / 1000));
    fflush(stdout);
    for (uint64_t now; !interrupted && (now = net_clock_ms()) < until_ms;) {
        struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(&fd, 1, (int)MIN(until_ms - now, (uint64_t)500)) <= 0)
            continue;
        ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);
        if (n <= 0) { /* the terminal is gone: the rest of the time is over, too */
            net_wait_ms(200);
            continue;
        }
        line[n] = 0;
        line[strcspn(line, "\r\n")] = 0;
        if (str_eq(line, "yes"))
            return true;
        if (*line)
            return false;
    }
    return false;
}

bool netboot_proof_run(struct netboot_proof *p, char **ret_said) {
    uint64_t until_ms = net_clock_ms() + p->seconds * 1000ULL;
    _cleanup_buf_ struct buf said = BUF_INIT;
    bool needs_answer = p->n || !p->confirm;
    for (uint64_t now;
         needs_answer && !has_answered(p, until_ms) && !interrupted && (now = net_clock_ms()) < until_ms;) {
        if (!p->all)
            add_leased(p);
        /* With all to wait for, a turn lasts its whole time: a gateway's answer does not end it. */
        bool all = p->all || p->n_hosts;
        unsigned turn_ms = all && !p->all ? ECHO_SHORT_MS : ECHO_TURN_MS;
        int r = link_echo_run(p->list, p->n, p->size, (unsigned)MIN(until_ms - now, (uint64_t)turn_ms), all,
                              is_interrupted);
        if (r < 0) {
            *ret_said = strf("nobody can be asked: %s", strerror(-r));
            return false;
        }
    }
    if (needs_answer && !has_answered(p, until_ms)) {
        *ret_said = why_not(p);
        return false;
    }
    for (unsigned i = 0; i < p->n; i++)
        if (p->list[i].answered)
            buf_addf(&said, "%s%s", said.size ? ", " : "proven at the size of the control plane by ", p->texts[i]);
    if (p->confirm && !ask_person(until_ms)) {
        *ret_said = xstrdup("nobody confirmed it in time");
        return false;
    }
    *ret_said = xstrdup(said.size ? buf_str(&said) : "confirmed by a person");
    return true;
}

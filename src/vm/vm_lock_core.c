/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/vm_lock_core.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/str.h"
#include "base/uuid.h"

/* From the least to the most telling. The prober's guard is above all (65535). */
#define DROP 3000    /* what nothing below permits */
#define PERMIT 3100  /* from its own addresses */
#define DROP_ND 3200 /* "I have this address", "I am a router": only what is permitted above */
#define PERMIT_ND 3300

struct flows {
    struct buf out;
    uint64_t cookie;
    int64_t port;
    const char *mac;
    unsigned n;
};

static void add(struct flows *f, int priority, const char *match, const char *action) {
    buf_addf(&f->out, "add cookie=0x%" PRIx64 ",priority=%d,in_port=%" PRId64 "%s actions=%s\n", f->cookie, priority,
             f->port, match, action);
    f->n++;
}

static void permit(struct flows *f, int priority, const char *fmt, ...) _printf_(3, 4);
static void permit(struct flows *f, int priority, const char *fmt, ...) {
    char match[256];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(match, sizeof(match), fmt, args);
    va_end(args);
    if (n > 0 && (size_t)n < sizeof(match))
        add(f, priority, match, "NORMAL");
}

static void add_ipv4(struct flows *f, const char *ip) {
    permit(f, PERMIT, ",dl_src=%s,arp,arp_sha=%s,arp_spa=%s", f->mac, f->mac, ip);
    /* Asking whether somebody has the address already (RFC 5227) comes from nobody's address. */
    permit(f, PERMIT, ",dl_src=%s,arp,arp_sha=%s,arp_spa=0.0.0.0,arp_tpa=%s", f->mac, f->mac, ip);
    permit(f, PERMIT, ",dl_src=%s,ip,nw_src=%s", f->mac, ip);
}

static void add_ipv6(struct flows *f, const char *ip) {
    permit(f, PERMIT, ",dl_src=%s,ipv6,ipv6_src=%s", f->mac, ip);
    /* The same question in IPv6 (RFC 4862, 5.4). */
    permit(f, PERMIT, ",dl_src=%s,icmp6,ipv6_src=::,icmpv6_type=135,nd_target=%s", f->mac, ip);
    permit(f, PERMIT_ND, ",dl_src=%s,icmp6,icmpv6_type=136,nd_target=%s", f->mac, ip);
}

uint64_t vm_lock_cookie(const char *vif) {
    struct uuid u;
    uint64_t cookie = 0;
    if (!uuid_parse(vif, &u))
        return 0;
    for (unsigned i = 0; i < 8; i++)
        cookie = cookie << 8 | u.b[i];
    return cookie;
}

/* Rows hold nothing else; a text that could say more to the switch says nothing. */
static bool is_address(const char *s) {
    return *s && strspn(s, "0123456789abcdefABCDEF.:") == strlen(s);
}

static const struct value *addresses(const struct value *lock, const char *key) {
    const struct value *v = value_map_get(lock, key);
    return v && v->type == VALUE_SET ? v : NULL;
}

char *vm_lock_flows(const struct value *lock, int64_t port, unsigned *ret_n) {
    struct flows f = {.cookie = vm_lock_cookie(str_or_empty(value_map_str(lock, "vif"))),
                      .port = port,
                      .mac = str_or_empty(value_map_str(lock, "mac"))};
    const char *mode = str_or_empty(value_map_str(lock, "lock"));
    const struct value *v4 = addresses(lock, "v4"), *v6 = addresses(lock, "v6");
    buf_addf(&f.out, "delete cookie=0x%" PRIx64 "/-1\n", f.cookie);
    if (!str_eq(mode, "unlocked"))
        add(&f, DROP, "", "drop");
    if (str_eq(mode, "locked") && is_address(f.mac)) {
        for (size_t i = 0; v4 && i < v4->set.n; i++)
            if (is_address(value_str(&v4->set.items[i])))
                add_ipv4(&f, value_str(&v4->set.items[i]));
        if (v4 && v4->set.n > 0) /* it may ask for its address */
            permit(&f, PERMIT, ",dl_src=%s,udp,nw_src=0.0.0.0,tp_src=68,tp_dst=67", f.mac);
        for (size_t i = 0; v6 && i < v6->set.n; i++)
            if (is_address(value_str(&v6->set.items[i])))
                add_ipv6(&f, value_str(&v6->set.items[i]));
        if (v6 && v6->set.n > 0) {
            add(&f, DROP_ND, ",icmp6,icmpv6_type=134", "drop");
            add(&f, DROP_ND, ",icmp6,icmpv6_type=136", "drop");
        }
    }
    *ret_n = f.n;
    return buf_take(&f.out);
}

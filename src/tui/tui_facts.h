/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the console knows. Two sources that do not need each other: this host's own disk and kernel (tui_disk.h, always
 * there), and the pool as the daemon tells it (tui_pool.h, when the daemon runs). Screens are made from both. Values;
 * texts in them are as they came, the page cleans them.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#define TUI_MAX_INTERFACES 256
#define TUI_MAX_HOSTS 256
#define TUI_MAX_ALERTS 512
#define TUI_MAX_PATHS 4096

enum tui_kind { TUI_NIC, TUI_BOND, TUI_VLAN, TUI_INTERNAL };

/* A NIC, a bond, or a VLAN on either. */
struct tui_interface {
    char name[16];
    enum tui_kind kind;
    char parent[16]; /* the bond that a NIC is in, or what a VLAN lies on; "" none */
    int vlan;        /* -1 none */
    bool has_link;
    bool is_up;         /* meant to be up, and it is */
    bool is_management; /* the pool reaches the host over it */
    int mtu;            /* as it is now; 0 not known */
    int wanted_mtu;     /* 0 not known */
    int proven_size;    /* 0 not measured */
    char mode[16];      /* of a bond */
    char ip[64], ipv6[64];
    char network[64]; /* label, or the bridge where there is none */
    char switch_name[64], switch_port[64];
};

struct tui_interfaces {
    struct tui_interface *items;
    size_t n;
};
struct tui_interface *tui_interfaces_add(struct tui_interfaces *v, const char *name, enum tui_kind kind);
struct tui_interface *tui_interfaces_find(const struct tui_interfaces *v, const char *name);

struct tui_alert {
    char *code; /* "MUSTER-N101" */
    char *host; /* "" not known */
    char *text;
    char *cure; /* "" none */
};

struct tui_alerts {
    struct tui_alert *items;
    size_t n;
};
/* From a sentence "CODE name: text; cure: command" or "CODE name: text. Cure: command.", as the daemon words it. */
void tui_alerts_add_sentence(struct tui_alerts *v, const char *host, const char *sentence);
void tui_alerts_add(struct tui_alerts *v, const char *code, const char *host, const char *text, const char *cure);
void tui_alerts_done(struct tui_alerts *v);

/* What one leg can do to a leg of another host. */
struct tui_path {
    char leg[16], peer_leg[16];
    char peer[64]; /* host name, or its uuid */
    int vlan;      /* 0 untagged */
    int size, wanted;
};

/* This host by itself. */
struct tui_disk {
    char host_name[64];
    char address[64];
    int64_t uptime_s;
    bool is_root;
    bool can_systemd;
    /* host.json */
    bool has_identity;
    char *identity_trouble; /* why not; NULL */
    char pool_uuid[40], host_uuid[40];
    bool is_coordinator;
    char coordinator_address[64];
    unsigned n_hosts;
    /* network/ */
    char *network_text;    /* one line on the last known good */
    char *network_trouble; /* it cannot be used; NULL */
    bool is_change_pending;
    char *refused;            /* the change that was taken back last; NULL */
    char *boot_result;        /* of muster-netboot: "ok", "degraded", "failed"; NULL: no report */
    struct tui_alerts alerts; /* what the boot found, and what the kernel shows */
    struct tui_interfaces interfaces;
    char certificate[72], authority[72]; /* fingerprints; "" none */
    struct strv daemon_log, netboot_log; /* latest lines */
};

struct tui_host {
    char name[64];
    char state[32];
    bool is_live;
};

/* The pool, as the daemon tells it. */
struct tui_pool {
    char host_name[64], host_uuid[40], host_ref[64];
    char pool_name[128], pool_uuid[40];
    bool is_coordinator;
    char coordinator[64]; /* its name */
    char coordinator_address[64];
    char address[64];
    char version[64];
    char state[32];
    char *reason; /* of the state, one sentence; may be "" */
    char since[32];
    bool is_enabled;
    char outcome[32]; /* of the last network change here */
    char *outcome_text;
    struct tui_host hosts[TUI_MAX_HOSTS];
    unsigned n_hosts;
    struct tui_interfaces interfaces;
    struct tui_alerts alerts;
    struct tui_path *paths;
    size_t n_paths;
};

void tui_disk_free(struct tui_disk *d); /* accepts NULL */
void tui_pool_free(struct tui_pool *p); /* accepts NULL */

struct tui_facts {
    const struct tui_disk *disk; /* NULL until the first look */
    const struct tui_pool *pool; /* NULL: the daemon does not say */
    const char *pool_trouble;    /* why not; NULL: nothing was heard yet */
    unsigned late_s;             /* the daemon owes an answer for so long; 0 it does not */
};

/* True when what the daemon said can be shown. */
static inline bool tui_facts_has_pool(const struct tui_facts *f) {
    return f->pool && !f->late_s;
}

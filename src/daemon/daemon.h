/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of musterd and who owns them: all are made and freed in daemon.c, in order; loop thread only. */
#pragma once

#include "api/api.h"
#include "daemon/alerts.h"
#include "daemon/certificates.h"
#include "daemon/faults.h"
#include "daemon/first_proof.h"
#include "daemon/network_calls.h"
#include "daemon/options.h"
#include "daemon/probing.h"
#include "daemon/watch.h"
#include "pool/pool.h"
#include "vm/vm_agent.h"
#include "wire/http_server.h"

struct daemon {
    struct options options;
    struct loop *loop;
    struct worker *worker;
    struct db *db;
    struct pool *pool;
    struct faults *faults;
    struct link *link;
    struct ovs *ovs;
    struct probing *probing;
    struct first_proof *first_proof; /* NULL: the host was never that far */
    struct netglue *netglue;
    struct watch *watch;
    struct network_calls network_calls;
    struct vm_agent *vms;
    struct rehearsal *rehearsal; /* of the next boot, under way; NULL */
    struct api *api;
    struct api_hooks hooks;
    struct alerts *alerts;
    struct certificates *certificates;
    struct http_server *http;
    struct http_client *client;
    struct consoles *consoles;
    struct cli_server *cli;
    struct transfers *transfers;
    struct tls_context *https;
    bool is_plain, plain_failed; /* the port without TLS is open; could not be opened */
    struct uuid self;
    bool going_down, is_down; /* is_down: the pool has been left in order */
    unsigned n_power; /* commands of the system that are to end this host: who asked for them has no answer yet */
    bool restart;
    bool described; /* the host has written about itself */
    bool said_no_network;
    struct loop_source *metrics_timer, *network_timer, *restart_timer;
    struct db_watch *own_watch;
};

/* daemon_hooks.c: what the API asks of the daemon, and what other hosts ask of this one. */
void daemon_hooks_init(struct daemon *d);
void daemon_hooks_serve(struct daemon *d); /* once there is a pool channel */
/* daemon_serve.c: HTTPS and the local sockets. */
bool daemon_serve_local(struct daemon *d, struct error **errp) _warn_unused_;
/* HTTPS on all addresses, with the host's certificate; again after the certificate has changed. */
bool daemon_serve_https(struct daemon *d, struct error **errp) _warn_unused_;
/* The port without TLS, open or closed as this host's row wants it; host.https_only says how it is. */
void daemon_serve_plain(struct daemon *d);
/* daemon_state.c: membership: what the parts report, and what follows. */
void daemon_state_init(struct daemon *d);
void daemon_state_changed(void *userdata);
void daemon_network_changed(const struct net_agent_state *s, void *userdata);
void daemon_confirm(const char *hash, void (*done)(const char *problem, void *data), void *data, void *userdata);
void daemon_prepare_address(void (*done)(const char *problem, void *data), void *data, void *userdata);
void daemon_address_settled(void *userdata);
/* Leaves in order and ends the loop (SIGPWR, reboot, shutdown). */
void daemon_go_down(struct daemon *d);
void daemon_power_answered(struct daemon *d); /* one of n_power */

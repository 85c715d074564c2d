/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the API asks of the rest of the daemon: membership, forwarding, host power. The daemon fills the struct and
 * keeps it alive as long as the api. A hook that is NULL makes its calls fail with NOT_IMPLEMENTED, but for those where
 * a default is named. All run in the loop thread; every `done` is called exactly once, at once or later.
 */
#pragma once

#include "base/error.h"
#include "base/value.h"

typedef void api_op_done_fn(struct error *error /* borrowed; NULL: it is done */, void *data);
/* `response` is the JSON-RPC 2.0 response object as it came; NULL with `error` when there is none. Both borrowed. */
typedef void api_forward_done_fn(struct error *error, const char *response, size_t size, void *data);

struct db;

struct api_join_args {
    const char *address, *user, *password;
    const char *fingerprint; /* of the pool's certificate authority; "" when the client gave none */
    bool force;
    bool prove; /* a plan measures the paths, too */
};

/* What one host is asked to do with itself; carried by the pool channel when it is another one. */
enum api_host_op {
    API_HOST_REBOOT, /* arguments: none; `done` when the reboot has begun */
    API_HOST_SHUTDOWN,
    API_HOST_RESTART_AGENT,
    API_HOST_SCAN_NICS,              /* report NICs without PIF: the net agent writes them */
    API_HOST_MANAGEMENT_RECONFIGURE, /* emergency, own host: "interface" */
    API_HOST_SET_HOSTNAME,           /* "hostname" */
    API_HOST_RENEW_CERTIFICATE,      /* a new one for the key it has */
    API_HOST_INSTALL_CERTIFICATE,    /* "certificate", "key", "chain": shown to clients from now on */
    API_HOST_RESET_CERTIFICATE,      /* the pool's is shown to clients again */
};

/* What one host is asked about itself. */
enum api_host_query {
    API_QUERY_TIME,       /* VALUE_TIME */
    API_QUERY_LOCAL_TIME, /* VALUE_TIME, shifted by the host's time zone */
    API_QUERY_LOG,        /* VALUE_STRING: the daemon's latest lines */
    /* Would it come back from a restart? VALUE_SET of maps: code, severity (blocker or warning), text, cure. */
    API_QUERY_REHEARSAL,
    API_QUERY_REHEARSAL_REPAIR, /* the same, after what is damaged on its disk was written anew from memory */
};
typedef void api_query_done_fn(struct error *error, const struct value *result /* borrowed */, void *data);

struct api_hooks {
    void *userdata;
    /* Whether this host is the coordinator; default: pool.master names the own host. */
    bool (*is_coordinator)(void *userdata);
    /* True with *errp set while the host has no coordinator: only local calls are answered then. Default: never. */
    bool (*emergency_reason)(void *userdata, struct error **errp);
    /* Whether a verified TLS client certificate is that of a host of the pool now; default: its name is a host's uuid.
     */
    bool (*peer_is_pool_host)(void *userdata, const char *common_name, const char *key_fingerprint);
    /* Bare address for HOST_IS_SLAVE; default, and when it is "": host.address of pool.master. */
    const char *(*coordinator_address)(void *userdata);
    /* Sends one JSON-RPC request of a local client to the coordinator, with the host certificate. */
    void (*forward)(void *userdata, const char *request, size_t size, uint64_t timeout_ms, api_forward_done_fn *done,
                    void *data);

    /* Member: asks the coordinator about a session that a client has shown; the result is as of
     * api_session_describe. */
    void (*session_ask)(void *userdata, const struct uuid *session, api_query_done_fn *done, void *data);

    void (*pool_join)(void *userdata, const struct api_join_args *args, api_op_done_fn *done, void *data);
    /* Coordinator: a host asks to be let in; the result is a map of strings. */
    void (*pool_join_request)(void *userdata, const struct value *request, api_query_done_fn *done, void *data);
    /*
     * What a join would come to, without it: a map of strings as pool.join_plan has it. And the coordinator's half, a
     * map of one string.
     */
    void (*pool_join_plan)(void *userdata, const struct api_join_args *args, api_query_done_fn *done, void *data);
    void (*pool_join_look)(void *userdata, const struct value *request, api_query_done_fn *done, void *data);
    void (*pool_eject)(void *userdata, const struct uuid *host, api_op_done_fn *done, void *data);
    /* A dead host is to be removed: its rows, its certificate, its database server. */
    void (*pool_forget)(void *userdata, const struct uuid *host, api_op_done_fn *done, void *data);
    void (*pool_set_coordinator)(void *userdata, const struct uuid *host, api_op_done_fn *done, void *data);
    /* Coordinator: a new certificate authority begins. */
    void (*pool_rotate)(void *userdata, api_op_done_fn *done, void *data);
    /* On a member without coordinator: become it (address NULL), or look for it elsewhere. */
    void (*pool_emergency)(void *userdata, const char *address, api_op_done_fn *done, void *data);
    /* On a new coordinator: tell the reachable members where it is; the result is read from host_metrics.live later. */
    void (*pool_recover_members)(void *userdata, api_op_done_fn *done, void *data);
    void (*host_op)(void *userdata, enum api_host_op op, const struct uuid *host, const struct value *args,
                    api_op_done_fn *done, void *data);
    void (*host_query)(void *userdata, enum api_host_query query, const struct uuid *host, api_query_done_fn *done,
                       void *data);
    /* A call over the pool channel to any host, this one too; `vm/vm_agent.h` says which there are about VMs. */
    void (*host_ask)(void *userdata, const struct uuid *host, const char *name, struct value args /* taken */,
                     uint64_t deadline_ms, api_query_done_fn *done, void *data);
    /* A question about a change of a host's network, and its answer; daemon/network_calls.h says which there are. */
    void (*network_ask)(void *userdata, const struct uuid *host, const char *name, struct value args /* taken */,
                        uint64_t deadline_ms, api_query_done_fn *done, void *data);
    /* What a host would have to measure before the rows are as in `then` (a fork); void when nothing. */
    struct value (*network_paths)(void *userdata, struct db *then, const struct uuid *host);
    /* Host uuid to what it measured -> sentences of what would be wrong then and is not now. */
    struct value (*network_verdict)(void *userdata, struct db *then, const struct value *tables);
    /* The history of network changes: an entry (a map of strings) more; all entries, the oldest first. */
    void (*network_note)(void *userdata, struct value entry /* taken */);
    struct value (*network_history)(void *userdata);
    /* Whether the host has been heard from within the heartbeat limit; default: host_metrics.live. */
    bool (*host_is_live)(void *userdata, const struct uuid *host);
    /* Whether it has joined, booted or reconnected a moment ago; default: none has. */
    bool (*host_is_new)(void *userdata, const struct uuid *host);
};

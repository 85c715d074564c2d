/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole pool in one process on a simulated clock. The code of the pool is the real one; what it stands on is replaced
 * at the headers of the adapters: fs.h, pki.h, tls.h, stream.h, http_client.h, ovsdb_conn.h and db_server.h have
 * drivers here that the linker takes before the real ones. Everything that happens follows from the seed. One thread,
 * one simulation at a time (`sim`), since some of those interfaces carry no context.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "base/uuid.h"
#include "loop/loop_sim.h"

#define SIM_MAX_HOSTS 9
#define SIM_MTU 9000 /* what the pool's network wants, once it is built */
#define SIM_NOBODY UINT32_MAX

struct server;     /* sim_server.h: the database server's process and file */
struct sim_daemon; /* sim_host.c: what dies with the daemon's process */
struct conn;       /* sim_stream.c: a TCP connection */
struct listener;
struct inbox;

/* The way from one host to another. */
struct sim_path {
    bool cut;
    unsigned loss;     /* per mille of segments that have to be sent again */
    unsigned delay_us; /* beside the ordinary one */
};

struct sim_host {
    unsigned i;
    char name[8];
    char address[64];
    bool powered;
    uint64_t on_since_ms;
    unsigned slow_ms; /* each answer of its disk takes so much longer */
    int64_t wall_offset_ms;
    bool disk_full;
    unsigned limit_out, limit_in; /* the largest packet that its switch port passes, from the host and to it */
    uint64_t limited_since_ms;    /* 0: as wanted */
    struct server *server;
    struct sim_daemon *daemon; /* NULL: the process is not there */
    unsigned n_starts;
    bool member; /* of the pool, by the operator's book: not of one of its own */
    bool leaving;
    bool away_for_long; /* switched off by the story, not coming back by itself */
};

struct sim {
    uint64_t seed;
    struct loop_sim *clock;
    struct loop *loop; /* of the network and the database servers' processes */
    struct sim_host hosts[SIM_MAX_HOSTS];
    unsigned n_hosts;
    struct sim_path path[SIM_MAX_HOSTS][SIM_MAX_HOSTS]; /* from, to */
    struct conn *conns;
    struct listener *listeners;
    uint64_t n_connects; /* connections asked for, ever: for the herd */
    uint64_t next_id;
    bool verbose;
};

extern struct sim *sim;

uint64_t sim_now_ms(void);
/* Luck of the world (network, disks), apart from that of the story and of the hosts. */
uint64_t sim_luck(uint64_t below);
bool sim_chance(unsigned per_mille);

/* ---- sim_net.c ---- */
bool sim_reaches(unsigned from, unsigned to); /* a datagram sent now arrives */
bool sim_reaches_both(unsigned a, unsigned b);
uint64_t sim_latency_us(unsigned from, unsigned to);
unsigned sim_host_at(const char *address);   /* SIM_NOBODY */
unsigned sim_host_of_path(const char *path); /* "/h3/..." */

/* A queue of calls into a loop, in order, each after a delay; freed with what still waits in it. */
typedef void inbox_fn(void *data, void *owner);
typedef void inbox_drop_fn(void *data);
struct inbox *inbox_new(struct loop *l, void *owner);
void inbox_free(struct inbox *b); /* accepts NULL; also from inside of a call */
/* `drop` frees data that is not delivered; may be NULL. Returns when it comes, loop time in us. */
uint64_t inbox_push(struct inbox *b, uint64_t delay_us, inbox_fn *fn, void *data, inbox_drop_fn *drop);

/* ---- sim_stream.c ---- */
void sim_streams_power_cut(unsigned host); /* nobody is told */
void sim_streams_done(void);

/* ---- sim_fs.c ---- */
void sim_fs_init(void);
void sim_fs_done(void);

/* ---- sim_pki.c ---- */
/* `chain` (a certificate and what its owner adds to it) is vouched for by the authorities in `trusted`. */
bool sim_pki_verifies(const char *chain, const char *trusted);
void sim_pki_peer(const char *chain, char ret_fingerprint[static 65], char ret_key[static 65],
                  char ret_name[static 128]);
bool sim_pki_has_authority(const char *bundle, const char *fingerprint);

/* ---- sim_log.c ---- */
void sim_log_init(bool verbose);
void sim_log_done(void);
void sim_say(const char *fmt, ...) _printf_(1, 2); /* a line of the story */
void sim_log_dump(void);                           /* the last lines, when they were not shown as they came */

/* ---- sim_host.c ---- */
void sim_host_init(unsigned i);
void sim_host_done(struct sim_host *h);
void sim_daemon_start(struct sim_host *h);
void sim_daemon_kill(struct sim_host *h); /* SIGKILL; the kernel closes its connections */
void sim_power_cut(struct sim_host *h);
void sim_power_on(struct sim_host *h);
void sim_stall(struct sim_host *h, uint64_t ms);
void sim_reboot(struct sim_host *h);             /* in order, then on again by itself */
struct pool *sim_pool(const struct sim_host *h); /* NULL while its daemon is not there */
struct db *sim_db(const struct sim_host *h);
const struct uuid *sim_uuid_of(const struct sim_host *h); /* NULL when its daemon is not there */
struct inbox *sim_daemon_inbox(const struct sim_host *h); /* calls into its daemon; NULL */

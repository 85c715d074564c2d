/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of a PID 1: one-shots it waits for and services it keeps running. Everything that ends is reaped here; a
 * service that fails starts again after a pause that doubles (Restart=on-failure). One instance per init.
 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"

#define SERVICES_MAX 8
#define SERVICE_MAX_ARGS 16

/* How a service is run; what is left out is 0. */
struct service_plan {
    const char *name; /* its output goes to /var/log/<name>.log */
    const char *const *argv;
    int stop_signal;     /* 0: SIGTERM */
    unsigned stop_ms;    /* how long it may take to end after that */
    unsigned pause_ms;   /* before the first restart; doubles while it keeps failing */
    bool restart_always; /* also after it ended well (Restart=always) */
    int nice;
};

struct service {
    struct service_plan plan; /* name and argv are owned copies */
    char name[24];
    char *argv[SERVICE_MAX_ARGS];
    pid_t pid; /* 0: not running */
    uint64_t started_ms;
    uint64_t next_start_ms; /* 0: none planned */
    unsigned pause_ms;
};

enum init_request { REQUEST_NONE, REQUEST_POWEROFF, REQUEST_REBOOT };

struct services {
    struct service items[SERVICES_MAX];
    unsigned n;
    int signal_fd;
    int request_fd;            /* the fifo of the reboot and poweroff commands */
    enum init_request request; /* the first one asked for */
    bool stopping;
    pid_t waited; /* the one-shot under way */
    bool waited_ended;
    int waited_status;
    const char *const *env;
};

bool services_init(struct services *s, const char *const *env);
/* Runs it to its end: exit code, 128 + n for a signal, -1 when it took too long (killed) or a shutdown was asked for.
 */
int services_run(struct services *s, const char *log, const char *const argv[], unsigned timeout_ms);
struct service *services_start(struct services *s, const struct service_plan *plan);
void services_turn(struct services *s, unsigned timeout_ms); /* reaps and listens once, at most that long */
/* Reaps, restarts and listens until a shutdown is asked for. */
void services_wait(struct services *s);
/* Ends them in reverse order, each with its own grace, then everything else that is left. */
void services_stop(struct services *s);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts with database servers of their own: host i is the loopback address 127.0.0.(i + 1) with a folder. For tests
 * that take a server through its life.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "db/db_server.h"
#include "servers.h"

#define MAX_HOSTS 4

struct fixture {
    struct loop *loop;
    char folder[64];
    int port;
    struct db_server *hosts[MAX_HOSTS];
    int n_done;
    char error[800];
};

int setup(void **state);
int teardown(void **state);

/* Runs one operation to its end and expects this text in its error ("" for none). */
#define OPERATION(f, expected, call)                                                                                   \
    do {                                                                                                               \
        (f)->n_done = 0;                                                                                               \
        call;                                                                                                          \
        assert_int_equal((f)->n_done, 0);                                                                              \
        RUN_UNTIL((f)->loop, 40000, (f)->n_done == 1);                                                                 \
        if (*(expected) ? !strstr((f)->error, expected) : *(f)->error)                                                 \
            fail_msg("%s: expected '%s', got '%s'", #call, expected, (f)->error);                                      \
    } while (0)

void on_done(const struct error *error, void *userdata);
char *path_of(struct fixture *f, unsigned i, const char *name); /* the caller frees */
const char *address(unsigned i);
struct db_server *make_host_with(struct fixture *f, unsigned i, const char *schema);
struct db_server *host(struct fixture *f, unsigned i);
int pid_of(struct fixture *f, unsigned i);
bool is_alive(int pid);
void kill_host(struct fixture *f, unsigned i);
/* What the database holds: the name of the pool. */
void write_name(struct fixture *f, unsigned i, const char *name, const struct uuid *solo);
void check_name(struct fixture *f, unsigned i, const char *name);
struct db_server_status status_of(struct fixture *f, unsigned i);
void start_cluster(struct fixture *f, unsigned n);

/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of xe: "xe <command> [param=value ...] [--switch]", in any order, with what the environment and
 * ~/.xe add. */
#pragma once

#include "base/error.h"
#include "base/str.h"

#define ARGS_MAX 512

struct arg {
    char *key, *value; /* owned */
    bool used;
};

struct args {
    char *command; /* NULL: none was given */
    struct arg list[ARGS_MAX];
    unsigned n;
    bool minimal, force, multiple, all;
    char *server, *user, *password, *password_file, *fingerprint, *ca;
    bool insecure;
    uint16_t port;
    bool wants_help, wants_version;
};

/* Parses; false with *errp for what makes no sense. rc and extra may be NULL: contents of ~/.xe and of XE_EXTRA_ARGS.
 */
bool args_parse(struct args *a, int argc, char **argv, const char *rc, const char *extra,
                struct error **errp) _warn_unused_;
void args_done(struct args *a); /* wipes the password */
/* The value of a parameter, marked as used; NULL when it was not given. */
const char *args_get(struct args *a, const char *key);
bool args_flag(struct args *a, const char *key); /* given and "true" */

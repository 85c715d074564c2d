/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of xe: "xe <command> [param=value ...] [--switch]" in any order, and what the environment and ~/.xe
 * add. The nearer source wins: command line, XE_EXTRA_ARGS, XE_SERVER and its kind, ~/.xe. Pure but for blanking
 * passwords in argv; one thread.
 *
 * How a server is judged (fingerprint, ca, insecure, certificate) and how a network is changed (dry-run and its kind)
 * are said with dashes in front on the command line: without them those words are parameters of the command, as in
 * "certificate-list fingerprint=...".
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#define ARGS_MAX 512

struct arg {
    char *key, *value; /* owned */
    bool used;
};

/* What xe itself wants to know; the rest is the command's. */
enum args_text {
    ARGS_SERVER,
    ARGS_PORT,
    ARGS_USER,
    ARGS_PASSWORD,
    ARGS_PASSWORD_FILE,
    ARGS_FINGERPRINT,
    ARGS_CA,
    ARGS_INSECURE,
    ARGS_CERTIFICATE,
    ARGS_MINIMAL,
    ARGS_FORCE,
    ARGS_MULTIPLE,
    ARGS_ALL,
    ARGS_DRY_RUN,
    ARGS_PROVE,
    ARGS_CONFIRM,
    ARGS_CHECKPOINT,
    ARGS_PROBES,
    N_ARGS_TEXTS
};

struct args {
    char *command; /* NULL: none was given */
    struct arg list[ARGS_MAX];
    unsigned n;
    char *texts[N_ARGS_TEXTS];            /* NULL: not given; args_text() and args_is() read them */
    unsigned char strength[N_ARGS_TEXTS]; /* of the source that gave it */
    bool wants_help, wants_version;
};

struct args_sources {  /* each may be NULL */
    const char *rc;    /* contents of ~/.xe: lines "name=value", # begins a comment */
    const char *extra; /* XE_EXTRA_ARGS: "name=value,name=value", a backslash keeps a comma */
    const char *(*environment)(const char *name); /* getenv, or a test's */
};

/* Parses into *a, which is zeroed. False with *errp for what makes no sense; args_done is to be called either way. */
bool args_parse(struct args *a, int argc, char **argv, const struct args_sources *sources,
                struct error **errp) _warn_unused_;
void args_done(struct args *a); /* wipes every value */

const char *args_text(const struct args *a, enum args_text which); /* NULL when not given */
bool args_is(const struct args *a, enum args_text which);          /* given, and "true" or "1" */
uint16_t args_port(const struct args *a);                          /* 0 when not given */
/* The value of a parameter, marked as used; NULL when it was not given. */
const char *args_get(struct args *a, const char *key);
/* User and password from a file of two lines; what was given nearer stays. */
void args_add_password_file(struct args *a, const char *text);

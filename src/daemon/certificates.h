/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificates of this host as the pool sees them: rows of class Certificate for the one within the pool and for
 * the one that clients are shown, which an administrator may replace (pki/shown.pem: chain and key). On the coordinator
 * also the messages about certificates that end soon, of all hosts. Loop thread.
 */
#pragma once

#include "api/api.h"
#include "loop/loop.h"

struct certificates_config { /* texts are copied */
    struct loop *loop;
    struct db *db;
    struct api *api;
    struct uuid self;
    const char *state_dir;
    bool (*is_coordinator)(void *userdata);
    bool (*is_ready)(void *userdata); /* a member of its pool, so that its rows are its own to write */
    /* What is shown has changed on disk. False with *errp when it cannot be served: it is put back as it was. */
    bool (*reload)(void *userdata, struct error **errp);
    void *userdata;
};

struct certificates;
struct certificates *certificates_new(const struct certificates_config *config);
void certificates_free(struct certificates *c); /* accepts NULL */
/* Files of this host have changed, or it has just come into its pool. */
void certificates_look(struct certificates *c);

/* Judges, writes, serves; false with the API's error and nothing changed. */
bool certificates_install(struct certificates *c, const char *certificate, const char *key, const char *chain,
                          struct error **errp) _warn_unused_;
/* The pool's own is shown again. True when it was all the time. */
bool certificates_reset(struct certificates *c, struct error **errp) _warn_unused_;

/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of moves to another pool: what the files about the leaving side share. Loop thread, coordinator. */
#pragma once

#include "classes/class_vm_pools.h"

struct pools_copy;

struct leave {
    struct api *api;
    struct vm_op *op; /* NULL: nobody waits for it */
    struct uuid vm;
    char id[UUID_TEXT_SIZE], secret[POOLS_SECRET_SIZE];
    struct pools_dest dest;
    struct pools_remote *remote;
    struct value request, answer;
    struct value old_disks; /* references, to be removed at the end */
    struct pools_copy *copy;
    struct loop_source *timer;
    enum pools_peer peer;
    bool is_live; /* it runs, on `host` */
    struct uuid host;
    bool is_busy; /* an answer is awaited, which calls pools_leave_go_on */
    bool only_asks, is_at_work, is_copied, has_failed, is_given, has_asked, is_complained;
    bool may_be_given;  /* a write of which is not known what became of it */
    uint64_t failed_ms; /* since when it is to be forgotten; 0: it is not */
    struct error *why;
    struct leave *next;
};

struct error *pools_leave_error(struct leave *l, const char *why);
void pools_leave_fail(struct leave *l, struct error *e /* taken */);
void pools_leave_fail_remote(struct leave *l, const struct error *error);
/* What was awaited has come; the next step in so many ms. */
void pools_leave_go_on(struct leave *l, uint64_t ms);
/* Parameters of VM.migrate_settle. */
struct value pools_leave_words(struct leave *l, const char *word, const char *vdi);
/* A VM's record, after the daemon that wrote it has died; nothing when it is being looked after. */
void pools_leave_adopt(struct api *a, const struct row *vm);

/* ---- class_vm_pools_copy.c ---- */
/* The host that the disks are on (this one without any); NULL with *errp. */
const struct row *pools_leave_host(struct leave *l, struct error **errp);
/* Copies the disks one after the other; then, or when one fails, pools_leave_go_on. */
void pools_leave_copy(struct leave *l);
void pools_copy_stop(struct leave *l);
void pools_copy_free(struct pools_copy *k);

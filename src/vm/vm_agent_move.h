/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs that leave this host or come to it (vm_move_core.h decides). Loop thread.
 *
 * Calls that the agent serves for it (arguments -> result):
 *   vm_receive   vm, id (of the move), from, authority, disks: set of {sr, path, vdi, format, size}, nics as in a spec
 *                -> authority, has_kvm. The disks are made, empty, and a note is kept until the VM is here or is not to
 *                come.
 *   vm_received  vm, id -> holds: none, arriving, stands, runs
 *   vm_forget    vm, id: the move is over, as far as the asker knows; what was prepared goes unless the rows say
 *                otherwise
 *   vm_send      vm, id, to, authority, address, data_address, mib_per_s, stall_ms, compress, swaps: set of {after,
 *                from, to}, disks: set of names in the guest, record: what VM.migration is to be. Returns when the
 *                record is written; how it goes on is in VM.migration_report and VM.migration
 *   vm_abort     vm: gives up its move
 *   vm_machine   vm -> what its guest sees of the machine (virt_machine_core.h)
 *   vm_facts     -> has_kvm, is_ready, trouble: whether VMs can come here or leave
 */
#pragma once

#include "virt/virt.h"
#include "vm/vm_agent_private.h"
#include "vm/vm_move_core.h"

enum vm_here vm_here_of(const struct virt_domain *d /* NULL: none */);

/* ---- vm_agent_keys.c ---- */
void vm_keys_start(struct vm_agent *a); /* makes them when they are missing, in the background */
/* NULL with *errp while there are none; the caller frees. */
char *vm_keys_authority(struct vm_agent *a, struct error **errp);
/* This authority of another host is trusted too from now on; the eight named last are. */
bool vm_keys_trust(struct vm_agent *a, const char *authority, struct error **errp) _warn_unused_;
/* The same for QEMU itself, inside of the folder of its keys; `ret_seen` is what QEMU calls it. NULL with *errp; the
 * caller frees both, and removes it with vm_keys_remove. */
char *vm_keys_inside(struct vm_agent *a, const char *id, const char *authority, char **ret_seen, struct error **errp);
void vm_keys_remove(const char *folder); /* accepts NULL */
/* Makes a folder with this host's keys in which nobody but this authority is believed. */
bool vm_keys_folder(struct vm_agent *a, const char *folder, const char *authority, struct error **errp) _warn_unused_;
void vm_keys_free(struct vm_agent *a);
/* The daemon listens where the other hosts look for it. */
void vm_keys_listen(struct vm_agent *a);

/* ---- vm_agent_arrive.c, vm_agent_arrive_calls.c ---- */
#define VM_MOVE_ID_SIZE 64

struct vm_arrival {
    struct uuid vm;
    char id[VM_MOVE_ID_SIZE];
    struct value disks; /* set of maps: sr, path, vdi, format */
    uint64_t since_ms;
    bool was_named, is_over; /* is_over: somebody said so */
    bool is_at_work;         /* being let run, or removed */
    bool was_let_run;
    bool is_whole; /* of one that comes from another pool: its memory is all there */
    struct vm_arrival *next;
};
/* NULL: it is not to come here. */
struct vm_arrival *vm_arrival_of(const struct vm_agent *a, const struct uuid *vm);
enum vm_here vm_arrival_here(const struct vm_arrival *r, const struct virt_domain *d /* NULL: none */);
struct vm_arrival *vm_arrival_add(struct vm_agent *a, const struct uuid *vm, const char *id,
                                  const struct value *disks /* copied; may be NULL */);
bool vm_arrival_note(const struct vm_agent *a, const struct vm_arrival *r, struct error **errp) _warn_unused_;
void vm_arrivals_load(struct vm_agent *a); /* the notes, at the start of this daemon */
/* After a list; `domains` as listed. */
void vm_arrivals_look(struct vm_agent *a, const struct virt_domain *domains, size_t n);
bool vm_is_arriving(const struct vm_agent *a, const struct uuid *vm);
void vm_arrivals_free(struct vm_agent *a);

/* ---- vm_agent_leave.c, vm_agent_leave_calls.c ---- */
#define VM_STALL_MS 30000 /* without a byte, unless it is said otherwise */
#define VM_STALL_MIN_MS 1000

struct vm_leaving {
    struct vm_agent *a;
    struct pool_reply *reply; /* until the record is written */
    struct uuid vm;
    char *id;
    bool is_recorded, is_open, has_moved, was_aborted, is_looking, has_job;
    bool is_stalled;
    uint64_t turn; /* of the look or step under way: what an older one brings is dropped */
    enum vm_peer peer;
    uint64_t absent_since_ms; /* 0: it was there when it was looked for last */
    uint64_t stall_ms;
    struct stall stall;
    struct virt_move move; /* until it is begun */
    struct value record;
    struct virt_job job;
    char *why; /* it failed */
    struct loop_source *timer;
    struct vm_leaving *next;
};
struct vm_leaving *vm_leaving_of(const struct vm_agent *a, const struct uuid *vm);
struct vm_leaving *vm_leaving_new(struct vm_agent *a, const struct uuid *vm, const char *id);
/* Writes the record, answers `reply`, and sends the VM. */
void vm_leaving_begin(struct vm_leaving *l, const struct value *record);
/* A row says that the VM is on its way from here, and nobody here is at it: this daemon is new. */
void vm_leaving_adopt(struct vm_agent *a, const struct row *vm);
void vm_leavings_free(struct vm_agent *a);

/* ---- vm_agent_far_leave.c: VMs that run and go to another pool ---- */
#define VM_FAR_MAX 2 /* at a time; leaving and coming are counted apart */
bool vm_far_is_leaving(const struct vm_agent *a, const struct uuid *vm);
void vm_fars_load(struct vm_agent *a); /* the notes, at the start of this daemon */
void vm_fars_look(struct vm_agent *a, const struct virt_domain *domains, size_t n);
void vm_fars_stop(struct vm_agent *a, const char *id); /* gives up what is under way */
void vm_fars_free(struct vm_agent *a);
/* ---- vm_agent_far_arrive.c: and those that come ---- */
void vm_admits_stop(struct vm_agent *a, const char *id);
void vm_admits_free(struct vm_agent *a);

/* ---- vm_agent_leave_rows.c ---- */
/* The host that a record names; null when none. */
struct uuid vm_record_host(const struct value *record);
const char *vm_record_id(const struct value *record); /* "" when none */
bool vm_record_is_far(const struct value *record);    /* between pools */
bool vm_record_is_back(const struct value *record);
/* The VM is the other host's: place, disks, interfaces, and no record. */
void vm_rows_hand_over(struct vm_agent *a, struct db_txn *t, const struct row *vm);

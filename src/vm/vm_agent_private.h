/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the agent share. Loop thread. */
#pragma once

#include "virt/virt.h"
#include "vm/vm_agent.h"
#include "vm/vm_sweep_core.h"

#define VM_WRITE_MS 15000

/* A VM with a request under way, and until a list that began after its end has come: such a list says nothing of it. */
struct vm_busy {
    struct uuid vm;
    bool is_over;
    uint64_t over_at; /* number of the list that had begun last when it ended */
    struct vm_busy *next;
};

struct vm_agent {
    struct vm_agent_config config;
    struct loop *loop;
    struct db *db;
    struct uuid self;
    struct uuid run; /* of this daemon: what half-made files bear that are not left over */
    char *state_dir, *run_dir, *virtd_path;
    struct virt *virt;
    struct worker *storage; /* its jobs may be slow; of its own, so that nothing else waits for them */
    struct loop_source *timer;
    uint64_t n_lists; /* begun */
    bool listing, again, writing;
    bool pbds_looked_at;
    struct db_watch *pbd_watch;
    struct pbd_look *looks; /* at PBDs, under way */
    unsigned n_ticks;
    int64_t generation;        /* boots of this host; 0: not known, and no shared storage is used */
    bool leases_due, sweeping; /* something may be held that nothing stands for */
    bool sweep_again;          /* a list came while the sweep was under way */
    struct sweep_gate gate;    /* sweeps and transfers */
    struct uuid *running;      /* n_running: as the last list had it */
    size_t n_running;
    struct vm_busy *busy;
    struct uuid *strangers; /* domains that were complained about; n_strangers */
    size_t n_strangers;
    struct pool_channel *channel; /* NULL before it serves */
    struct vm_gate *gates;        /* vm_agent_gate.c */
    struct db_watch *watch;
    struct vm_keys *keys;
    struct vm_arrival *arrivals;
    struct vm_leaving *leavings;
    struct vm_transfer *transfers; /* vm_agent_transfer.c */
    struct vm_forgetting *forgettings;
    uint64_t n_turns;               /* looks and steps of theirs */
    struct disk_copy *disk_copies;  /* vm_agent_disk_move.c */
    struct disk_whole *disk_wholes; /* vm_agent_disk_whole.c */
    struct disk_asking *disk_askings;
    struct vm_far *fars;      /* vm_agent_far_leave.c */
    struct vm_admit *admits;  /* vm_agent_far_arrive.c */
    struct vm_guests *guests; /* vm_guest.h */
    struct vm_locks *locks;   /* vm_lock.h */
    bool is_freed;            /* replies are dropped */
};

/* ---- vm_agent.c ---- */
void vm_agent_look(struct vm_agent *a); /* soon, at the hypervisor's list */
bool vm_agent_is_busy(const struct vm_agent *a, const struct uuid *vm);
/* False with OTHER_OPERATION_IN_PROGRESS when there is a request already. */
bool vm_agent_begin(struct vm_agent *a, const struct uuid *vm, struct error **errp) _warn_unused_;
void vm_agent_end(struct vm_agent *a, const struct uuid *vm);
bool vm_args_vm(const struct value *args, struct uuid *ret, struct error **errp) _warn_unused_;

/* ---- vm_agent_rows.c: what happened, as rows ---- */
/* It runs here: state, place, and (at a start) its devices, as the spec names them (NULL: they are left as they are).
 */
void vm_rows_running(struct vm_agent *a, struct db_txn *t, const struct uuid *vm, bool is_paused,
                     const struct value *spec);
/* Where its screen and its serial line are to be had, as rows; what is there already and right stays. */
void vm_rows_consoles(struct vm_agent *a, struct db_txn *t, const struct uuid *vm);
/* It runs here no more; `state` is Halted or Suspended. */
void vm_rows_gone(struct vm_agent *a, struct db_txn *t, const struct uuid *vm, const char *state);
/* What it uses now, into the volatile store; NULL: it does not run here. */
void vm_rows_measure(struct vm_agent *a, const struct uuid *vm, const struct virt_domain *domain);
/* The moment at which its guest started, now. */
void vm_rows_started(struct vm_agent *a, const struct uuid *vm);

/* ---- vm_agent_gate.c: those of the calls below that wait for the hypervisor when it is away for a moment ---- */
void vm_gates_serve(struct vm_agent *a, struct pool_channel *channel);

/* ---- vm_agent_start.c, vm_agent_calls.c: calls over the pool channel ---- */
bool vm_check_up(const struct vm_agent *a, struct error **errp) _warn_unused_; /* the hypervisor is there */
/* A kernel or ramdisk that a VM names is there, in a folder for that; `path` may be empty. */
bool vm_check_boot_file(const char *field, const char *path, struct error **errp) _warn_unused_;
pool_serve_fn vm_serve_start, vm_serve_save, vm_serve_power, vm_serve_device, vm_serve_store, vm_serve_snapshot,
    vm_serve_copy_memory;
/* Networks that no NIC of this host is on have their bridge from the first interface (of a set of devices) on. */
void vm_agent_make_bridges(struct vm_agent *a, const struct value *nics,
                           void (*done)(struct vm_agent *a, struct error *error, void *userdata), void *userdata);
/* A VIF's device as this host's switch needs it. */
void vm_nic_fit(const struct vm_agent *a, struct value *nic);
/* ---- vm_agent_settle.c: disks of VMs that run no more ---- */
/*
 * Their names lead to what the VM wrote last (store_settle). By a VM's rows, and nobody waits; or those of a
 * specification that is to be started, and `done` is told.
 */
void vm_agent_settle(struct vm_agent *a, const struct uuid *vm);
void vm_agent_settle_spec(struct vm_agent *a, const struct value *spec,
                          void (*done)(struct vm_agent *a, struct error *error, void *userdata), void *userdata);
/* Those in a folder (`sr`: its turn), after the start of the daemon; nobody waits. */
void vm_agent_settle_sr(struct vm_agent *a, const char *sr, const char *path);

/* ---- vm_agent_store.c: storage of this host ---- */
/* What ought to be attached is looked at once; storage of the network again and again. Every LOOK_MS. */
void vm_agent_look_at_pbds(struct vm_agent *a);
void vm_agent_watch_pbds(struct vm_agent *a);
void vm_agent_unwatch_pbds(struct vm_agent *a);

/* ---- vm_agent_lease.c: disks that other hosts could write (store/store_lease.h) ---- */
typedef void vm_leases_fn(struct error *error /* NULL: all taken */, void *userdata);
/* Counts this boot of the host, once per boot. */
void vm_leases_init(struct vm_agent *a);
/* Says for whom an operation on storage is; where it is (path, sr) must stand in it already. */
void vm_leases_sign(const struct vm_agent *a, struct value *args);
/* vm_agent_login.c: and as whom this host logs in at an iSCSI target. */
void vm_login_sign(const struct vm_agent *a, struct value *args);
/* Takes what a spec's disks (a set), or one disk (a map), need, and tells each what its image goes on from (`backing`).
 * `disks` must stay until `fn` is called. What was taken before a failure is given back with the next list. */
void vm_leases_take(struct vm_agent *a, const struct uuid *vm, struct value *disks, vm_leases_fn *fn, void *userdata);
/* Gives back those of one disk; nobody waits for it. */
void vm_leases_release(struct vm_agent *a, const struct uuid *vm, const struct value *disk);
/* A list of what runs has come: leases of VMs that are gone are given back soon. */
void vm_leases_listed(struct vm_agent *a, const struct virt_domain *domains, size_t n);
/* Something may be held that nothing stands for: looked at with the next list. */
void vm_leases_look(struct vm_agent *a);
/* In place of the uuids of VDI_IN_USE a sentence that names the holder. */
void vm_leases_explain(const struct vm_agent *a, struct error **e);

/* ---- vm_agent_transfer.c ---- */
void vm_transfers_serve(struct vm_agent *a, struct pool_channel *channel);
void vm_transfers_add(const struct vm_agent *a, struct value *vms); /* under whose names leases are held, to a set */
void vm_transfers_swept(struct vm_agent *a);                        /* a sweep is over: those that wait for it begin */
void vm_transfers_free(struct vm_agent *a);

/* ---- vm_agent_arrive.c, vm_agent_leave.c: see vm_agent_move.h ---- */
pool_serve_fn vm_serve_receive, vm_serve_received, vm_serve_forget, vm_serve_facts, vm_serve_send, vm_serve_abort;
/* ---- vm_agent_disk_move.c: disks between pools ---- */
pool_serve_fn vm_serve_disk_serve, vm_serve_disk_send, vm_serve_disk_stop, vm_serve_disk_path;
/* ---- vm_agent_far_leave.c, vm_agent_far_arrive.c ---- */
pool_serve_fn vm_serve_machine, vm_serve_far_send, vm_serve_admit, vm_serve_admitted;
void vm_disk_copies_free(struct vm_agent *a);
bool vm_disk_is_served(const struct vm_agent *a, const char *id);
/* Changes while the servers of this move's disks have something to do. */
uint64_t vm_disk_work(const struct vm_agent *a, const char *id);
/* ---- vm_agent_disk_whole.c: those that have come ---- */
pool_serve_fn vm_serve_disk_whole;
void vm_disk_whole_note(struct vm_agent *a, const char *id, const struct uuid *vdi, const char *file);
void vm_disk_whole_forget(struct vm_agent *a, const char *id /* NULL: of all moves */);
void vm_disk_askings_free(struct vm_agent *a);                     /* before the others */
void vm_arrivals_add(const struct vm_agent *a, struct value *vms); /* those that are on their way here, to a set */
void vm_arrivals_row_changed(struct vm_agent *a, const struct row *vm);

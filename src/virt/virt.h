/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor of this host, through libvirt: one connection, kept for ever. What libvirt is asked runs on worker
 * threads of its own (a hypervisor that hangs must not hold up the network's jobs); its events come on a thread that
 * only posts. Requests about one VM run in order. Functions and callbacks: loop thread only.
 *
 * When the connection breaks, the daemon behind it is looked for and started again (muster-virtd), and `up` is called
 * when it is there: whatever happened meanwhile is then to be read with virt_list. VMs live on without it.
 */
#pragma once

#include "base/error.h"
#include "base/uuid.h"
#include "base/value.h"
#include "loop/loop.h"
#include "virt/virt_xml_swap_core.h"

#define VIRT_DOMAINS_MAX 4096

enum virt_state { VIRT_RUNNING, VIRT_PAUSED };

struct virt_domain {
    struct uuid uuid;
    enum virt_state state;
    bool is_dying;    /* its QEMU ends at this moment: soon it is not listed */
    bool is_arriving; /* it comes from another host and is not whole yet */
    int id;
    int64_t memory; /* bytes that it has now */
    unsigned n_vcpus;
};

struct virt_callbacks {
    void (*up)(void *userdata); /* connected: everything may be different */
    void (*down)(const char *why, void *userdata);
    void (*event)(const struct uuid *vm, void *userdata);    /* something about this VM: look again */
    void (*rebooted)(const struct uuid *vm, void *userdata); /* its guest has started anew */
};

struct virt_config { /* texts are copied */
    struct loop *loop;
    const char *uri; /* NULL: the host's own daemon, started when it is not there */
    const char *state_dir, *run_dir;
    const char *virtd_path; /* program muster-virtd; looked up in PATH when it has no slash */
    const char *pki_dir;    /* the host's key and certificates, for a daemon that listens; NULL: it never does */
    const struct virt_callbacks *callbacks;
    void *userdata;
};

struct virt;
struct virt *virt_new(const struct virt_config *config);
/* Waits for the requests under way; their `done` is called. The daemon and the VMs stay. */
void virt_free(struct virt *v);
/* Of the XML of its domains where the URI names another driver than QEMU's: "test", "xen"; else NULL. */
const char *virt_domain_type(const struct virt *v);
bool virt_is_up(const struct virt *v);
/*
 * Calls `fn` once: with NULL when it is up (at once, if it is), with an error when it is not after `wait_ms`, cannot be
 * started, or is freed. For requests of people: its daemon is started again when certificates change, or dies, and is
 * there a second later.
 */
typedef void virt_up_fn(struct error *error /* borrowed */, void *userdata);
void virt_when_up(struct virt *v, uint64_t wait_ms, virt_up_fn *fn, void *userdata);
/*
 * Where the host's own daemon is to listen for those of other hosts ("": nowhere; NULL: where it listened last). Cheap;
 * to be said again when the address or certificates may have changed. A daemon that listens otherwise is started again:
 * not while `may_restart` is false.
 */
void virt_listen(struct virt *v, const char *address, bool may_restart);
const char *virt_trouble(const struct virt *v); /* why it is not up; "" when it is */

enum virt_op {
    VIRT_START,   /* xml; paused */
    VIRT_RESTORE, /* path, xml (of which the disks' places count; NULL: as the file has it); paused */
    VIRT_SAVE,    /* path: memory into a file, and the domain is gone */
    VIRT_PAUSE,
    VIRT_UNPAUSE,
    VIRT_SHUTDOWN, /* presses the power button; the guest decides */
    VIRT_REBOOT,   /* the same for a restart */
    VIRT_RESET,
    VIRT_DESTROY,  /* well also when there is no such domain */
    VIRT_ATTACH,   /* xml of a device */
    VIRT_DETACH,   /* xml of a device; returns when the guest has let go, or fails after 20 s */
    VIRT_UPDATE,   /* xml of a device: another disc */
    VIRT_LINK,     /* path: the address of an interface; its link goes up, or down when `paused` */
    VIRT_SNAPSHOT, /* xml of a snapshot (virt_xml_snapshot); path: with memory, which goes there */
};

struct virt_request {
    enum virt_op op;
    struct uuid vm;
    char *xml, *path; /* owned; may be NULL */
    bool paused;
};

/* `domain` is what became of it; NULL when it is gone or on error. Both borrowed. Exactly once. */
typedef void virt_done_fn(struct error *error, const struct virt_domain *domain, void *userdata);
void virt_ask(struct virt *v, struct virt_request request /* its texts are taken */, virt_done_fn *done,
              void *userdata);

/* All VMs that run here. With `error` the list says nothing. */
typedef void virt_list_fn(struct error *error, const struct virt_domain *domains, size_t n, void *userdata);
void virt_list(struct virt *v, virt_list_fn *done, void *userdata);

/*
 * What the agent inside a guest says of it: a map of what libvirt names ("os.name", "hostname", "if.0.hwaddr",
 * "if.0.addr.1.addr" ...) to texts and numbers. With `error` there is no agent, or it is silent (5 s). On a thread of
 * its own: a guest that hangs holds up nothing but other guests' answers. `facts` is borrowed.
 */
typedef void virt_guest_fn(struct error *error, const struct value *facts, void *userdata);
void virt_guest(struct virt *v, const struct uuid *vm, virt_guest_fn *done, void *userdata);

/* ---- a VM moves to another host: its daemon speaks to the other's, this process only asks and watches ---- */

#define VIRT_MOVE_DISKS_MAX 32

struct virt_move {
    struct uuid vm;
    char *address;           /* of the other host's daemon (virt_listen) */
    char *data_address;      /* of the other host, for memory and disks; may be in another network */
    char *tls_name;          /* name in the certificate of its QEMU */
    struct virt_swap *swaps; /* what is another thing there (virt_xml_swap_core.h); n_swaps */
    size_t n_swaps;
    char *disks[VIRT_MOVE_DISKS_MAX + 1]; /* names in the guest of those whose content goes along; NULL at the end */
    unsigned mib_per_s;                   /* 0: as fast as it goes */
    bool compress;
    /*
     * Its processors are emulated: then it stands still while its memory is copied (not while its disks are). QEMU 7.2
     * loses writes of an emulated processor to pages that were sent already, and the guest's memory is torn afterwards.
     */
    bool is_emulated;
};

/*
 * Returns at once; `done` once, when the domain is gone here and stands complete and PAUSED on the other host (error
 * NULL), or when it did not come to that (what runs where is then to be read from the lists). It goes on in the daemons
 * when this process ends: `done` is then never called.
 */
typedef void virt_move_done_fn(struct error *error /* borrowed */, bool was_aborted, void *userdata);
void virt_move(struct virt *v, struct virt_move move /* its texts are taken */, virt_move_done_fn *done,
               void *userdata);

struct virt_job {
    bool is_active;                /* a VM's memory or disks are on their way */
    uint64_t processed, remaining; /* bytes; what changes meanwhile is done again */
};
typedef void virt_job_fn(struct error *error, const struct virt_job *job, void *userdata); /* borrowed; once */
void virt_job(struct virt *v, const struct uuid *vm, virt_job_fn *done, void *userdata);
/* Gives up a move; `done` of virt_move tells when that has come to pass. Without one under way nothing happens. */
void virt_abort(struct virt *v, const struct uuid *vm);

/* ---- a VM goes to a host of another pool: no daemon there is spoken to, QEMU sends to ports that take this and no
 * more ---- */

struct virt_far_disk {
    char *device; /* in the guest */
    char *name;   /* of the export there */
    unsigned port;
};

struct virt_far { /* texts are owned */
    struct uuid vm;
    char *address;  /* of the host there */
    char *tls_name; /* in the certificates there */
    char *keys;     /* folder of this move's keys, as QEMU sees it */
    unsigned memory_port;
    struct virt_far_disk *disks; /* n_disks */
    size_t n_disks;
    unsigned mib_per_s; /* 0: as fast as it goes */
    uint64_t stall_ms;  /* without a byte */
    bool is_emulated;   /* see virt_move */
};

/*
 * Copies its disks while it runs (each change again), then its memory. `done` once: with NULL the guest stands still,
 * all of it has been sent, and nothing of it has been given up here: virt_far_clean lets it go on. With an error
 * virt_far_clean is due as well. The flight is freed with virt_flight_free, also while it is under way (`done` is then
 * never called, and what QEMU does goes on).
 */
struct virt_flight;
typedef void virt_far_done_fn(struct error *error /* borrowed */, bool was_aborted, void *userdata);
struct virt_flight *virt_far_send(struct virt *v, struct virt_far far /* taken */, virt_far_done_fn *done,
                                  void *userdata);
struct virt_job virt_flight_job(const struct virt_flight *f);
void virt_flight_abort(struct virt_flight *f);
void virt_flight_free(struct virt_flight *f); /* accepts NULL */

/* Whatever virt_far_send has made of QEMU is undone, and (`lets_run`) the guest goes on if it stands. Well also without
 * such a VM, and again. With an error nothing is known: to be tried again. */
typedef void virt_far_clean_fn(struct error *error /* borrowed */, void *userdata);
void virt_far_clean(struct virt *v, const struct uuid *vm, bool lets_run, virt_far_clean_fn *done, void *userdata);

/* What the guest sees of its machine (virt_machine_core.h): a map, borrowed. */
typedef void virt_machine_fn(struct error *error, const struct value *machine, void *userdata);
void virt_machine(struct virt *v, const struct uuid *vm, virt_machine_fn *done, void *userdata);

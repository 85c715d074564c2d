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
#include "loop/loop.h"

#define VIRT_DOMAINS_MAX 4096

enum virt_state { VIRT_RUNNING, VIRT_PAUSED };

struct virt_domain {
    struct uuid uuid;
    enum virt_state state;
    bool is_dying; /* its QEMU ends at this moment: soon it is not listed */
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
    const struct virt_callbacks *callbacks;
    void *userdata;
};

struct virt;
struct virt *virt_new(const struct virt_config *config);
/* Waits for the requests under way; their `done` is called. The daemon and the VMs stay. */
void virt_free(struct virt *v);
bool virt_is_up(const struct virt *v);
const char *virt_trouble(const struct virt *v); /* why it is not up; "" when it is */

enum virt_op {
    VIRT_START,   /* xml; paused */
    VIRT_RESTORE, /* path, xml (of which the disks' places count); paused */
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
struct value;
typedef void virt_guest_fn(struct error *error, const struct value *facts, void *userdata);
void virt_guest(struct virt *v, const struct uuid *vm, virt_guest_fn *done, void *userdata);

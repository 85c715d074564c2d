/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VMs of this host: starts and ends them as the coordinator asks over the pool channel, and says in the rows what
 * they do. It alone writes VM.power_state and VM.resident_on of what runs here, from what the hypervisor lists: after
 * each event, after each request, every few seconds, and when the hypervisor or this daemon has come back. What it
 * finds running is never touched; it is only noted down. Loop thread.
 *
 * A VM is claimed before it is started: resident_on becomes this host in a transaction that fails unless it was
 * nobody's. So two hosts never start the same VM, whoever dies in between. A claim that nothing came of is taken back.
 *
 * Calls that it serves (arguments -> result):
 *   vm_start    spec (virt/virt_xml_core.h), paused, restore {path, sr, vdi, file format is "save"} or nothing
 *   vm_power    vm, op: pause, unpause, shutdown, reboot, reset, destroy
 *   vm_save     vm, path, sr, vdi       memory into <path>/<vdi>.save; the VM is suspended
 *   vm_device   vm, op: attach, detach, update; kind: disk, nic; device (as in a spec)
 *   vm_snapshot vm, disks (a set of maps as vdi_fork of the store takes them, with device, and live: the VM writes to
 * it, else nothing has it open), and memory, memory_path for a checkpoint
 *               -> sizes: of the bases, in the order of the disks
 *
 *   vm_copy_memory   path, vdi, to
 *
 *   vm_lock     vm, lock (vm/vm_lock_core.h): what an interface may send, in force when the answer comes
 *
 *   store       op and its arguments (store/store.h)
 *
 *   transfer_open    id, op and its arguments (store/store_stream.h): a stream, to be taken by vm_agent_take_transfer
 *   transfer_result  id         when its helper has ended -> what it says
 */
#pragma once

#include "loop/worker.h"
#include "pool/pool_channel.h"
#include "wire/stream.h"

struct vm_agent;

struct vm_agent_config { /* texts are copied */
    struct loop *loop;
    struct db *db;
    struct uuid self;
    const char *state_dir, *run_dir;
    const char *virtd_path; /* NULL: looked up in PATH */
    const char *uri;        /* of libvirt; NULL: the host's own daemon */
    /* Type of the switch's datapath, "system" or "netdev", for the bridges of networks that no NIC is on. */
    const char *(*datapath)(void *userdata);
    void *userdata;
};

struct vm_agent *vm_agent_new(const struct vm_agent_config *config);
void vm_agent_serve(struct vm_agent *a, struct pool_channel *channel);
void vm_agent_free(struct vm_agent *a);
/* The stream of a transfer that was opened here: paused, for the caller to free. NULL: there is none, or it has been
 * taken. */
struct stream *vm_agent_take_transfer(struct vm_agent *a, const struct uuid *id);

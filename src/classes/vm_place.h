/* SPDX-License-Identifier: Apache-2.0 */
/* Where a VM can run: memory, networks and storage of each host, as the rows have them now. Loop thread. */
#pragma once

#include "api/api.h"

/* False with *errp: the first reason why the VM cannot start (or be resumed) on the host now. */
bool vm_place_check(struct api *a, const struct row *vm, const struct row *host, struct error **errp) _warn_unused_;
/*
 * The best host: its affinity, else the one with most memory that is promised to no VM. NULL with *errp; in a pool of
 * one host its reason.
 */
const struct row *vm_place_choose(struct api *a, const struct row *vm, struct error **errp);
/* Bytes that VMs could still be given: what is free, less what running and starting VMs may yet take up. */
int64_t vm_place_free_memory(struct api *a, const struct row *host);
/*
 * Whether the host is the better place (best may be NULL): less of its memory is promised to VMs; among equals, more is
 * free. What is free alone changes with whatever else the host does, and says nothing of what the VMs there have not
 * touched yet.
 */
bool vm_place_is_better(struct api *a, const struct row *host, const struct row *best);
/* Bytes that the hypervisor needs for the VM on top of its memory. */
int64_t vm_place_overhead(const struct row *vm);
/* A disk of the VM that another VM has attached so that both cannot have it; VDI_IN_USE. */
bool vm_place_check_disk(struct db *d, const struct row *vbd, struct error **errp) _warn_unused_;

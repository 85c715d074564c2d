/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/vm_place.h"

#include <stdio.h>

#include "base/str.h"
#include "classes/net_rows.h"
#include "classes/vm_spec.h"

#define MIB (INT64_C(1) << 20)
#define OVERHEAD (64 * MIB)      /* QEMU itself: code, heap, video memory */
#define HOST_RESERVE (256 * MIB) /* what the host's own programs keep whatever is free now */

int64_t vm_place_overhead(const struct row *vm) {
    /* Page tables: 8 bytes for 4 KiB, and as much again for bookkeeping. */
    return OVERHEAD + row_int(vm, FIELD_VM_memory_static_max) / 256;
}

static int64_t need_of(const struct row *vm) {
    return row_int(vm, FIELD_VM_memory_static_max) + vm_place_overhead(vm);
}

/* What running and starting VMs may take up. */
static void sum_promised(struct db *d, const struct row *host, int64_t *ret_resident, int64_t *ret_starting) {
    int64_t resident = 0, starting = 0;
    for (const struct row *vm = db_first(d, CLASS_VM); vm; vm = db_next(d, vm)) {
        if (row_bool(vm, FIELD_VM_is_control_domain))
            continue;
        if (uuid_eq(row_ref(vm, FIELD_VM_resident_on), &host->uuid))
            resident += need_of(vm);
        else if (uuid_eq(row_ref(vm, FIELD_VM_scheduled_to_be_resident_on), &host->uuid))
            starting += need_of(vm);
    }
    *ret_resident = resident;
    *ret_starting = starting;
}

static int64_t unpromised(struct api *a, const struct row *host) {
    const struct row *metrics = db_follow(api_db(a), host, FIELD_host_metrics);
    int64_t resident, starting;
    sum_promised(api_db(a), host, &resident, &starting);
    return metrics ? row_int(metrics, FIELD_host_metrics_memory_total) - resident - starting : 0;
}

int64_t vm_place_free_memory(struct api *a, const struct row *host) {
    struct db *d = api_db(a);
    const struct row *metrics = db_follow(d, host, FIELD_host_metrics);
    int64_t resident, starting;
    sum_promised(d, host, &resident, &starting);
    if (!metrics)
        return 0;
    int64_t by_count = row_int(metrics, FIELD_host_metrics_memory_total) - HOST_RESERVE - resident - starting;
    int64_t by_measure = row_int(metrics, FIELD_host_metrics_memory_free) - starting;
    return MAX(MIN(by_count, by_measure), (int64_t)0);
}

bool vm_place_is_better(struct api *a, const struct row *host, const struct row *best) {
    int64_t here = unpromised(a, host), there = best ? unpromised(a, best) : -1;
    return here != there ? here > there : vm_place_free_memory(a, host) > vm_place_free_memory(a, best);
}

static bool check_networks(struct db *d, const struct row *vm, const struct row *host, struct error **errp) {
    const struct value *vifs = row_value(vm, FIELD_VM_VIFs);
    char vm_ref[REF_TEXT_SIZE], network_ref[REF_TEXT_SIZE];
    for (size_t i = 0; i < vifs->set.n; i++) {
        const struct row *vif = db_get(d, CLASS_VIF, &vifs->set.items[i].ref);
        const struct row *network = vif ? db_follow(d, vif, FIELD_VIF_network) : NULL;
        if (!vif)
            continue;
        const struct row *pif = network ? net_rows_pif_on(d, &host->uuid, &network->uuid) : NULL;
        bool is_internal = network && row_value(network, FIELD_network_PIFs)->set.n == 0;
        if (is_internal || (pif && row_bool(pif, FIELD_PIF_currently_attached)))
            continue;
        error_set(errp, ERR_VM_REQUIRES_NETWORK, ref_text(&vm->uuid, vm_ref),
                  ref_text(row_ref(vif, FIELD_VIF_network), network_ref), NULL);
        return false;
    }
    return true;
}

bool vm_place_check_disk(struct db *d, const struct row *vbd, struct error **errp) {
    const struct row *vdi = db_follow(d, vbd, FIELD_VBD_VDI);
    char ref[REF_TEXT_SIZE];
    if (!vdi)
        return true;
    const struct value *vbds = row_value(vdi, FIELD_VDI_VBDs);
    bool writes = str_eq(row_str(vbd, FIELD_VBD_mode), "RW");
    for (size_t i = 0; i < vbds->set.n; i++) {
        const struct row *other = db_get(d, CLASS_VBD, &vbds->set.items[i].ref);
        if (!other || other == vbd || !row_bool(other, FIELD_VBD_currently_attached) ||
            row_bool(vdi, FIELD_VDI_sharable))
            continue;
        if (!writes && !str_eq(row_str(other, FIELD_VBD_mode), "RW"))
            continue;
        error_set(errp, ERR_VDI_IN_USE, ref_text(&vdi->uuid, ref), "attach", NULL);
        return false;
    }
    return true;
}

static bool check_disks(struct db *d, const struct row *vm, const struct row *host, struct error **errp) {
    const struct value *vbds = row_value(vm, FIELD_VM_VBDs);
    for (size_t i = 0; i < vbds->set.n; i++) {
        const struct row *vbd = db_get(d, CLASS_VBD, &vbds->set.items[i].ref);
        if (!vbd)
            continue;
        struct value disk = vm_spec_disk(d, vbd, &host->uuid, errp);
        bool ok = disk.type != VALUE_VOID && vm_place_check_disk(d, vbd, errp);
        value_done(&disk);
        if (!ok)
            return false;
    }
    return true;
}

static bool check_suspended(struct db *d, const struct row *vm, const struct row *host, struct error **errp) {
    const struct row *vdi = db_follow(d, vm, FIELD_VM_suspend_VDI);
    const struct row *pbd = vdi ? vm_spec_pbd(d, row_ref(vdi, FIELD_VDI_SR), &host->uuid) : NULL;
    char vm_ref[REF_TEXT_SIZE], sr_ref[REF_TEXT_SIZE];
    if (!vdi || (pbd && row_bool(pbd, FIELD_PBD_currently_attached)))
        return true;
    error_set(errp, ERR_VM_REQUIRES_SR, ref_text(&vm->uuid, vm_ref), ref_text(row_ref(vdi, FIELD_VDI_SR), sr_ref),
              NULL);
    return false;
}

bool vm_place_check(struct api *a, const struct row *vm, const struct row *host, struct error **errp) {
    struct db *d = api_db(a);
    char ref[REF_TEXT_SIZE], needed[24], available[24];
    ref_text(&host->uuid, ref);
    if (!api_host_is_live(a, &host->uuid)) {
        error_set(errp, ERR_HOST_OFFLINE, ref, NULL);
        return false;
    }
    if (!row_bool(host, FIELD_host_enabled)) {
        error_set(errp, ERR_HOST_DISABLED, ref, NULL);
        return false;
    }
    if (!check_networks(d, vm, host, errp) || !check_disks(d, vm, host, errp) || !check_suspended(d, vm, host, errp))
        return false;
    int64_t need = need_of(vm), free_memory = vm_place_free_memory(a, host);
    if (need <= free_memory)
        return true;
    (void)snprintf(needed, sizeof(needed), "%lld", (long long)need);
    (void)snprintf(available, sizeof(available), "%lld", (long long)free_memory);
    error_set(errp, ERR_HOST_NOT_ENOUGH_FREE_MEMORY, needed, available, NULL);
    return false;
}

const struct row *vm_place_choose(struct api *a, const struct row *vm, struct error **errp) {
    struct db *d = api_db(a);
    const struct row *best = NULL;
    struct error *reason = NULL;
    for (const struct row *h = db_first(d, CLASS_host); h; h = db_next(d, h)) {
        struct error *e = NULL;
        if (!vm_place_check(a, vm, h, &e)) {
            error_free(reason);
            reason = e;
            continue;
        }
        if (uuid_eq(row_ref(vm, FIELD_VM_affinity), &h->uuid)) {
            best = h;
            break;
        }
        if (vm_place_is_better(a, h, best))
            best = h;
    }
    if (!best && reason && db_count(d, CLASS_host) == 1)
        error_propagate(errp, reason);
    else {
        error_free(reason);
        if (!best)
            error_set(errp, ERR_NO_HOSTS_AVAILABLE, NULL);
    }
    return best;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/vm_migrate_plan.h"

#include <stdio.h>

#include "base/str.h"
#include "classes/net_rows.h"
#include "classes/vm_path_core.h"
#include "classes/vm_place.h"
#include "classes/vm_spec.h"

#define CONTROL_SIZE 1500 /* what every route of the management network is locked to */

void vm_move_plan_done(struct vm_move_plan *p) {
    free(p->data_address);
    value_done(&p->record);
    value_done(&p->disks);
    value_done(&p->nics);
    value_done(&p->swaps);
    value_done(&p->names);
    *p = (struct vm_move_plan){0};
}

static struct value text(const char *s) {
    return value_string(s);
}

static void add_swap(struct vm_move_plan *p, const char *after, const char *from, const char *to) {
    struct value swap = value_map();
    value_map_add(&swap, "after", text(after));
    value_map_add(&swap, "from", text(from));
    value_map_add(&swap, "to", text(to));
    value_set_add(&p->swaps, swap);
}

/* A reference that a map has for an object, whatever form clients gave it; null when there is none. */
static struct uuid mapped(const struct value *map, const struct uuid *key) {
    char ref[REF_TEXT_SIZE];
    struct uuid u = {0};
    const struct value *v = map && map->type == VALUE_MAP ? value_map_get(map, ref_text(key, ref)) : NULL;
    if (v && v->type == VALUE_REF)
        u = v->ref;
    return u;
}

/* ---- the host ---- */

static int64_t version_number(const struct row *host) {
    const char *s = value_map_str(row_value(host, FIELD_host_software_version), "product_version");
    int64_t number = 0;
    for (int i = 0; i < 3; i++) { /* "1.2.3" */
        int64_t part = 0;
        for (; s && *s >= '0' && *s <= '9' && part < 10000; s++)
            part = part * 10 + (*s - '0');
        number = number * 100000 + part;
        s += s && *s == '.';
    }
    return number;
}

static bool check_host(struct api *a, const struct row *vm, const struct row *to, struct error **errp) {
    const struct row *from = db_follow(api_db(a), vm, FIELD_VM_resident_on);
    char ref[REF_TEXT_SIZE], vm_ref[REF_TEXT_SIZE];
    const struct row *both[] = {from, to};
    for (size_t i = 0; i < ARRAY_SIZE(both); i++)
        if (!both[i] || !api_host_is_live(a, &both[i]->uuid)) {
            error_set(errp, ERR_HOST_OFFLINE, both[i] ? ref_text(&both[i]->uuid, ref) : "", NULL);
            return false;
        }
    if (!row_bool(to, FIELD_host_enabled)) {
        error_set(errp, ERR_HOST_DISABLED, ref_text(&to->uuid, ref), NULL);
        return false;
    }
    if (version_number(to) < version_number(from)) {
        error_set(errp, ERR_VM_HOST_INCOMPATIBLE_VERSION_MIGRATE, ref_text(&to->uuid, ref), ref_text(&vm->uuid, vm_ref),
                  NULL);
        return false;
    }
    return true;
}

/* ---- interfaces ---- */

/* Without a NIC a network lies within each host: who leaves it leaves the others on it. */
static bool is_alone_on(struct db *d, const struct row *network, const struct row *vif) {
    const struct value *vifs = row_value(network, FIELD_network_VIFs);
    for (size_t i = 0; i < vifs->set.n; i++) {
        const struct row *o = db_get(d, CLASS_VIF, &vifs->set.items[i].ref);
        if (o && o != vif && row_bool(o, FIELD_VIF_currently_attached) &&
            !uuid_eq(row_ref(o, FIELD_VIF_VM), row_ref(vif, FIELD_VIF_VM)))
            return false;
    }
    return true;
}

static bool plan_vif(struct db *d, const struct vm_move_wish *w, const struct row *vif, struct vm_move_plan *p,
                     struct error **errp) {
    struct uuid other = mapped(w->vif_map, &vif->uuid);
    const struct row *network = db_follow(d, vif, FIELD_VIF_network), *there = network;
    char vm_ref[REF_TEXT_SIZE], ref[REF_TEXT_SIZE];
    if (!uuid_is_null(&other) && !(there = db_get(d, CLASS_network, &other))) {
        error_set(errp, ERR_HANDLE_INVALID, "network", ref_text(&other, ref), NULL);
        return false;
    }
    const struct row *pif = there ? net_rows_pif_on(d, &w->to->uuid, &there->uuid) : NULL;
    bool is_internal = there && row_value(there, FIELD_network_PIFs)->set.n == 0;
    if (!there || !(is_internal ? is_alone_on(d, there, vif) : pif && row_bool(pif, FIELD_PIF_currently_attached))) {
        error_set(errp, ERR_VM_REQUIRES_NETWORK, ref_text(&w->vm->uuid, vm_ref),
                  ref_text(there ? &there->uuid : &other, ref), NULL);
        return false;
    }
    struct value nic = value_map();
    value_map_add(&nic, "bridge", text(row_str(there, FIELD_network_bridge)));
    value_map_add(&nic, "internal", value_bool(is_internal));
    value_set_add(&p->nics, nic);
    if (there == network)
        return true;
    _cleanup_free_ char *key = strf("vif %s", row_str(vif, FIELD_VIF_uuid));
    value_map_put(&p->record, key, text(row_str(there, FIELD_network_uuid)));
    if (row_bool(vif, FIELD_VIF_currently_attached) && network)
        add_swap(p, row_str(vif, FIELD_VIF_MAC), row_str(network, FIELD_network_bridge),
                 row_str(there, FIELD_network_bridge));
    return true;
}

/* ---- disks ---- */

static bool requires_sr(const struct row *vm, const struct uuid *sr, struct error **errp) {
    char vm_ref[REF_TEXT_SIZE], ref[REF_TEXT_SIZE];
    error_set(errp, ERR_VM_REQUIRES_SR, ref_text(&vm->uuid, vm_ref), ref_text(sr, ref), NULL);
    return false;
}

static bool is_plugged(const struct row *pbd) {
    return pbd && row_bool(pbd, FIELD_PBD_currently_attached);
}

static bool is_in_folder(const struct row *sr) {
    return str_eq(row_str(sr, FIELD_SR_type), "file");
}

/* Room for all disks that go to this SR, this one included. */
static bool check_room(const struct vm_move_plan *p, const struct row *sr, int64_t more, struct error **errp) {
    int64_t room = row_int(sr, FIELD_SR_physical_size) - row_int(sr, FIELD_SR_physical_utilisation), need = more;
    char needed[24], there[24];
    for (size_t i = 0; i < p->disks.set.n; i++)
        if (str_eq(str_or_empty(value_map_str(&p->disks.set.items[i], "sr")), row_str(sr, FIELD_SR_uuid)))
            need += value_as_int(value_map_get(&p->disks.set.items[i], "size"));
    if (need <= room)
        return true;
    (void)snprintf(needed, sizeof(needed), "%lld", (long long)need);
    (void)snprintf(there, sizeof(there), "%lld", (long long)MAX(room, (int64_t)0));
    error_set(errp, ERR_SR_FULL, needed, there, NULL);
    return false;
}

static bool plan_moving_disk(struct db *d, const struct vm_move_wish *w, const struct row *vbd, const struct row *vdi,
                             const struct row *sr, struct vm_move_plan *p, struct error **errp) {
    const struct row *there = vm_spec_pbd(d, &sr->uuid, &w->to->uuid), *from_sr = db_follow(d, vdi, FIELD_VDI_SR);
    _cleanup_free_ char *folder = vm_spec_folder(d, there);
    struct value spec = vm_spec_disk(d, vbd, &p->from, errp);
    struct uuid new = uuid_random();
    char new_text[UUID_TEXT_SIZE], ref[REF_TEXT_SIZE];
    int64_t size = row_int(vdi, FIELD_VDI_virtual_size);
    const char *format = vm_spec_format(vdi);
    if (spec.type == VALUE_VOID)
        return false;
    _cleanup_value_ struct value here = spec;
    if (!is_plugged(there))
        return requires_sr(w->vm, &sr->uuid, errp);
    if (!is_in_folder(sr) || !is_in_folder(from_sr)) { /* what QEMU reaches over the network is another device to it */
        const struct row *other = is_in_folder(sr) ? from_sr : sr;
        error_set(errp, ERR_SR_DOES_NOT_SUPPORT_MIGRATION, ref_text(&other->uuid, ref), row_str(other, FIELD_SR_type),
                  NULL);
        return false;
    }
    if (!row_bool(vbd, FIELD_VBD_currently_attached) || str_eq(row_str(vbd, FIELD_VBD_type), "CD")) {
        error_set(errp, ERR_VALUE_NOT_SUPPORTED, "vdi_map", ref_text(&vdi->uuid, ref),
                  "only a disk that the running VM has attached moves with it", NULL);
        return false;
    }
    if (row_value(vdi, FIELD_VDI_VBDs)->set.n > 1) {
        error_set(errp, ERR_VDI_IN_USE, ref_text(&vdi->uuid, ref), "migrate_send", NULL);
        return false;
    }
    if (!check_room(p, sr, size, errp))
        return false;
    uuid_text(&new, new_text);
    struct value disk = value_map();
    value_map_add(&disk, "sr", text(row_str(sr, FIELD_SR_uuid)));
    value_map_add(&disk, "path", text(folder));
    value_map_add(&disk, "vdi", text(new_text));
    value_map_add(&disk, "format", text(format));
    value_map_add(&disk, "size", value_int(size));
    value_set_add(&p->disks, disk);
    _cleanup_free_ char *key = strf("vbd %s", row_str(vbd, FIELD_VBD_uuid)),
                        *what = strf("%s %s %s", new_text, row_str(sr, FIELD_SR_uuid), format),
                        *path = strf("%s/%s.%s", folder, new_text, format);
    value_map_put(&p->record, key, text(what));
    add_swap(p, "", str_or_empty(value_map_str(&here, "path")), path);
    value_set_add(&p->names, text(str_or_empty(value_map_str(&here, "device"))));
    return true;
}

/* Its lease goes from host to host with it. */
static bool plan_lease(struct db *d, const struct row *vbd, struct vm_move_plan *p, struct error **errp) {
    struct value disk = vm_spec_disk(d, vbd, &p->from, errp);
    if (disk.type == VALUE_VOID)
        return false;
    const struct value *shared = value_map_get(&disk, "shared"),
                       *write = shared ? value_map_get(shared, "write") : NULL;
    if (write && value_as_bool(write)) {
        _cleanup_free_ char *key = strf("lease %s", str_or_empty(value_map_str(shared, "vdi"))),
                            *what = strf("%s %s", str_or_empty(value_map_str(shared, "sr")),
                                         str_or_empty(value_map_str(shared, "path")));
        value_map_put(&p->record, key, text(what));
    }
    value_done(&disk);
    return true;
}

static bool plan_vbd(struct db *d, const struct vm_move_wish *w, const struct row *vbd, struct vm_move_plan *p,
                     struct error **errp) {
    const struct row *vdi = db_follow(d, vbd, FIELD_VBD_VDI), *sr = vdi ? db_follow(d, vdi, FIELD_VDI_SR) : NULL;
    char ref[REF_TEXT_SIZE];
    if (!vdi)
        return true;
    struct uuid other = mapped(w->vdi_map, &vdi->uuid);
    const struct row *to_sr = uuid_is_null(&other) ? sr : db_get(d, CLASS_SR, &other);
    if (!to_sr) {
        error_set(errp, ERR_HANDLE_INVALID, "SR", ref_text(&other, ref), NULL);
        return false;
    }
    if (to_sr != sr)
        return plan_moving_disk(d, w, vbd, vdi, to_sr, p, errp);
    /* It stays where it is: then both hosts must have it, and know that they do. */
    if (!row_bool(sr, FIELD_SR_shared) || !is_plugged(vm_spec_pbd(d, &sr->uuid, &w->to->uuid)))
        return requires_sr(w->vm, &sr->uuid, errp);
    _cleanup_free_ char *here = vm_spec_folder(d, vm_spec_pbd(d, &sr->uuid, &p->from)),
                        *there = vm_spec_folder(d, vm_spec_pbd(d, &sr->uuid, &w->to->uuid));
    const char *format = vm_spec_format(vdi), *uuid = row_str(vdi, FIELD_VDI_uuid);
    if (!row_bool(vbd, FIELD_VBD_currently_attached))
        return true;
    if (!str_eq(here, there) && !is_in_folder(sr))
        return requires_sr(w->vm, &sr->uuid, errp); /* known by different names, it may be two things */
    if (!str_eq(here, there)) {
        _cleanup_free_ char *from_path = strf("%s/%s.%s", here, uuid, format),
                            *to_path = strf("%s/%s.%s", there, uuid, format);
        add_swap(p, "", from_path, to_path);
    }
    return plan_lease(d, vbd, p, errp);
}

static bool plan_devices(struct db *d, const struct vm_move_wish *w, struct vm_move_plan *p, struct error **errp) {
    const struct value *vifs = row_value(w->vm, FIELD_VM_VIFs), *vbds = row_value(w->vm, FIELD_VM_VBDs);
    for (size_t i = 0; i < vifs->set.n; i++) {
        const struct row *vif = db_get(d, CLASS_VIF, &vifs->set.items[i].ref);
        if (vif && !plan_vif(d, w, vif, p, errp))
            return false;
    }
    for (size_t i = 0; i < vbds->set.n; i++) {
        const struct row *vbd = db_get(d, CLASS_VBD, &vbds->set.items[i].ref);
        if (vbd && !plan_vbd(d, w, vbd, p, errp))
            return false;
    }
    return true;
}

/* ---- the way there ---- */

const char *vm_move_address(struct db *d, const struct row *host, const struct row *network, struct error **errp) {
    const struct row *pif = net_rows_pif_on(d, &host->uuid, &network->uuid);
    char ref[REF_TEXT_SIZE], network_ref[REF_TEXT_SIZE];
    if (!pif) {
        error_set(errp, ERR_HOST_CANNOT_ATTACH_NETWORK, ref_text(&host->uuid, ref),
                  ref_text(&network->uuid, network_ref), NULL);
    } else if (str_eq(row_str(pif, FIELD_PIF_ip_configuration_mode), "None") && !*row_str(pif, FIELD_PIF_IP)) {
        error_set(errp, ERR_PIF_HAS_NO_NETWORK_CONFIGURATION, ref_text(&pif->uuid, ref), NULL);
    } else if (!*row_str(pif, FIELD_PIF_IP) || !row_bool(pif, FIELD_PIF_currently_attached)) {
        error_set(errp, ERR_INTERFACE_HAS_NO_IP, ref_text(&pif->uuid, ref), NULL);
    } else {
        return row_str(pif, FIELD_PIF_IP);
    }
    return "";
}

/* The NICs under a PIF, by name. */
static void legs_of(struct db *d, const struct row *pif, struct strv *ret) {
    const struct row *vlan = db_follow(d, pif, FIELD_PIF_VLAN_master_of);
    const struct row *base = vlan ? db_follow(d, vlan, FIELD_VLAN_tagged_PIF) : NULL;
    const struct row *bond = net_rows_bond_of(d, base ? &base->uuid : &pif->uuid);
    const struct value *slaves = bond ? row_value(bond, FIELD_Bond_slaves) : NULL;
    for (size_t i = 0; slaves && i < slaves->set.n; i++) {
        const struct row *leg = db_get(d, CLASS_PIF, &slaves->set.items[i].ref);
        if (leg)
            strv_add(ret, row_str(leg, FIELD_PIF_device));
    }
    if (!slaves)
        strv_add(ret, row_str(base ? base : pif, FIELD_PIF_device));
}

/* Frames of the size that will be sent must have been seen to arrive, one way and the other. */
static bool check_path(struct db *d, const struct row *vm, const struct row *from, const struct row *to,
                       const struct row *network, struct error **errp) {
    const struct row *here =
        network ? net_rows_pif_on(d, &from->uuid, &network->uuid) : net_rows_management_pif(d, &from->uuid);
    const struct row *there =
        network ? net_rows_pif_on(d, &to->uuid, &network->uuid) : net_rows_management_pif(d, &to->uuid);
    _cleanup_strv_ struct strv legs = {0}, peer_legs = {0};
    char vm_ref[REF_TEXT_SIZE], from_ref[REF_TEXT_SIZE], to_ref[REF_TEXT_SIZE];
    if (!here || !there)
        return true; /* said by vm_move_address; without management there is no host */
    bool is_control = row_bool(here, FIELD_PIF_management) || row_bool(there, FIELD_PIF_management);
    int64_t wanted = is_control ? CONTROL_SIZE : MIN(row_int(here, FIELD_PIF_MTU), row_int(there, FIELD_PIF_MTU));
    int vlan = (int)MAX(row_int(here, FIELD_PIF_VLAN), (int64_t)0);
    legs_of(d, here, &legs);
    legs_of(d, there, &peer_legs);
    int out = vm_path_best(row_value(from, FIELD_host_path_table), &legs, &to->uuid, &peer_legs, vlan);
    int back = vm_path_best(row_value(to, FIELD_host_path_table), &peer_legs, &from->uuid, &legs, vlan);
    int best = out < 0 ? back : back < 0 ? out : MIN(out, back);
    if (best < 0 || best >= wanted) /* never measured: the watch over the bytes is left */
        return true;
    _cleanup_free_ char *why =
        strf("frames of %lld bytes do not pass between the hosts on this network, only %d do (xe path-list)",
             (long long)wanted, best);
    error_set(errp, ERR_VM_MIGRATE_FAILED, ref_text(&vm->uuid, vm_ref), ref_text(&from->uuid, from_ref),
              ref_text(&to->uuid, to_ref), why, NULL);
    return false;
}

static bool check_memory(struct api *a, const struct row *vm, const struct row *to, struct error **errp) {
    int64_t need = row_int(vm, FIELD_VM_memory_static_max) + vm_place_overhead(vm), there = vm_place_free_memory(a, to);
    char needed[24], available[24];
    if (need <= there)
        return true;
    (void)snprintf(needed, sizeof(needed), "%lld", (long long)need);
    (void)snprintf(available, sizeof(available), "%lld", (long long)there);
    error_set(errp, ERR_HOST_NOT_ENOUGH_FREE_MEMORY, needed, available, NULL);
    return false;
}

bool vm_move_plan(struct api *a, const struct vm_move_wish *w, struct vm_move_plan *ret, struct error **errp) {
    struct db *d = api_db(a);
    struct vm_move_plan p = {.vm = w->vm->uuid,
                             .from = *row_ref(w->vm, FIELD_VM_resident_on),
                             .to = w->to->uuid,
                             .record = value_map(),
                             .disks = value_set(),
                             .nics = value_set(),
                             .swaps = value_set(),
                             .names = value_set()};
    struct error *e = NULL;
    value_map_add(&p.record, "to", text(row_str(w->to, FIELD_host_uuid)));
    const struct row *from = db_get(d, CLASS_host, &p.from);
    bool ok = check_host(a, w->vm, w->to, &e) && plan_devices(d, w, &p, &e) && check_memory(a, w->vm, w->to, &e);
    const char *address = !ok          ? ""
                          : w->network ? vm_move_address(d, w->to, w->network, &e)
                                       : row_str(w->to, FIELD_host_address);
    if (ok && !e && !*address)
        error_set(&e, ERR_HOST_HAS_NO_MANAGEMENT_IP, NULL);
    if (ok && !e && w->network)
        (void)vm_move_address(d, from, w->network, &e);
    if (ok && !e && check_path(d, w->vm, from, w->to, w->network, &e)) {
        p.data_address = xstrdup(address);
        *ret = p;
        return true;
    }
    vm_move_plan_done(&p);
    error_propagate(errp, e);
    return false;
}

const struct row *vm_move_choose(struct api *a, const struct row *vm, const struct row *network, struct error **errp) {
    struct db *d = api_db(a);
    const struct row *best = NULL;
    struct error *reason = NULL;
    for (const struct row *h = db_first(d, CLASS_host); h; h = db_next(d, h)) {
        struct vm_move_plan plan = {0};
        struct vm_move_wish wish = {.vm = vm, .to = h, .network = network};
        struct error *e = NULL;
        if (uuid_eq(&h->uuid, row_ref(vm, FIELD_VM_resident_on)))
            continue;
        if (!vm_move_plan(a, &wish, &plan, &e)) {
            /* What is missing tells more than that a host is away. */
            if (!reason || !(error_is(e, ERR_HOST_OFFLINE) || error_is(e, ERR_HOST_DISABLED))) {
                error_free(reason);
                reason = TAKE(e);
            }
            error_free(e);
            continue;
        }
        vm_move_plan_done(&plan);
        if (vm_place_is_better(a, h, best))
            best = h;
    }
    if (!best && reason)
        error_propagate(errp, reason);
    else
        error_free(reason);
    if (!best && !reason)
        error_set(errp, ERR_NO_HOSTS_AVAILABLE, NULL);
    return best;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/vm_spec.h"

#include "base/str.h"
#include "store/store_place_core.h"

static void put_text(struct value *map, const char *key, const char *text) {
    value_map_add(map, key, value_string(text));
}

static const char *key_of(const struct row *r, unsigned field, const char *key) {
    return str_or_empty(value_map_str(row_value(r, field), key));
}

int vm_spec_place(const char *s) {
    static const char *const prefixes[] = {"xvd", "vd", "hd", "sd"};
    int64_t n;
    if (str_parse_int(s, 0, VM_DISKS_MAX - 1, &n))
        return (int)n;
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
        const char *letter = s + strlen(prefixes[i]);
        if (str_starts(s, prefixes[i]) && *letter >= 'a' && *letter <= 'z' && !letter[1])
            return *letter - 'a';
    }
    return -1;
}

const struct row *vm_spec_pbd(struct db *d, const struct uuid *sr, const struct uuid *host) {
    for (const struct row *p = db_first(d, CLASS_PBD); p; p = db_next(d, p))
        if (uuid_eq(row_ref(p, FIELD_PBD_SR), sr) && uuid_eq(row_ref(p, FIELD_PBD_host), host))
            return p;
    return NULL;
}

char *vm_spec_folder(struct db *d, const struct row *pbd) {
    const struct row *sr = pbd ? db_follow(d, pbd, FIELD_PBD_SR) : NULL;
    return sr ? store_place(row_str(sr, FIELD_SR_type), row_value(pbd, FIELD_PBD_device_config), &sr->uuid)
              : xstrdup("");
}

char *vm_spec_file(struct db *d, const struct row *pbd, const struct row *vdi) {
    const struct row *sr = db_follow(d, vdi, FIELD_VDI_SR);
    _cleanup_free_ char *folder = vm_spec_folder(d, pbd);
    if (!*folder)
        return xstrdup("");
    return sr && str_eq(row_str(sr, FIELD_SR_type), "iso") ? store_iso_file(folder, row_str(vdi, FIELD_VDI_location))
                                                           : store_file(folder, &vdi->uuid, vm_spec_format(vdi));
}

const char *vm_spec_format(const struct row *vdi) {
    const char *format = key_of(vdi, FIELD_VDI_sm_config, "format");
    return *format ? format : "qcow2";
}

/* ---- boot order: one number per device, in the order of the letters of HVM_boot_params:order ---- */

struct order {
    char letters[8];
    int next;
};

static bool is_cd(const struct row *vbd) {
    return str_eq(row_str(vbd, FIELD_VBD_type), "CD");
}

/* ---- disks ---- */

/* CDs stand on the IDE bus in the order of their places. */
static int cd_index(struct db *d, const struct row *vbd) {
    int n = 0, place = vm_spec_place(row_str(vbd, FIELD_VBD_userdevice));
    for (const struct row *o = db_first(d, CLASS_VBD); o; o = db_next(d, o))
        if (o != vbd && is_cd(o) && uuid_eq(row_ref(o, FIELD_VBD_VM), row_ref(vbd, FIELD_VBD_VM)) &&
            vm_spec_place(row_str(o, FIELD_VBD_userdevice)) < place)
            n++;
    return n;
}

static bool put_source(struct db *d, struct value *disk, const struct row *vbd, const struct uuid *host,
                       struct error **errp) {
    const struct row *vdi = db_follow(d, vbd, FIELD_VBD_VDI);
    const struct row *pbd = vdi ? vm_spec_pbd(d, row_ref(vdi, FIELD_VDI_SR), host) : NULL;
    char vm_ref[REF_TEXT_SIZE], sr_ref[REF_TEXT_SIZE];
    if (!vdi) {
        put_text(disk, "path", "");
        put_text(disk, "format", "raw");
        return true;
    }
    _cleanup_free_ char *folder = vm_spec_folder(d, pbd);
    if (!pbd || !row_bool(pbd, FIELD_PBD_currently_attached) || !*folder) {
        error_set(errp, ERR_VM_REQUIRES_SR, ref_text(row_ref(vbd, FIELD_VBD_VM), vm_ref),
                  ref_text(row_ref(vdi, FIELD_VDI_SR), sr_ref), NULL);
        return false;
    }
    value_map_add(disk, "path", value_string_take(vm_spec_file(d, pbd, vdi)));
    put_text(disk, "format", vm_spec_format(vdi));
    /* What another host may write as well is not written without its lease. A disk that is meant to be shared is the
     * guests' own affair. */
    bool is_lun =
        store_place_is_iscsi(folder); /* only the target knows its number now, so it is asked for discs, too */
    if (store_place_is_shared(folder) && (is_lun || !is_cd(vbd))) {
        struct value shared = value_map();
        char text[UUID_TEXT_SIZE];
        put_text(&shared, "path", folder);
        put_text(&shared, "sr", uuid_text(row_ref(vdi, FIELD_VDI_SR), text));
        put_text(&shared, "vdi", row_str(vdi, FIELD_VDI_uuid));
        put_text(&shared, "format", vm_spec_format(vdi));
        value_map_add(&shared, "write",
                      value_bool(str_eq(row_str(vbd, FIELD_VBD_mode), "RW") && !row_bool(vdi, FIELD_VDI_sharable) &&
                                 !is_cd(vbd)));
        value_map_add(disk, "shared", shared);
    }
    return true;
}

struct value vm_spec_disk(struct db *d, const struct row *vbd, const struct uuid *host, struct error **errp) {
    struct value disk = value_map();
    bool cd = is_cd(vbd);
    put_text(&disk, "id", row_str(vbd, FIELD_VBD_uuid));
    value_map_add(
        &disk, "device",
        value_stringf("%s%c", cd ? "hd" : "vd",
                      'a' + (cd ? cd_index(d, vbd) : MAX(vm_spec_place(row_str(vbd, FIELD_VBD_userdevice)), 0))));
    value_map_add(&disk, "cd", value_bool(cd));
    value_map_add(&disk, "read_only", value_bool(cd || str_eq(row_str(vbd, FIELD_VBD_mode), "RO")));
    if (put_source(d, &disk, vbd, host, errp))
        return disk;
    value_done(&disk);
    return (struct value){.type = VALUE_VOID};
}

/* The VM's drives in the order of their places: what boots first among equals is the lowest. */
static struct value disks_of(struct db *d, const struct row *vm, const struct uuid *host, struct error **errp) {
    struct value all = value_set();
    const struct value *vbds = row_value(vm, FIELD_VM_VBDs);
    for (int place = 0; place < VM_DISKS_MAX; place++)
        for (size_t i = 0; i < vbds->set.n; i++) {
            const struct row *vbd = db_get(d, CLASS_VBD, &vbds->set.items[i].ref);
            if (!vbd || vm_spec_place(row_str(vbd, FIELD_VBD_userdevice)) != place)
                continue;
            struct value disk = vm_spec_disk(d, vbd, host, errp);
            if (disk.type == VALUE_VOID) {
                value_done(&all);
                return disk;
            }
            value_set_add(&all, disk);
        }
    return all;
}

/* ---- interfaces ---- */

const char *vm_spec_lock(struct db *d, const struct row *vif) {
    const struct row *network = db_follow(d, vif, FIELD_VIF_network);
    const char *mode = row_str(vif, FIELD_VIF_locking_mode);
    if (str_eq(mode, "network_default"))
        mode = network ? row_str(network, FIELD_network_default_locking_mode) : "";
    return *mode ? mode : "unlocked";
}

struct value vm_spec_nic(struct db *d, const struct row *vif) {
    struct value nic = value_map();
    const struct row *network = db_follow(d, vif, FIELD_VIF_network);
    int64_t mtu = row_int(vif, FIELD_VIF_MTU), kbps = 0;
    if (mtu <= 0 && network)
        mtu = row_int(network, FIELD_network_MTU);
    if (str_eq(row_str(vif, FIELD_VIF_qos_algorithm_type), "ratelimit") &&
        !str_parse_int(key_of(vif, FIELD_VIF_qos_algorithm_params, "kbps"), 1, INT32_MAX, &kbps))
        kbps = 0;
    put_text(&nic, "id", row_str(vif, FIELD_VIF_uuid));
    put_text(&nic, "mac", row_str(vif, FIELD_VIF_MAC));
    put_text(&nic, "bridge", network ? row_str(network, FIELD_network_bridge) : "");
    value_map_add(&nic, "internal", value_bool(network && row_value(network, FIELD_network_PIFs)->set.n == 0));
    value_map_add(&nic, "mtu", value_int(mtu));
    value_map_add(&nic, "kbps", value_int(kbps));
    put_text(&nic, "lock", vm_spec_lock(d, vif));
    return nic;
}

static struct value nics_of(struct db *d, const struct row *vm) {
    struct value all = value_set();
    const struct value *vifs = row_value(vm, FIELD_VM_VIFs);
    /* By number, so that the guest's first is the first. */
    for (int64_t number = 0; number < 64 && all.set.n < vifs->set.n; number++)
        for (size_t i = 0; i < vifs->set.n; i++) {
            const struct row *vif = db_get(d, CLASS_VIF, &vifs->set.items[i].ref);
            int64_t n;
            if (vif && str_parse_int(row_str(vif, FIELD_VIF_device), 0, 63, &n) && n == number)
                value_set_add(&all, vm_spec_nic(d, vif));
        }
    return all;
}

static void number(struct value *devices, bool (*fits)(const struct value *device), struct order *o) {
    for (size_t i = 0; i < devices->set.n; i++)
        if (fits(&devices->set.items[i]))
            value_map_put(&devices->set.items[i], "boot", value_int(o->next++));
}

static bool is_disk_spec(const struct value *device) {
    const struct value *cd = value_map_get(device, "cd");
    return !(cd && value_as_bool(cd));
}

static bool is_cd_spec(const struct value *device) {
    return !is_disk_spec(device);
}

static bool is_any(const struct value *device) {
    return true;
}

static void put_boot_order(const struct row *vm, struct value *disks, struct value *nics) {
    struct order o = {.next = 1};
    const char *letters = key_of(vm, FIELD_VM_HVM_boot_params, "order");
    str_copy(o.letters, sizeof(o.letters), *letters ? letters : "cd");
    for (const char *c = o.letters; *c; c++) {
        if (strchr(o.letters, *c) != c)
            continue; /* said before */
        if (*c == 'c')
            number(disks, is_disk_spec, &o);
        else if (*c == 'd')
            number(disks, is_cd_spec, &o);
        else if (*c == 'n')
            number(nics, is_any, &o);
    }
}

/* ---- the machine ---- */

static const char *end_word(const char *api) {
    if (str_eq(api, "restart") || str_eq(api, "preserve"))
        return api;
    return str_eq(api, "coredump_and_restart") || str_eq(api, "rename_restart") ? "restart" : "destroy";
}

struct value vm_spec(struct db *d, const struct row *vm, const struct uuid *host, struct error **errp) {
    struct value disks = disks_of(d, vm, host, errp);
    if (disks.type == VALUE_VOID)
        return disks;
    struct value nics = nics_of(d, vm), spec = value_map();
    put_text(&spec, "uuid", row_str(vm, FIELD_VM_uuid));
    put_text(&spec, "name", row_str(vm, FIELD_VM_name_label));
    value_map_add(&spec, "memory_max", value_int(row_int(vm, FIELD_VM_memory_static_max)));
    value_map_add(&spec, "memory", value_int(row_int(vm, FIELD_VM_memory_dynamic_max)));
    value_map_add(&spec, "vcpus_max", value_int(row_int(vm, FIELD_VM_VCPUs_max)));
    value_map_add(&spec, "vcpus", value_int(row_int(vm, FIELD_VM_VCPUs_at_startup)));
    put_text(&spec, "kernel", row_str(vm, FIELD_VM_PV_kernel));
    put_text(&spec, "ramdisk", row_str(vm, FIELD_VM_PV_ramdisk));
    put_text(&spec, "args", row_str(vm, FIELD_VM_PV_args));
    put_text(&spec, "firmware", str_eq(key_of(vm, FIELD_VM_HVM_boot_params, "firmware"), "uefi") ? "uefi" : "bios");
    put_text(&spec, "on_poweroff", end_word(row_str(vm, FIELD_VM_actions_after_shutdown)));
    put_text(&spec, "on_reboot", end_word(row_str(vm, FIELD_VM_actions_after_reboot)));
    put_text(&spec, "on_crash", end_word(row_str(vm, FIELD_VM_actions_after_crash)));
    put_boot_order(vm, &disks, &nics);
    value_map_add(&spec, "disks", disks);
    value_map_add(&spec, "nics", nics);
    return spec;
}

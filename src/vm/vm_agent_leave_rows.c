/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VM.migration, and what a VM's rows become when it has moved. The record is a map of texts:
 *   id            of the move
 *   to            uuid of the host that may hold a copy; not there once the VM is known to stay ("back")
 *   vbd UUID      what that drive holds there: "VDI SR FORMAT"; drives that are not named keep their disk
 *   lease UUID    of a disk that both reach and it may write: "SR PLACE", whose lease is passed on; generation: of `to`
 *   vif UUID      uuid of the network that this interface is on there
 */
#include "base/str.h"
#include "vm/vm_agent_move.h"

struct uuid vm_record_host(const struct value *record) {
    struct uuid u = {0};
    const char *text = value_map_str(record, "to");
    if (text && !uuid_parse(text, &u))
        u = (struct uuid){0};
    return u;
}

const char *vm_record_id(const struct value *record) {
    return str_or_empty(value_map_str(record, "id"));
}

bool vm_record_is_back(const struct value *record) {
    return value_map_get(record, "back") != NULL;
}

bool vm_record_is_far(const struct value *record) {
    return value_map_get(record, "pools") != NULL;
}

/* The disk there has all that people have said of the one here. */
static void insert_disk(struct db *d, struct db_txn *t, const struct row *old, const struct uuid *vdi,
                        const struct uuid *sr, const char *format) {
    static const unsigned kept[] = {FIELD_VDI_name_label,   FIELD_VDI_name_description, FIELD_VDI_virtual_size,
                                    FIELD_VDI_type,         FIELD_VDI_sharable,         FIELD_VDI_read_only,
                                    FIELD_VDI_other_config, FIELD_VDI_xenstore_data,    FIELD_VDI_tags,
                                    FIELD_VDI_on_boot,      FIELD_VDI_allow_caching,    FIELD_VDI_physical_utilisation};
    char text[UUID_TEXT_SIZE];
    db_txn_insert(t, CLASS_VDI, vdi);
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
        db_txn_set(t, CLASS_VDI, vdi, kept[i], value_copy(row_value(old, kept[i])));
    db_txn_set(t, CLASS_VDI, vdi, FIELD_VDI_SR, value_ref(sr));
    db_txn_set(t, CLASS_VDI, vdi, FIELD_VDI_managed, value_bool(true));
    db_txn_set(t, CLASS_VDI, vdi, FIELD_VDI_location, value_stringf("%s.%s", uuid_text(vdi, text), format));
    db_txn_map_put(t, CLASS_VDI, vdi, FIELD_VDI_sm_config, "format", value_string(format));
}

static void move_disk(struct vm_agent *a, struct db_txn *t, const struct uuid *vbd, const char *text) {
    _cleanup_strv_ struct strv words = {0};
    struct uuid vdi, sr;
    const struct row *r = db_get(a->db, CLASS_VBD, vbd), *old = r ? db_follow(a->db, r, FIELD_VBD_VDI) : NULL;
    strv_split(&words, text, ' ');
    if (!old || words.n != 3 || !uuid_parse(words.items[0], &vdi) || !uuid_parse(words.items[1], &sr))
        return;
    insert_disk(a->db, t, old, &vdi, &sr, words.items[2]);
    db_txn_set(t, CLASS_VBD, vbd, FIELD_VBD_VDI, value_ref(&vdi));
}

void vm_rows_hand_over(struct vm_agent *a, struct db_txn *t, const struct row *vm) {
    const struct value *record = row_value(vm, FIELD_VM_migration);
    struct uuid to = vm_record_host(record), u, network;
    db_txn_expect(t, CLASS_VM, &vm->uuid, FIELD_VM_resident_on, value_ref(&a->self));
    db_txn_expect(t, CLASS_VM, &vm->uuid, FIELD_VM_migration, value_copy(record));
    db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_resident_on, value_ref(&to));
    db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_migration, value_map());
    for (size_t i = 0; i < record->map.n; i++) {
        const char *key = record->map.pairs[i].key, *text = value_str(&record->map.pairs[i].value);
        if (str_starts(key, "vbd ") && uuid_parse(key + 4, &u))
            move_disk(a, t, &u, text);
        else if (str_starts(key, "vif ") && uuid_parse(key + 4, &u) && uuid_parse(text, &network))
            db_txn_set(t, CLASS_VIF, &u, FIELD_VIF_network, value_ref(&network));
    }
}

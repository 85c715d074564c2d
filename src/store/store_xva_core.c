/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_xva_core.h"

#include <string.h>

#include "base/str.h"

#define DIGITS_MIN 8
#define DIGITS_MAX 12
#define DISK_MAX (INT64_C(64) << 40)

/* ---- names ---- */

static bool is_ref_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':' || c == '-' ||
           c == '_';
}

bool xva_name_parse(const char *name, struct xva_name *ret) {
    struct xva_name n = {.kind = XVA_DESCRIPTION};
    size_t len = 0, digits = 0;
    if (str_eq(name, XVA_OVA)) {
        *ret = n;
        return true;
    }
    while (is_ref_char(name[len]))
        len++;
    if (len == 0 || len > XVA_REF_MAX || name[len] != '/')
        return false;
    memcpy(n.ref, name, len);
    const char *p = name + len + 1;
    for (; *p >= '0' && *p <= '9' && digits < DIGITS_MAX; p++, digits++)
        n.number = n.number * 10 + (*p - '0');
    if (digits < DIGITS_MIN)
        return false;
    if (!*p)
        n.kind = XVA_DATA;
    else if (str_eq(p, ".checksum"))
        n.kind = XVA_SHA1;
    else if (str_eq(p, ".xxhash"))
        n.kind = XVA_XXHASH;
    else
        return false;
    *ret = n;
    return true;
}

bool xva_position_next(struct xva_position *p, int64_t number, int64_t size, int64_t *ret_at) {
    if (number < p->n)
        return false;
    /* At most 10^12 numbers (DIGITS_MAX), each of a MiB at most: far from 2^63. */
    p->at += (number - p->n) * (p->unit ? p->unit : (int64_t)XVA_CHUNK);
    p->n = number + 1;
    if (p->unit == 0)
        p->unit = size;
    *ret_at = p->at;
    p->at += size;
    return true;
}

/* ---- XXH64 (the xxHash specification, 0.1.1) ---- */

static const uint64_t prime1 = 0x9E3779B185EBCA87u, prime2 = 0xC2B2AE3D27D4EB4Fu, prime3 = 0x165667B19E3779F9u,
                      prime4 = 0x85EBCA77C2B2AE63u, prime5 = 0x27D4EB2F165667C5u;

static uint64_t rotate(uint64_t v, int n) {
    return v << n | v >> (64 - n);
}

static uint64_t lane(const uint8_t *p, int n) {
    uint64_t v = 0;
    for (int i = n - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static uint64_t mix(uint64_t acc, uint64_t input) {
    return rotate(acc + input * prime2, 31) * prime1;
}

static uint64_t merge(uint64_t acc, uint64_t v) {
    return (acc ^ mix(0, v)) * prime1 + prime4;
}

uint64_t xva_xxh64(const uint8_t *data, size_t size) {
    const uint8_t *p = data, *end = data + size;
    uint64_t h = prime5;
    if (size >= 32) {
        uint64_t v[4] = {prime1 + prime2, prime2, 0, 0 - prime1};
        for (; end - p >= 32; p += 32)
            for (int i = 0; i < 4; i++)
                v[i] = mix(v[i], lane(p + 8 * i, 8));
        h = rotate(v[0], 1) + rotate(v[1], 7) + rotate(v[2], 12) + rotate(v[3], 18);
        for (int i = 0; i < 4; i++)
            h = merge(h, v[i]);
    }
    h += size;
    for (; end - p >= 8; p += 8)
        h = rotate(h ^ mix(0, lane(p, 8)), 27) * prime1 + prime4;
    if (end - p >= 4) {
        h = rotate(h ^ lane(p, 4) * prime1, 23) * prime2 + prime3;
        p += 4;
    }
    for (; p < end; p++)
        h = rotate(h ^ *p * prime5, 11) * prime1;
    h = (h ^ h >> 33) * prime2;
    h = (h ^ h >> 29) * prime3;
    return h ^ h >> 32;
}

/* ---- what ova.xml says ---- */

static const struct value *objects(const struct value *ova) {
    static const struct value none = {.type = VALUE_SET};
    const struct value *v = ova->type == VALUE_MAP ? value_map_get(ova, "objects") : NULL;
    return v && v->type == VALUE_SET ? v : &none;
}

/* The record of an entry, if it is of the class. */
static const struct value *record_of(const struct value *entry, const char *class_name) {
    if (entry->type != VALUE_MAP || !str_eq(str_or_empty(value_map_str(entry, "class")), class_name))
        return NULL;
    const struct value *record = value_map_get(entry, "snapshot");
    return record && record->type == VALUE_MAP && value_map_str(entry, "id") ? record : NULL;
}

const struct value *xva_object(const struct value *ova, const char *class_name, const char *ref) {
    const struct value *all = objects(ova);
    for (size_t i = 0; i < all->set.n; i++) {
        const struct value *record = record_of(&all->set.items[i], class_name);
        if (record && str_eq(value_map_str(&all->set.items[i], "id"), ref))
            return record;
    }
    return NULL;
}

const struct value *xva_vm(const struct value *ova, const char **ret_ref, const char **why) {
    const struct value *all = objects(ova), *found = NULL;
    for (size_t i = 0; i < all->set.n; i++) {
        const struct value *record = record_of(&all->set.items[i], "VM");
        if (!record || xva_bool(record, "is_control_domain") || (found && xva_bool(record, "is_a_snapshot")))
            continue;
        if (found && !xva_bool(found, "is_a_snapshot"))
            continue;
        found = record;
        *ret_ref = value_map_str(&all->set.items[i], "id");
    }
    if (!found)
        *why = "there is no VM in it";
    return found;
}

const char *xva_text(const struct value *record, const char *key) {
    return str_or_empty(value_map_str(record, key));
}

int64_t xva_int(const struct value *record, const char *key) {
    const struct value *v = value_map_get(record, key);
    int64_t n = 0;
    if (v && v->type == VALUE_STRING)
        return str_parse_int(value_str(v), INT64_MIN, INT64_MAX, &n) ? n : 0;
    return v ? value_as_int(v) : 0;
}

bool xva_bool(const struct value *record, const char *key) {
    const struct value *v = value_map_get(record, key);
    return v && (value_as_bool(v) || str_eq(value_str(v), "true"));
}

void xva_each(const struct value *ova, const char *class_name, const char *vm_ref,
              void (*fn)(const struct value *record, void *userdata), void *userdata) {
    const struct value *all = objects(ova);
    for (size_t i = 0; i < all->set.n; i++) {
        const struct value *record = record_of(&all->set.items[i], class_name);
        if (record && str_eq(xva_text(record, "VM"), vm_ref))
            fn(record, userdata);
    }
}

struct collecting {
    const struct value *ova;
    struct xva_disk *disks;
    size_t n;
    const char *why;
};

static void collect(const struct value *vbd, void *userdata) {
    struct collecting *c = userdata;
    const char *ref = xva_text(vbd, "VDI");
    if (c->why || !str_eq(xva_text(vbd, "type"), "Disk") || !*ref || str_eq(ref, REF_NULL_TEXT))
        return;
    const struct value *vdi = xva_object(c->ova, "VDI", ref);
    int64_t size = vdi ? xva_int(vdi, "virtual_size") : 0;
    struct xva_name name;
    _cleanup_free_ char *first = strf("%s/00000000", ref);
    for (size_t i = 0; i < c->n; i++)
        if (str_eq(c->disks[i].ref, ref))
            c->why = "two drives of the VM have one disk";
    if (!vdi)
        c->why = "a drive has a disk that is not described";
    else if (size <= 0 || size > DISK_MAX)
        c->why = "the size of a disk is out of bounds";
    else if (!xva_name_parse(first, &name))
        c->why = "the name of a disk is none";
    else if (c->n == XVA_DISKS_MAX)
        c->why = "the VM has too many disks";
    if (c->why)
        return;
    struct xva_disk *d = &c->disks[c->n++];
    *d = (struct xva_disk){.size = size};
    (void)str_copy(d->ref, sizeof(d->ref), ref);
}

bool xva_disks(const struct value *ova, struct xva_disk *ret, size_t *ret_n, const char **why) {
    struct collecting c = {.ova = ova, .disks = ret};
    const char *vm;
    if (!xva_vm(ova, &vm, why))
        return false;
    xva_each(ova, "VBD", vm, collect, &c);
    *ret_n = c.n;
    *why = c.why;
    return !c.why;
}

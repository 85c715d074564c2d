/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an XVA archive is made of: "ova.xml", which describes VMs, and for each disk "Ref:7/00000003", its fourth MiB,
 * with a checksum in a file behind it. MiB of zeroes are left out, but for the first and the last. While nothing else
 * is to be said, XenServer writes pieces without content, to keep the connection: they have numbers of their own, so
 * the number alone does not say where a piece belongs. Pure.
 */
#pragma once

#include "base/value.h"

#define XVA_OVA "ova.xml"
#define XVA_OVA_MAX (1u << 20) /* bytes */
#define XVA_CHUNK (1u << 20)
#define XVA_REF_MAX 64
#define XVA_DISKS_MAX 26
#define XVA_CHECKSUM_MAX 64
/* Limits for reading ova.xml. */
#define XVA_DEPTH_MAX 32
#define XVA_VALUES_MAX 100000

enum xva_kind { XVA_DESCRIPTION, XVA_DATA, XVA_SHA1, XVA_XXHASH };
struct xva_name {
    enum xva_kind kind;
    char ref[XVA_REF_MAX + 1];
    int64_t number;
};
/* False: no file of an XVA archive has this name. */
bool xva_name_parse(const char *name, struct xva_name *ret) _warn_unused_;

/* XXH64 with seed 0, which newer archives have in place of SHA-1. */
uint64_t xva_xxh64(const uint8_t *data, size_t size);

/* Where the pieces of a disk belong, in their order. */
struct xva_position {
    int64_t n;    /* pieces, with those that were left out: the next has at least this number */
    int64_t at;   /* behind the last one */
    int64_t unit; /* bytes of the first one; as much is what is left out */
};
/* The next piece; false when its number is one of those that were. */
bool xva_position_next(struct xva_position *p, int64_t number, int64_t size, int64_t *ret_at) _warn_unused_;

/* ---- what ova.xml says ---- */

/* The record of an object by its reference in the archive; NULL. Borrowed. */
const struct value *xva_object(const struct value *ova, const char *class_name, const char *ref);
/* The VM that the archive is about: the first that is no snapshot, else the first; NULL with a sentence part. */
const struct value *xva_vm(const struct value *ova, const char **ret_ref, const char **why);
/* A field that is text, a number (also as text), or true. */
const char *xva_text(const struct value *record, const char *key);
int64_t xva_int(const struct value *record, const char *key);
bool xva_bool(const struct value *record, const char *key);
/* Calls fn with each record of the class whose VM is `vm_ref`. */
void xva_each(const struct value *ova, const char *class_name, const char *vm_ref,
              void (*fn)(const struct value *record, void *userdata), void *userdata);

struct xva_disk {
    char ref[XVA_REF_MAX + 1]; /* of the VDI */
    int64_t size;
};
/* The disks of the VM that have content; false with a sentence part. `ret` has room for XVA_DISKS_MAX. */
bool xva_disks(const struct value *ova, struct xva_disk *ret, size_t *ret_n, const char **why) _warn_unused_;

/* SPDX-License-Identifier: Apache-2.0 */
/* VMs as XVA streams: written from their disks, and read into new images, which become disks when all of it was right.
 */
#include <openssl/evp.h>
#include <stdio.h>

#include "base/str.h"
#include "model/model.h"
#include "store/store_filter.h"
#include "store/store_snapshot.h"
#include "store/store_stream_private.h"
#include "store/store_tar_core.h"
#include "store/store_watch.h"
#include "store/store_xva_core.h"
#include "wire/value_xml.h"

#define SHA1_TEXT 40

static void sha1_text(const void *data, size_t size, char text[static SHA1_TEXT + 1]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (EVP_Digest(data, size, digest, &n, EVP_sha1(), NULL) != 1)
        abort();
    for (unsigned i = 0; i < n && i < SHA1_TEXT / 2; i++)
        (void)snprintf(text + 2 * (size_t)i, 3, "%02x", digest[i]);
}

/* ---- writing ---- */

static bool put_file(int fd, const char *name, const void *data, size_t size, struct error **errp) {
    struct tar_file f = {.size = (int64_t)size};
    uint8_t head[TAR_BLOCK];
    if (!str_copy(f.name, sizeof(f.name), name) || !tar_put(head, &f)) {
        error_internal(errp, "'%s' cannot be the name of a file in an archive", name);
        return false;
    }
    return sink_write(fd, head, sizeof(head), errp) && sink_write(fd, data, size, errp) &&
           sink_zeroes(fd, tar_padding((int64_t)size), errp);
}

static bool put_disk(struct disk *d, const char *ref, int fd, struct error **errp) {
    _cleanup_free_ uint8_t *map = disk_map(d, XVA_CHUNK, errp);
    _cleanup_free_ char *chunk = xcalloc(1, XVA_CHUNK);
    int64_t n = (disk_size(d) + XVA_CHUNK - 1) / XVA_CHUNK;
    char sum[SHA1_TEXT + 1] = "";
    for (int64_t i = 0; map && i < n; i++) {
        size_t size = (size_t)MIN((int64_t)XVA_CHUNK, disk_size(d) - i * XVA_CHUNK);
        if (i > 0 && i < n - 1 && !disk_map_has(map, i))
            continue;
        _cleanup_free_ char *name = strf("%s/%08lld", ref, (long long)i), *sum_name = strf("%s.checksum", name);
        if (!disk_read(d, i * XVA_CHUNK, chunk, size, errp))
            return false;
        sha1_text(chunk, size, sum);
        if (!put_file(fd, name, chunk, size, errp) || !put_file(fd, sum_name, sum, SHA1_TEXT, errp))
            return false;
    }
    return map != NULL;
}

static bool export_disk(const struct value *disk, const struct value *args, int fd, struct error **errp) {
    _cleanup_place_ struct place p = {0};
    _cleanup_value_ struct value own = value_copy(args);
    const char *format = str_or_empty(value_map_str(disk, "format"));
    struct uuid vdi;
    value_map_put(&own, "path", value_string(str_or_empty(value_map_str(disk, "path"))));
    value_map_put(&own, "sr", value_string(str_or_empty(value_map_str(disk, "sr"))));
    if (!place_open(&p, &own, errp))
        return false;
    if (!args_uuid(disk, "vdi", &vdi) || (!str_eq(format, "raw") && !str_eq(format, "qcow2"))) {
        error_set(errp, ERR_SR_BACKEND_FAILURE, "the request is not complete", p.path, "", NULL);
        return false;
    }
    if ((!p.f.is_shared && !store_settle(p.path, &vdi, errp)) || !place_hold(&p, &vdi, errp))
        return false;
    _cleanup_(disk_freep) struct disk *d = place_open_disk(&p, &vdi, format, errp);
    return d && put_disk(d, str_or_empty(value_map_str(disk, "ref")), fd, errp);
}

bool vm_export(const struct value *args, int fd, struct error **errp) {
    const struct value *disks = value_map_get(args, "disks");
    const char *ova = str_or_empty(value_map_str(args, "ova")), *compress = value_map_str(args, "compress");
    _cleanup_(filter_done) struct filter f = {.fd = fd};
    bool is_packed = compress && (str_eq(compress, "gzip") || str_eq(compress, "zstd"));
    if (is_packed && !filter_compress(&f, compress, fd, errp))
        return false;
    bool ok = put_file(f.fd, XVA_OVA, ova, strlen(ova), errp);
    for (size_t i = 0; ok && disks && disks->type == VALUE_SET && i < disks->set.n; i++)
        ok = export_disk(&disks->set.items[i], args, f.fd, errp);
    return ok && sink_zeroes(f.fd, INT64_C(2) * TAR_BLOCK, errp) && filter_end(&f, errp);
}

/* ---- reading ---- */

struct reading {
    struct place p;
    const struct value *args;
    struct source s;
    char *ova;
    struct xva_disk disks[XVA_DISKS_MAX];
    struct image images[XVA_DISKS_MAX];
    struct xva_position positions[XVA_DISKS_MAX];
    size_t n_disks;
    char skipped[XVA_REF_MAX + 1]; /* a disk of a snapshot, which is read over */
    struct xva_position skipped_position;
    int current; /* disk; -1: none */
    char *chunk;
};

static bool unexpected(const char *expected, const char *found, struct error **errp) {
    error_set(errp, ERR_IMPORT_ERROR_UNEXPECTED_FILE, expected, found, NULL);
    return false;
}

/* The head of the next file; TAR_END at the end of the archive. TAR_BAD with *errp. */
static enum tar_outcome next_file(struct reading *r, struct tar_file *ret, struct error **errp) {
    uint8_t head[TAR_BLOCK];
    const char *why;
    if (!source_need(&r->s, head, sizeof(head), errp))
        return TAR_BAD;
    enum tar_outcome o = tar_get(head, ret, &why);
    if (o == TAR_BAD)
        error_setf(errp, ERR_IMPORT_ERROR, "the archive is damaged: %s", why);
    return o;
}

static bool read_file(struct reading *r, const struct tar_file *f, void *data, struct error **errp) {
    return source_need(&r->s, data, (size_t)f->size, errp) && source_skip(&r->s, tar_padding(f->size), errp);
}

static bool read_ova(struct reading *r, struct error **errp) {
    struct tar_file f = {0};
    _cleanup_value_ struct value ova = {.type = VALUE_VOID};
    const char *why;
    enum tar_outcome o = next_file(r, &f, errp);
    if (o == TAR_BAD)
        return false;
    if (o == TAR_END || !str_eq(f.name, XVA_OVA))
        return unexpected(XVA_OVA, f.name, errp);
    if (f.size > XVA_OVA_MAX) {
        error_setf(errp, ERR_IMPORT_ERROR, "its description is longer than %u bytes", XVA_OVA_MAX);
        return false;
    }
    r->ova = xcalloc(1, (size_t)f.size + 1);
    struct error *e = NULL;
    if (!read_file(r, &f, r->ova, errp))
        return false;
    if (!value_xml_parse(r->ova, (size_t)f.size, XVA_DEPTH_MAX, XVA_VALUES_MAX, &ova, &e)) {
        error_setf(errp, ERR_IMPORT_ERROR, "its description cannot be read: %s", error_text(e));
        error_free(e);
        return false;
    }
    if (xva_disks(&ova, r->disks, &r->n_disks, &why))
        return true;
    error_setf(errp, ERR_IMPORT_ERROR, "its description makes no sense: %s", why);
    return false;
}

static int64_t rounded(int64_t size) {
    return (size + 65535) / 65536 * 65536;
}

static int disk_of(const struct reading *r, const char *ref) {
    for (size_t i = 0; i < r->n_disks; i++)
        if (str_eq(r->disks[i].ref, ref))
            return (int)i;
    return -1;
}

/* One disk at a time is open: what comes before is whole. */
static bool turn_to(struct reading *r, int disk, struct error **errp) {
    if (r->current == disk)
        return true;
    if (r->current >= 0 && !image_complete(&r->images[r->current], errp))
        return false;
    r->current = disk;
    return disk < 0 ||
           image_begin(&r->images[disk], &r->p, r->args, (unsigned)disk, "qcow2", rounded(r->disks[disk].size), errp);
}

/* The file behind a piece of a disk has to have its checksum. */
static bool check_sum(struct reading *r, const struct tar_file *piece, struct error **errp) {
    struct tar_file f = {0};
    struct xva_name name = {0}, of = {0};
    char text[XVA_CHECKSUM_MAX + 1] = "", sum[SHA1_TEXT + 1] = "";
    _cleanup_free_ char *expected = strf("%s.checksum", piece->name);
    enum tar_outcome o = next_file(r, &f, errp);
    if (o == TAR_BAD)
        return false;
    if (o == TAR_END || !xva_name_parse(f.name, &name) || !xva_name_parse(piece->name, &of) ||
        (name.kind != XVA_SHA1 && name.kind != XVA_XXHASH) || !str_eq(name.ref, of.ref) || name.number != of.number ||
        f.size > XVA_CHECKSUM_MAX)
        return unexpected(expected, f.name, errp);
    if (!read_file(r, &f, text, errp))
        return false;
    text[strcspn(text, " \r\n")] = '\0';
    bool is_right;
    if (name.kind == XVA_SHA1) {
        sha1_text(r->chunk, (size_t)piece->size, sum);
        is_right = str_eq(text, sum);
    } else {
        char *end = NULL;
        unsigned long long v = strtoull(text, &end, 16);
        is_right =
            *text && !*end && strlen(text) <= 16 && v == xva_xxh64((const uint8_t *)r->chunk, (size_t)piece->size);
    }
    if (!is_right)
        error_set(errp, ERR_IMPORT_ERROR_SOME_CHECKSUMS_FAILED, NULL);
    return is_right;
}

/* Pieces of a disk come in their order, and disks one after the other. */
static bool read_piece(struct reading *r, const struct tar_file *f, const struct xva_name *name, struct error **errp) {
    int disk = disk_of(r, name->ref);
    if (disk < 0 && !str_eq(r->skipped, name->ref)) {
        (void)str_copy(r->skipped, sizeof(r->skipped), name->ref);
        r->skipped_position = (struct xva_position){0};
    }
    struct xva_position *p = disk < 0 ? &r->skipped_position : &r->positions[disk];
    bool comes_back = disk >= 0 && disk != r->current && p->n > 0;
    int64_t at, expected_number = p->n;
    if (f->size > XVA_CHUNK || comes_back || !xva_position_next(p, name->number, f->size, &at)) {
        _cleanup_free_ char *expected = strf("%s/%08lld", name->ref, (long long)expected_number);
        return unexpected(expected, f->name, errp);
    }
    if (!read_file(r, f, r->chunk, errp) || !check_sum(r, f, errp) || !turn_to(r, disk, errp))
        return false;
    return disk < 0 || f->size == 0 || image_put(&r->images[disk], at, r->chunk, (size_t)f->size, errp);
}

static bool read_pieces(struct reading *r, struct error **errp) {
    for (;;) {
        struct tar_file f = {0};
        struct xva_name name;
        enum tar_outcome o = next_file(r, &f, errp);
        if (o != TAR_FILE)
            return o == TAR_END;
        if (!xva_name_parse(f.name, &name) || name.kind != XVA_DATA)
            return unexpected("Ref:N/00000000", f.name, errp);
        if (!read_piece(r, &f, &name, errp))
            return false;
    }
}

/* Whoever leaves zeroes out writes the last piece all the same, so that an end that is missing shows. */
static bool check_whole(struct reading *r, struct error **errp) {
    for (size_t i = 0; i < r->n_disks; i++) {
        if (r->positions[i].n == 0) {
            error_set(errp, ERR_IMPORT_ERROR_ATTACHED_DISKS_NOT_FOUND, NULL);
            return false;
        }
        if (r->positions[i].at < r->disks[i].size) {
            error_setf(errp, ERR_IMPORT_ERROR, "the end of the disk '%s' is not in it", r->disks[i].ref);
            return false;
        }
    }
    return true;
}

/* All of them become disks, or none does. */
static bool place_all(struct reading *r, struct value *ret, struct error **errp) {
    struct value disks = value_map();
    struct uuid placed[XVA_DISKS_MAX];
    size_t n = 0;
    char text[UUID_TEXT_SIZE];
    for (bool ok = true; ok && n < r->n_disks;) {
        placed[n] = uuid_random();
        ok = image_place(&r->images[n], &placed[n], errp);
        if (!ok) { /* it may still get there: nobody else has this name */
            _cleanup_free_ char *name = strf("%s.qcow2", uuid_text(&placed[n], text));
            (void)r->p.f.ops->unlink(r->p.f.at, name);
        }
        n += ok;
    }
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *name = strf("%s.qcow2", uuid_text(&placed[i], text)),
                            *path = store_file(r->p.path, &placed[i], "qcow2");
        struct image_info info = {.virtual_size = rounded(r->disks[i].size)};
        _cleanup_error_ struct error *ignored = NULL; /* the next scan measures it */
        if (n < r->n_disks) {
            (void)r->p.f.ops->unlink(r->p.f.at, name);
            continue;
        }
        (void)!image_info(&r->p.f, name, path, "qcow2", &info, &ignored);
        struct value d = value_map();
        value_map_add(&d, "vdi", value_string(text));
        value_map_add(&d, "virtual_size", value_int(info.virtual_size));
        value_map_add(&d, "physical_size", value_int(info.physical_size));
        value_map_put(&disks, r->disks[i].ref, d);
    }
    if (n == r->n_disks) {
        value_map_put(ret, "disks", disks);
        value_map_put(ret, "ova", value_string(r->ova));
    } else {
        value_done(&disks);
    }
    return n == r->n_disks;
}

bool vm_import(const struct value *args, int fd, struct value *ret, struct error **errp) {
    struct reading r = {.args = args, .current = -1};
    _cleanup_(filter_done) struct filter f = {.fd = fd};
    int64_t length = args_int(args, "length");
    bool ok = place_open(&r.p, args, errp) && place_makes_disks(&r.p, errp) &&
              (length <= 0 || place_has_room(&r.p, length, errp)) && filter_unpack(&f, fd, errp);
    r.s = (struct source){.fd = f.fd, .announced = -1};
    r.chunk = xcalloc(1, XVA_CHUNK);
    ok = ok && read_ova(&r, errp) && read_pieces(&r, errp);
    if (ok)
        watch_all_read();
    ok = ok && turn_to(&r, -1, errp) && check_whole(&r, errp) && place_all(&r, ret, errp);
    for (size_t i = 0; i < XVA_DISKS_MAX; i++)
        image_done(&r.images[i]);
    place_close(&r.p);
    free(r.chunk);
    free(r.ova);
    return ok;
}

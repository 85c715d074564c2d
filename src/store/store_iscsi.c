/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_iscsi.h"

#include <errno.h>
#include <time.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "model/model.h"
#include "store/store_private.h"

#define COMMAND_TIMEOUT_S 5
#define TARGETS_MAX 1000
#define PAGE_MAX 4096
#define ATTENTIONS_MAX 4 /* news of a LUN that are told one by one to a new session */
#define BUSY_MAX 10      /* 0.4 s; the board is waited for longer (board_measure) */
#define BUSY_PAUSE_MS 40
#define DEFAULT_INITIATOR "iqn.2026-11.org.muster:host"

static const char *initiator = DEFAULT_INITIATOR;

void iscsi_set_initiator(const char *name) {
    if (!str_empty(name))
        initiator = xstrdup(name);
}

const char *iscsi_initiator(void) {
    return initiator;
}

static struct iscsi_context *connect_to(const char *portal, const char *target, struct error **errp) {
    struct iscsi_context *c = iscsi_create_context(initiator);
    _cleanup_free_ char *what = strf("%s%s%s", portal, target ? " " : "", str_or_empty(target));
    if (!c) {
        store_error(errp, "cannot speak iSCSI with", what, -ENOMEM);
        return NULL;
    }
    /* A session that ends takes its reservation with it: it must never come back by itself without. */
    iscsi_set_noautoreconnect(c, 1);
    struct uuid u = uuid_random();
    uint32_t number;
    memcpy(&number, &u, sizeof(number));
    (void)iscsi_set_isid_random(c, number & 0xffffff, (uint32_t)u.b[4] << 8 | u.b[5]);
    (void)iscsi_set_timeout(c, COMMAND_TIMEOUT_S);
    (void)iscsi_set_header_digest(c, ISCSI_HEADER_DIGEST_NONE_CRC32C);
    int r = iscsi_set_session_type(c, target ? ISCSI_SESSION_NORMAL : ISCSI_SESSION_DISCOVERY);
    if (r == 0 && target)
        r = iscsi_set_targetname(c, target);
    if (r == 0)
        r = iscsi_connect_sync(c, portal);
    if (r == 0)
        r = iscsi_login_sync(c);
    if (r == 0)
        return c;
    error_set(errp, ERR_SR_BACKEND_FAILURE, "the iSCSI target does not let this host in", what,
              str_or_empty(iscsi_get_error(c)), NULL);
    (void)iscsi_destroy_context(c);
    return NULL;
}

struct iscsi_context *iscsi_open(const char *portal, const char *target, struct error **errp) {
    return connect_to(portal, target, errp);
}

void iscsi_close(struct iscsi_context *c) {
    if (!c)
        return;
    if (iscsi_is_logged_in(c))
        (void)iscsi_logout_sync(c);
    (void)iscsi_destroy_context(c);
}

void iscsi_drop(struct iscsi_context *c) {
    if (c)
        (void)iscsi_destroy_context(c);
}

/* ---- LUNs ---- */

static int result_of(struct iscsi_context *c, const struct scsi_task *t) {
    if (!t || !iscsi_is_logged_in(c))
        return -ENOTCONN;
    if (t->status == SCSI_STATUS_GOOD)
        return 0;
    if (t->status == SCSI_STATUS_RESERVATION_CONFLICT || t->status == SCSI_STATUS_BUSY)
        return -EBUSY;
    if (t->status == SCSI_STATUS_CHECK_CONDITION && t->sense.key == SCSI_SENSE_UNIT_ATTENTION)
        return -EAGAIN;
    if (t->status == SCSI_STATUS_CHECK_CONDITION && t->sense.key == SCSI_SENSE_DATA_PROTECTION)
        return -EROFS;
    return t->status == SCSI_STATUS_TIMEOUT ? -ETIMEDOUT : -EIO;
}

static void task_free(struct scsi_task **t) {
    if (*t)
        scsi_free_scsi_task(*t);
}
#define _cleanup_task_ _cleanup_(task_free)

static void pause_a_little(void) {
    static const struct timespec pause = {.tv_nsec = BUSY_PAUSE_MS * 1000 * 1000};
    (void)nanosleep(&pause, NULL);
}

/* Whether a command is to be given once more: `*n` counts. Something happened to the LUN, or it is busy for the moment.
 */
static bool may_repeat(int r, unsigned *n) {
    if (r == -EBUSY)
        pause_a_little();
    return r == -EAGAIN ? ++*n < ATTENTIONS_MAX : r == -EBUSY && ++*n < BUSY_MAX;
}

/* A page of INQUIRY; the caller frees. NULL with 0: the LUN does not have it. */
static int page_of(struct iscsi_context *c, int lun, int evpd, int page, struct scsi_task **ret) {
    unsigned n = 0;
    int r;
    *ret = NULL;
    do {
        task_free(ret);
        *ret = iscsi_inquiry_sync(c, lun, evpd, page, 255);
        r = result_of(c, *ret);
    } while (may_repeat(r, &n));
    if (r == 0)
        return 0;
    task_free(ret);
    *ret = NULL;
    return r == -ETIMEDOUT || r == -ENOTCONN ? r : 0;
}

/* A new session is first told what has happened to a LUN before: that is no news to it. */
static void hear_news(struct iscsi_context *c, int lun) {
    for (int i = 0; i < ATTENTIONS_MAX; i++) {
        _cleanup_task_ struct scsi_task *t = iscsi_testunitready_sync(c, lun);
        if (result_of(c, t) != -EAGAIN)
            return;
    }
}

static int read_capacity(struct iscsi_context *c, struct lun *l) {
    _cleanup_task_ struct scsi_task *t = iscsi_readcapacity16_sync(c, l->number);
    int r = result_of(c, t);
    const struct scsi_readcapacity16 *rc = r == 0 ? scsi_datain_unmarshall(t) : NULL;
    if (r < 0)
        return r;
    if (!rc || rc->block_length < BOARD_BLOCK_MIN || rc->block_length > BOARD_BLOCK_MAX ||
        rc->returned_lba >= (uint64_t)INT64_MAX / rc->block_length - 1)
        return -EIO;
    l->block_size = (int)rc->block_length;
    l->size = (int64_t)((rc->returned_lba + 1) * rc->block_length);
    return l->size > 0 ? 0 : -EIO;
}

int iscsi_measure(struct iscsi_context *c, struct lun *l) {
    unsigned n = 0;
    int r;
    if (!c)
        return -ENOTCONN;
    do
        r = read_capacity(c, l);
    while (may_repeat(r, &n));
    return r;
}

/* 1 for a disk that answers, 0 for other devices (a target's own controller). Silence is no word: negative errno. */
static int look_at_lun(struct iscsi_context *c, int number, struct lun *ret) {
    struct lun l = {.number = number};
    _cleanup_task_ struct scsi_task *plain = NULL, *serial = NULL, *id = NULL;
    int r = page_of(c, number, /* evpd= */ 0, 0, &plain);
    if (r < 0)
        return r;
    if (!plain || plain->datain.size < 36 || (plain->datain.data[0] & 0xff) != 0)
        return 0;
    (void)lun_text(plain->datain.data + 8, 8, l.vendor);
    hear_news(c, number);
    r = page_of(c, number, /* evpd= */ 1, 0x80, &serial);
    if (r == 0)
        r = page_of(c, number, /* evpd= */ 1, 0x83, &id);
    if (r < 0)
        return r;
    if (serial && serial->datain.size > 4)
        (void)lun_text(serial->datain.data + 4, MIN((size_t)serial->datain.size - 4, (size_t)serial->datain.data[3]),
                       l.serial);
    if (!id || id->datain.size < 0 || !lun_id_parse(id->datain.data, (size_t)id->datain.size, l.id))
        l.id[0] = '\0';
    r = iscsi_measure(c, &l);
    if (r == -ETIMEDOUT || r == -ENOTCONN)
        return r;
    *ret = l;
    return r == 0 || r == -EBUSY || r == -EAGAIN; /* the board is looked at once more, others are left out */
}

bool iscsi_luns(struct iscsi_context *c, struct lun **ret, size_t *ret_n, struct error **errp) {
    _cleanup_task_ struct scsi_task *t = iscsi_reportluns_sync(c, 0, 16 + 8 * LUNS_MAX);
    int r = result_of(c, t);
    const struct scsi_reportluns_list *list = r == 0 ? scsi_datain_unmarshall(t) : NULL;
    if (!list) {
        store_error(errp, "the target does not list its LUNs:", str_or_empty(iscsi_get_error(c)), r < 0 ? r : -EIO);
        return false;
    }
    struct lun *all = xcalloc((size_t)MIN(list->num, (uint32_t)LUNS_MAX) + 1, sizeof(*all));
    size_t n = 0;
    for (uint32_t i = 0; i < list->num && i < LUNS_MAX; i++) {
        int number = list->luns[i] & 0x3fff; /* SAM-5 4.7.7.2 and 4.7.7.3: peripheral or flat addressing */
        r = list->luns[i] >> 14 <= 1 ? look_at_lun(c, number, &all[n]) : 0;
        if (r < 0) {
            _cleanup_free_ char *which = strf("%d", number);
            store_error(errp, "the target does not answer for its LUN", which, r);
            free(all);
            return false;
        }
        n += (size_t)r;
    }
    *ret = all;
    *ret_n = n;
    return true;
}

/* ---- blocks ---- */

int iscsi_read_blocks(struct iscsi_context *c, const struct lun *l, uint64_t at, size_t n, char *ret) {
    if (!c)
        return -ENOTCONN;
    size_t size = n * (size_t)l->block_size;
    _cleanup_task_ struct scsi_task *t =
        iscsi_read16_sync(c, l->number, at, (uint32_t)size, l->block_size, 0, 0, 0, 0, 0);
    int r = result_of(c, t);
    if (r == 0 && (t->datain.size < 0 || (size_t)t->datain.size != size))
        r = -EIO;
    if (r == 0)
        memcpy(ret, t->datain.data, size);
    return r;
}

int iscsi_write_blocks(struct iscsi_context *c, const struct lun *l, uint64_t at, size_t n, const char *data) {
    if (!c)
        return -ENOTCONN;
    /* Forced to the medium: a lease that an array forgets with its power is none. */
    _cleanup_task_ struct scsi_task *t = iscsi_write16_sync(c, l->number, at, (unsigned char *)data,
                                                            (uint32_t)(n * (size_t)l->block_size), l->block_size, 0, 0,
                                                            /* fua= */ 1, 0, 0);
    return result_of(c, t);
}

int iscsi_reserve(struct iscsi_context *c, const struct lun *l) {
    if (!c)
        return -ENOTCONN;
    _cleanup_task_ struct scsi_task *t = iscsi_reserve6_sync(c, l->number);
    return result_of(c, t);
}

int iscsi_release(struct iscsi_context *c, const struct lun *l) {
    if (!c)
        return -ENOTCONN;
    _cleanup_task_ struct scsi_task *t = iscsi_release6_sync(c, l->number);
    return result_of(c, t);
}

int iscsi_reset_lun(struct iscsi_context *c, const struct lun *l) {
    return c && iscsi_task_mgmt_lun_reset_sync(c, (uint32_t)l->number) == 0 ? 0 : -EIO;
}

/* ---- discovery ---- */

bool iscsi_targets(const char *portal, struct strv *ret, struct error **errp) {
    struct iscsi_context *c = connect_to(portal, /* target= */ NULL, errp);
    size_t n = 0;
    if (!c)
        return false;
    struct iscsi_discovery_address *all = iscsi_discovery_sync(c);
    const char *said = all ? NULL : iscsi_get_error(c);
    bool ok = all || str_empty(said);
    for (const struct iscsi_discovery_address *a = all; a && n < TARGETS_MAX; a = a->next, n++) {
        strv_add(ret, a->portals ? a->portals->portal : portal);
        strv_add(ret, a->target_name);
    }
    if (all)
        iscsi_free_discovery_data(c, all);
    if (!ok)
        error_set(errp, ERR_SR_BACKEND_FAILURE, "the iSCSI portal does not say what it has", portal, said, NULL);
    iscsi_close(c);
    return ok;
}

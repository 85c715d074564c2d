/* SPDX-License-Identifier: Apache-2.0 */
/* Talking with an iSCSI target (libiscsi): log in, look at its LUNs, read and write blocks. Blocking, each command with
 * a deadline; only in the helper program. */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "base/value.h"
#include "store/store_lun_core.h"
#include "store/store_place_core.h"

struct iscsi_context;

/* The name that this host has at targets; before anything else here. */
void iscsi_set_initiator(const char *name);
const char *iscsi_initiator(void);
/* Logged in to `target` at `portal`; NULL with *errp. */
struct iscsi_context *iscsi_open(const char *portal, const char *target, struct error **errp) _warn_unused_;
void iscsi_close(struct iscsi_context *c);
/* As a host that loses its power ends: without a word to the target. */
void iscsi_drop(struct iscsi_context *c);

/* The disks among the LUNs; the caller frees. What another has to itself at this moment has no size. False also when
 * one of them does not answer: what is left out of a list counts as gone. */
bool iscsi_luns(struct iscsi_context *c, struct lun **ret, size_t *ret_n, struct error **errp) _warn_unused_;
/* Its size and that of its blocks; errors as below. */
int iscsi_measure(struct iscsi_context *c, struct lun *l) _warn_unused_;

/* `n` whole blocks; 0 or negative errno: -EBUSY where another session has the LUN reserved, -EAGAIN when something has
 * happened to the LUN (a reset, a new session): what was known of it is to be looked at anew. -ETIMEDOUT, -ENOTCONN
 * (also where there is no session, `c` NULL) and -EIO: nobody knows whether it was done, or will be. */
int iscsi_read_blocks(struct iscsi_context *c, const struct lun *l, uint64_t at, size_t n, char *ret) _warn_unused_;
int iscsi_write_blocks(struct iscsi_context *c, const struct lun *l, uint64_t at, size_t n,
                       const char *data) _warn_unused_;
/* SPC-2 RESERVE(6) and RELEASE(6): the LUN is this session's, until it gives it back or ends. */
int iscsi_reserve(struct iscsi_context *c, const struct lun *l) _warn_unused_;
int iscsi_release(struct iscsi_context *c, const struct lun *l) _warn_unused_;
/* Takes away whatever reservation there is; whoever had it is told with its next command. */
int iscsi_reset_lun(struct iscsi_context *c, const struct lun *l) _warn_unused_;

/* What a portal offers, as pairs in `ret`: address, name, address, name. */
bool iscsi_targets(const char *portal, struct strv *ret, struct error **errp) _warn_unused_;

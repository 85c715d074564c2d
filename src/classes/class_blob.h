/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Binary attachments: small, few, and in the pool database, so that every host has them and none is lost with a host
 * (docs/decisions/0024). Loop thread.
 */
#pragma once

#include "api/api.h"

#define BLOB_SIZE_MAX ((size_t)64 << 10) /* bytes of content */
#define BLOBS_MAX 256                    /* in a pool */

/* The content of a blob; the caller frees. Its size is blob.size. NULL: it was never written. */
char *blob_content(const struct row *blob);
/* Writes the content and ends the call. `size` is at most BLOB_SIZE_MAX. */
void blob_write(struct call *c, const struct row *blob, const void *content, size_t size);
/* With the object that they are attached to: every blob of a map of names and references. */
void blob_delete_all(struct db_txn *t, const struct value *blobs);

/* SPDX-License-Identifier: Apache-2.0 */
/* UUIDs (RFC 4122): 16 bytes, text form 8-4-4-4-12 in lower case. All zero means "no object" (the null reference). Any
 * thread. */
#pragma once

#include "base/macro.h"

#define UUID_TEXT_SIZE 37 /* with the NUL */
#define REF_TEXT_SIZE 47  /* "OpaqueRef:" + uuid + NUL */
#define REF_PREFIX "OpaqueRef:"
#define REF_NULL_TEXT "OpaqueRef:NULL"

struct uuid {
    uint8_t b[16];
};

struct uuid uuid_random(void);                                       /* version 4, from getrandom */
struct uuid uuid_derive(const struct uuid *space, const char *name); /* version 5 layout, deterministic (SHA-1) */
bool uuid_parse(const char *text, struct uuid *ret) _warn_unused_;   /* exactly the text form, any case */
const char *uuid_text(const struct uuid *u, char text[static UUID_TEXT_SIZE]); /* returns text */
bool uuid_eq(const struct uuid *a, const struct uuid *b);
bool uuid_is_null(const struct uuid *u);
uint64_t uuid_hash(const struct uuid *u);
bool ref_parse(const char *text, struct uuid *ret) _warn_unused_; /* "OpaqueRef:<uuid>" or "OpaqueRef:NULL" (-> zero) */
const char *ref_text(const struct uuid *u, char text[static REF_TEXT_SIZE]);

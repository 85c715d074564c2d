/* SPDX-License-Identifier: Apache-2.0 */
/* When a certificate's end is told, and under which name: those that XenServer's tools know. Pure. */
#pragma once

#include "base/macro.h"

enum expiry_stage { EXPIRY_FAR, EXPIRY_30, EXPIRY_14, EXPIRY_07, EXPIRY_OVER, N_EXPIRY_STAGES };

/* Days as whole ones of 86400 s; on the second that a stage begins it has begun. */
enum expiry_stage expiry_stage_of(int64_t not_after, int64_t now);

enum expiry_what { EXPIRY_HOST, EXPIRY_HOST_INTERNAL, EXPIRY_AUTHORITY, N_EXPIRY_WHAT };

/* Name of the message, "HOST_SERVER_CERTIFICATE_EXPIRING_30"; NULL for EXPIRY_FAR. */
const char *expiry_message_name(enum expiry_what what, enum expiry_stage stage);
/* The same as a whole sentence with the date and the cure; the caller frees. `host` may be NULL for the authority. */
char *expiry_message_text(enum expiry_what what, enum expiry_stage stage, const char *host, int64_t not_after);
int expiry_message_priority(enum expiry_stage stage); /* 1 (most urgent) to 5 */
/* Whether a message of this name is one of these, and about what. */
bool expiry_is_message(const char *name, enum expiry_what *ret_what);

/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 with padding and without line breaks (RFC 4648, section 4), by OpenSSL. Thread-safe. */
#pragma once

#include "base/macro.h"

/* The text; the caller frees. */
char *base64_encode(const void *data, size_t size);
/* The bytes, with a NUL behind them; the caller frees. NULL: it is not base64. */
char *base64_decode(const char *text, size_t size, size_t *ret_size) _warn_unused_;

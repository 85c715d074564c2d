/* SPDX-License-Identifier: Apache-2.0 */
/* What musterd and muster-store say to each other, as JSON: {"op":, "args":} and {"result":} or {"error": [code,
 * parameters]}. Pure; any thread. */
#pragma once

#include "base/error.h"
#include "base/value.h"

#define STORE_REQUEST_MAX (1 << 20) /* bytes */

void store_request_write(struct buf *out, const char *op, const struct value *args);
/* `ret_op` is the caller's. */
bool store_request_read(const char *text, size_t size, char **ret_op, struct value *ret_args,
                        struct error **errp) _warn_unused_;
void store_answer_write(struct buf *out, const struct value *result /* NULL: */, const struct error *error);
/* False with what the answer says of failure, or with SR_BACKEND_FAILURE when it is none. */
bool store_answer_read(const char *text, size_t size, struct value *ret, struct error **errp) _warn_unused_;

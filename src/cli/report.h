/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What xe says when something failed: a sentence for the code, then a line for each parameter, as XenServer's xe does.
 * Errors of xe itself have codes that begin with CLI_.
 */
#pragma once

#include "cli/records.h"

/* `r` (may be NULL) tells the names of the objects that the parameters refer to. */
void report_error(struct buf *out, struct records *r, struct error *e);

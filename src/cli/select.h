/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hosts that a command is about: host= or uuid= or host-uuid= (uuid or name), or any field of a host; more than one
 * needs --multiple.
 */
#pragma once

#include "cli/xe.h"

/* A set of references. `own`: parameters that are the command's and choose nothing, with commas. */
bool select_hosts(struct xe *x, const char *own, struct value *ret, struct error **errp) _warn_unused_;
/* Calls for each, with `extra` (n_extra of them, borrowed) behind the host. With several, what fails is said for each
 * and the rest goes on. */
bool select_call(struct xe *x, const struct value *hosts, const char *method, const struct value *extra,
                 unsigned n_extra, struct error **errp) _warn_unused_;

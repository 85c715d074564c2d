/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects that a command is about: of class "host" or "vm", host= (vm=) or uuid= or host-uuid= (uuid or name), or
 * any field; more than one needs --multiple.
 */
#pragma once

#include "cli/xe.h"

/* A set of references. `own`: parameters that are the command's and choose nothing, with commas. */
bool select_hosts(struct xe *x, const char *own, struct value *ret, struct error **errp) _warn_unused_;
/* The same for the class that xe has by that name: "vm" (what vm-list shows, but for the hosts themselves), "template".
 */
bool select_objects(struct xe *x, const char *class_name, const char *own, struct value *ret,
                    struct error **errp) _warn_unused_;
/* Calls for each, with `extra` (n_extra of them, borrowed) behind the host. With several, what fails is said for each
 * and the rest goes on. */
bool select_call(struct xe *x, const struct value *hosts, const char *method, const struct value *extra,
                 unsigned n_extra, struct error **errp) _warn_unused_;

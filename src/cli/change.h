/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network changes with switches: --dry-run (and --prove) says what would be done and does nothing, --force goes on with
 * faults that are known, --confirm waits for network-change-confirm, --checkpoint=SECONDS and --probes=ADDRESSES say
 * when a host goes back by itself.
 */
#pragma once

#include "cli/xe.h"

/* Any of them was typed (--force counts only beside another, or for a call that changes networks). */
bool change_is_asked(const struct xe *x);
/* One that only a change itself can take: a plan has no use for it. */
bool change_needs_change(const struct xe *x);
/* Prints what a dry run says. `refusal`: the words before what stands in the way. */
void change_print_report(struct xe *x, const struct value *report, const char *refusal);
/* Does a command that is no network change have to be refused? True when none of them was typed. */
bool change_check(struct xe *x, bool changes_networks, const char *command, struct error **errp) _warn_unused_;
/* Whether this call is to be made by change_call. */
bool change_takes(const struct xe *x, const char *method);
/* Like xe_call. For a dry run the report is printed, x->is_said is set and *ret is void. */
bool change_call(struct xe *x, const char *method, const struct value *params, size_t n, struct value *ret,
                 struct error **errp) _warn_unused_;

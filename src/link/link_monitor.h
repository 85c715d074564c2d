/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the loop that something about links, addresses or routes changed in the kernel. Only the fact is promised: one
 * call may stand for many changes, and after an overflow nothing else is known. The listener reads the state again.
 * Loop thread.
 */
#pragma once

#include "link/link.h"
#include "loop/loop.h"

enum link_event { LINK_EVENT_LINK = 1, LINK_EVENT_ADDRESS = 2, LINK_EVENT_ROUTE = 4 };

typedef void link_monitor_fn(unsigned events, void *userdata); /* set of link_event */

struct link_monitor;
int link_monitor_new(struct loop *l, link_monitor_fn *fn, void *userdata, struct link_monitor **ret) _warn_unused_;
void link_monitor_free(struct link_monitor *m); /* accepts NULL; not from inside `fn` */

/* SPDX-License-Identifier: Apache-2.0 */
/* One host's part of a network file, made to say what a configuration says. Loop thread only. */
#pragma once

#include "classes/net_file.h"
#include "db/db.h"
#include "net/net_config.h"

/*
 * Makes the host's sections of `f` (of the pool's rows) as `is`; `wanted` is what they say now. Interfaces that neither
 * names stay as they are. False with OPERATION_NOT_ALLOWED [sentence] for a bridge that is no network of the pool.
 */
bool net_file_set_host(struct net_file *f, struct db *d, const struct row *host, const struct net_config *wanted,
                       const struct net_config *is, struct error **errp) _warn_unused_;

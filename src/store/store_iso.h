/* SPDX-License-Identifier: Apache-2.0 */
/* Repositories of type "iso": a folder of disc images that others put there. Nothing in it is ever changed. */
#pragma once

#include "base/value.h"
#include "store/store_folder.h"

/* The operations create, attach, check (the folder is there), stat and scan; any other is refused. */
bool store_iso_run(const char *op, const struct folder *f, const struct uuid *sr, struct value *ret,
                   struct error **errp) _warn_unused_;

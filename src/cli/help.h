/* SPDX-License-Identifier: Apache-2.0 */
/* "xe help": what commands there are, and what one takes. With --minimal in a form for completion: names with commas.
 */
#pragma once

#include "cli/commands.h"

bool help_run(struct xe *x, struct error **errp) _warn_unused_;

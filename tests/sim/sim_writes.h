/* SPDX-License-Identifier: Apache-2.0 */
/* The story's own writes to the pool's row, and what became of them. */
#pragma once

#include "sim_checks.h"

void writes_init(void);
unsigned writes_n_done(void);

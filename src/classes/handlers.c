/* SPDX-License-Identifier: Apache-2.0 */
/* The table from a call's number to the function behind it, generated. */
#include "gen_handlers.h"

#include "gen_handlers.inc"

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository of LUNs as a folder (store_folder.h): each LUN of the target is a file "<uuid>.raw", but for one, the
 * board, which Muster keeps for itself; leases and the mark of the repository lie there (store_lun_core.h). Whoever
 * changes a block of the board has that LUN reserved meanwhile (SPC-2 RESERVE), so that two hosts take turns, and a
 * host that dies in the middle leaves nothing locked. Only in the helper program.
 */
#pragma once

#include "store/store_folder.h"

/* SR_BACKEND_FAILURE when the target cannot be reached, or does not have the LUN. */
bool board_folder_open(const char *place, struct folder *ret, struct error **errp) _warn_unused_;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /blob: the content of binary attachments. GET ?ref= or ?uuid= at any host (a public one without a login), PUT at the
 * coordinator, to which members send. Loop thread.
 */
#pragma once

#include "daemon/transfer.h"

void blobs_serve(struct transfers *ts);

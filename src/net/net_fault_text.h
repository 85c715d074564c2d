/* SPDX-License-Identifier: Apache-2.0 */
/* The wording of faults, apart from their bookkeeping. Internal to src/net. */
#pragma once

#include "net/net_fault.h"

/* Writes one sentence (with its full stop) to `text` and the cure (without) to `cure`. */
void net_fault_sentence(enum net_fault fault, const struct net_fault_facts *f, struct buf *text, struct buf *cure);

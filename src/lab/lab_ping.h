/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what ping -D wrote: how many were sent and answered, and the longest time without an answer. Pure. */
#pragma once

#include "base/macro.h"

struct ping_report {
    unsigned sent; /* without the last ones, up to five, that were still on their way when it was stopped */
    unsigned answered;
    unsigned lost;
    unsigned twice;  /* answers that came more than once */
    unsigned gap_ms; /* longest time between two answers */
    bool complete;   /* ping itself said how it ended; else counted from its lines */
};

void ping_report_parse(const char *text, struct ping_report *ret);

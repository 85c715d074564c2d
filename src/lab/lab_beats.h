/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the beats of guests say. A guest sends "beat N wrong W name NAME" ten times a second over UDP; the listener at
 * the desk writes one line for each, "SECONDS ADDRESS NAME N W", and this reads the lines. Pure.
 */
#pragma once

#include "base/macro.h"

#define BEATS_MAX_GUESTS 256

struct beats_guest {
    char name[32];      /* as it calls itself, or its address */
    char address[16];   /* IPv4 */
    unsigned received;  /* in the time asked about, like all that follows */
    unsigned lost;      /* numbers that were left out */
    unsigned starts;    /* numbers that went back: it was started again, or there are two of it */
    unsigned wrong;     /* blocks that it did not read back as it had written them */
    unsigned gap_ms;    /* longest time without a beat, that before the first and since the last one included */
    unsigned silent_ms; /* time since the last one */
};

struct beats_report {
    unsigned n;
    struct beats_guest guests[BEATS_MAX_GUESTS]; /* every one that was ever heard, in the order of their names */
};

/* A beat as it comes from the wire, `size` bytes without a NUL. False when it is none. `name` is empty without one. */
bool beats_parse_packet(const char *data, size_t size, unsigned long *ret_beat, unsigned long *ret_wrong,
                        char ret_name[static 32]);
/* Reads the listener's lines. `since` and `now` in seconds since the epoch; what came before `since` only tells which
 * number is next. A last line that is not whole is left out. */
void beats_parse(const char *text, double since, double now, struct beats_report *ret);

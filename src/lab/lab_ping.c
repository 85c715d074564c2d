/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_ping.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define PING_IN_FLIGHT 5

/* "[1700000000.123456] 64 bytes from 10.9.0.2: icmp_seq=5 ttl=64 time=0.5 ms[ (DUP!)]" */
static bool answer_parse(const char *line, double *ret_time, unsigned *ret_seq, bool *ret_twice) {
    const char *seq = strstr(line, "icmp_seq=");
    if (line[0] != '[' || !seq || !strstr(line, "bytes from"))
        return false;
    *ret_time = strtod(line + 1, NULL);
    *ret_seq = (unsigned)strtoul(seq + strlen("icmp_seq="), NULL, 10);
    *ret_twice = strstr(seq, "DUP!") != NULL;
    return true;
}

void ping_report_parse(const char *text, struct ping_report *ret) {
    struct ping_report r = {0};
    double last = 0, longest = 0;
    unsigned last_seq = 0;
    _cleanup_strv_ struct strv lines = {0};
    strv_split(&lines, text, '\n');
    for (size_t i = 0; i < lines.n; i++) {
        double when;
        unsigned seq, sent, received;
        bool twice;
        if (answer_parse(lines.items[i], &when, &seq, &twice)) {
            if (twice) {
                r.twice++;
                continue;
            }
            if (last > 0 && when - last > longest)
                longest = when - last;
            last = when;
            last_seq = MAX(last_seq, seq);
            r.answered++;
        } else if (sscanf(lines.items[i], "%u packets transmitted, %u received", &sent, &received) == 2) {
            r.sent = sent;
            r.answered = received;
            r.complete = true;
        }
    }
    if (!r.complete)
        r.sent = last_seq;
    r.lost = r.sent > r.answered ? r.sent - r.answered : 0;
    /* The last few were still on their way when ping was told to stop: nobody knows about them. */
    unsigned tail = r.answered > 0 && r.sent > last_seq ? r.sent - last_seq : 0;
    if (tail <= PING_IN_FLIGHT && tail <= r.lost) {
        r.sent -= tail;
        r.lost -= tail;
    }
    r.gap_ms = (unsigned)(longest * 1000 + 0.5);
    *ret = r;
}

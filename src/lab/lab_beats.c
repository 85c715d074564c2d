/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_beats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

bool beats_parse_packet(const char *data, size_t size, unsigned long *ret_beat, unsigned long *ret_wrong,
                        char ret_name[static 32]) {
    char text[128], name[32] = "";
    unsigned long beat, wrong;
    if (size >= sizeof(text) || memchr(data, '\0', size))
        return false;
    memcpy(text, data, size);
    text[size] = '\0';
    if (sscanf(text, "beat %lu wrong %lu name %31s", &beat, &wrong, name) < 2 ||
        strspn(name, NAME_CHARACTERS) != strlen(name))
        return false;
    *ret_beat = beat;
    *ret_wrong = wrong;
    str_copy(ret_name, 32, name);
    return true;
}

/* What is kept of a guest from one line to the next. */
struct history {
    double last; /* 0: not heard yet */
    unsigned long beat, wrong;
    double gap;
};

static struct beats_guest *guest_of(struct beats_report *r, struct history *all, const char *address,
                                    struct history **ret) {
    for (unsigned i = 0; i < r->n; i++) {
        if (str_eq(r->guests[i].address, address)) {
            *ret = &all[i];
            return &r->guests[i];
        }
    }
    if (r->n == BEATS_MAX_GUESTS)
        return NULL;
    str_copy(r->guests[r->n].address, sizeof(r->guests[0].address), address);
    *ret = &all[r->n];
    return &r->guests[r->n++];
}

static void take(struct beats_guest *g, struct history *h, double since, double when, unsigned long beat,
                 unsigned long wrong) {
    bool counts = when >= since, back = h->last > 0 && beat < h->beat;
    if (counts) {
        double from = MAX(h->last, since);
        if (from > 0 && when - from > h->gap)
            h->gap = when - from;
        g->received++;
        g->starts += back;
        if (h->last > 0 && beat > h->beat + 1)
            g->lost += (unsigned)(beat - h->beat - 1);
        if (back || h->last == 0)
            g->wrong += (unsigned)wrong;
        else if (wrong > h->wrong)
            g->wrong += (unsigned)(wrong - h->wrong);
    }
    h->last = when;
    h->beat = beat;
    h->wrong = wrong;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct beats_guest *)a)->name, ((const struct beats_guest *)b)->name);
}

void beats_parse(const char *text, double since, double now, struct beats_report *ret) {
    static struct history all[BEATS_MAX_GUESTS];
    memset(all, 0, sizeof(all));
    memset(ret, 0, sizeof(*ret));
    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        char address[16], name[32], line[160];
        double when;
        unsigned long beat, wrong;
        size_t len = (size_t)(end - text);
        if (len >= sizeof(line))
            continue;
        memcpy(line, text, len);
        line[len] = '\0';
        if (sscanf(line, "%lf %15s %31s %lu %lu", &when, address, name, &beat, &wrong) != 5 || when > now)
            continue;
        struct history *h;
        struct beats_guest *g = guest_of(ret, all, address, &h);
        if (!g)
            continue;
        str_copy(g->name, sizeof(g->name), name);
        take(g, h, since, when, beat, wrong);
    }
    for (unsigned i = 0; i < ret->n; i++) {
        double silent = now - MAX(all[i].last, since);
        ret->guests[i].silent_ms = (unsigned)(silent * 1000 + 0.5);
        ret->guests[i].gap_ms = (unsigned)(MAX(all[i].gap, silent) * 1000 + 0.5);
    }
    qsort(ret->guests, ret->n, sizeof(ret->guests[0]), by_name);
}

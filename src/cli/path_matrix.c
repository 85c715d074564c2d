/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/path_matrix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define CELL_MIN 5 /* "9000<", "9000?" */

struct end { /* a leg of a host, in one VLAN */
    const char *host, *leg;
    int vlan;
    size_t group; /* legs of one matrix have the same */
};

struct matrix {
    const struct path *paths;
    size_t n_paths;
    struct end *ends;
    size_t n_ends;
};

static size_t end_of(struct matrix *m, const char *host, const char *leg, int vlan) {
    for (size_t i = 0; i < m->n_ends; i++)
        if (m->ends[i].vlan == vlan && str_eq(m->ends[i].host, host) && str_eq(m->ends[i].leg, leg))
            return i;
    m->ends[m->n_ends] = (struct end){.host = host, .leg = leg, .vlan = vlan, .group = m->n_ends};
    return m->n_ends++;
}

static void join_groups(struct matrix *m, size_t a, size_t b) {
    size_t from = MAX(m->ends[a].group, m->ends[b].group), to = MIN(m->ends[a].group, m->ends[b].group);
    for (size_t i = 0; from != to && i < m->n_ends; i++)
        if (m->ends[i].group == from)
            m->ends[i].group = to;
}

/* Legs that have a path to each other, directly or over others, become one group. */
static void find_ends(struct matrix *m) {
    m->ends = xcalloc(MAX(2 * m->n_paths, (size_t)1), sizeof(*m->ends));
    for (size_t i = 0; i < m->n_paths; i++) {
        const struct path *p = &m->paths[i];
        size_t from = end_of(m, p->host, p->leg, p->vlan), to = end_of(m, p->peer, p->peer_leg, p->vlan);
        join_groups(m, from, to);
    }
}

/* Untagged first, then by the leg that begins the matrix; in it by host and leg. */
static int by_place(const void *a, const void *b) {
    const struct end *x = a, *y = b;
    int r =
        x->vlan != y->vlan ? (x->vlan > y->vlan) - (x->vlan < y->vlan) : (x->group > y->group) - (x->group < y->group);
    r = r ? r : strverscmp(x->host, y->host);
    return r ? r : strverscmp(x->leg, y->leg);
}

/* Which group comes first is what its smallest leg says, not in which order paths came. */
static void name_groups(struct matrix *m) {
    size_t *names = xcalloc(MAX(m->n_ends, (size_t)1), sizeof(*names));
    for (size_t i = 0; i < m->n_ends; i++) {
        size_t before = 0;
        for (size_t k = 0; k < m->n_ends; k++) {
            int r = strverscmp(m->ends[k].leg, m->ends[i].leg);
            before += r < 0 || (r == 0 && strverscmp(m->ends[k].host, m->ends[i].host) < 0);
        }
        names[i] = before;
    }
    for (size_t i = 0; i < m->n_ends; i++) {
        size_t least = names[i];
        for (size_t k = 0; k < m->n_ends; k++)
            if (m->ends[k].group == m->ends[i].group)
                least = MIN(least, names[k]);
        names[i] = MIN(names[i], least);
    }
    for (size_t i = 0; i < m->n_ends; i++)
        m->ends[i].group = names[i];
    free(names);
}

static const struct path *between(const struct matrix *m, const struct end *from, const struct end *to) {
    for (size_t i = 0; i < m->n_paths; i++) {
        const struct path *p = &m->paths[i];
        if (p->vlan == from->vlan && str_eq(p->host, from->host) && str_eq(p->leg, from->leg) &&
            str_eq(p->peer, to->host) && str_eq(p->peer_leg, to->leg))
            return p;
    }
    return NULL;
}

static void add_head(struct buf *out, const struct matrix *m, const struct end *first, size_t n) {
    size_t n_paths = 0, n_bad = 0, n_old = 0;
    int wanted = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            const struct path *p = between(m, &first[i], &first[k]);
            if (!p)
                continue;
            n_paths++;
            n_old += p->is_old;
            n_bad += !p->is_old && p->passes < p->wanted;
            wanted = MAX(wanted, p->wanted);
        }
    if (first->vlan)
        buf_addf(out, "VLAN %d", first->vlan);
    else
        buf_add_str(out, "Untagged");
    buf_addf(out, ", %d bytes wanted: ", wanted);
    if (n_bad)
        buf_addf(out, "%zu of %zu paths carry less", n_bad, n_paths);
    else if (!n_old)
        buf_addf(out, "all %zu paths carry it", n_paths);
    else
        buf_addf(out, "%zu of %zu paths carry it", n_paths - n_old, n_paths);
    if (n_old)
        buf_addf(out, ", %zu not measured since their host is away (?)", n_old);
    buf_add_char(out, '\n');
}

static void add_cell(struct buf *out, const struct path *p, unsigned width) {
    char text[24] = ".";
    if (p && p->passes == 0)
        snprintf(text, sizeof(text), "dead%s", p->is_old ? "?" : "");
    else if (p)
        snprintf(text, sizeof(text), "%d%s", p->passes, p->is_old ? "?" : p->passes < p->wanted ? "<" : "");
    buf_addf(out, "  %*s", (int)width, text);
}

static unsigned column_width(const struct end *e) {
    size_t longest = MAX(strlen(e->host), strlen(e->leg));
    return (unsigned)MAX(longest, (size_t)CELL_MIN);
}

/* The columns [from, to) of the n legs of one matrix. */
static void add_block(struct buf *out, const struct matrix *m, const struct end *first, size_t n, size_t from,
                      size_t to, unsigned label) {
    for (unsigned line = 0; line < 2; line++) {
        buf_addf(out, "%-*s", (int)label, line ? "from" : "to");
        for (size_t k = from; k < to; k++)
            buf_addf(out, "  %*s", (int)column_width(&first[k]), line ? first[k].leg : first[k].host);
        buf_add_char(out, '\n');
    }
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *name = strf("%s %s", first[i].host, first[i].leg);
        buf_addf(out, "%-*s", (int)label, name);
        for (size_t k = from; k < to; k++)
            add_cell(out, between(m, &first[i], &first[k]), column_width(&first[k]));
        buf_add_char(out, '\n');
    }
}

static void add_matrix(struct buf *out, const struct matrix *m, const struct end *first, size_t n, unsigned width) {
    unsigned label = 4;
    for (size_t i = 0; i < n; i++)
        label = MAX(label, (unsigned)(strlen(first[i].host) + 1 + strlen(first[i].leg)));
    add_head(out, m, first, n);
    for (size_t from = 0, to; from < n; from = to) {
        unsigned used = label;
        for (to = from; to < n; to++) {
            unsigned w = column_width(&first[to]) + 2;
            if (to > from && used + w > width)
                break;
            used += w;
        }
        if (from)
            buf_add_char(out, '\n');
        add_block(out, m, first, n, from, to, label);
    }
}

void path_matrix(struct buf *out, const struct path *paths, size_t n, unsigned width) {
    struct matrix m = {.paths = paths, .n_paths = n};
    find_ends(&m);
    name_groups(&m);
    qsort(m.ends, m.n_ends, sizeof(*m.ends), by_place);
    for (size_t from = 0, to; from < m.n_ends; from = to) {
        for (to = from;
             to < m.n_ends && m.ends[to].group == m.ends[from].group && m.ends[to].vlan == m.ends[from].vlan;)
            to++;
        if (from)
            buf_add_char(out, '\n');
        add_matrix(out, &m, &m.ends[from], to - from, width);
    }
    free(m.ends);
}

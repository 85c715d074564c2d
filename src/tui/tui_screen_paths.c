/* SPDX-License-Identifier: Apache-2.0 */
/* What passes from each leg of this host to each leg of the others, as a matrix. */
#include <stdio.h>
#include <stdlib.h>

#include "tui/tui_screen.h"

#define MAX_COLUMNS (TUI_TABLE_MAX_COLUMNS - 1)

static void peer_label(const struct tui_path *p, char *ret, size_t size) {
    snprintf(ret, size, "%.30s/%s", p->peer, p->peer_leg);
}

static void leg_label(const struct tui_path *p, char *ret, size_t size) {
    if (p->vlan)
        snprintf(ret, size, "%s vlan %d", p->leg, p->vlan);
    else
        str_copy(ret, size, p->leg);
}

static bool same_row(const struct tui_path *a, const struct tui_path *b) {
    return str_eq(a->leg, b->leg) && a->vlan == b->vlan;
}

static bool same_peer(const struct tui_path *a, const struct tui_path *b) {
    return str_eq(a->peer, b->peer) && str_eq(a->peer_leg, b->peer_leg);
}

/* One row: the paths of the leg of `first`, in the columns of `peers`. */
static void write_paths_row(struct tui_table *t, const struct tui_pool *pool, const struct tui_path *first,
                            const struct tui_path *const *peers, unsigned n_peers) {
    char texts[MAX_COLUMNS + 1][40];
    const char *cells[TUI_TABLE_MAX_COLUMNS] = {texts[0]};
    bool is_bad = false;
    leg_label(first, texts[0], sizeof(texts[0]));
    for (unsigned k = 0; k < n_peers; k++) {
        char *text = texts[k + 1];
        cells[k + 1] = text;
        str_copy(text, sizeof(texts[0]), ".");
        for (size_t i = 0; i < pool->n_paths; i++) {
            const struct tui_path *p = &pool->paths[i];
            if (!same_row(p, first) || !same_peer(p, peers[k]))
                continue;
            if (!p->size)
                str_copy(text, sizeof(texts[0]), "dead");
            else if (p->size < p->wanted)
                snprintf(text, sizeof(texts[0]), "%d<%d", p->size, p->wanted);
            else
                snprintf(text, sizeof(texts[0]), "%d", p->size);
            is_bad |= p->size < p->wanted;
        }
    }
    tui_table_addv(t, is_bad ? TUI_BAD : TUI_PLAIN, cells);
}

static void write_matrix(const struct tui_pool *pool, const struct tui_path *const *peers, unsigned n_peers,
                         struct tui_page *page) {
    struct tui_table t = {.n_columns = n_peers + 1};
    char labels[MAX_COLUMNS][64];
    const char *cells[TUI_TABLE_MAX_COLUMNS] = {"From"};
    for (unsigned k = 0; k < n_peers; k++) {
        peer_label(peers[k], labels[k], sizeof(labels[k]));
        cells[k + 1] = labels[k];
    }
    tui_table_addv(&t, TUI_HEAD, cells);
    for (size_t i = 0; i < pool->n_paths; i++)
        if (!i || !same_row(&pool->paths[i], &pool->paths[i - 1])) /* they are sorted by leg */
            write_paths_row(&t, pool, &pool->paths[i], peers, n_peers);
    tui_page_space(page);
    tui_page_table(page, &t);
}

static bool is_known(const struct tui_path *const *peers, unsigned n, const struct tui_path *p) {
    for (unsigned k = 0; k < n; k++)
        if (same_peer(peers[k], p))
            return true;
    return false;
}

/* As many columns beside one another as the page is wide, the others below. */
void tui_screen_paths(const struct tui_facts *f, struct tui_page *p) {
    const struct tui_pool *pool = f->pool;
    if (!tui_facts_has_pool(f)) {
        tui_page_add(p, TUI_PLAIN, 0, "Paths to other hosts are measured by musterd.");
        return;
    }
    if (!pool->n_paths) {
        tui_page_add(p, TUI_PLAIN, 0,
                     pool->n_hosts > 1 ? "Nothing has been measured yet." : "There is no other host to measure with.");
        return;
    }
    tui_page_add(p, TUI_PLAIN, 0,
                 "Bytes that pass both ways from each leg of this host to each leg of the others; 1500<9000: less than "
                 "wanted; a dot: not one network.");
    const struct tui_path **all = xcalloc(pool->n_paths, sizeof(*all));
    unsigned n = 0;
    for (size_t i = 0; i < pool->n_paths; i++)
        if (!is_known(all, n, &pool->paths[i]))
            all[n++] = &pool->paths[i];
    for (unsigned from = 0; from < n;) {
        unsigned width = 16, k = 0;
        for (; from + k < n && k < MAX_COLUMNS; k++) {
            char label[64];
            peer_label(all[from + k], label, sizeof(label));
            unsigned w = MAX((unsigned)strlen(label), 9u) + 2;
            if (k && width + w > p->width)
                break;
            width += w;
        }
        write_matrix(pool, &all[from], k, p);
        from += k;
    }
    free(all);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What was proven of the paths between hosts: host.path_table of every host, as a matrix, a table or a line. */
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/layout.h"
#include "cli/path_matrix.h"
#include "client/path_entry.h"

#define WIDTH 80

struct path_list {
    struct path *items;
    size_t n;
};

static void path_done(struct path *p) {
    free(p->host);
    free(p->leg);
    free(p->peer);
    free(p->peer_leg);
}

static void path_list_done(struct path_list *l) {
    for (size_t i = 0; i < l->n; i++)
        path_done(&l->items[i]);
    free(l->items);
}

static const char *host_name(const struct value *hosts, const char *uuid) {
    for (size_t i = 0; i < hosts->map.n; i++) {
        const struct value *record = &hosts->map.pairs[i].value;
        if (str_eq(str_or_empty(value_map_str(record, "uuid")), uuid))
            return str_or_empty(value_map_str(record, "name_label"));
    }
    return uuid;
}

static bool read_path(const char *key, const char *sizes, const struct value *hosts, const char *host,
                      struct path *ret) {
    struct path_entry e;
    if (!path_entry_parse(key, sizes, &e))
        return false;
    *ret = (struct path){.host = xstrdup(host),
                         .leg = xstrdup(e.leg),
                         .peer = xstrdup(host_name(hosts, e.peer)),
                         .peer_leg = xstrdup(e.peer_leg),
                         .vlan = e.vlan,
                         .passes = e.passes,
                         .wanted = e.wanted};
    return true;
}

static const char *state_of(const struct path *p) {
    return p->is_old ? "old" : path_entry_state(p->passes, p->wanted);
}

static bool is_asked(struct xe *x, const struct path *p) {
    const char *state = args_get(&x->args, "state");
    return !state || str_eq(state, state_of(p));
}

/* What a host that is away has measured stays in its record; nobody measures it again. */
static bool is_live(const struct value *metrics, const struct value *host) {
    const struct value *record = value_map_get(metrics, str_or_empty(value_map_str(host, "metrics")));
    const struct value *live = record ? value_map_get(record, "live") : NULL;
    return live && value_as_bool(live);
}

static bool read_all(struct xe *x, struct path_list *l, struct error **errp) {
    const struct value *hosts = records_all(x->records, CLASS_host, errp),
                       *metrics = hosts ? records_all(x->records, CLASS_host_metrics, errp) : NULL;
    const char *only_host = args_get(&x->args, "host");
    for (size_t i = 0; metrics && i < hosts->map.n; i++) {
        const struct value *record = &hosts->map.pairs[i].value, *table = value_map_get(record, "path_table");
        const char *name = str_or_empty(value_map_str(record, "name_label"));
        if (only_host && !str_eq(only_host, name) && !str_eq(only_host, str_or_empty(value_map_str(record, "uuid"))))
            continue;
        for (size_t k = 0; table && table->type == VALUE_MAP && k < table->map.n; k++) {
            const struct value_pair *pair = &table->map.pairs[k];
            struct path p;
            if (!read_path(pair->key, str_or_empty(value_str(&pair->value)), hosts, name, &p))
                continue;
            p.is_old = !is_live(metrics, record);
            if (!is_asked(x, &p)) {
                path_done(&p);
                continue;
            }
            l->items = xrealloc_array(l->items, l->n + 1, sizeof(*l->items));
            l->items[l->n++] = p;
        }
    }
    return metrics != NULL;
}

/* By name, with the numbers in them as numbers: eth2 before eth10. */
static int compare(const void *a, const void *b) {
    const struct path *p = a, *q = b;
    int c = strverscmp(p->host, q->host);
    c = c ? c : strverscmp(p->leg, q->leg);
    c = c ? c : strverscmp(p->peer, q->peer);
    c = c ? c : strverscmp(p->peer_leg, q->peer_leg);
    return c ? c : p->vlan - q->vlan;
}

static void print_line(const struct path_list *l, struct buf *out) {
    for (size_t i = 0; i < l->n; i++) {
        const struct path *p = &l->items[i];
        _cleanup_free_ char *vlan = p->vlan ? strf("@%d", p->vlan) : xstrdup("");
        _cleanup_free_ char *text = strf("%s/%s>%s/%s%s=%d%s/%d", p->host, p->leg, p->peer, p->peer_leg, vlan,
                                         p->passes, p->is_old ? "?" : "", p->wanted);
        layout_minimal(out, text, i == 0);
    }
    buf_add_char(out, '\n');
}

static void print_table(const struct path_list *l, struct buf *out) {
    static const char *const head[] = {"HOST", "LEG", "PEER", "PEER-LEG", "VLAN", "PASSES", "WANTED", "STATE"};
    _cleanup_strv_ struct strv cells = {0};
    for (size_t i = 0; i < l->n; i++) {
        const struct path *p = &l->items[i];
        strv_add(&cells, p->host);
        strv_add(&cells, p->leg);
        strv_add(&cells, p->peer);
        strv_add(&cells, p->peer_leg);
        strv_take(&cells, p->vlan ? strf("%d", p->vlan) : xstrdup("-"));
        strv_take(&cells, strf("%d", p->passes));
        strv_take(&cells, strf("%d", p->wanted));
        strv_add(&cells, state_of(p));
    }
    layout_table(out, head, ARRAY_SIZE(head), cells.items, (unsigned)l->n);
}

static unsigned terminal_width(void) {
    struct winsize w;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 40 ? w.ws_col : WIDTH;
}

static bool is_state(struct xe *x, struct error **errp) {
    const char *state = args_get(&x->args, "state");
    if (!state || str_eq(state, "proven") || str_eq(state, "limited") || str_eq(state, "dead") || str_eq(state, "old"))
        return true;
    error_set(errp, "INVALID_VALUE", "state", state, NULL);
    return false;
}

/* A person at a terminal sees the matrix, a script the table that it can cut into columns. */
static bool wants_matrix(struct xe *x, bool *ret, struct error **errp) {
    const char *view = args_get(&x->args, "view");
    *ret = view ? str_eq(view, "matrix") : isatty(STDOUT_FILENO);
    if (!view || *ret || str_eq(view, "table"))
        return true;
    error_set(errp, "INVALID_VALUE", "view", view, NULL);
    return false;
}

static bool path_list(struct xe *x, struct error **errp) {
    _cleanup_(path_list_done) struct path_list l = {0};
    _cleanup_buf_ struct buf out = BUF_INIT;
    bool matrix = false;
    if (!is_state(x, errp) || !wants_matrix(x, &matrix, errp) || !read_all(x, &l, errp))
        return false;
    if (l.n)
        qsort(l.items, l.n, sizeof(*l.items), compare);
    if (args_is(&x->args, ARGS_MINIMAL))
        print_line(&l, &out);
    else if (matrix && l.n)
        path_matrix(&out, l.items, l.n, terminal_width());
    else if (matrix)
        buf_add_str(&out, "No paths: nothing has been measured yet, or there is no other host to measure with.\n");
    else
        print_table(&l, &out);
    xe_print(&out);
    return true;
}

static const struct command list[] = {
    {"path-list", "", "host,state,view",
     "sizes proven on every leg to every leg (state: proven, limited, dead, old; view: matrix, table)", path_list, 0},
};
const struct command_group commands_path = {list, ARRAY_SIZE(list)};

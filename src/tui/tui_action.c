/* SPDX-License-Identifier: Apache-2.0 */
#include "tui/tui_action.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/uuid.h"
#include "model/model.h"

void tui_said_add(struct tui_said *s, enum tui_style style, const char *fmt, ...) {
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    va_end(ap);
    s->items = xrealloc_array(s->items, s->n + 1, sizeof(*s->items));
    s->items[s->n++] = (struct tui_saying){.style = style, .text = text};
}

void tui_said_error(struct tui_said *s, const struct error *e) {
    const struct error_def *def = model_error_by_code(error_code(e));
    tui_said_add(s, TUI_BAD, "%s", def ? def->text : error_code(e));
    for (size_t i = 0; i < error_n_params(e); i++) {
        const char *text = error_param(e, i);
        if (str_starts(text, REF_PREFIX))
            text += strlen(REF_PREFIX);
        if (!*text)
            continue;
        if (def && i < def->n_params)
            tui_said_add(s, TUI_PLAIN, "  %s: %s", def->params[i], text);
        else
            tui_said_add(s, TUI_PLAIN, "  %s", text);
    }
}

void tui_said_done(struct tui_said *s) {
    for (size_t i = 0; i < s->n; i++)
        free(s->items[i].text);
    free(s->items);
    *s = (struct tui_said){0};
}

void tui_work_free(struct tui_work *w) {
    if (!w)
        return;
    explicit_bzero(w->values, sizeof(w->values));
    tui_said_done(&w->said);
    free(w);
}

struct tui_work *tui_work_new(const struct tui_action *a, const struct tui_facts *f) {
    struct tui_work *w = xnew0(struct tui_work);
    w->action = a;
    const bool has_daemon = tui_facts_has_pool(f);
    w->has_daemon = has_daemon;
    if (f->disk)
        str_copy(w->host_uuid, sizeof(w->host_uuid), f->disk->host_uuid);
    if (has_daemon) {
        str_copy(w->host_ref, sizeof(w->host_ref), f->pool->host_ref);
        str_copy(w->host_uuid, sizeof(w->host_uuid), f->pool->host_uuid);
        w->is_emergency = str_eq(f->pool->state, "emergency");
        w->is_enabled = f->pool->is_enabled;
    }
    return w;
}

const struct tui_action *tui_action_at(const char *screen, unsigned i) {
    static const struct tui_action *const lists[] = {tui_power_actions, tui_join_actions, tui_repair_actions};
    for (unsigned k = 0; k < ARRAY_SIZE(lists); k++)
        if (str_eq(lists[k]->screen, screen))
            for (const struct tui_action *a = lists[k]; a->title; a++)
                if (i-- == 0)
                    return a;
    return NULL;
}

const char *tui_action_obstacle(const struct tui_action *a, const struct tui_facts *f) {
    bool has_daemon = tui_facts_has_pool(f), is_emergency = has_daemon && str_eq(f->pool->state, "emergency");
    if (!f->disk)
        return "the host is still being looked at";
    if (!f->disk->is_root)
        return "only root may do this: start muster-console as root";
    if ((a->needs & TUI_NEEDS_NO_DAEMON) && (a->needs & TUI_NEEDS_SYSTEMD) && has_daemon)
        return "it runs";
    if ((a->needs & TUI_NEEDS_NO_DAEMON) && (has_daemon || f->late_s))
        return "musterd runs and would put back what the pool wants; stop it first: systemctl stop musterd";
    if ((a->needs & (TUI_NEEDS_DAEMON | TUI_NEEDS_POOL | TUI_NEEDS_EMERGENCY)) && !has_daemon)
        return f->late_s ? "musterd does not answer" : "musterd is not running; start it: systemctl start musterd";
    if ((a->needs & TUI_NEEDS_POOL) && is_emergency)
        return "the host is without a coordinator";
    if ((a->needs & TUI_NEEDS_EMERGENCY) && !is_emergency)
        return "only for a host without a coordinator (state emergency)";
    if ((a->needs & TUI_NEEDS_SYSTEMD) && !f->disk->can_systemd)
        return "this system is not run by systemd";
    return NULL;
}

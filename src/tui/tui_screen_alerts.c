/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong, with the cure; and the latest lines of the logs. */
#include "tui/tui_screen.h"

static void write_alerts(const struct tui_alerts *v, struct tui_page *p) {
    for (size_t i = 0; i < v->n; i++) {
        const struct tui_alert *a = &v->items[i];
        tui_page_add(p, TUI_BAD, 0, "%s%s%s", a->code, *a->host ? " on " : "", a->host);
        tui_page_add(p, TUI_PLAIN, 2, "  %s", a->text);
        if (*a->cure)
            tui_page_add(p, TUI_CURE, 4, "  Cure: %s", a->cure);
        tui_page_space(p);
    }
}

void tui_screen_alerts(const struct tui_facts *f, struct tui_page *p) {
    bool has_pool = tui_facts_has_pool(f);
    const struct tui_alerts *v = has_pool ? &f->pool->alerts : &f->disk->alerts;
    write_alerts(v, p);
    if (!v->n && has_pool)
        tui_page_add(p, TUI_GOOD, 0, "Nothing is wrong with any host of the pool.");
    else if (!v->n)
        tui_page_add(p, TUI_PLAIN, 0,
                     "The latest boot found nothing wrong, and the NICs are as they should be. What the wire "
                     "carries is known to musterd alone.");
}

static void write_log(const char *title, const struct strv *lines, struct tui_page *p) {
    tui_page_heading(p, title);
    for (size_t i = 0; i < lines->n; i++)
        tui_page_add(p, TUI_PLAIN, 2, "%s", lines->items[i]);
    if (!lines->n)
        tui_page_add(p, TUI_PLAIN, 0, "(nothing)");
}

void tui_screen_logs(const struct tui_facts *f, struct tui_page *p) {
    write_log("muster-netboot", &f->disk->netboot_log, p);
    write_log("musterd", &f->disk->daemon_log, p);
}

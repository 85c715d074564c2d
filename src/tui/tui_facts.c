/* SPDX-License-Identifier: Apache-2.0 */
#include "tui/tui_facts.h"

struct tui_interface *tui_interfaces_add(struct tui_interfaces *v, const char *name, enum tui_kind kind) {
    if (v->n >= TUI_MAX_INTERFACES)
        return NULL;
    v->items = xrealloc_array(v->items, v->n + 1, sizeof(*v->items));
    struct tui_interface *i = &v->items[v->n++];
    *i = (struct tui_interface){.kind = kind, .vlan = -1};
    str_copy(i->name, sizeof(i->name), name);
    return i;
}

struct tui_interface *tui_interfaces_find(const struct tui_interfaces *v, const char *name) {
    for (size_t i = 0; i < v->n; i++)
        if (str_eq(v->items[i].name, name))
            return &v->items[i];
    return NULL;
}

void tui_alerts_add(struct tui_alerts *v, const char *code, const char *host, const char *text, const char *cure) {
    if (v->n >= TUI_MAX_ALERTS)
        return;
    v->items = xrealloc_array(v->items, v->n + 1, sizeof(*v->items));
    v->items[v->n++] =
        (struct tui_alert){.code = xstrdup(code), .host = xstrdup(host), .text = xstrdup(text), .cure = xstrdup(cure)};
}

void tui_alerts_add_sentence(struct tui_alerts *v, const char *host, const char *sentence) {
    static const char *const marks[] = {"; cure: ", ". Cure: "};
    size_t code_len = strcspn(sentence, ": ");
    _cleanup_free_ char *code = xstrndup(sentence, code_len);
    const char *text = sentence + code_len;
    text += strspn(text, ": ");
    size_t len = strlen(text);
    const char *cure = "";
    for (unsigned i = 0; i < ARRAY_SIZE(marks); i++) {
        const char *found = strstr(text, marks[i]);
        if (!found || (size_t)(found - text) >= len)
            continue;
        len = (size_t)(found - text);
        cure = found + strlen(marks[i]);
    }
    _cleanup_free_ char *head = xstrndup(text, len);
    tui_alerts_add(v, code, host, head, cure);
}

void tui_alerts_done(struct tui_alerts *v) {
    for (size_t i = 0; i < v->n; i++) {
        free(v->items[i].code);
        free(v->items[i].host);
        free(v->items[i].text);
        free(v->items[i].cure);
    }
    free(v->items);
    *v = (struct tui_alerts){0};
}

void tui_disk_free(struct tui_disk *d) {
    if (!d)
        return;
    free(d->identity_trouble);
    free(d->network_text);
    free(d->network_trouble);
    free(d->refused);
    free(d->boot_result);
    tui_alerts_done(&d->alerts);
    free(d->interfaces.items);
    strv_done(&d->daemon_log);
    strv_done(&d->netboot_log);
    free(d);
}

void tui_pool_free(struct tui_pool *p) {
    if (!p)
        return;
    free(p->reason);
    free(p->outcome_text);
    free(p->interfaces.items);
    tui_alerts_done(&p->alerts);
    free(p->paths);
    free(p);
}

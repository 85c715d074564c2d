/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/virt_xml_swap_core.h"

#include "base/str.h"
#include "virt/virt_xml_core.h"

void virt_swap_done(struct virt_swap *s) {
    free(s->after);
    free(s->from);
    free(s->to);
}

/* As it stands in XML between the quotes that libvirt uses. */
static char *quoted(const char *text) {
    struct buf out = BUF_INIT;
    buf_add_char(&out, '\'');
    virt_xml_add_text(&out, text);
    buf_add_char(&out, '\'');
    return buf_take(&out);
}

static char *swap_one(const char *xml, const struct virt_swap *s) {
    _cleanup_free_ char *from = quoted(s->from), *to = quoted(s->to), *after = s->after ? quoted(s->after) : NULL;
    const char *start = after ? strstr(xml, after) : xml, *at = start ? strstr(start, from) : NULL;
    struct buf out = BUF_INIT;
    if (!at)
        return NULL;
    buf_add(&out, xml, (size_t)(at - xml));
    buf_add_str(&out, to);
    buf_add_str(&out, at + strlen(from));
    return buf_take(&out);
}

char *virt_xml_swap(const char *xml, const struct virt_swap *swaps, size_t n, const char **ret_missing) {
    char *now = xstrdup(xml);
    for (size_t i = 0; i < n; i++) {
        char *next = swap_one(now, &swaps[i]);
        free(now);
        now = next;
        if (!now) {
            *ret_missing = swaps[i].from;
            return NULL;
        }
    }
    return now;
}

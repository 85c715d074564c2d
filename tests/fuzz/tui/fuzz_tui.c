/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the console is given: texts from anywhere, the boot's report, records of the daemon. The first byte says as
 * which the rest is taken. Whatever it is, every screen can be drawn, and nothing unprintable reaches the terminal.
 */
#include "fuzz.h"

#include <locale.h>
#include <string.h>

#include "tui/tui_disk.h"
#include "tui/tui_frame.h"
#include "tui/tui_pool.h"
#include "tui/tui_tail.h"
#include "tui/tui_text.h"
#include "wire/value_json.h"

static void require(bool holds) {
    if (!holds)
        abort();
}

static void require_printable(const char *text) {
    _cleanup_free_ char *again = tui_text_clean(text);
    require(str_eq(again, text) || strlen(text) > TUI_TEXT_MAX);
    for (const char *p = text; *p; p++)
        require((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void try_text(const char *text) {
    _cleanup_free_ char *clean = tui_text_clean(text);
    require_printable(clean);
    for (unsigned width = 1; width < 90; width = width * 2 + 1) {
        size_t total = 0;
        for (const char *p = clean; *p;) {
            size_t n = tui_text_break(p, width);
            require(n > 0 && n <= strlen(p));
            _cleanup_free_ char *part = xstrndup(p, n);
            require(tui_text_width(part) <= MAX(width, 2u));
            p += n;
            total += n;
        }
        require(total == strlen(clean));
    }
    _cleanup_strv_ struct strv lines = {0};
    tui_tail_lines(text, strlen(text) % 2, 5, &lines);
    require(lines.n <= 5);
}

static void draw_all(const struct tui_facts *f) {
    static const unsigned sizes[][2] = {{24, 80}, {50, 200}, {7, 25}};
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct tui_state s;
        tui_state_init(&s);
        for (s.screen = 0; s.screen < TUI_N_SCREENS; s.screen++) {
            struct tui_frame frame = tui_frame_make(&s, f, sizes[i][0], sizes[i][1]);
            for (size_t k = 0; k < frame.n; k++) {
                require_printable(frame.spans[k].text);
                require(frame.spans[k].column + tui_text_width(frame.spans[k].text) <= sizes[i][1]);
            }
            if (sizes[i][0] < 10) /* its time grows with the area */
                free(tui_frame_text(&frame));
            tui_frame_done(&frame);
        }
        s.screen = 0;
        tui_state_done(&s);
    }
}

static void try_report(const char *text, size_t size) {
    struct tui_disk *d = xnew0(struct tui_disk);
    struct tui_facts f = {.disk = d, .pool_trouble = "x"};
    (void)!tui_disk_boot_report(d, text, size);
    strv_add(&d->daemon_log, text);
    draw_all(&f);
    tui_disk_free(d);
}

/* An object with the members of struct tui_records; the host is the first one. */
static void try_records(const char *text, size_t size) {
    struct value v = {.type = VALUE_VOID};
    struct error *e = NULL;
    if (!value_json_parse(text, size, 8, 2000, &v, &e) || v.type != VALUE_MAP) {
        error_free(e);
        value_done(&v);
        return;
    }
    struct tui_records r = {0};
    struct value *const into[] = {&r.pools, &r.hosts, &r.host_metrics, &r.networks, &r.pifs, &r.pif_metrics, &r.bonds};
    static const char *const names[] = {"pools", "hosts", "host_metrics", "networks", "pifs", "pif_metrics", "bonds"};
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        struct value *member = value_map_get(&v, names[i]);
        if (member)
            *into[i] = value_take(member);
    }
    const struct value *host = r.hosts.type == VALUE_MAP && r.hosts.map.n ? &r.hosts.map.pairs[0].value : NULL;
    const char *uuid = host && host->type == VALUE_MAP ? value_map_str(host, "uuid") : NULL;
    struct tui_pool *p = tui_pool_from(&r, str_or_empty(uuid), &e);
    struct tui_disk *d = xnew0(struct tui_disk);
    d->is_root = true;
    struct tui_facts f = {.disk = d, .pool = p, .pool_trouble = p ? NULL : error_text(e)};
    draw_all(&f);
    tui_disk_free(d);
    tui_pool_free(p);
    tui_records_done(&r);
    error_free(e);
    value_done(&v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    setlocale(LC_ALL, "C.UTF-8");
    if (!size || size > 65536)
        return 0;
    _cleanup_free_ char *text = xstrndup((const char *)data + 1, size - 1); /* ends at a NUL */
    if (data[0] == 't')
        try_text(text);
    else if (data[0] == 'b')
        try_report(text, strlen(text));
    else
        try_records(text, strlen(text));
    return 0;
}

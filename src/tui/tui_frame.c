/* SPDX-License-Identifier: Apache-2.0 */
#include "tui/tui_frame.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tui/tui_text.h"

#define MIN_ROWS 5
#define MIN_COLUMNS 20
#define MENU_COLUMNS 12
#define MENU_FROM 70 /* columns; with fewer the screen gets them all */

static void put(struct tui_frame *f, unsigned row, unsigned column, unsigned width, enum tui_style style,
                const char *fmt, ...) _printf_(6, 7);

/* Cut to `width`; a bar and what is selected are filled with blanks to it. */
static void put(struct tui_frame *f, unsigned row, unsigned column, unsigned width, enum tui_style style,
                const char *fmt, ...) {
    char *raw = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&raw, fmt, ap) < 0)
        abort();
    va_end(ap);
    if (row >= f->n_rows || column >= f->n_columns) {
        free(raw);
        return;
    }
    _cleanup_free_ char *clean = tui_text_clean(raw);
    free(raw);
    width = MIN(width, f->n_columns - column);
    clean[tui_text_fit(clean, width)] = 0;
    unsigned used = tui_text_width(clean), fill = style == TUI_BAR || style == TUI_SELECTED ? width - used : 0;
    f->spans = xrealloc_array(f->spans, f->n + 1, sizeof(*f->spans));
    f->spans[f->n++] =
        (struct tui_span){.row = row, .column = column, .style = style, .text = strf("%s%*s", clean, (int)fill, "")};
}

void tui_frame_done(struct tui_frame *f) {
    for (size_t i = 0; i < f->n; i++)
        free(f->spans[i].text);
    free(f->spans);
    *f = (struct tui_frame){0};
}

/* Lines of a page from `at` on, in a rectangle. */
struct area {
    unsigned row, column, n_rows, width;
};

static void put_page(struct tui_frame *f, const struct area *a, const struct tui_page *p, size_t at) {
    for (unsigned i = 0; i < a->n_rows && at + i < p->n; i++) {
        const struct tui_line *l = &p->lines[at + i];
        if (*l->text)
            put(f, a->row + i, a->column, a->width, l->style, "%s", l->text);
    }
}

static void note_size(struct tui_state *s, const struct area *a, const struct tui_page *p, size_t *at) {
    s->n_shown = a->n_rows;
    s->n_lines = p->n;
    size_t max = p->n > a->n_rows ? p->n - a->n_rows : 0;
    *at = MIN(*at, max);
}

/* ---- parts ---- */
static void put_header(struct tui_frame *out, const struct tui_facts *f) {
    const char *state = tui_screen_state(f), *name = f->disk ? f->disk->host_name : "",
               *address = f->disk ? f->disk->address : "";
    unsigned state_width = (unsigned)strlen(state), columns = out->n_columns;
    _cleanup_free_ char *left = strf(" Muster   %s   %s", name, address), *clean = tui_text_clean(left);
    put(out, 0, 0, columns, TUI_BAR, "%s", clean);
    if (tui_text_width(clean) + 2 + state_width < columns)
        put(out, 0, columns - state_width - 1, state_width, TUI_BAR, "%s", state);
}

static void put_menu(struct tui_frame *out, const struct tui_state *s) {
    for (unsigned i = 0; i < TUI_N_SCREENS; i++) {
        bool is_here = i == s->screen;
        enum tui_style style = !is_here ? TUI_PLAIN : s->in_pane || s->mode != TUI_BROWSE ? TUI_HEAD : TUI_SELECTED;
        put(out, 2 + i, 0, MENU_COLUMNS, style, "%c%u %s", is_here ? '>' : ' ', i + 1, tui_screens[i].title);
    }
    for (unsigned row = 1; row + 1 < out->n_rows; row++)
        put(out, row, MENU_COLUMNS, 1, TUI_PLAIN, "|");
}

static void put_help(struct tui_frame *out, const struct tui_state *s) {
    const char *text = "";
    switch (s->mode) {
    case TUI_BROWSE:
        text = !s->in_pane ? "Up/Down screen  Enter open  1-8 go to  PgUp/PgDn scroll  r refresh  q quit"
               : tui_screens[s->screen].has_actions
                   ? "Up/Down choose  Enter do it  Left menu  1-8 go to  r refresh  q quit"
                   : "Up/Down scroll  PgUp/PgDn page  Left menu  1-8 go to  r refresh  q quit";
        break;
    case TUI_FORM:
        text = "Up/Down field  Enter next  Ctrl-U empty  Esc leave";
        break;
    case TUI_ASK:
        text = "Enter answer  Up/Down scroll  Esc leave";
        break;
    case TUI_BUSY:
        text = "Ctrl-C give up";
        break;
    case TUI_TOLD:
        text = "Enter go on  Up/Down scroll";
        break;
    }
    put(out, out->n_rows - 1, 0, out->n_columns, TUI_BAR, " %s", text);
}

static void add_said(struct tui_page *p, const struct tui_said *said) {
    for (size_t i = 0; i < said->n; i++) {
        const char *text = said->items[i].text;
        tui_page_add(p, said->items[i].style, (unsigned)strspn(text, " ") + 2, "%s", text);
    }
}

static void put_form(struct tui_frame *out, struct tui_state *s, const struct area *a) {
    unsigned row = a->row, label = 14, width = a->width > label + 2 ? a->width - label - 2 : 1;
    put(out, row, a->column, a->width, TUI_HEAD, "%s", s->action->title);
    /* Where there is little room, the fields from the one that is being filled in. */
    unsigned first = a->n_rows > 2 * s->n_fields + 2 ? 0 : s->field;
    row += 2;
    for (unsigned i = first; i < s->n_fields && row < a->row + a->n_rows; i++) {
        const struct tui_field *field = &s->action->fields[i];
        char hidden[TUI_FIELD_SIZE];
        const char *value = s->values[i];
        if (field->is_secret) {
            size_t len = strlen(value);
            memset(hidden, '*', len);
            hidden[len] = 0;
            value = hidden;
        }
        unsigned value_width = tui_text_width(value);
        while (value_width >= width) /* its end is what is being typed */
            value += tui_text_fit(value, 1) ? tui_text_fit(value, 1) : 1, value_width = tui_text_width(value);
        put(out, row, a->column, label, i == s->field ? TUI_HEAD : TUI_PLAIN, "%c %s", i == s->field ? '>' : ' ',
            field->label);
        put(out, row, a->column + label, width, TUI_PLAIN, "%s", value);
        if (i == s->field) {
            out->cursor_row = (int)row;
            out->cursor_column = (int)(a->column + label + value_width);
        }
        row++;
        struct tui_page hint = tui_page_new(width);
        if (i == s->field && s->complaint)
            tui_page_add(&hint, TUI_BAD, 0, "%s", s->complaint);
        else if (i == s->field && field->hint)
            tui_page_add(&hint, TUI_CURE, 0, "(%s)", field->hint);
        for (size_t k = 0; k < hint.n && row < a->row + a->n_rows; k++)
            put(out, row++, a->column + label, width, hint.lines[k].style, "%s", hint.lines[k].text);
        tui_page_done(&hint);
    }
}

static void put_dialog(struct tui_frame *out, struct tui_state *s, const struct area *a) {
    struct tui_page p = tui_page_new(a->width);
    struct area text = {.row = a->row + 2, .column = a->column, .width = a->width};
    text.n_rows = a->n_rows > 5 ? a->n_rows - 5 : 1;
    put(out, a->row, a->column, a->width, TUI_HEAD, "%s", s->action->title);
    add_said(&p, &s->said);
    for (unsigned i = 0; s->mode == TUI_ASK && i < s->n_fields; i++)
        tui_page_field(&p, TUI_PLAIN, s->action->fields[i].label, "%s",
                       s->action->fields[i].is_secret ? "(not shown)" : s->values[i]);
    unsigned at_end = text.row + (unsigned)MIN(p.n, (size_t)text.n_rows);
    if (p.n)
        at_end++;
    if (s->mode == TUI_BUSY) {
        put(out, a->row + 2, a->column, a->width, TUI_PLAIN, "At work ...");
        tui_page_done(&p);
        return;
    }
    note_size(s, &text, &p, &s->said_scroll);
    put_page(out, &text, &p, s->said_scroll);
    if (p.n > text.n_rows)
        put(out, text.row + text.n_rows, a->column, a->width, TUI_CURE, "(lines %zu to %zu of %zu)", s->said_scroll + 1,
            s->said_scroll + text.n_rows, p.n);
    if (s->mode == TUI_ASK) {
        const char *prompt = s->has_blockers ? "To do it all the same, type force: " : "Type yes to do it: ";
        put(out, at_end, a->column, a->width, TUI_HEAD, "%s", s->action->question);
        put(out, at_end + 1, a->column, a->width, TUI_PLAIN, "%s%s", prompt, s->word);
        out->cursor_row = (int)at_end + 1;
        out->cursor_column =
            (int)MIN(a->column + (unsigned)strlen(prompt) + (unsigned)strlen(s->word), out->n_columns - 1);
    }
    tui_page_done(&p);
}

static void put_screen(struct tui_frame *out, struct tui_state *s, const struct tui_facts *f, const struct area *a) {
    const struct tui_screen *screen = &tui_screens[s->screen];
    struct tui_page p = tui_page_new(a->width);
    size_t *at = &s->scroll[s->screen];
    tui_screen_page(screen, f, screen->has_actions ? s->selected[s->screen] : -1, &p);
    note_size(s, a, &p, at);
    if (!s->is_scrolled[s->screen]) {
        size_t max = p.n > a->n_rows ? p.n - a->n_rows : 0;
        if (screen->is_log)
            *at = max;
        else if (!screen->has_actions)
            *at = 0;
        else if (p.keep_at != SIZE_MAX) { /* all of the chosen item, if it can be */
            size_t end = p.keep_at;
            while (end < p.n && p.lines[end].item == p.lines[p.keep_at].item)
                end++;
            if (end > *at + a->n_rows)
                *at = end - a->n_rows;
            if (p.keep_at < *at || s->selected[s->screen] == 0)
                *at = s->selected[s->screen] == 0 ? 0 : p.keep_at;
        }
    }
    put_page(out, a, &p, *at);
    if (p.n > *at + a->n_rows) /* at the margin, so that nothing is hidden */
        put(out, a->row + a->n_rows - 1, a->column + a->width, 1, TUI_HEAD, "v");
    if (*at)
        put(out, a->row, a->column + a->width, 1, TUI_HEAD, "^");
    tui_page_done(&p);
}

struct tui_frame tui_frame_make(struct tui_state *s, const struct tui_facts *f, unsigned n_rows, unsigned n_columns) {
    struct tui_frame out = {.n_rows = n_rows, .n_columns = n_columns, .cursor_row = -1, .cursor_column = -1};
    if (n_rows < MIN_ROWS || n_columns < MIN_COLUMNS) {
        put(&out, 0, 0, n_columns, TUI_PLAIN, "Too small: 20x5");
        return out;
    }
    bool has_menu = n_columns >= MENU_FROM && n_rows >= TUI_N_SCREENS + 4;
    struct area a = {.row = 1, .n_rows = n_rows - 2, .width = n_columns - 1};
    put_header(&out, f);
    if (has_menu) {
        put_menu(&out, s);
        a.column = MENU_COLUMNS + 2;
        a.width = n_columns - a.column - 1;
    } else {
        put(&out, 1, 0, n_columns, TUI_HEAD, "%u %s (1-%d, Tab)", s->screen + 1, tui_screens[s->screen].title,
            TUI_N_SCREENS);
        a.row++;
        a.n_rows--;
    }
    put_help(&out, s);
    if (s->mode == TUI_BROWSE)
        put_screen(&out, s, f, &a);
    else if (s->mode == TUI_FORM)
        put_form(&out, s, &a);
    else
        put_dialog(&out, s, &a);
    return out;
}

char *tui_frame_text(const struct tui_frame *f) {
    struct buf out = BUF_INIT;
    for (unsigned row = 0; row < f->n_rows; row++) {
        _cleanup_buf_ struct buf line = BUF_INIT;
        for (unsigned column = 0; column <= f->n_columns;) {
            const struct tui_span *found = NULL;
            for (size_t i = 0; i < f->n; i++) /* the last one put there lies on top */
                if (f->spans[i].row == row && f->spans[i].column == column && *f->spans[i].text)
                    found = &f->spans[i];
            unsigned next = f->n_columns;
            for (size_t i = 0; i < f->n; i++)
                if (f->spans[i].row == row && f->spans[i].column > column)
                    next = MIN(next, f->spans[i].column);
            if (found) {
                size_t fit = tui_text_fit(found->text, next - column);
                buf_add(&line, found->text, fit);
                _cleanup_free_ char *part = xstrndup(found->text, fit);
                column += tui_text_width(part);
                if (column < next)
                    for (; column < next; column++)
                        buf_add_char(&line, ' ');
                else if (!fit)
                    column++;
            } else {
                buf_add_char(&line, ' ');
                column++;
            }
        }
        while (line.size && line.data[line.size - 1] == ' ')
            line.data[--line.size] = 0;
        buf_addf(&out, "%s\n", buf_str(&line));
    }
    return buf_take(&out);
}

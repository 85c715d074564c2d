/* SPDX-License-Identifier: Apache-2.0 */
#include "tui/tui_state.h"

#include <string.h>

void tui_state_init(struct tui_state *s) {
    *s = (struct tui_state){.mode = TUI_BROWSE};
}

static void leave_action(struct tui_state *s) {
    explicit_bzero(s->values, sizeof(s->values));
    tui_said_done(&s->said);
    s->action = NULL;
    s->complaint = NULL;
    s->mode = TUI_BROWSE;
    s->is_prepared = s->has_blockers = false;
    s->word[0] = 0;
    s->said_scroll = 0;
}

void tui_state_done(struct tui_state *s) {
    leave_action(s);
}

/* ---- scrolling ---- */
static void scroll(size_t *at, size_t n_lines, size_t n_shown, long by) {
    size_t max = n_lines > n_shown ? n_lines - n_shown : 0;
    if (by < 0)
        *at = *at > (size_t)-by ? *at - (size_t)-by : 0;
    else
        *at = MIN(*at + (size_t)by, max);
}

static bool scroll_key(size_t *at, size_t n_lines, size_t n_shown, enum tui_key key, char c) {
    long page = n_shown > 1 ? (long)n_shown - 1 : 1;
    if (key == TUI_KEY_PAGE_UP || (key == TUI_KEY_CHAR && c == 'b'))
        scroll(at, n_lines, n_shown, -page);
    else if (key == TUI_KEY_PAGE_DOWN || (key == TUI_KEY_CHAR && c == ' '))
        scroll(at, n_lines, n_shown, page);
    else if (key == TUI_KEY_UP || (key == TUI_KEY_CHAR && c == 'k'))
        scroll(at, n_lines, n_shown, -1);
    else if (key == TUI_KEY_DOWN || (key == TUI_KEY_CHAR && c == 'j'))
        scroll(at, n_lines, n_shown, 1);
    else if (key == TUI_KEY_HOME)
        *at = 0;
    else if (key == TUI_KEY_END)
        scroll(at, n_lines, n_shown, (long)n_lines);
    else
        return false;
    return true;
}

/* ---- browsing ---- */
static void go_to(struct tui_state *s, unsigned screen) {
    s->screen = screen;
    s->is_scrolled[screen] = false;
    s->in_pane = tui_screens[screen].has_actions && s->in_pane;
}

static enum tui_request begin(struct tui_state *s, const struct tui_facts *f) {
    const struct tui_screen *screen = &tui_screens[s->screen];
    const struct tui_action *a = tui_action_at(screen->name, (unsigned)s->selected[s->screen]);
    const char *obstacle = a ? tui_action_obstacle(a, f) : NULL;
    if (!a)
        return TUI_NOTHING;
    leave_action(s);
    s->action = a;
    if (obstacle) {
        tui_said_add(&s->said, TUI_BAD, "Not now: %s.", obstacle);
        s->mode = TUI_TOLD;
        s->ok = false;
        return TUI_NOTHING;
    }
    for (s->n_fields = 0; a->fields[s->n_fields].label; s->n_fields++)
        str_copy(s->values[s->n_fields], TUI_FIELD_SIZE, str_or_empty(a->fields[s->n_fields].initial));
    s->field = 0;
    if (s->n_fields) {
        s->mode = TUI_FORM;
        return TUI_NOTHING;
    }
    s->mode = a->prepare ? TUI_BUSY : TUI_ASK;
    return a->prepare ? TUI_PREPARE : TUI_NOTHING;
}

static void choose(struct tui_state *s, int by) {
    const char *name = tui_screens[s->screen].name;
    int next = s->selected[s->screen] + by;
    if (next >= 0 && tui_action_at(name, (unsigned)next))
        s->selected[s->screen] = next;
    s->is_scrolled[s->screen] = false;
}

static enum tui_request browse(struct tui_state *s, const struct tui_facts *f, enum tui_key key, char c) {
    bool has_actions = tui_screens[s->screen].has_actions;
    if (key == TUI_KEY_INTERRUPT || (key == TUI_KEY_CHAR && (c == 'q' || c == 'Q')))
        return TUI_QUIT;
    if (key == TUI_KEY_CHAR && c >= '1' && c < '1' + TUI_N_SCREENS) {
        go_to(s, (unsigned)(c - '1'));
        s->in_pane = tui_screens[s->screen].has_actions;
        return TUI_NOTHING;
    }
    if (key == TUI_KEY_CHAR && (c == 'r' || c == 'R'))
        return TUI_REFRESH;
    if (key == TUI_KEY_LEFT || key == TUI_KEY_ESCAPE) {
        s->in_pane = false;
        return TUI_NOTHING;
    }
    if (key == TUI_KEY_TAB || key == TUI_KEY_BACK_TAB) {
        go_to(s, (s->screen + (key == TUI_KEY_TAB ? 1 : TUI_N_SCREENS - 1)) % TUI_N_SCREENS);
        return TUI_NOTHING;
    }
    if (!s->in_pane) {
        if (key == TUI_KEY_UP || key == TUI_KEY_DOWN)
            go_to(s, (s->screen + (key == TUI_KEY_DOWN ? 1 : TUI_N_SCREENS - 1)) % TUI_N_SCREENS);
        else if (key == TUI_KEY_RIGHT || key == TUI_KEY_ENTER)
            s->in_pane = true;
        else if (scroll_key(&s->scroll[s->screen], s->n_lines, s->n_shown, key, c))
            s->is_scrolled[s->screen] = true;
        return TUI_NOTHING;
    }
    if (has_actions && (key == TUI_KEY_UP || key == TUI_KEY_DOWN)) {
        choose(s, key == TUI_KEY_DOWN ? 1 : -1);
        return TUI_NOTHING;
    }
    if (has_actions && key == TUI_KEY_ENTER)
        return begin(s, f);
    if (scroll_key(&s->scroll[s->screen], s->n_lines, s->n_shown, key, c))
        s->is_scrolled[s->screen] = true;
    return TUI_NOTHING;
}

/* ---- typing ---- */
static void append(char *text, size_t size, char c) {
    size_t len = strlen(text);
    if (len + 1 < size && (unsigned char)c >= 0x20 && c != 0x7f) {
        text[len] = c;
        text[len + 1] = 0;
    }
}

/* A character of several bytes goes as a whole. */
static void erase_last(char *text) {
    size_t len = strlen(text);
    while (len && ((unsigned char)text[len - 1] & 0xc0) == 0x80)
        text[--len] = 0;
    if (len)
        text[len - 1] = 0;
}

static enum tui_request submit(struct tui_state *s) {
    for (unsigned i = 0; i < s->n_fields; i++) {
        if (s->values[i][0] || s->action->fields[i].may_be_empty)
            continue;
        s->complaint = "This must not be empty.";
        s->field = i;
        return TUI_NOTHING;
    }
    s->complaint = NULL;
    s->mode = s->action->prepare ? TUI_BUSY : TUI_ASK;
    return s->action->prepare ? TUI_PREPARE : TUI_NOTHING;
}

static enum tui_request fill_in(struct tui_state *s, enum tui_key key, char c) {
    char *value = s->values[s->field];
    switch (key) {
    case TUI_KEY_ESCAPE:
    case TUI_KEY_INTERRUPT:
        leave_action(s);
        break;
    case TUI_KEY_ENTER:
        if (s->field + 1 == s->n_fields)
            return submit(s);
        s->field++;
        break;
    case TUI_KEY_DOWN:
    case TUI_KEY_TAB:
        s->field = (s->field + 1) % s->n_fields;
        break;
    case TUI_KEY_UP:
    case TUI_KEY_BACK_TAB:
        s->field = (s->field + s->n_fields - 1) % s->n_fields;
        break;
    case TUI_KEY_BACKSPACE:
        erase_last(value);
        break;
    case TUI_KEY_KILL_LINE:
        explicit_bzero(value, TUI_FIELD_SIZE);
        break;
    case TUI_KEY_CHAR:
        append(value, TUI_FIELD_SIZE, c);
        break;
    default:
        break;
    }
    return TUI_NOTHING;
}

/* A word and Enter: noise on a serial line must not reboot a host. */
static enum tui_request answer(struct tui_state *s, enum tui_key key, char c) {
    if (key == TUI_KEY_ESCAPE || key == TUI_KEY_INTERRUPT) {
        leave_action(s);
    } else if (key == TUI_KEY_BACKSPACE) {
        erase_last(s->word);
    } else if (key == TUI_KEY_KILL_LINE) {
        s->word[0] = 0;
    } else if (key == TUI_KEY_CHAR && c != ' ') {
        append(s->word, sizeof(s->word), c);
    } else if (key == TUI_KEY_ENTER) {
        bool is_yes = str_eq(s->word, s->has_blockers ? "force" : "yes");
        s->word[0] = 0;
        if (is_yes) {
            s->mode = TUI_BUSY;
            return TUI_RUN;
        }
    } else {
        scroll_key(&s->said_scroll, s->n_lines, s->n_shown, key, c);
    }
    return TUI_NOTHING;
}

static enum tui_request read_on(struct tui_state *s, enum tui_key key, char c) {
    if (key == TUI_KEY_ENTER || key == TUI_KEY_ESCAPE || key == TUI_KEY_INTERRUPT || key == TUI_KEY_LEFT ||
        (key == TUI_KEY_CHAR && (c == 'q' || c == 'Q')))
        leave_action(s);
    else
        scroll_key(&s->said_scroll, s->n_lines, s->n_shown, key, c);
    return TUI_NOTHING;
}

enum tui_request tui_state_key(struct tui_state *s, const struct tui_facts *f, enum tui_key key, char c) {
    switch (s->mode) {
    case TUI_BROWSE:
        return browse(s, f, key, c);
    case TUI_FORM:
        return fill_in(s, key, c);
    case TUI_ASK:
        return answer(s, key, c);
    case TUI_BUSY:
        return key == TUI_KEY_INTERRUPT ? TUI_INTERRUPT : TUI_NOTHING;
    case TUI_TOLD:
        return read_on(s, key, c);
    }
    return TUI_NOTHING;
}

/* ---- ends of jobs ---- */
static void take_said(struct tui_state *s, struct tui_work *w) {
    tui_said_done(&s->said);
    s->said = w->said;
    w->said = (struct tui_said){0};
    s->said_scroll = 0;
}

void tui_state_prepared(struct tui_state *s, struct tui_work *w) {
    take_said(s, w);
    memcpy(s->values, w->values, sizeof(s->values));
    s->is_prepared = true;
    s->has_blockers = w->has_blockers;
    s->ok = w->ok;
    s->mode = w->ok ? TUI_ASK : TUI_TOLD;
}

void tui_state_ran(struct tui_state *s, struct tui_work *w) {
    take_said(s, w);
    s->ok = w->ok;
    explicit_bzero(s->values, sizeof(s->values));
    s->mode = TUI_TOLD;
}

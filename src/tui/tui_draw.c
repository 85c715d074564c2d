/* SPDX-License-Identifier: Apache-2.0 */
#define NCURSES_WIDECHAR 1
#include "tui/tui_draw.h"

#include <curses.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define ESCAPE_MS 100 /* how long the rest of a function key may take; a serial line of 9600 needs 2 ms */

static SCREEN *screen;
static attr_t attributes[N_TUI_STYLES];

static void choose_attributes(void) {
    attributes[TUI_HEAD] = A_BOLD;
    attributes[TUI_BAD] = A_BOLD;
    attributes[TUI_SELECTED] = attributes[TUI_BAR] = A_REVERSE;
    if (!has_colors() || start_color() == ERR || use_default_colors() == ERR)
        return;
    init_pair(1, COLOR_RED, -1);
    init_pair(2, COLOR_GREEN, -1);
    init_pair(3, COLOR_CYAN, -1);
    attributes[TUI_BAD] = A_BOLD | (attr_t)COLOR_PAIR(1);
    attributes[TUI_GOOD] = (attr_t)COLOR_PAIR(2);
    attributes[TUI_CURE] = (attr_t)COLOR_PAIR(3);
}

bool tui_draw_begin(void) {
    screen = newterm(NULL, stdout, stdin);
    if (!screen)
        return false;
    set_term(screen);
    cbreak();
    noecho();
    nonl();
    intrflush(stdscr, FALSE);
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(ESCAPE_MS);
    choose_attributes();
    return true;
}

void tui_draw_end(void) {
    if (!screen)
        return;
    endwin();
    delscreen(screen);
    screen = NULL;
}

void tui_draw_size(unsigned *ret_rows, unsigned *ret_columns) {
    int rows, columns;
    getmaxyx(stdscr, rows, columns);
    *ret_rows = (unsigned)MAX(rows, 1);
    *ret_columns = (unsigned)MAX(columns, 1);
}

void tui_draw_resize(void) {
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
        resizeterm(size.ws_row, size.ws_col);
}

void tui_draw_again(void) {
    clearok(stdscr, TRUE);
}

void tui_draw_frame(const struct tui_frame *f) {
    erase();
    for (size_t i = 0; i < f->n; i++) {
        const struct tui_span *s = &f->spans[i];
        attrset((int)attributes[s->style]);
        mvaddstr((int)s->row, (int)s->column, s->text);
    }
    attrset(A_NORMAL);
    bool has_cursor = f->cursor_row >= 0;
    curs_set(has_cursor);
    if (has_cursor)
        move(f->cursor_row, f->cursor_column);
    else
        move((int)f->n_rows - 1, 0); /* where a terminal that cannot hide it disturbs least */
    refresh();
}

enum tui_key tui_draw_key(char *ret_char) {
    int c = getch();
    *ret_char = 0;
    switch (c) {
    case ERR:
        return TUI_KEY_NONE;
    case KEY_UP:
        return TUI_KEY_UP;
    case KEY_DOWN:
        return TUI_KEY_DOWN;
    case KEY_LEFT:
        return TUI_KEY_LEFT;
    case KEY_RIGHT:
        return TUI_KEY_RIGHT;
    case KEY_PPAGE:
        return TUI_KEY_PAGE_UP;
    case KEY_NPAGE:
        return TUI_KEY_PAGE_DOWN;
    case KEY_HOME:
        return TUI_KEY_HOME;
    case KEY_END:
        return TUI_KEY_END;
    case KEY_ENTER:
    case '\r':
    case '\n':
        return TUI_KEY_ENTER;
    case 27:
        return TUI_KEY_ESCAPE;
    case '\t':
        return TUI_KEY_TAB;
    case KEY_BTAB:
        return TUI_KEY_BACK_TAB;
    case KEY_BACKSPACE:
    case 8:
    case 127:
        return TUI_KEY_BACKSPACE;
    case 'U' - '@':
        return TUI_KEY_KILL_LINE;
    case 'L' - '@':
        return TUI_KEY_REDRAW;
    default:
        if (c < 0x20 || c > 0xff)
            return TUI_KEY_REDRAW; /* unknown function keys, KEY_RESIZE: nothing is asked for */
        *ret_char = (char)c;
        return TUI_KEY_CHAR;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A person at the keys: where they lead, what is asked before anything is done, and what stands on the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tui/tui_frame.h"

enum { STATUS, NETWORK, ALERTS, PATHS, JOIN, POWER, LOGS, REPAIR };

static struct tui_disk disk;
static struct tui_pool pool;
static struct tui_facts facts;
static struct tui_state s;

static int set_up(void **state) {
    disk = (struct tui_disk){.host_name = "h1", .address = "10.9.0.11", .is_root = true, .has_identity = true};
    pool = (struct tui_pool){.host_name = "h1", .state = "ready", .reason = xstrdup(""), .outcome_text = xstrdup("")};
    facts = (struct tui_facts){.disk = &disk, .pool = &pool};
    tui_state_init(&s);
    return 0;
}

static int tear_down(void **state) {
    tui_state_done(&s);
    free(pool.reason);
    free(pool.outcome_text);
    strv_done(&disk.daemon_log);
    return 0;
}

static enum tui_request press(enum tui_key key) {
    return tui_state_key(&s, &facts, key, 0);
}

static enum tui_request type(const char *text) {
    enum tui_request r = TUI_NOTHING;
    for (; *text; text++)
        r = tui_state_key(&s, &facts, TUI_KEY_CHAR, *text);
    return r;
}

static char *screen(unsigned rows, unsigned columns) {
    struct tui_frame f = tui_frame_make(&s, &facts, rows, columns);
    char *text = tui_frame_text(&f);
    for (size_t i = 0; i < f.n; i++)
        assert_true(f.spans[i].row < rows && f.spans[i].column + strlen(f.spans[i].text) <= columns);
    tui_frame_done(&f);
    return text;
}

static bool shows(const char *what) {
    _cleanup_free_ char *text = screen(24, 80);
    return strstr(text, what) != NULL;
}

static void test_menu(void **state) {
    assert_int_equal(press(TUI_KEY_UP), TUI_NOTHING);
    assert_int_equal(s.screen, REPAIR);
    press(TUI_KEY_DOWN);
    press(TUI_KEY_TAB);
    assert_int_equal(s.screen, NETWORK);
    type("4");
    assert_int_equal(s.screen, PATHS);
    assert_int_equal(type("9"), TUI_NOTHING);
    assert_int_equal(s.screen, PATHS);
    assert_int_equal(type("r"), TUI_REFRESH);
    assert_int_equal(type("q"), TUI_QUIT);
    assert_int_equal(press(TUI_KEY_INTERRUPT), TUI_QUIT);
}

static void test_join(void **state) {
    type("5");
    assert_int_equal(press(TUI_KEY_ENTER), TUI_NOTHING);
    assert_int_equal(s.mode, TUI_FORM);
    assert_string_equal(s.values[1], "root");
    for (int i = 0; i < 4; i++) /* what is missing is said, nothing is sent */
        assert_int_equal(press(TUI_KEY_ENTER), TUI_NOTHING);
    assert_int_equal(s.mode, TUI_FORM);
    assert_int_equal(s.field, 0);
    assert_true(shows("This must not be empty."));
    type("10.9.0.1x");
    press(TUI_KEY_BACKSPACE);
    press(TUI_KEY_DOWN);
    press(TUI_KEY_DOWN);
    type("q1 secret"); /* no key does anything else here */
    assert_false(shows("secret"));
    assert_true(shows("*********"));
    press(TUI_KEY_ENTER);
    assert_int_equal(press(TUI_KEY_ENTER), TUI_NOTHING);
    assert_int_equal(s.mode, TUI_ASK);
    assert_true(shows("10.9.0.1"));
    assert_false(shows("secret"));
    type("y");
    assert_int_equal(press(TUI_KEY_ENTER), TUI_NOTHING); /* not the word */
    assert_int_equal(s.mode, TUI_ASK);
    type("yes");
    assert_int_equal(press(TUI_KEY_ENTER), TUI_RUN);
    assert_int_equal(s.mode, TUI_BUSY);
    assert_int_equal(type("q"), TUI_NOTHING);
    assert_int_equal(press(TUI_KEY_INTERRUPT), TUI_INTERRUPT);

    struct tui_work *w = tui_work_new(s.action, &facts);
    tui_said_add(&w->said, TUI_BAD, "No user of that name.");
    tui_state_ran(&s, w);
    tui_work_free(w);
    assert_int_equal(s.mode, TUI_TOLD);
    assert_true(shows("No user of that name."));
    for (unsigned i = 0; i < TUI_MAX_FIELDS; i++)
        for (unsigned k = 0; k < TUI_FIELD_SIZE; k++)
            assert_int_equal(s.values[i][k], 0); /* wiped */
    press(TUI_KEY_ENTER);
    assert_int_equal(s.mode, TUI_BROWSE);
}

static void reboot_is_asked(bool has_blockers) {
    type("6");
    assert_int_equal(press(TUI_KEY_ENTER), TUI_PREPARE);
    assert_int_equal(s.mode, TUI_BUSY);
    struct tui_work *w = tui_work_new(s.action, &facts);
    w->ok = true;
    w->has_blockers = has_blockers;
    tui_said_add(&w->said, TUI_BAD, "BLOCKER MUSTER-R301: damaged");
    tui_state_prepared(&s, w);
    tui_work_free(w);
    assert_int_equal(s.mode, TUI_ASK);
    assert_true(shows("MUSTER-R301"));
}

static void test_reboot(void **state) {
    reboot_is_asked(/* has_blockers= */ false);
    type("yes");
    assert_int_equal(press(TUI_KEY_ENTER), TUI_RUN);
}

static void test_reboot_blocked(void **state) {
    reboot_is_asked(/* has_blockers= */ true);
    type("yes");
    assert_int_equal(press(TUI_KEY_ENTER), TUI_NOTHING);
    assert_int_equal(s.mode, TUI_ASK);
    type("force");
    assert_int_equal(press(TUI_KEY_ENTER), TUI_RUN);
}

static void test_leave(void **state) {
    reboot_is_asked(/* has_blockers= */ false);
    type("yes");
    assert_int_equal(press(TUI_KEY_ESCAPE), TUI_NOTHING);
    assert_int_equal(s.mode, TUI_BROWSE);
    assert_int_equal(press(TUI_KEY_INTERRUPT), TUI_QUIT);
}

static void test_not_now(void **state) {
    facts.pool = NULL;
    facts.pool_trouble = "nobody there";
    type("5");
    assert_int_equal(press(TUI_KEY_ENTER), TUI_NOTHING);
    assert_int_equal(s.mode, TUI_TOLD);
    assert_true(shows("Not now: musterd is not running; start it:"));
}

static void test_scroll(void **state) {
    for (int i = 1; i <= 100; i++) {
        char line[32];
        snprintf(line, sizeof(line), "line %d.", i);
        strv_add(&disk.daemon_log, line);
    }
    type("7");
    assert_true(shows("line 100.")); /* a log is looked at from its end */
    press(TUI_KEY_RIGHT);
    press(TUI_KEY_HOME);
    assert_true(shows("line 1."));
    assert_false(shows("line 100."));
    press(TUI_KEY_PAGE_DOWN);
    assert_false(shows("line 1."));
    press(TUI_KEY_END);
    assert_true(shows("line 100."));
    press(TUI_KEY_DOWN); /* there is no further */
    assert_true(shows("line 100."));
    type("1");
    type("7"); /* follows again */
    strv_add(&disk.daemon_log, "line 101.");
    assert_true(shows("line 101."));
}

static void test_chosen_is_shown(void **state) {
    type("8");
    for (unsigned i = 0; tui_action_at("repair", i); i++) {
        _cleanup_free_ char *text = screen(24, 80), *title = strf("> %s", tui_action_at("repair", i)->title);
        assert_non_null(strstr(text, title));
        assert_int_equal(s.selected[REPAIR], i);
        press(TUI_KEY_DOWN);
    }
}

/* Every screen and every dialog, at every size: nothing beyond the edge (checked in screen()), nothing forgotten. */
static void test_sizes(void **state) {
    for (unsigned rows = 1; rows < 30; rows += 3)
        for (unsigned columns = 1; columns < 100; columns += 7)
            for (unsigned i = 0; i < TUI_N_SCREENS; i++) {
                s.screen = i;
                s.mode = TUI_BROWSE;
                free(screen(rows, columns));
                if (tui_screens[i].has_actions) {
                    s.in_pane = true;
                    press(TUI_KEY_ENTER);
                    free(screen(rows, columns));
                    if (s.mode == TUI_FORM) {
                        type("averyveryverylonganswerthatdoesnotfitintoafewcolumns.example.org");
                        free(screen(rows, columns));
                    }
                    tui_state_done(&s);
                }
            }
}

static void test_whole(void **state) {
    _cleanup_free_ char *text = screen(24, 80);
    char expected_first[] = " Muster   h1   10.9.0.11";
    assert_memory_equal(text, expected_first, strlen(expected_first));
    assert_non_null(strstr(text, "ready\n"));
    assert_non_null(strstr(text, "\n>1 Status   | "));
    assert_non_null(strstr(text, "q quit\n"));
    _cleanup_free_ char *narrow = screen(10, 40), *tiny = screen(3, 10);
    assert_non_null(strstr(narrow, "\n1 Status (1-8, Tab)\n"));
    assert_null(strstr(narrow, "|"));
    assert_non_null(strstr(tiny, "Too small"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_menu, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_join, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reboot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reboot_blocked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_leave, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_now, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_scroll, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chosen_is_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_whole, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

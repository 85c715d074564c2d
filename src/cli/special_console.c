/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's serial line on this terminal. */
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/select.h"
#include "client/client_stream.h"

#define ESCAPE 0x1d /* Ctrl-] */

static struct termios before;
static bool is_raw;

static void leave_raw(void) {
    if (is_raw)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    is_raw = false;
}

/* Every key is the guest's, Ctrl-C too. */
static void enter_raw(void *userdata) {
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &before) < 0)
        return;
    struct termios raw = before;
    cfmakeraw(&raw);
    fputs("Connected. Ctrl-] ends it; Enter may show a prompt.\n", stderr);
    is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
    (void)atexit(leave_raw);
}

/* The reference of its serial line. */
static const char *serial_of(struct xe *x, const char *vm, struct error **errp) {
    const struct value *all = records_all(x->records, CLASS_console, errp);
    for (size_t i = 0; all && i < all->map.n; i++) {
        const struct value *r = &all->map.pairs[i].value;
        if (str_eq(str_or_empty(value_map_str(r, "VM")), vm) &&
            str_eq(str_or_empty(value_map_str(r, "protocol")), "vt100"))
            return all->map.pairs[i].key;
    }
    if (all)
        error_setf(errp, "CLI_FAILURE", "Failure: the VM has no serial line: it does not run (xe vm-start)");
    return NULL;
}

static bool console(struct xe *x, struct error **errp) {
    _cleanup_value_ struct value vms = {.type = VALUE_VOID};
    if (!select_objects(x, "vm", "", &vms, errp))
        return false;
    const char *ref = serial_of(x, value_str(&vms.set.items[0]), errp);
    if (!ref || !xe_flush(errp))
        return false;
    _cleanup_free_ char *path = strf("/console?ref=%s", ref);
    bool ok = client_stream(x->client, path, STDIN_FILENO, STDOUT_FILENO, ESCAPE, enter_raw, NULL, errp);
    if (is_raw)
        fputs("\r\n", stderr);
    leave_raw();
    return ok;
}

static const struct command list[] = {
    {"console", "", "vm", "show a VM's serial line on this terminal; Ctrl-] ends it", console, COMMAND_SELECTS_VMS},
};
const struct command_group commands_console = {list, ARRAY_SIZE(list)};

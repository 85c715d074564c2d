/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_args.h"

#include <string.h>

#include "base/str.h"

int lab_args_take_dir(int argc, char **argv, int at, bool leading_only, const char **ret_dir) {
    while (at < argc && !str_eq(argv[at], "--")) {
        bool has_equals = str_starts(argv[at], "--dir=");
        if (!has_equals && !str_eq(argv[at], "--dir")) {
            if (leading_only)
                break;
            at++;
            continue;
        }
        int n = has_equals ? 1 : 2;
        if (at + n > argc)
            return -1;
        *ret_dir = has_equals ? argv[at] + strlen("--dir=") : argv[at + 1];
        memmove(&argv[at], &argv[at + n], (size_t)(argc - at - n) * sizeof(argv[0]));
        argc -= n;
        argv[argc] = NULL;
    }
    return argc;
}

bool lab_args_ask_help(int argc, char *const *argv, bool leading_only) {
    for (int i = 0; i < argc && !str_eq(argv[i], "--"); i++) {
        if (str_eq(argv[i], "--help") || str_eq(argv[i], "-h"))
            return true;
        if (leading_only)
            return false;
    }
    return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What every verb of muster-lab understands among its arguments: --dir and --help. Pure but for argv, which shrinks. */
#pragma once

#include "base/macro.h"

/*
 * Takes each "--dir DIR" and "--dir=DIR" out of argv[at..], the last one into *ret_dir (borrowed). leading_only: stops
 * at the first other word, because what follows belongs to another program; otherwise at "--". The new argc, or -1 when
 * the folder is missing.
 */
int lab_args_take_dir(int argc, char **argv, int at, bool leading_only, const char **ret_dir) _warn_unused_;
/* Whether "--help" or "-h" is among the words, or with leading_only the first of them. */
bool lab_args_ask_help(int argc, char *const *argv, bool leading_only);

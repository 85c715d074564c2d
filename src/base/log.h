/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging: one line per event, to stderr as "<time> <host> <level> <module>: text", or to the journal when stderr is
 * connected to it. Only the one who ends a story logs it. Values in 'quotes'. Any thread.
 */
#pragma once

#include "base/macro.h"

enum log_level { LOG_LEVEL_ERR, LOG_LEVEL_WARN, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_init(const char *program, enum log_level level); /* before the first line; host name read once here */
bool log_level_parse(const char *text, enum log_level *ret) _warn_unused_;
void log_set_level(enum log_level level);
void log_write(enum log_level level, const char *module, const char *fmt, ...) _printf_(3, 4);

/* Each .c file that logs defines LOG_MODULE before including this header. */
#ifdef LOG_MODULE
#define log_err(...) log_write(LOG_LEVEL_ERR, LOG_MODULE, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, LOG_MODULE, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, LOG_MODULE, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, LOG_MODULE, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, LOG_MODULE, __VA_ARGS__)
#endif

/* A limiter for lines a peer can cause: at most `burst` lines per `interval_ms`; says how many were left out. */
struct log_limit {
    uint64_t window_start_ms;
    unsigned n;
    unsigned dropped;
};
bool log_limit_pass(struct log_limit *l, unsigned burst, uint64_t interval_ms);

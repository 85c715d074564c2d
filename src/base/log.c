/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define LINE_SIZE 4096 /* a pipe writes up to this many bytes in one piece (PIPE_BUF) */

static _Atomic int max_level = LOG_LEVEL_INFO;
static bool to_journal;
static char host_name[65] = "-";
static char program_name[32];

static const struct {
    const char *name;
    char priority; /* of syslog(3), as sd-daemon(3) spells it in front of a line */
} levels[] = {
    [LOG_LEVEL_ERR] = {"err", '3'},   [LOG_LEVEL_WARN] = {"warn", '4'},   [LOG_LEVEL_NOTICE] = {"notice", '5'},
    [LOG_LEVEL_INFO] = {"info", '6'}, [LOG_LEVEL_DEBUG] = {"debug", '7'},
};

/* systemd tells the device and inode of the journal's socket: stderr may have been sent elsewhere since. */
static bool stderr_is_journal(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    if (!stream || fstat(STDERR_FILENO, &st) < 0)
        return false;
    char expected[64];
    (void)snprintf(expected, sizeof(expected), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return str_eq(stream, expected);
}

void log_init(const char *program, enum log_level level) {
    if (gethostname(host_name, sizeof(host_name)) < 0 || !host_name[0])
        (void)str_copy(host_name, sizeof(host_name), "-");
    host_name[sizeof(host_name) - 1] = '\0';
    (void)str_copy(program_name, sizeof(program_name), program);
    to_journal = stderr_is_journal();
    log_set_level(level);
}

bool log_level_parse(const char *text, enum log_level *ret) {
    for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
        if (str_eq(text, levels[i].name)) {
            *ret = (enum log_level)i;
            return true;
        }
    return false;
}

void log_set_level(enum log_level level) {
    atomic_store(&max_level, (int)level);
}

static size_t line_prefix(char *line, size_t size, enum log_level level, const char *module) {
    int n;
    if (to_journal) {
        n = snprintf(line, size, "<%c>%.64s: ", levels[level].priority, module);
    } else {
        struct timespec now;
        struct tm tm;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        (void)gmtime_r(&now.tv_sec, &tm);
        n = snprintf(line, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s %s %.64s: ", tm.tm_year + 1900, tm.tm_mon + 1,
                     tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now.tv_nsec / 1000000), host_name,
                     levels[level].name, module);
    }
    return n < 0 ? 0 : MIN((size_t)n, size - 1);
}

void log_write(enum log_level level, const char *module, const char *fmt, ...) {
    if ((int)level > atomic_load_explicit(&max_level, memory_order_relaxed))
        return;
    int saved_errno = errno;
    char line[LINE_SIZE];
    size_t room = sizeof(line) - 1; /* the newline */
    size_t start = line_prefix(line, room, level, module);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line + start, room - start, fmt, ap);
    va_end(ap);
    size_t size = start + (n < 0 ? 0 : MIN((size_t)n, room - start - 1));
    if (n > 0 && (size_t)n >= room - start)
        memset(line + size - 3, '.', 3);
    /* What a peer sent must not be able to forge a line of its own. */
    for (size_t i = start; i < size; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' ';
    line[size++] = '\n';
    ssize_t written _unused_ = write(STDERR_FILENO, line, size); /* one write, so that lines of threads do not mix */
    errno = saved_errno;
}

bool log_limit_pass(struct log_limit *l, unsigned burst, uint64_t interval_ms) {
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    uint64_t now_ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
    if (l->window_start_ms == 0 || now_ms - l->window_start_ms >= interval_ms) {
        if (l->dropped > 0)
            log_write(LOG_LEVEL_NOTICE, "log", "%u lines like the next one were left out", l->dropped);
        *l = (struct log_limit){.window_start_ms = now_ms};
    }
    if (l->n >= burst) {
        l->dropped++;
        return false;
    }
    l->n++;
    return true;
}

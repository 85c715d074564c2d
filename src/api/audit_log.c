/* SPDX-License-Identifier: Apache-2.0 */
#include "api/audit_log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

#define LOG_MODULE "audit"
#include "base/log.h"

#define DAY_LEN 8 /* "20261129" */

struct audit_log {
    char *path;
    int fd; /* -1: not open */
    size_t size;
    bool has_warned;
};

struct audit_log *audit_log_new(const char *path) {
    struct audit_log *l = xnew0(struct audit_log);
    *l = (struct audit_log){.path = xstrdup(path), .fd = -1};
    return l;
}

static void close_file(struct audit_log *l) {
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

void audit_log_free(struct audit_log *l) {
    if (!l)
        return;
    close_file(l);
    free(l->path);
    free(l);
}

const char *audit_log_path(const struct audit_log *l) {
    return l->path;
}

static void failed(struct audit_log *l, const char *what) {
    if (!l->has_warned)
        log_warn("the audit log '%s' cannot be %s: %s; its lines are in this log alone", l->path, what,
                 strerror(errno));
    l->has_warned = true;
    close_file(l);
}

static bool open_file(struct audit_log *l) {
    struct stat st;
    if (l->fd >= 0)
        return true;
    l->fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (l->fd < 0 || fstat(l->fd, &st) < 0) {
        failed(l, "opened");
        return false;
    }
    l->size = (size_t)st.st_size;
    return true;
}

/* The present file becomes the older one. */
static bool turn(struct audit_log *l) {
    _cleanup_free_ char *older = strf("%s.1", l->path);
    close_file(l);
    if (rename(l->path, older) < 0) {
        failed(l, "renamed");
        return false;
    }
    return open_file(l);
}

void audit_log_add(struct audit_log *l, int64_t wall_ms, const char *line) {
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    (void)gmtime_r(&seconds, &tm);
    _cleanup_free_ char *text = strf("%04d%02d%02dT%02d:%02d:%02d.%03dZ %s\n", tm.tm_year + 1900, tm.tm_mon + 1,
                                     tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(wall_ms % 1000), line);
    size_t size = strlen(text);
    if (!open_file(l) || (l->size + size > AUDIT_LOG_MAX && !turn(l)))
        return;
    ssize_t n = write(l->fd, text, size);
    if (n > 0)
        l->size += (size_t)n;
    if (n == (ssize_t)size)
        l->has_warned = false;
    else
        failed(l, "written");
}

bool audit_log_parse_since(const char *text, char ret[static AUDIT_TIME_SIZE]) {
    static const char shape[] = "ddddddddTdd:dd:dd.ddd";
    char out[AUDIT_TIME_SIZE] = "";
    size_t n = 0;
    for (const char *p = text; *p; p++) {
        if (*p == '-' && n < DAY_LEN)
            continue;
        if (*p == 'Z' && !p[1] && n > DAY_LEN)
            break;
        if (n >= strlen(shape) || (shape[n] == 'd' ? !isdigit((unsigned char)*p) : *p != shape[n]))
            return false;
        out[n++] = *p;
    }
    if (*text && n < DAY_LEN)
        return false;
    memcpy(ret, out, sizeof out);
    return true;
}

void audit_log_read(const char *path, const char *since, struct buf *ret) {
    _cleanup_free_ char *older = strf("%s.1", path);
    const char *const files[] = {older, path};
    size_t n = strlen(since);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_buf_ struct buf text = BUF_INIT;
        if (fs_read(files[i], AUDIT_LOG_MAX + 65536, &text) < 0)
            continue;
        const char *line = buf_str(&text), *end = line + text.size;
        while (line < end && n && strncmp(line, since, n) < 0) {
            const char *next = memchr(line, '\n', (size_t)(end - line));
            line = next ? next + 1 : end;
        }
        buf_add(ret, line, (size_t)(end - line));
    }
}

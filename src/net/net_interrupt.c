/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_interrupt.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

#define MAX_TEXT 32
#define MAX_LOG 65536

enum net_interrupt_how net_interrupt_parse(const char *text, unsigned n) {
    enum net_interrupt_how how = str_starts(text, "kill ")   ? NET_INTERRUPT_KILL
                                 : str_starts(text, "stop ") ? NET_INTERRUPT_STOP
                                                             : NET_INTERRUPT_NONE;
    if (how == NET_INTERRUPT_NONE)
        return how;
    char number[MAX_TEXT] = "";
    int64_t at;
    (void)str_copy(number, sizeof number, text + 5);
    for (char *p = number; *p; p++)
        if (*p == '\n')
            *p = '\0';
    return str_parse_int(number, 1, INT32_MAX, &at) && (unsigned)at == n ? how : NET_INTERRUPT_NONE;
}

/* Which point this is, counted by what was noted since the log was taken away; and notes it. */
static unsigned note(const char *run_dir, const char *name) {
    _cleanup_free_ char *path = strf("%s/" NET_INTERRUPT_LOG, run_dir);
    _cleanup_buf_ struct buf before = BUF_INIT;
    unsigned n = 1;
    if (fs_read(path, MAX_LOG, &before) == 0)
        for (size_t i = 0; i < before.size; i++)
            n += before.data[i] == '\n';
    _cleanup_free_ char *line = strf("%u %s\n", n, name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ssize_t written = fd < 0 ? -1 : write(fd, line, strlen(line));
    (void)written; /* the test that reads it tells */
    return n;
}

void net_interrupt_point(const char *run_dir, const char *name) {
    _cleanup_free_ char *path = strf("%s/" NET_INTERRUPT_FILE, run_dir);
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (fs_read(path, MAX_TEXT, &text) < 0)
        return;
    enum net_interrupt_how how = net_interrupt_parse(buf_str(&text), note(run_dir, name));
    if (how == NET_INTERRUPT_NONE)
        return;
    (void)unlink(path);
    kill(getpid(), how == NET_INTERRUPT_KILL ? SIGKILL : SIGSTOP);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tui/tui_tail.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fs.h"
#include "loop/child.h"

#define TAIL_SIZE 65536
#define JOURNAL_TIMEOUT_MS 2000

void tui_tail_lines(const char *text, bool is_cut, size_t max, struct strv *ret) {
    const char *start = text, *end = text + strlen(text);
    if (is_cut) {
        const char *nl = strchr(text, '\n');
        start = nl ? nl + 1 : end;
    }
    while (end > start && end[-1] == '\n')
        end--;
    const char *from = end;
    for (size_t n = 0; from > start; from--)
        if (from[-1] == '\n' && ++n == max)
            break;
    while (from < end) {
        const char *nl = memchr(from, '\n', (size_t)(end - from));
        size_t len = nl ? (size_t)(nl - from) : (size_t)(end - from);
        strv_take(ret, xstrndup(from, len));
        from += len + 1;
    }
}

static void read_journal(const char *name, size_t max, struct strv *ret) {
    _cleanup_free_ char *unit = strf("--unit=%s", name), *lines = strf("--lines=%zu", max);
    const char *const argv[] = {"journalctl", unit, lines, "--no-pager", "--quiet", "--output=short-iso", NULL};
    struct child_result r;
    if (child_run_sync(argv, NULL, JOURNAL_TIMEOUT_MS, TAIL_SIZE, &r) < 0)
        return;
    if (r.exit_code == 0)
        tui_tail_lines(buf_str(&r.out), /* is_cut= */ false, max, ret);
    child_result_done(&r);
}

void tui_tail_read(const char *log_dir, const char *name, size_t max, struct strv *ret) {
    _cleanup_free_ char *path = strf("%s/%s.log", log_dir, name);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        if (fs_exists("/run/systemd/journal/socket"))
            read_journal(name, max, ret);
        return;
    }
    off_t from = MAX(st.st_size - (off_t)TAIL_SIZE, (off_t)0);
    char *text = xmalloc(TAIL_SIZE + 1);
    ssize_t n = pread(fd, text, TAIL_SIZE, from);
    size_t size = n > 0 ? (size_t)n : 0;
    for (size_t i = 0; i < size; i++) /* a hole of a file that was cut off by a crash */
        text[i] = text[i] ? text[i] : '?';
    text[size] = 0;
    tui_tail_lines(text, from > 0, max, ret);
    free(text);
}

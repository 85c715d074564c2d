/* SPDX-License-Identifier: Apache-2.0 */
/* What a stream is packed with is seen by its first bytes, however few of them come at first. */
#include "store/store_filter.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static size_t packed(const char *with, char *ret, size_t size) {
    _cleanup_free_ char *command = strf("printf 'some content' | %s -c", with);
    FILE *f = popen(command, "r");
    size_t n = fread(ret, 1, size, f);
    return pclose(f) == 0 ? n : 0; /* it is not installed */
}

/* Writes what there is in two pieces, of which the second comes when the first has been looked at for a while. */
static pid_t write_slowly(int fds[2], const char *data, size_t size, size_t first) {
    pid_t pid = fork();
    if (pid != 0) {
        close(fds[1]);
        return pid;
    }
    close(fds[0]);
    if (write(fds[1], data, first) != (ssize_t)first)
        _exit(1);
    (void)poll(NULL, 0, 50);
    _exit(write(fds[1], data + first, size - first) == (ssize_t)(size - first) ? 0 : 1);
}

static void check(const char *data, size_t size, size_t first, bool is_packed, const char *content) {
    int fds[2];
    struct filter f;
    struct error *e = NULL;
    char back[64] = "";
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    pid_t pid = write_slowly(fds, data, size, first);
    assert_true(filter_unpack(&f, fds[0], &e));
    assert_int_equal(f.pid != 0, is_packed);
    size_t n = 0;
    for (ssize_t k; (k = read(f.fd, back + n, sizeof(back) - n)) > 0;)
        n += (size_t)k;
    assert_int_equal(n, strlen(content));
    assert_memory_equal(back, content, n);
    if (is_packed)
        assert_true(filter_end(&f, &e));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(fds[0]);
}

static void test_pieces(void **state) {
    char gzip[256], zstd[256];
    size_t n_gzip = packed("gzip", gzip, sizeof(gzip)), n_zstd = packed("zstd -q", zstd, sizeof(zstd));
    for (size_t first = 0; first <= 5; first++) {
        check(gzip, n_gzip, first, /* is_packed= */ true, "some content");
        if (n_zstd > 0)
            check(zstd, n_zstd, first, /* is_packed= */ true, "some content");
        check("plain text", 10, first, /* is_packed= */ false, "plain text");
    }
}

static void test_short(void **state) {
    check("", 0, 0, /* is_packed= */ false, "");
    check("\x1f", 1, 1, /* is_packed= */ false, "\x1f");
    check("(\xb5/", 3, 1, /* is_packed= */ false, "(\xb5/");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces), cmocka_unit_test(test_short)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

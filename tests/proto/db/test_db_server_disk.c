/* SPDX-License-Identifier: Apache-2.0 */
/* What a full disk does to the database server of a host. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "server_hosts.h"

#include "base/buf.h"
#include "base/fs.h"

static void test_full_disk(void **state) {
    struct fixture *f = *state;
    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        skip();
    _cleanup_free_ char *dir = path_of(f, 0, "db"), *filler = path_of(f, 0, "db/filler");
    assert_int_equal(fs_mkdirs(dir, 0700), 0);
    assert_int_equal(mount("none", dir, "tmpfs", 0, "size=4m"), 0);
    start_cluster(f, 1);
    write_name(f, 0, "before", NULL);
    OPERATION(f, "", db_server_stop(host(f, 0), on_done, f));
    int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char chunk[4096] = {0};
    while (write(fd, chunk, sizeof(chunk)) > 0)
        ;
    close(fd);
    /* Starting writes a new term: it cannot. The file must stay where it is. */
    f->n_done = 0;
    db_server_start_voter(host(f, 0), on_done, f);
    RUN_UNTIL(f->loop, 40000, f->n_done == 1);
    assert_true(db_server_has_file(host(f, 0)));
    OPERATION(f, "", db_server_stop(host(f, 0), on_done, f));
    assert_int_equal(unlink(filler), 0);
    OPERATION(f, "", db_server_start_voter(host(f, 0), on_done, f));
    check_name(f, 0, "before");
    OPERATION(f, "", db_server_stop(host(f, 0), on_done, f));
    assert_int_equal(umount2(dir, MNT_DETACH), 0);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown), /* last: it leaves the mount namespace */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

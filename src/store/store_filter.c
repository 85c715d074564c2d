/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "model/model.h"

static bool start(struct filter *f, const char *const argv[], int in, int out, struct error **errp) {
    posix_spawn_file_actions_t actions;
    pid_t pid;
    if (posix_spawn_file_actions_init(&actions) != 0)
        abort();
    int r = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (r == 0)
        r = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (r != 0) {
        error_setf(errp, ERR_IMPORT_ERROR, "the program '%s' cannot be started: %s", argv[0], strerror(r));
        return false;
    }
    f->pid = pid;
    return true;
}

static bool make_pipe(int ends[2], struct error **errp) {
    if (pipe2(ends, O_CLOEXEC) == 0)
        return true;
    error_errno(errp, -errno, "making a pipe");
    return false;
}

bool filter_compress(struct filter *f, const char *with, int out, struct error **errp) {
    const char *const argv[] = {with, "-1", "-c", NULL};
    int ends[2];
    *f = (struct filter){.fd = -1};
    if (!make_pipe(ends, errp))
        return false;
    f->fd = ends[1];
    bool ok = start(f, argv, ends[0], out, errp);
    close(ends[0]);
    return ok;
}

/* The first bytes of a socket, which stay in it; fewer only when there are no more. Looking alone waits for no more
 * than one byte, MSG_WAITALL or not, unless it is to look behind what it has seen (SO_PEEK_OFF, socket(7)). */
static int look_ahead(int fd, unsigned char *ret, size_t size, size_t *ret_n) {
    int on = 0, off = -1, r = 0;
    size_t n = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &on, sizeof(on)) < 0)
        return -errno;
    for (ssize_t k = 1; n < size && k != 0;) {
        k = recv(fd, ret + n, size - n, MSG_PEEK);
        if (k < 0 && errno != EINTR) {
            r = -errno;
            break;
        }
        n += (size_t)MAX(k, 0);
    }
    if (setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)) < 0 && r == 0)
        r = -errno;
    *ret_n = n;
    return r;
}

bool filter_unpack(struct filter *f, int in, struct error **errp) {
    static const unsigned char gzip[] = {0x1f, 0x8b}, zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
    unsigned char first[4] = {0};
    *f = (struct filter){.fd = in};
    size_t n = 0;
    int r = look_ahead(in, first, sizeof(first), &n);
    if (r < 0) {
        error_setf(errp, ERR_IMPORT_ERROR, "the stream cannot be read: %s", strerror(-r));
        return false;
    }
    bool is_gzip = n >= 2 && memcmp(first, gzip, sizeof(gzip)) == 0,
         is_zstd = n >= 4 && memcmp(first, zstd, sizeof(zstd)) == 0;
    if (!is_gzip && !is_zstd)
        return true;
    const char *const argv[] = {is_gzip ? "gzip" : "zstd", "-d", "-c", NULL};
    int ends[2];
    if (!make_pipe(ends, errp))
        return false;
    f->fd = ends[0];
    bool ok = start(f, argv, in, ends[1], errp);
    close(ends[1]);
    return ok;
}

bool filter_end(struct filter *f, struct error **errp) {
    int status = 0;
    if (f->pid == 0)
        return true;
    close(f->fd);
    f->fd = -1;
    while (waitpid(f->pid, &status, 0) < 0 && errno == EINTR)
        ;
    f->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    error_setf(errp, ERR_IMPORT_ERROR, "the stream cannot be packed or unpacked");
    return false;
}

void filter_done(struct filter *f) {
    if (f->pid == 0)
        return;
    if (f->fd >= 0)
        close(f->fd);
    (void)kill(f->pid, SIGKILL);
    while (waitpid(f->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *f = (struct filter){.fd = -1};
}

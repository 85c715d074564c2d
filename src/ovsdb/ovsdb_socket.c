/* SPDX-License-Identifier: Apache-2.0 */
#include "ovsdb/ovsdb_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/str.h"

static int connect_to(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!str_copy(address.sun_path, sizeof(address.sun_path), path))
        return -ENAMETOOLONG;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* A unix socket connects at once or says EAGAIN (backlog full); there is no connection in progress. */
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

int ovsdb_socket_connect(const char *path) {
    int r = connect_to(path);
    if (r != -ENAMETOOLONG)
        return r;
    /* An address holds 107 characters. Through an open folder only the last part of the path counts. */
    const char *slash = strrchr(path, '/');
    if (!slash)
        return r;
    _cleanup_free_ char *folder = xstrndup(path, (size_t)(slash - path));
    _cleanup_close_ int folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0)
        return -errno;
    _cleanup_free_ char *shorter = strf("/proc/self/fd/%d%s", folder_fd, slash);
    return connect_to(shorter);
}

bool ovsdb_transact_check(const json_t *result, size_t n_ops, size_t *ret_index, struct error **errp) {
    if (!json_is_array(result)) {
        error_set(errp, OVSDB_ERROR, "bad answer", "the result of a transaction is not an array", NULL);
        if (ret_index)
            *ret_index = n_ops;
        return false;
    }
    /* After a failed operation the rest is null; a refused commit adds one element behind the operations. */
    size_t n = json_array_size(result);
    for (size_t i = 0; i < n; i++) {
        const json_t *error = json_object_get(json_array_get(result, i), "error");
        if (!error || json_is_null(error))
            continue;
        const char *text = json_string_value(error);
        const char *details = json_string_value(json_object_get(json_array_get(result, i), "details"));
        error_set(errp, OVSDB_ERROR, text ? text : "unknown error", str_or_empty(details), NULL);
        if (ret_index)
            *ret_index = i < n_ops ? i : n_ops;
        return false;
    }
    if (n < n_ops) {
        error_set(errp, OVSDB_ERROR, "bad answer", "the result of a transaction is too short", NULL);
        if (ret_index)
            *ret_index = n;
        return false;
    }
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "client/known_hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

#define KNOWN_HOSTS_MAX (1 << 20)
#define HTTPS_PORT 443

char *known_hosts_path(void) {
    const char *home = getenv("HOME"), *config = getenv("XDG_CONFIG_HOME");
    if (!str_empty(config))
        return strf("%s/muster/known_hosts", config);
    return strf("%s/.config/muster/known_hosts", str_empty(home) ? "/root" : home);
}

/* How the server is called in the file. Names are the same in any case. */
static char *entry_name(const char *server, uint16_t port) {
    char *name = port == 0 || port == HTTPS_PORT ? xstrdup(server) : strf("[%s]:%u", server, port);
    for (char *p = name; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    return name;
}

bool known_hosts_find_in(const char *text, const char *server, uint16_t port, char ret[static TLS_FINGERPRINT_SIZE]) {
    _cleanup_free_ char *name = entry_name(server, port);
    _cleanup_strv_ struct strv lines = {0};
    bool found = false;
    strv_split(&lines, text, '\n');
    for (size_t i = 0; i < lines.n; i++) {
        char *line = lines.items[i], *blank = strchr(line, ' ');
        if (!blank || line[0] == '#')
            continue;
        *blank = 0;
        char fingerprint[TLS_FINGERPRINT_SIZE];
        if (strcasecmp(line, name) == 0 && tls_fingerprint_parse(blank + 1, fingerprint)) {
            memcpy(ret, fingerprint, sizeof(fingerprint));
            found = true;
        }
    }
    return found;
}

bool known_hosts_find(const char *path, const char *server, uint16_t port, char ret[static TLS_FINGERPRINT_SIZE]) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    return fs_read(path, KNOWN_HOSTS_MAX, &text) >= 0 && known_hosts_find_in(buf_str(&text), server, port, ret);
}

int known_hosts_add(const char *path, const char *server, uint16_t port, const char *fingerprint) {
    _cleanup_free_ char *folder = xstrdup(path), *name = entry_name(server, port),
                        *line = strf("%s %s\n", name, fingerprint);
    char *slash = strrchr(folder, '/');
    if (slash && slash > folder) {
        *slash = 0;
        int r = fs_mkdirs(folder, 0700);
        if (r < 0)
            return r;
    }
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, line, strlen(line)); /* one write, so that lines of several programs do not mix */
    int r = n < 0 ? -errno : (size_t)n == strlen(line) ? 0 : -EIO;
    if (close(fd) < 0 && r == 0)
        r = -errno;
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_services.h"

#include "base/fs.h"
#include "base/str.h"

#include <errno.h>

#define MAX_RESOLV_CONF 65536

bool net_dns_write(const char *path, const struct net_addr *dns, unsigned n, struct error **errp) {
    _cleanup_buf_ struct buf old = BUF_INIT, text = BUF_INIT;
    int r = fs_read(path, MAX_RESOLV_CONF, &old);
    if (r < 0 && r != -ENOENT) {
        error_errno(errp, r, "cannot read '%s'", path);
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        char address[NET_ADDR_TEXT_SIZE];
        buf_addf(&text, "nameserver %s\n", net_addr_text(&dns[i], false, address));
    }
    _cleanup_strv_ struct strv lines = {0};
    strv_split(&lines, buf_str(&old), '\n');
    for (size_t i = 0; i < lines.n; i++)
        if (lines.items[i][0] && !str_starts(lines.items[i], "nameserver "))
            buf_addf(&text, "%s\n", lines.items[i]);
    if (str_eq(buf_str(&old), buf_str(&text)))
        return true;
    r = fs_write_atomic(path, text.data, text.size, 0644);
    if (r < 0)
        error_errno(errp, r, "cannot write '%s'", path);
    return r == 0;
}

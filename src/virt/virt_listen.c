/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/virt_listen.h"

#include <sys/stat.h>

#include "base/buf.h"
#include "base/str.h"

char *virt_listen_mark(const char *pki_dir, const char *address) {
    static const char *const names[] = {"host.key", "chain.pem", "ca-all.pem"};
    struct buf mark = BUF_INIT;
    if (str_empty(pki_dir) || str_empty(address))
        return NULL;
    buf_addf(&mark, "%s", address);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *path = strf("%s/%s", pki_dir, names[i]);
        struct stat st;
        if (stat(path, &st) < 0 || st.st_size == 0) {
            buf_done(&mark);
            return NULL;
        }
        buf_addf(&mark, " %lld.%09ld", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    }
    buf_add_char(&mark, '\n');
    return buf_take(&mark);
}

char *virt_listen_path(const char *run_dir) {
    return strf("%s/libvirt-listens", run_dir);
}

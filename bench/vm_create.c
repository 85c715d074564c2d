/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor under VM.start: how long libvirt itself takes to start the same VM.
 *   vm_create URI xml UUID            writes the XML of a running domain to stdout, as it could be started again
 *   vm_create URI create FILE ROUNDS  starts and destroys it, and prints one line of milliseconds for each start
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libvirt/libvirt.h>

#include "base/fs.h"
#include "base/str.h"

#define XML_MAX (1 << 20)

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int show(virConnectPtr conn, const char *uuid) {
    virDomainPtr d = virDomainLookupByUUIDString(conn, uuid);
    char *xml = d ? virDomainGetXMLDesc(d, VIR_DOMAIN_XML_MIGRATABLE | VIR_DOMAIN_XML_SECURE) : NULL;
    if (xml)
        fputs(xml, stdout);
    free(xml);
    if (d)
        virDomainFree(d);
    return xml ? 0 : 1;
}

static int create(virConnectPtr conn, const char *path, int rounds) {
    _cleanup_buf_ struct buf xml = BUF_INIT;
    if (fs_read(path, XML_MAX, &xml) < 0)
        return 1;
    for (int i = 0; i < rounds; i++) {
        double start = now_ms();
        virDomainPtr d = virDomainCreateXML(conn, buf_str(&xml), 0);
        double took = now_ms() - start;
        if (!d || virDomainDestroy(d) < 0)
            return 1;
        virDomainFree(d);
        printf("%.1f\n", took);
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv) {
    int64_t rounds = 1;
    bool shows = argc == 4 && str_eq(argv[2], "xml");
    if (!shows && !(argc == 5 && str_eq(argv[2], "create") && str_parse_int(argv[4], 1, 1000, &rounds))) {
        fputs("usage: vm_create URI xml UUID | URI create FILE ROUNDS\n", stderr);
        return 2;
    }
    virConnectPtr conn = virConnectOpen(argv[1]);
    if (!conn)
        return 1;
    int r = shows ? show(conn, argv[3]) : create(conn, argv[3], (int)rounds);
    virConnectClose(conn);
    return r;
}

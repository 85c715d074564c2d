/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor under VM.start and VM.pool_migrate: how long libvirt itself takes with the same VM.
 *   vm_create URI xml UUID            writes the XML of a running domain to stdout, as it could be started again
 *   vm_create URI create FILE ROUNDS  starts and destroys it, and prints one line of milliseconds for each start
 *   vm_create URI move FILE ADDRESS NAME live|still
 *                                     starts it, moves it to the daemon at ADDRESS, whose certificate has that NAME,
 *                                     as a VM of the pool moves, destroys it there, and prints milliseconds: of the
 *                                     move, and of its downtime as libvirt tells it
 *   vm_create URI downtime UUID       the latter of a domain that has come here
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

/* What the last move of a domain that has come to this daemon cost it; negative: not known. */
static double downtime(virDomainPtr d) {
    virTypedParameterPtr params = NULL;
    int type, n = 0;
    unsigned long long ms = 0;
    bool is_known = virDomainGetJobStats(d, &type, &params, &n, VIR_DOMAIN_JOB_STATS_COMPLETED) >= 0 &&
                    virTypedParamsGetULLong(params, n, VIR_DOMAIN_JOB_DOWNTIME, &ms) > 0;
    virTypedParamsFree(params, n);
    return is_known ? (double)ms : -1;
}

static int show_downtime(virConnectPtr conn, const char *uuid) {
    virDomainPtr d = virDomainLookupByUUIDString(conn, uuid);
    if (!d)
        return 1;
    printf("%.0f\n", downtime(d));
    virDomainFree(d);
    return 0;
}

static int move(virConnectPtr conn, const char *path, const char *address, const char *name, bool is_live) {
    _cleanup_buf_ struct buf xml = BUF_INIT;
    _cleanup_free_ char *there = strf("qemu+tls://%s/system?pkipath=/var/lib/muster/libvirt/etc/pki/client", address),
                        *data = strf("tcp://%s", address);
    virTypedParameterPtr params = NULL;
    int n = 0, max = 0;
    if (fs_read(path, XML_MAX, &xml) < 0)
        return 1;
    virConnectPtr to = virConnectOpen(there);
    virDomainPtr d = to ? virDomainCreateXML(conn, buf_str(&xml), 0) : NULL;
    if (!d || virTypedParamsAddString(&params, &n, &max, VIR_MIGRATE_PARAM_URI, data) < 0 ||
        virTypedParamsAddString(&params, &n, &max, VIR_MIGRATE_PARAM_LISTEN_ADDRESS, address) < 0 ||
        virTypedParamsAddString(&params, &n, &max, VIR_MIGRATE_PARAM_TLS_DESTINATION, name) < 0)
        return 1;
    unsigned flags = VIR_MIGRATE_TLS | VIR_MIGRATE_UNSAFE | VIR_MIGRATE_ABORT_ON_ERROR |
                     (is_live ? (unsigned)VIR_MIGRATE_LIVE | VIR_MIGRATE_AUTO_CONVERGE : 0u);
    double start = now_ms();
    virDomainPtr moved = virDomainMigrate3(d, to, params, (unsigned)n, flags);
    double took = now_ms() - start;
    virTypedParamsFree(params, n);
    if (!moved) {
        (void)virDomainDestroy(d);
        return 1;
    }
    printf("%.1f %.0f\n", took, downtime(moved));
    bool is_over = virDomainDestroy(moved) >= 0;
    virDomainFree(moved);
    virDomainFree(d);
    virConnectClose(to);
    return is_over ? 0 : 1;
}

int main(int argc, char **argv) {
    int64_t rounds = 1;
    const char *verb = argc > 3 ? argv[2] : "";
    bool shows = argc == 4 && str_eq(verb, "xml"), shows_downtime = argc == 4 && str_eq(verb, "downtime");
    bool creates = argc == 5 && str_eq(verb, "create") && str_parse_int(argv[4], 1, 1000, &rounds);
    bool moves = argc == 7 && str_eq(verb, "move");
    if (!shows && !shows_downtime && !creates && !moves) {
        fputs("usage: vm_create URI xml UUID | URI create FILE ROUNDS | URI move FILE ADDRESS NAME live|still | URI "
              "downtime UUID\n",
              stderr);
        return 2;
    }
    virConnectPtr conn = virConnectOpen(argv[1]);
    if (!conn)
        return 1;
    int r = shows            ? show(conn, argv[3])
            : shows_downtime ? show_downtime(conn, argv[3])
            : creates        ? create(conn, argv[3], (int)rounds)
                             : move(conn, argv[3], argv[4], argv[5], str_eq(argv[6], "live"));
    virConnectClose(conn);
    return r;
}

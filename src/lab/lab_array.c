/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_array.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/fs.h"
#include "base/str.h"
#include "lab/lab.h"
#include "lab/lab_root.h"

#define TOOL_TIMEOUT_MS 10000
#define ANSWER_TIMEOUT_MS 30000
#define CONFIG "/etc/muster-lab/ganesha.conf"

/* NFS_Commit: what is written is on the disk before it is answered, as an array with a battery has it. A server that
 * may forget what it has answered loses the write that QEMU has under way when its power goes: QEMU's driver does not
 * compare the server's write verifier (seen at the first of three cuts; docs/decisions/0010).
 * Versions 3 and 4 over TCP. No byte-range locks: QEMU's client takes none, and leases are Muster's own. */
static const char config[] = "NFS_CORE_PARAM {\n Protocols = 3, 4;\n Enable_NLM = false;\n Enable_RQUOTA = false;\n"
                             " Enable_UDP = false;\n Plugins_Dir = \"%s\";\n}\n"
                             "NFSV4 { Graceless = true; RecoveryBackend = fs; Only_Numeric_Owners = true; }\n"
                             "EXPORT_DEFAULTS { Access_Type = RW; Squash = No_Root_Squash; SecType = sys; }\n"
                             "EXPORT {\n Export_Id = 1;\n Path = \"" ARRAY_EXPORT "\";\n Pseudo = \"" ARRAY_EXPORT
                             "\";\n NFS_Commit = true;\n FSAL { Name = VFS; }\n}\nLOG { Default_Log_Level = EVENT; }\n";

static const char *const tools[][2] = {{"/usr/bin/ganesha.nfsd", "nfs-ganesha"},
                                       {"/sbin/rpcbind", "rpcbind"},
                                       {"/usr/sbin/tgtd", "tgt"},
                                       {"/usr/sbin/tgtadm", "tgt"}};

bool array_check_tools(struct error **errp) {
    for (size_t i = 0; i < ARRAY_SIZE(tools); i++)
        if (!fs_exists(tools[i][0])) {
            error_setf(errp, LAB_ERROR,
                       "The storage array needs Debian package '%s'. Install it with: apt-get install %s", tools[i][1],
                       tools[i][1]);
            return false;
        }
    return true;
}

/* Where this machine has the parts that ganesha loads. */
static const char *plugins_dir(void) {
    static const char *const folders[] = {"/usr/lib/x86_64-linux-gnu/ganesha", "/usr/lib/aarch64-linux-gnu/ganesha",
                                          "/usr/lib/ganesha"};
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
        if (fs_exists(folders[i]))
            return folders[i];
    return folders[0];
}

static struct service *start(struct services *s, const char *name, const char *const argv[]) {
    struct service_plan plan = {.name = name, .argv = argv, .stop_ms = 5000, .pause_ms = 500, .restart_always = true};
    return services_start(s, &plan);
}

static bool answers(struct services *s, uint16_t port) {
    uint64_t end = lab_now_ms() + ANSWER_TIMEOUT_MS;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    while (lab_now_ms() < end && s->request == REQUEST_NONE) {
        _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
            return true;
        services_turn(s, 50);
    }
    lab_say("nothing listens on port %u of the array", port);
    return false;
}

static bool make_luns(void) {
    for (unsigned i = 1; i <= ARRAY_N_LUNS; i++) {
        _cleanup_free_ char *path = strf(ROOT_ARRAY_DIR "/luns/lun%u.raw", i);
        _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        off_t mib = i == ARRAY_N_LUNS ? ARRAY_LAST_LUN_MIB : ARRAY_LUN_MIB;
        if (fd < 0 || ftruncate(fd, mib << 20) < 0)
            return false;
    }
    return true;
}

static bool tgtadm(struct services *s, const char *words) {
    _cleanup_free_ char *line = strf("exec tgtadm --lld iscsi %s", words);
    const char *const argv[] = {"/bin/sh", "-c", line, NULL};
    return services_run(s, "tgtadm", argv, TOOL_TIMEOUT_MS) == 0;
}

static bool serve_luns(struct services *s) {
    if (!tgtadm(s, "--op new --mode target --tid 1 -T " ARRAY_TARGET))
        return false;
    for (unsigned i = 1; i <= ARRAY_N_LUNS; i++) {
        _cleanup_free_ char *words =
            strf("--op new --mode logicalunit --tid 1 --lun %u -b " ROOT_ARRAY_DIR "/luns/lun%u.raw", i, i);
        _cleanup_free_ char *serial = strf("--op update --mode logicalunit --tid 1 --lun %u --params "
                                           "scsi_sn=muster-lab-%u,vendor_id=MUSTER,product_id=LAB",
                                           i, i);
        if (!tgtadm(s, words) || !tgtadm(s, serial))
            return false;
    }
    return tgtadm(s, "--op bind --mode target --tid 1 -I ALL");
}

bool array_boot(struct services *s) {
    static const char luns[] = ROOT_ARRAY_DIR "/luns";
    static const char *const folders[] = {
        "/etc/muster-lab", "/run/rpcbind", "/run/ganesha", "/run/tgtd", "/var/lib/nfs/ganesha", ARRAY_EXPORT, luns};
    static const char *const rpcbind[] = {"/sbin/rpcbind", "-f", "-w", NULL};
    static const char *const ganesha[] = {"/usr/bin/ganesha.nfsd",
                                          "-F",
                                          "-L",
                                          "/var/log/ganesha.log",
                                          "-f",
                                          CONFIG,
                                          "-p",
                                          "/run/ganesha/ganesha.pid",
                                          "-N",
                                          "NIV_EVENT",
                                          NULL};
    static const char *const tgtd[] = {"/usr/sbin/tgtd", "-f", "--iscsi", "portal=0.0.0.0:3260", NULL};
    _cleanup_free_ char *text = strf(config, plugins_dir());
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
        if (fs_mkdirs(folders[i], 0755) < 0)
            return false;
    if (fs_write_atomic(CONFIG, text, strlen(text), 0644) < 0 || !make_luns())
        return false;
    if (!start(s, "rpcbind", rpcbind) || !answers(s, 111) || !start(s, "ganesha", ganesha) || !start(s, "tgtd", tgtd))
        return false;
    return answers(s, 3260) && serve_luns(s) && answers(s, 2049);
}

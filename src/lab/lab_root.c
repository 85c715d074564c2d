/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_root.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/fs.h"
#include "base/str.h"
#include "lab/lab_disk.h"
#include "lab/lab_ns.h"

static bool fail(struct error **errp, int r, const char *what, const char *path) {
    error_setf(errp, LAB_ERROR, "Cannot %s '%s': %s", what, path, strerror(-r));
    return false;
}

static bool do_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options,
                     struct error **errp) {
    int r = fs_mkdirs(target, 0755);
    if (r == 0 && mount(source, target, type, flags, options) < 0)
        r = -errno;
    return r == 0 || fail(errp, r, "mount", target);
}

static bool write_text(const char *path, const char *text, mode_t mode, struct error **errp) {
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0 || write(fd, text, strlen(text)) < 0 || fchmod(fd, mode) < 0)
        return fail(errp, -errno, "write", path);
    return true;
}

/* ---- mounts ---- */

static bool dev_setup(const char *root, struct error **errp) {
    static const struct {
        const char *name;
        unsigned major, minor;
    } nodes[] = {{"null", 1, 3},    {"zero", 1, 5}, {"full", 1, 7},       {"random", 1, 8},
                 {"urandom", 1, 9}, {"tty", 5, 0},  {"net/tun", 10, 200}, {"kvm", 10, 232}};
    static const char *const links[][2] = {{"pts/ptmx", "ptmx"},
                                           {"/proc/self/fd", "fd"},
                                           {"/proc/self/fd/0", "stdin"},
                                           {"/proc/self/fd/1", "stdout"},
                                           {"/proc/self/fd/2", "stderr"}};
    _cleanup_free_ char *dev = strf("%s/dev", root);
    _cleanup_free_ char *net = strf("%s/dev/net", root);
    _cleanup_free_ char *pts = strf("%s/dev/pts", root);
    _cleanup_free_ char *shm = strf("%s/dev/shm", root);
    if (!do_mount("tmpfs", dev, "tmpfs", MS_NOSUID, "mode=755,size=1m", errp) ||
        !do_mount("devpts", pts, "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620", errp) ||
        !do_mount("tmpfs", shm, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64m", errp))
        return false;
    int r = fs_mkdirs(net, 0755);
    mode_t mask = umask(0);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(nodes); i++) {
        _cleanup_free_ char *path = strf("%s/%s", dev, nodes[i].name);
        if (str_eq(nodes[i].name, "kvm") && !fs_exists("/dev/kvm"))
            continue;
        if (mknod(path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) < 0)
            r = -errno;
    }
    umask(mask);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(links); i++) {
        _cleanup_free_ char *path = strf("%s/%s", dev, links[i][1]);
        if (symlink(links[i][0], path) < 0)
            r = -errno;
    }
    return r == 0 || fail(errp, r, "fill", dev);
}

/* A folder of the machine that lies on another file system is not in the overlay's lower layer: show it read-only. */
static bool bind_foreign(const char *path, const char *root, bool always, struct error **errp) {
    struct stat here, top;
    if (stat(path, &here) < 0 || stat("/", &top) < 0 || (!always && here.st_dev == top.st_dev))
        return true;
    _cleanup_free_ char *target = strf("%s%s", root, path);
    return do_mount(path, target, NULL, MS_BIND | MS_REC, NULL, errp) &&
           do_mount(NULL, target, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL, errp);
}

/* Switches and the desk keep their changes in memory: `base` is one already. */
static bool layer_mount(const struct node *node, const char *base, const char *device, struct error **errp) {
    _cleanup_free_ char *disk = strf("%s/disk", base);
    if (node->kind == NODE_HOST || node->kind == NODE_ARRAY)
        return do_mount(device, disk, "ext4", 0, DISK_MOUNT_OPTIONS, errp);
    return do_mount("tmpfs", disk, "tmpfs", 0, "mode=755,size=64m", errp);
}

/* The machine may run a Muster or a switch itself; a fresh host has none of it. An opaque folder hides the one below.
 */
static bool forget_machine(const char *upper, struct error **errp) {
    static const struct {
        const char *path;
        mode_t mode;
    } folders[] = {{"/etc", 0755},     {"/etc/openvswitch", 0755}, {"/etc/muster-lab", 0755}, {"/root", 0700},
                   {"/var", 0755},     {"/var/lib", 0755},         {"/var/lib/muster", 0755}, {"/var/lib/xcp", 0755},
                   {"/var/log", 0755}, {"/var/tmp", 01777}};
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        _cleanup_free_ char *path = strf("%s%s", upper, folders[i].path);
        bool parent =
            str_eq(folders[i].path, "/etc") || str_eq(folders[i].path, "/var") || str_eq(folders[i].path, "/var/lib");
        if ((mkdir(path, folders[i].mode) < 0 && errno != EEXIST) || chmod(path, folders[i].mode) < 0 ||
            (!parent && setxattr(path, "trusted.overlay.opaque", "y", 1, 0) < 0))
            return fail(errp, -errno, "prepare", path);
    }
    return true;
}

static void reserve_make(const char *path) {
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    for (off_t size = 128 * 1024; fd >= 0 && size >= 8 * 1024; size /= 2) {
        if (posix_fallocate(fd, 0, size) == 0)
            return;
    }
}

bool root_enter(const struct lab *lab, const struct node *node, const char *device, struct error **errp) {
    static const char *const foreign[] = {"/usr", "/etc", "/var", "/opt", "/home", "/root", "/srv"};
    _cleanup_free_ char *base = lab_path(lab, "mnt");
    _cleanup_free_ char *disk = strf("%s/disk", base), *upper = strf("%s/upper", disk), *work = strf("%s/work", disk);
    _cleanup_free_ char *root = strf("%s/root", base);
    _cleanup_free_ char *options = strf("lowerdir=/,upperdir=%s,workdir=%s,index=off,metacopy=off", upper, work);
    _cleanup_free_ char *proc = strf("%s/proc", root), *sys = strf("%s/sys", root), *run = strf("%s/run", root),
                        *tmp = strf("%s/tmp", root), *hidden = strf("%s%s", root, lab->dir);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return fail(errp, -errno, "make private", "/");
    if (!do_mount("tmpfs", base, "tmpfs", 0, "mode=755,size=64k", errp) || !layer_mount(node, base, device, errp))
        return false;
    _cleanup_free_ char *mark = strf("%s%s", upper, ROOT_FIRST_BOOT_MARK);
    bool first = !fs_exists(mark); /* written last, so an interrupted first start is done again */
    int r = fs_mkdirs(upper, 0755);
    if (r == 0)
        r = fs_mkdirs(work, 0700);
    if (r < 0)
        return fail(errp, r, "make", upper);
    if (first && !forget_machine(upper, errp))
        return false;
    /* Mounting an overlay makes a folder on the disk, and on a full disk it would quietly come up read-only, which no
     * real host does. So a little room is set aside, given up for the mount, and taken back at once. */
    _cleanup_free_ char *reserve = strf("%s/reserve", disk);
    if (unlink(reserve) == 0) {
        _cleanup_close_ int top = open(disk, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (top >= 0)
            (void)!syncfs(top); /* freed blocks can be used again after a commit */
    }
    if (!do_mount("overlay", root, "overlay", 0, options, errp))
        return false;
    reserve_make(reserve);
    if (!do_mount("proc", proc, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, errp) ||
        !do_mount("sysfs", sys, "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, errp) ||
        !do_mount("tmpfs", run, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64m", errp) ||
        !do_mount("tmpfs", tmp, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64m", errp) || !dev_setup(root, errp))
        return false;
    /* The lab itself is nothing a host should see; the build folder is where its programs come from. */
    if (!do_mount("tmpfs", hidden, "tmpfs", MS_RDONLY, "mode=000,size=4k", errp))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
        if (!bind_foreign(foreign[i], root, /* always= */ false, errp))
            return false;
    }
    if (!str_empty(lab->bin_dir) && !bind_foreign(lab->bin_dir, root, /* always= */ true, errp))
        return false;
    /* What the array serves lies on its disk itself: file handles of an overlay do not outlive a restart. */
    _cleanup_free_ char *served = strf("%s/served", disk), *shown = strf("%s" ROOT_ARRAY_DIR, root);
    if (node->kind == NODE_ARRAY) {
        r = fs_mkdirs(served, 0755);
        if (r < 0)
            return fail(errp, r, "make", served);
        if (!do_mount(served, shown, NULL, MS_BIND, NULL, errp))
            return false;
    }
    /* Stack the old root under the new one and take it away: no put_old folder is needed. */
    if (chdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return fail(errp, -errno, "change the root to", root);
    if (fs_mkdirs("/run/lock", 0755) < 0 || fs_mkdirs(LAB_RUN_DIR "/bin", 0755) < 0)
        return fail(errp, -EIO, "fill", "/run");
    return sethostname(node->name, strlen(node->name)) == 0 || fail(errp, -errno, "set the host name", node->name);
}

/* ---- programs ---- */

char *root_program_path(const struct lab *lab, const char *name) {
    static const char *const folders[][2] = {
        {"musterd", "daemon"},     {"muster-netboot", "netboot"}, {"xe", "cli"},
        {"muster-console", "tui"}, {"muster-virtd", "virt"},      {"muster-store", "store"}};
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        if (!str_eq(folders[i][0], name))
            continue;
        char *built = strf("%s/src/%s/%s", lab->bin_dir, folders[i][1], name);
        if (fs_exists(built))
            return built;
        free(built);
        built = strf("%s/%s", lab->bin_dir, name);
        if (fs_exists(built))
            return built;
        free(built);
    }
    return NULL;
}

bool root_programs(const struct lab *lab, struct error **errp) {
    static const char *const ours[] = {"musterd",        "muster-netboot", "xe",
                                       "muster-console", "muster-virtd",   "muster-store"};
    static const char *const power[] = {"reboot", "poweroff"};
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
        _cleanup_free_ char *from = root_program_path(lab, ours[i]);
        _cleanup_free_ char *to = strf(LAB_RUN_DIR "/bin/%s", ours[i]);
        if (from && symlink(from, to) < 0)
            return fail(errp, -errno, "link", to);
    }
    /* A second name of muster-netboot, as it is installed. */
    if (symlink("muster-netboot", LAB_RUN_DIR "/bin/xe-reset-networking") < 0)
        return fail(errp, -errno, "link", "xe-reset-networking");
    for (size_t i = 0; i < ARRAY_SIZE(power); i++) {
        _cleanup_free_ char *path = strf(LAB_RUN_DIR "/bin/%s", power[i]);
        _cleanup_free_ char *text = strf("#!/bin/sh\n# The PID 1 of this host reads requests from this fifo.\n"
                                         "echo %s > " LAB_RUN_DIR "/request\n",
                                         power[i]);
        if (!write_text(path, text, 0755, errp))
            return false;
    }
    return true;
}

/* ---- first start ---- */

static bool set_password(const char *password, struct error **errp) {
    _cleanup_buf_ struct buf old = BUF_INIT, fresh = BUF_INIT;
    _cleanup_strv_ struct strv lines = {0};
    struct crypt_data *data = xnew0(struct crypt_data);
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    char salt[16];
    const char *hash = NULL;
    /* SHA-512 with few rounds: this guards nothing, and a login must not cost a slow machine a second. */
    if (getrandom(salt, sizeof(salt), 0) == (ssize_t)sizeof(salt) &&
        crypt_gensalt_rn("$6$", 1000, salt, sizeof(salt), setting, sizeof(setting)))
        hash = crypt_r(password, setting, data);
    int r = hash && hash[0] == '$' ? fs_read("/etc/shadow", 1024 * 1024, &old) : -EINVAL;
    if (r == 0) {
        strv_split(&lines, buf_str(&old), '\n');
        buf_addf(&fresh, "root:%s:19000:0:99999:7:::\n", hash);
        for (size_t i = 0; i < lines.n; i++) {
            if (!str_starts(lines.items[i], "root:") && lines.items[i][0])
                buf_addf(&fresh, "%s\n", lines.items[i]);
        }
        r = fs_write_atomic("/etc/shadow", fresh.data, fresh.size, 0640);
    }
    free(data);
    return r == 0 || fail(errp, r, "set the password in", "/etc/shadow");
}

static bool write_hosts(const struct lab *lab, const struct node *node, struct error **errp) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    buf_addf(&text, "127.0.0.1 localhost\n::1 localhost ip6-localhost\n%s %s\n", TOPO_DESK_ADDRESS, TOPO_DESK);
    if (lab->has_storage)
        buf_addf(&text, "%s %s\n", TOPO_ARRAY_ADDRESS, TOPO_ARRAY);
    for (unsigned i = 0; i < lab->topo.n_hosts; i++)
        buf_addf(&text, "%s %s\n", lab->topo.hosts[i].address, lab->topo.hosts[i].name);
    _cleanup_free_ char *name = strf("%s\n", node->name);
    return write_text("/etc/hosts", buf_str(&text), 0644, errp) && write_text("/etc/hostname", name, 0644, errp);
}

static bool write_machine_id(struct error **errp) {
    unsigned char b[16];
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
        return fail(errp, -EIO, "make", "/etc/machine-id");
    for (size_t i = 0; i < sizeof(b); i++)
        buf_addf(&text, "%02x", b[i]);
    buf_add_char(&text, '\n');
    unlink("/etc/machine-id");
    return write_text("/etc/machine-id", buf_str(&text), 0444, errp);
}

static void copy_pam(void) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_error_ struct error *ignored = NULL;
    /* Without it PAM falls back to the file for other services, which on Debian asks for the same password. */
    if (fs_read(LAB_SOURCE_DIR "/packaging/pam.d/muster", 65536, &text) == 0)
        write_text("/etc/pam.d/muster", buf_str(&text), 0644, &ignored);
}

bool root_first_boot(const struct lab *lab, const struct node *node, struct error **errp) {
    if (fs_exists(ROOT_FIRST_BOOT_MARK))
        return true;
    if (node->kind == NODE_HOST) {
        copy_pam();
        if (!set_password(lab->password, errp) || !write_machine_id(errp))
            return false;
    }
    if (!write_hosts(lab, node, errp))
        return false;
    _cleanup_free_ char *name = strf("%s\n", node->name);
    int r = fs_mkdirs("/etc/muster-lab/hooks", 0755);
    if (r == 0)
        r = fs_write_atomic(ROOT_FIRST_BOOT_MARK, name, strlen(name), 0644);
    if (r < 0)
        return fail(errp, r, "write", ROOT_FIRST_BOOT_MARK);
    _cleanup_close_ int top = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top < 0 || syncfs(top) < 0) /* this disk only: a sync of the machine can take long */
        return fail(errp, -errno, "sync", "/");
    return true;
}

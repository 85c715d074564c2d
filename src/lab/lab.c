/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fs.h"
#include "base/str.h"

#define MAX_STATE_SIZE (256 * 1024)

static bool lab_save_main(const struct lab *lab, struct error **errp);

uint64_t lab_now_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t start_ms;

void lab_say_from_now(void) {
    start_ms = lab_now_ms();
}

void lab_say(const char *fmt, ...) {
    fprintf(stderr, "[%6.2f s] ", (double)(lab_now_ms() - start_ms) / 1000);
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

char *lab_path(const struct lab *lab, const char *fmt, ...) {
    char *tail;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&tail, fmt, ap) < 0)
        abort();
    va_end(ap);
    char *path = strf("%s/%s", lab->dir, tail);
    free(tail);
    return path;
}

char *lab_netns(const struct lab *lab, const char *node) {
    return lab_path(lab, "ns/%s", node);
}

void lab_free(struct lab *lab) {
    if (!lab)
        return;
    if (lab->lock_fd >= 0)
        close(lab->lock_fd);
    free(lab->dir);
    free(lab->bin_dir);
    free(lab->password);
    free(lab->management);
    free(lab);
}

/* FNV-1a over the folder's path: short, and the same for the same folder every time. */
static void lab_set_id(struct lab *lab) {
    uint32_t h = 2166136261u;
    for (const char *c = lab->dir; *c; c++)
        h = (h ^ (unsigned char)*c) * 16777619u;
    snprintf(lab->id, sizeof(lab->id), "%08x", h);
}

static struct lab *lab_new(const char *dir, struct error **errp) {
    char *real = realpath(dir, NULL);
    if (!real) {
        error_setf(errp, LAB_ERROR, "Cannot use the folder '%s': %s", dir, strerror(errno));
        return NULL;
    }
    struct lab *lab = xnew0(struct lab);
    lab->dir = xstrdup(real);
    free(real);
    lab->lock_fd = -1;
    lab->password = xstrdup("muster");
    lab->bin_dir = xstrdup("");
    lab->management = xstrdup("eth0");
    lab->first_mtu = 1500;
    lab_set_id(lab);
    return lab;
}

/* Takes the lock; a folder that `down` removed while we waited is not the lab any more. */
static bool lab_lock(struct lab *lab, struct error **errp) {
    _cleanup_free_ char *path = lab_path(lab, "lock");
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        error_setf(errp, LAB_ERROR, "Cannot open '%s': %s", path, strerror(errno));
        return false;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        lab_say("another muster-lab command is changing this lab, waiting for it");
        while (flock(fd, LOCK_EX) < 0) {
            if (errno != EINTR)
                break;
        }
    }
    struct stat ours, now;
    if (fstat(fd, &ours) < 0 || stat(path, &now) < 0 || ours.st_ino != now.st_ino || ours.st_dev != now.st_dev) {
        error_setf(errp, LAB_ERROR, "The lab in '%s' was removed meanwhile.", lab->dir);
        return false;
    }
    lab->lock_fd = take_fd(&fd);
    return true;
}

/* A lab may share its folder with other things, but not with things of its own names. */
static bool names_are_free(const char *dir) {
    static const char *const names[] = {"ns", "run", "log", "disk", "mnt", "topology.json", "faults.json"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *path = strf("%s/%s", dir, names[i]);
        if (fs_exists(path))
            return false;
    }
    return true;
}

bool lab_exists(const char *dir) {
    _cleanup_free_ char *marker = strf("%s/lab.json", dir);
    return fs_exists(marker);
}

struct lab *lab_create(const char *dir, const struct topology *topo, struct error **errp) {
    if (lab_exists(dir)) {
        error_setf(errp, LAB_ERROR, "There is a lab in '%s' already. Remove it with: muster-lab down --dir %s", dir,
                   dir);
        return NULL;
    }
    int r = fs_mkdirs(dir, 0755);
    if (r < 0 || !names_are_free(dir)) {
        error_setf(errp, LAB_ERROR, "Cannot use the folder '%s' for a lab: %s", dir,
                   r < 0 ? strerror(-r) : "it holds files of other things under names that a lab uses");
        return NULL;
    }
    struct lab *lab = lab_new(dir, errp);
    if (!lab)
        return NULL;
    lab->topo = *topo;
    static const char *const folders[] = {"ns", "run", "log", "disk", "mnt"};
    /* The marker comes first: from here on `down` knows the folder for a lab, however little of it there is. */
    bool ok = lab_lock(lab, errp) && lab_save_main(lab, errp);
    for (size_t i = 0; ok && i < ARRAY_SIZE(folders); i++) {
        _cleanup_free_ char *path = lab_path(lab, "%s", folders[i]);
        if (mkdir(path, 0700) < 0) {
            error_setf(errp, LAB_ERROR, "Cannot make '%s': %s", path, strerror(errno));
            ok = false;
        }
    }
    if (ok && lab_save(lab, errp))
        return lab;
    lab_free(lab);
    return NULL;
}

static bool write_file(const struct lab *lab, const char *name, const struct buf *text, struct error **errp) {
    _cleanup_free_ char *path = lab_path(lab, "%s", name);
    int r = fs_write_atomic(path, text->data, text->size, 0600);
    if (r < 0)
        error_setf(errp, LAB_ERROR, "Cannot write '%s': %s", path, strerror(-r));
    return r >= 0;
}

static bool lab_save_main(const struct lab *lab, struct error **errp) {
    _cleanup_buf_ struct buf main_text = BUF_INIT;
    json_t *root = json_pack("{s:i, s:s, s:s, s:s, s:b, s:s, s:i, s:b}", "version", 1, "dir", lab->dir, "bin_dir",
                             lab->bin_dir, "password", lab->password, "no_daemon", lab->no_daemon, "management",
                             lab->management, "first_mtu", (int)lab->first_mtu, "storage", lab->has_storage);
    char *text = json_dumps(root, JSON_INDENT(1));
    json_decref(root);
    if (!text) {
        error_setf(errp, LAB_ERROR, "A path of the lab is not UTF-8 text.");
        return false;
    }
    buf_add_str(&main_text, text);
    free(text);
    return write_file(lab, "lab.json", &main_text, errp);
}

bool lab_save(const struct lab *lab, struct error **errp) {
    _cleanup_buf_ struct buf topo_text = BUF_INIT, faults_text = BUF_INIT;
    topology_format(&lab->topo, &topo_text);
    faults_format(&lab->faults, &faults_text);
    return write_file(lab, "topology.json", &topo_text, errp) && write_file(lab, "faults.json", &faults_text, errp) &&
           lab_save_main(lab, errp);
}

static bool lab_load(struct lab *lab, struct error **errp) {
    _cleanup_free_ char *main_path = lab_path(lab, "lab.json");
    _cleanup_free_ char *topo_path = lab_path(lab, "topology.json");
    _cleanup_free_ char *faults_path = lab_path(lab, "faults.json");
    _cleanup_buf_ struct buf text = BUF_INIT, faults_text = BUF_INIT;
    int r = fs_read(main_path, MAX_STATE_SIZE, &text);
    json_t *root = r >= 0 ? json_loadb(buf_str(&text), text.size, 0, NULL) : NULL;
    const char *bin_dir = json_string_value(json_object_get(root, "bin_dir"));
    const char *password = json_string_value(json_object_get(root, "password"));
    const char *management = json_string_value(json_object_get(root, "management"));
    if (!bin_dir || !password || !management) {
        error_setf(errp, LAB_ERROR, "Cannot read '%s': %s", main_path, r < 0 ? strerror(-r) : "it is damaged");
        json_decref(root);
        return false;
    }
    free(lab->bin_dir);
    free(lab->password);
    lab->bin_dir = xstrdup(bin_dir);
    lab->password = xstrdup(password);
    free(lab->management);
    lab->management = xstrdup(management);
    lab->first_mtu = (unsigned)json_integer_value(json_object_get(root, "first_mtu"));
    lab->no_daemon = json_is_true(json_object_get(root, "no_daemon"));
    lab->has_storage = json_is_true(json_object_get(root, "storage"));
    json_decref(root);
    if (!topology_load(&lab->topo, topo_path, errp))
        return false;
    r = fs_read(faults_path, MAX_STATE_SIZE, &faults_text);
    if (r < 0) {
        error_setf(errp, LAB_ERROR, "Cannot read '%s': %s", faults_path, strerror(-r));
        return false;
    }
    return faults_parse(&lab->faults, buf_str(&faults_text), faults_text.size, errp);
}

struct lab *lab_open(const char *dir, bool lock, struct error **errp) {
    if (!lab_exists(dir)) {
        error_setf(errp, LAB_ERROR, "There is no lab in '%s'. Start one with: muster-lab up --dir %s", dir, dir);
        return NULL;
    }
    struct lab *lab = lab_new(dir, errp);
    if (!lab)
        return NULL;
    if ((!lock || lab_lock(lab, errp)) && lab_load(lab, errp))
        return lab;
    lab_free(lab);
    return NULL;
}

struct lab *lab_open_to_remove(const char *dir, struct error **errp) {
    struct lab *lab = lab_new(dir, errp);
    if (lab && lab_lock(lab, errp))
        return lab;
    lab_free(lab);
    return NULL;
}

unsigned lab_nodes(const struct lab *lab, struct node ret[static LAB_MAX_NODES]) {
    unsigned n = 0;
    for (unsigned i = 0; i < TOPO_N_SWITCHES; i++)
        ret[n++] = (struct node){.kind = NODE_SWITCH, .name = topo_switch_names[i], .sw = i};
    ret[n++] = (struct node){.kind = NODE_DESK, .name = TOPO_DESK};
    if (lab->has_storage)
        ret[n++] = (struct node){.kind = NODE_ARRAY, .name = TOPO_ARRAY};
    for (unsigned i = 0; i < lab->topo.n_hosts; i++)
        ret[n++] = (struct node){.kind = NODE_HOST, .name = lab->topo.hosts[i].name, .host = &lab->topo.hosts[i]};
    return n;
}

bool lab_node(const struct lab *lab, const char *name, struct node *ret, struct error **errp) {
    struct node nodes[LAB_MAX_NODES];
    unsigned n = lab_nodes(lab, nodes);
    _cleanup_buf_ struct buf names = BUF_INIT;
    for (unsigned i = 0; i < n; i++) {
        if (str_eq(nodes[i].name, name)) {
            *ret = nodes[i];
            return true;
        }
        buf_addf(&names, "%s%s", i > 0 ? ", " : "", nodes[i].name);
    }
    error_setf(errp, LAB_ERROR, "There is no '%s' in this lab; it has %s.", name, buf_str(&names));
    return false;
}

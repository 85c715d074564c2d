/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks that go to another pool or come from there: qemu-nbd serves the empty one, qemu-img fills it, over TLS with the
 * keys of pki_stream.h. Each copy has a folder of its own with what it believes: the other host's authority and nothing
 * else. The server ends with its first client, with the move, or after a day.
 *
 * Calls (arguments -> result); path, sr, vdi and format as for the store:
 *   disk_serve  path, sr, vdi, format, id (of the move), address, authority -> port
 *   disk_send   path, sr, vdi, format, id, address, port, export (the disk's uuid there), name (that the server's
 *               certificate must have), authority, mib_per_s ("" for no limit): answered when all of it is there
 *   disk_stop   id: whatever of this move is under way here ends
 *   disk_path   address, size: whether frames of that size reach it -> small, full, too_long (words: true, false)
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "loop/child.h"
#include "store/store.h"
#include "store/store_snapshot.h"
#include "vm/vm_agent_move.h"

#define LOG_MODULE "vm"
#include "base/log.h"

#define COPY_MS (24ull * 60 * 60 * 1000)
#define OUTPUT_MAX 16384
#define COPIES_MAX 64
#define PING_MS 8000

struct disk_copy {
    struct vm_agent *a;
    struct pool_reply *reply; /* of one that sends */
    char id[VM_MOVE_ID_SIZE];
    struct uuid vdi;
    char *path, *file, *folder;
    struct value args;
    struct child *child;
    bool is_stopped; /* before there was a child */
    struct error *error;
    struct disk_copy *next;
};

static void copy_free(struct disk_copy *k) {
    for (struct disk_copy **at = &k->a->disk_copies; *at; at = &(*at)->next)
        if (*at == k) {
            *at = k->next;
            break;
        }
    vm_keys_remove(k->folder);
    value_done(&k->args);
    error_free(k->error);
    free(k->path);
    free(k->file);
    free(k->folder);
    free(k);
}

void vm_disk_copies_free(struct vm_agent *a) {
    while (a->disk_copies) {
        child_cancel(TAKE(a->disk_copies->child));
        copy_free(a->disk_copies);
    }
}

/* What both kinds are told; NULL with *errp. */
static struct disk_copy *copy_new(struct vm_agent *a, const struct value *args, struct error **errp) {
    const char *id = str_or_empty(value_map_str(args, "id")), *path = str_or_empty(value_map_str(args, "path")),
               *format = str_or_empty(value_map_str(args, "format")), *address = value_map_str(args, "address");
    struct uuid vdi;
    size_t n = 0;
    for (struct disk_copy *k = a->disk_copies; k; k = k->next)
        n++;
    if (str_empty(id) || strlen(id) >= VM_MOVE_ID_SIZE || !value_map_uuid(args, "vdi", &vdi) || *path != '/' ||
        store_path_trouble(path) || str_empty(address) || strpbrk(address, ", \n") ||
        !(str_eq(format, "qcow2") || str_eq(format, "raw") || str_eq(format, "save"))) {
        error_internal(errp, "the request does not say what is to be copied");
        return NULL;
    }
    if (n >= COPIES_MAX) {
        error_internal(errp, "too many disks are being copied to or from this host");
        return NULL;
    }
    struct disk_copy *k = xnew0(struct disk_copy);
    char text[UUID_TEXT_SIZE];
    struct uuid unique = uuid_random();
    *k = (struct disk_copy){.a = a, .vdi = vdi, .path = xstrdup(path), .args = value_copy(args)};
    (void)str_copy(k->id, sizeof(k->id), id);
    k->file = store_file(path, &vdi, format);
    k->folder = strf("%s/disk-copies/%s", a->run_dir, uuid_text(&unique, text));
    k->next = a->disk_copies;
    a->disk_copies = k;
    if (vm_keys_folder(a, k->folder, str_or_empty(value_map_str(args, "authority")), errp))
        return k;
    copy_free(k);
    return NULL;
}

static const char *format_of(const struct disk_copy *k) {
    const char *format = value_map_str(&k->args, "format");
    return str_eq(format, "save") ? "raw" : format;
}

static void explain(struct error **errp, const struct child_result *r) {
    const char *text = buf_str(&r->err);
    if (strstr(text, "No space left"))
        error_set(errp, ERR_SR_FULL, "0", "0", NULL);
    else
        error_internal(errp, "%s", r->timed_out ? "no end in time" : *text ? text : "the copying program was ended");
}

/* ---- serving ---- */

/* A port that is free at this moment; 0: none. */
static unsigned free_port(const char *address) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    bool is_v6 = inet_pton(AF_INET6, address, &v6.sin6_addr) == 1;
    struct sockaddr *s = is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
    socklen_t size = is_v6 ? sizeof(v6) : sizeof(v4);
    if (!is_v6 && inet_pton(AF_INET, address, &v4.sin_addr) != 1)
        return 0;
    int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && bind(fd, s, size) == 0 && getsockname(fd, s, &size) == 0;
    if (fd >= 0)
        close(fd);
    return !ok ? 0 : ntohs(is_v6 ? v6.sin6_port : v4.sin_port);
}

static void on_served(const struct child_result *r, void *userdata) {
    struct disk_copy *k = userdata;
    char text[UUID_TEXT_SIZE];
    k->child = NULL;
    if (r->exit_code == 0)
        vm_disk_whole_note(k->a, k->id, &k->vdi, k->file);
    else
        log_warn("disk '%s', which was to come from another pool, is served no more: %s", uuid_text(&k->vdi, text),
                 r->start_error ? strerror(r->start_error) : buf_str(&r->err));
    copy_free(k);
}

bool vm_disk_is_served(const struct vm_agent *a, const char *id) {
    for (const struct disk_copy *k = a->disk_copies; k; k = k->next)
        if (!k->reply && str_eq(k->id, id))
            return true;
    return false;
}

uint64_t vm_disk_work(const struct vm_agent *a, const char *id) {
    uint64_t ticks = 0;
    for (const struct disk_copy *k = a->disk_copies; k; k = k->next)
        if (!k->reply && k->child && str_eq(k->id, id))
            ticks += 1 + child_ticks(k->child);
    return ticks;
}

void vm_serve_disk_serve(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct error *e = NULL;
    struct disk_copy *k = copy_new(a, args, &e);
    unsigned port = k ? free_port(value_map_str(args, "address")) : 0;
    if (k && !port)
        error_internal(&e, "no port can be had at the address '%s'", value_map_str(args, "address"));
    if (e) {
        if (k)
            copy_free(k);
        pool_reply_fail(reply, e);
        return;
    }
    assert(k); /* or copy_new has said why */
    char vdi[UUID_TEXT_SIZE];
    /* By its own name: whoever comes for another disk, to a port that has changed hands, does not get this one. */
    _cleanup_free_ char *object = strf("tls-creds-x509,id=t0,endpoint=server,verify-peer=yes,dir=%s", k->folder),
                        *number = strf("%u", port), *name = strf("--export-name=%s", uuid_text(&k->vdi, vdi));
    const char *const argv[] = {"qemu-nbd",
                                "--shared=1",
                                name,
                                "--cache=none",
                                "--discard=unmap",
                                "--detect-zeroes=unmap",
                                "--object",
                                object,
                                "--tls-creds=t0",
                                "-b",
                                value_map_str(args, "address"),
                                "-p",
                                number,
                                "-f",
                                format_of(k),
                                k->file,
                                NULL};
    k->child = child_run(a->loop, argv, NULL, COPY_MS, OUTPUT_MAX, on_served, k);
    struct value result = value_map();
    value_map_add(&result, "port", value_string(number));
    pool_reply_return(reply, result);
}

/* ---- sending ---- */

static void send_end(struct disk_copy *k) {
    struct pool_reply *reply = TAKE(k->reply);
    struct error *e = TAKE(k->error);
    copy_free(k);
    if (e)
        pool_reply_fail(reply, e);
    else
        pool_reply_return(reply, value_bool(true));
}

static void on_sent(const struct child_result *r, void *userdata) {
    struct disk_copy *k = userdata;
    k->child = NULL;
    if (r->start_error)
        error_errno(&k->error, -r->start_error, "running qemu-img");
    else if (r->exit_code != 0)
        explain(&k->error, r);
    send_end(k);
}

/* Its name leads to what the VM wrote last; blocking. */
static void settle_run(void *data) {
    struct disk_copy *k = data;
    (void)!store_settle(k->path, &k->vdi, &k->error);
}

static void settle_done(void *data) {
    struct disk_copy *k = data;
    if (k->a->is_freed)
        return;
    if (!k->error && k->is_stopped)
        error_internal(&k->error, "it was given up");
    if (k->error) {
        send_end(k);
        return;
    }
    const struct value *args = &k->args;
    _cleanup_free_ char *object = strf("tls-creds-x509,id=t0,endpoint=client,verify-peer=yes,dir=%s", k->folder),
                        *rate = strf("%sM", str_or_empty(value_map_str(args, "mib_per_s"))),
                        *target = strf("driver=raw,file.driver=nbd,file.server.type=inet,file.server.host=%s,"
                                       "file.server.port=%s,file.export=%s,file.tls-creds=t0,file.tls-hostname=%s,"
                                       "file.open-timeout=60",
                                       value_map_str(args, "address"), str_or_empty(value_map_str(args, "port")),
                                       str_or_empty(value_map_str(args, "export")),
                                       str_or_empty(value_map_str(args, "name")));
    /* -t: without it nobody asks the other side to write to its disk in the end. */
    const char *argv[20] = {"qemu-img",  "convert", "-q",         "-n",       "-U",  "-t",
                            "writeback", "-f",      format_of(k), "--object", object};
    size_t n = 11;
    if (!str_eq(rate, "M")) {
        argv[n++] = "-r";
        argv[n++] = rate;
    }
    argv[n++] = "--target-image-opts";
    argv[n++] = k->file;
    argv[n++] = target;
    k->child = child_run(k->a->loop, argv, NULL, COPY_MS, OUTPUT_MAX, on_sent, k);
}

void vm_serve_disk_send(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct error *e = NULL;
    const char *port = str_or_empty(value_map_str(args, "port")),
               *rate = str_or_empty(value_map_str(args, "mib_per_s"));
    struct uuid name, export;
    int64_t number;
    if (!str_parse_int(port, 1, UINT16_MAX, &number) || !value_map_uuid(args, "name", &name) ||
        !value_map_uuid(args, "export", &export) || (*rate && !str_parse_int(rate, 1, 1 << 20, &number)))
        error_internal(&e, "the request does not say where the disk is to go");
    struct disk_copy *k = e ? NULL : copy_new(a, args, &e);
    if (!k) {
        pool_reply_fail(reply, e);
        return;
    }
    k->reply = reply;
    worker_submit(a->storage, str_or_empty(value_map_str(args, "sr")), settle_run, settle_done, k);
}

void vm_serve_disk_stop(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    const char *id = str_or_empty(value_map_str(args, "id"));
    vm_disk_whole_forget(a, id);
    for (struct disk_copy *k = a->disk_copies, *next; k; k = next) {
        next = k->next;
        if (!str_eq(k->id, id))
            continue;
        k->is_stopped = true;
        if (!k->child)
            continue;
        child_cancel(TAKE(k->child));
        if (k->reply) {
            error_internal(&k->error, "it was given up");
            send_end(k);
        } else {
            copy_free(k);
        }
    }
    vm_fars_stop(a, id);
    vm_admits_stop(a, id);
    pool_reply_return(reply, value_bool(true));
}

/* ---- the way there ---- */

struct trying {
    struct vm_agent *a;
    struct pool_reply *reply;
    char *address;
    int64_t size;
    bool is_full;
    struct value result;
};

static void try(struct trying *t, int64_t size);

static void on_tried(const struct child_result *r, void *userdata) {
    struct trying *t = userdata;
    bool passes = r->exit_code == 0,
         is_local = strstr(buf_str(&r->out), "too long") || strstr(buf_str(&r->err), "too long");
    value_map_put(&t->result, t->is_full ? "full" : "small", value_string(passes ? "true" : "false"));
    value_map_put(&t->result, "too_long", value_string(is_local ? "true" : "false"));
    if (!t->is_full && passes) {
        t->is_full = true;
        try(t, t->size);
        return;
    }
    if (t->a->is_freed)
        value_done(&t->result);
    else
        pool_reply_return(t->reply, value_take(&t->result));
    free(t->address);
    free(t);
}

static void try(struct trying *t, int64_t size) {
    int64_t headers = strchr(t->address, ':') ? 48 : 28; /* of IP and ICMP */
    _cleanup_free_ char *payload = strf("%lld", (long long)MAX(size - headers, (int64_t)0));
    const char *const argv[] = {"ping", "-n", "-q", "-c", "3",     "-i", "0.3",      "-W",
                                "1",    "-M", "do", "-s", payload, "--", t->address, NULL};
    (void)child_run(t->a->loop, argv, NULL, PING_MS, OUTPUT_MAX, on_tried, t);
}

void vm_serve_disk_path(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct trying *t = xnew0(struct trying);
    const struct value *size = value_map_get(args, "size");
    *t = (struct trying){.a = userdata,
                         .reply = reply,
                         .address = xstrdup(str_or_empty(value_map_str(args, "address"))),
                         .size = MIN(MAX(size ? value_as_int(size) : 0, (int64_t)576), (int64_t)65535),
                         .result = value_map()};
    try(t, 100);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VM that goes to another pool consists of. Of one that runs nowhere, the disks: for each, the other pool is
 * asked to serve the empty one, and a host here that has the disk sends it there. One that runs is sent by its host as
 * a whole, once the other pool serves all disks and takes its memory. Meanwhile the other pool is asked again and again
 * whether it still waits: when it does not answer any more, the copy is given up.
 */
#include "api/session.h"
#include "base/str.h"
#include "classes/class_calls.h"
#include "classes/class_vm_pools_leave.h"
#include "classes/store_calls.h"
#include "classes/vm_spec.h"

#define OPEN_MS 20000
#define OPEN_MEMORY_MS 100000 /* a QEMU is started there */
#define COPY_MS (24 * 60 * 60 * 1000)
#define STATUS_EVERY_MS 3000
#define STATUS_MS 5000
#define QUIET_MS 25000 /* without an answer of the other pool */
#define STOP_MS 10000

struct pools_copy {
    size_t next; /* disk of the request */
    struct uuid host;
    struct loop_source *watch;
    bool is_sending, is_asking, is_stopping;
    struct value ports; /* of one that runs: of memory ("memory") and disks, by their uuids here */
    uint64_t heard_ms;
};

static void next_disk(struct leave *l);

static const struct value *disks_of(const struct leave *l) {
    return value_map_get(&l->request, "disks");
}

static const struct row *disk_row(struct leave *l, const struct value *disk, const struct row **ret_host,
                                  struct error **errp) {
    struct db *d = api_db(l->api);
    struct uuid u;
    const char *from = str_or_empty(value_map_str(disk, "from"));
    const struct row *vdi = uuid_parse(from, &u) ? db_get(d, CLASS_VDI, &u) : NULL,
                     *sr = vdi ? db_follow(d, vdi, FIELD_VDI_SR) : NULL;
    if (!sr) {
        error_set(errp, ERR_HANDLE_INVALID, "VDI", from, NULL);
        return NULL;
    }
    *ret_host = store_host(l->api, sr, errp);
    return *ret_host ? vdi : NULL;
}

const struct row *pools_leave_host(struct leave *l, struct error **errp) {
    const struct value *disks = disks_of(l);
    const struct row *host = NULL;
    char ref[REF_TEXT_SIZE];
    if (l->is_live) {
        host = db_get(api_db(l->api), CLASS_host, &l->host);
        if (!host)
            error_set(errp, ERR_HANDLE_INVALID, "host", ref_text(&l->host, ref), NULL);
    } else if (!disks || disks->set.n == 0)
        host = db_get(api_db(l->api), CLASS_host, api_own_host(l->api));
    else
        (void)disk_row(l, &disks->set.items[0], &host, errp);
    return host;
}

void pools_copy_free(struct pools_copy *k) {
    if (!k)
        return;
    loop_source_free(k->watch);
    value_done(&k->ports);
    free(k);
}

void pools_copy_stop(struct leave *l) {
    const struct api_hooks *h = api_hooks(l->api);
    struct pools_copy *k = l->copy;
    if (!k || !k->is_sending || k->is_stopping)
        return;
    struct value args = value_map();
    k->is_stopping = true;
    value_map_add(&args, "id", value_string(l->id));
    h->host_ask(h->userdata, &k->host, "disk_stop", args, STOP_MS, class_ask_ignored, NULL);
}

/* One call at a time: what the watch has asked is not waited for. */
static void hang_up(struct leave *l) {
    if (!l->copy->is_asking)
        return;
    l->copy->is_asking = false;
    pools_remote_free(l->remote);
    l->remote = pools_remote_new(l->api, l->dest.master, l->dest.authority);
}

static void end(struct leave *l, struct error *e /* taken; NULL */) {
    hang_up(l);
    pools_copy_free(TAKE(l->copy));
    if (e)
        pools_leave_fail(l, e);
    else if (!l->has_failed)
        l->is_copied = true;
    pools_leave_go_on(l, 0);
}

/* ---- the other pool, meanwhile ---- */

static void on_status(const struct value *result, const struct error *error, void *userdata) {
    struct leave *l = userdata;
    struct pools_copy *k = l->copy;
    uint64_t now = loop_now_ms(api_loop(l->api));
    k->is_asking = false;
    if (!error && result->type == VALUE_MAP) {
        k->heard_ms = now;
        if (pools_peer_of(str_or_empty(value_map_str(result, "is"))) == POOLS_PEER_NONE) {
            pools_leave_fail(l, pools_leave_error(l, "the other pool has given it up"));
            pools_copy_stop(l);
        }
    } else if (now - k->heard_ms > QUIET_MS) {
        pools_leave_fail_remote(l, error);
        pools_copy_stop(l);
    }
}

/* Of one that runs, as its host reports it. */
static void show_progress(struct leave *l) {
    const struct row *vm = l->is_live ? db_get(api_db(l->api), CLASS_VM, &l->vm) : NULL;
    const struct value *report = vm ? row_value(vm, FIELD_VM_migration_report) : NULL;
    int64_t processed, remaining;
    if (l->op && report && str_eq(str_or_empty(value_map_str(report, "id")), l->id) &&
        str_parse_int(str_or_empty(value_map_str(report, "processed")), 1, INT64_MAX / 4, &processed) &&
        str_parse_int(str_or_empty(value_map_str(report, "remaining")), 0, INT64_MAX / 4, &remaining))
        call_set_progress(vm_op_call(l->op), 0.05 + 0.9 * (double)processed / (double)(processed + remaining));
}

static void on_watch(struct loop_source *s, void *userdata) {
    struct leave *l = userdata;
    struct pools_copy *k = l->copy;
    loop_timer_set(k->watch, STATUS_EVERY_MS);
    show_progress(l);
    if (!k->is_sending || k->is_asking || k->is_stopping)
        return;
    k->is_asking = true;
    pools_remote_call(l->remote, "VM.migrate_settle", pools_leave_words(l, "status", ""), STATUS_MS, on_status, l);
}

/* ---- one disk ---- */

static void on_sent(struct error *error, const struct value *result, void *data) {
    struct leave *l = data;
    struct pools_copy *k = l->copy;
    k->is_sending = false;
    if (error) {
        _cleanup_free_ char *why = strf("%s could not be copied: %s", l->is_live ? "it" : "a disk", error_text(error));
        bool is_said = error_is(error, ERR_SR_FULL) || error_is(error, ERR_TOO_MANY_STORAGE_MIGRATES);
        end(l, is_said ? error_dup(error) : pools_leave_error(l, why));
        return;
    }
    if (l->is_live) {
        end(l, NULL);
        return;
    }
    k->next++;
    next_disk(l);
}

static void on_open(const struct value *result, const struct error *error, void *userdata) {
    struct leave *l = userdata;
    const struct api_hooks *h = api_hooks(l->api);
    const struct value *disk = &disks_of(l)->set.items[l->copy->next];
    const struct row *host = NULL, *vdi = NULL;
    struct error *e = NULL;
    const char *port = error || result->type != VALUE_MAP ? "" : str_or_empty(value_map_str(result, "port"));
    if (error) {
        pools_leave_fail_remote(l, error);
        end(l, NULL);
        return;
    }
    if (!*port || l->has_failed) {
        end(l, pools_leave_error(l, "the other pool does not serve a disk"));
        return;
    }
    vdi = disk_row(l, disk, &host, &e);
    if (!vdi) {
        end(l, e);
        return;
    }
    struct value args = store_disk_args(api_db(l->api), "", vdi, &host->uuid);
    struct uuid there = {0};
    char name[UUID_TEXT_SIZE];
    (void)!ref_parse(l->dest.host, &there);
    value_map_add(&args, "id", value_string(l->id));
    value_map_add(&args, "address", value_string(l->dest.address));
    value_map_add(&args, "port", value_string(port));
    value_map_add(&args, "export",
                  value_string(str_or_empty(value_map_str(&l->answer, str_or_empty(value_map_str(disk, "from"))))));
    value_map_add(&args, "name", value_string(uuid_text(&there, name)));
    value_map_add(&args, "authority", value_string(str_or_empty(value_map_str(&l->answer, "authority"))));
    value_map_add(&args, "mib_per_s", value_string(str_or_empty(value_map_str(&l->request, "mib_per_s"))));
    l->copy->host = host->uuid;
    l->copy->is_sending = true;
    l->copy->heard_ms = loop_now_ms(api_loop(l->api));
    h->host_ask(h->userdata, &host->uuid, "disk_send", args, COPY_MS, on_sent, l);
}

/* ---- one that runs ---- */

static void open_next(struct leave *l);

/* Its disks by their names in the guest, with the ports there. */
static struct value live_disks(struct leave *l) {
    const struct value *vbds = value_map_get(&l->request, "vbds");
    struct value disks = value_set();
    for (size_t i = 0; vbds && i < vbds->set.n; i++) {
        const char *disk = str_or_empty(value_map_str(&vbds->set.items[i], "disk")),
                   *port = value_map_str(&l->copy->ports, disk);
        int64_t number;
        if (!port || !str_parse_int(port, 1, UINT16_MAX, &number))
            continue;
        struct value v = value_map();
        value_map_add(&v, "device", value_string(str_or_empty(value_map_str(&vbds->set.items[i], "device"))));
        value_map_add(&v, "name", value_string(str_or_empty(value_map_str(&l->answer, disk))));
        value_map_add(&v, "port", value_int(number));
        value_set_add(&disks, v);
    }
    return disks;
}

static int64_t number_of(const struct value *map, const char *key, int64_t max) {
    int64_t n;
    return str_parse_int(str_or_empty(value_map_str(map, key)), 0, max, &n) ? n : 0;
}

static void send_live(struct leave *l) {
    const struct api_hooks *h = api_hooks(l->api);
    struct pools_copy *k = l->copy;
    struct value args = value_map();
    struct uuid there = {0};
    char text[UUID_TEXT_SIZE];
    (void)!ref_parse(l->dest.host, &there);
    value_map_add(&args, "vm", value_string(uuid_text(&l->vm, text)));
    value_map_add(&args, "id", value_string(l->id));
    value_map_add(&args, "address", value_string(l->dest.address));
    value_map_add(&args, "name", value_string(uuid_text(&there, text)));
    value_map_add(&args, "authority", value_string(str_or_empty(value_map_str(&l->answer, "authority"))));
    value_map_add(&args, "memory_port", value_int(number_of(&k->ports, "memory", UINT16_MAX)));
    value_map_add(&args, "disks", live_disks(l));
    value_map_add(&args, "mib_per_s", value_int(number_of(&l->request, "mib_per_s", 1 << 20)));
    value_map_add(&args, "stall_ms", value_int(1000 * number_of(&l->request, "stall_s", 3600)));
    k->host = l->host;
    k->is_sending = true;
    k->heard_ms = loop_now_ms(api_loop(l->api));
    h->host_ask(h->userdata, &l->host, "vm_far_send", args, COPY_MS, on_sent, l);
}

static const char *opened_now(struct leave *l) {
    const struct value *disks = disks_of(l);
    return l->copy->next == 0 ? "memory" : str_or_empty(value_map_str(&disks->set.items[l->copy->next - 1], "from"));
}

static void on_live_open(const struct value *result, const struct error *error, void *userdata) {
    struct leave *l = userdata;
    const char *port = error || result->type != VALUE_MAP ? "" : str_or_empty(value_map_str(result, "port"));
    if (error) {
        pools_leave_fail_remote(l, error);
        end(l, NULL);
    } else if (!*port) {
        end(l, pools_leave_error(l, "the other pool does not take its memory and disks"));
    } else {
        value_map_put(&l->copy->ports, opened_now(l), value_string(port));
        l->copy->next++;
        open_next(l);
    }
}

/* Memory first: then a QEMU stands there, or it is said why not, before anything is copied. */
static void open_next(struct leave *l) {
    struct pools_copy *k = l->copy;
    const struct value *disks = disks_of(l);
    const char *from = k->next <= disks->set.n ? opened_now(l) : "";
    hang_up(l);
    if (l->has_failed)
        end(l, NULL);
    else if (k->next > disks->set.n)
        send_live(l);
    else
        pools_remote_call(
            l->remote, "VM.migrate_settle",
            pools_leave_words(l, "open", k->next == 0 ? "memory" : str_or_empty(value_map_str(&l->answer, from))),
            k->next == 0 ? OPEN_MEMORY_MS : OPEN_MS, on_live_open, l);
}

/* ---- one that runs nowhere ---- */

static void next_disk(struct leave *l) {
    struct pools_copy *k = l->copy;
    const struct value *disks = disks_of(l);
    hang_up(l);
    if (l->has_failed || !disks || k->next >= disks->set.n) {
        end(l, NULL);
        return;
    }
    if (l->op)
        call_set_progress(vm_op_call(l->op), 0.05 + 0.9 * (double)k->next / (double)disks->set.n);
    const char *from = str_or_empty(value_map_str(&disks->set.items[k->next], "from")),
               *to = str_or_empty(value_map_str(&l->answer, from));
    pools_remote_call(l->remote, "VM.migrate_settle", pools_leave_words(l, "open", to), OPEN_MS, on_open, l);
}

void pools_leave_copy(struct leave *l) {
    l->copy = xnew0(struct pools_copy);
    l->copy->watch = loop_add_timer(api_loop(l->api), STATUS_EVERY_MS, on_watch, l);
    l->copy->ports = value_map();
    if (l->is_live)
        open_next(l);
    else
        next_disk(l);
}

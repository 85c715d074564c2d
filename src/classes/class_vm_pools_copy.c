/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disks of a VM that goes to another pool: for each, the other pool is asked to serve the empty one, and a host
 * here that has the disk sends it there. Meanwhile the other pool is asked again and again whether it still waits:
 * when it does not answer any more, the copy is given up.
 */
#include "api/session.h"
#include "base/str.h"
#include "classes/class_calls.h"
#include "classes/class_vm_pools_leave.h"
#include "classes/store_calls.h"
#include "classes/vm_spec.h"

#define OPEN_MS 20000
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
    if (!disks || disks->set.n == 0)
        host = db_get(api_db(l->api), CLASS_host, api_own_host(l->api));
    else
        (void)disk_row(l, &disks->set.items[0], &host, errp);
    return host;
}

void pools_copy_free(struct pools_copy *k) {
    if (!k)
        return;
    loop_source_free(k->watch);
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

static void on_watch(struct loop_source *s, void *userdata) {
    struct leave *l = userdata;
    struct pools_copy *k = l->copy;
    loop_timer_set(k->watch, STATUS_EVERY_MS);
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
        _cleanup_free_ char *why = strf("a disk could not be copied: %s", error_text(error));
        end(l, error_is(error, ERR_SR_FULL) ? error_dup(error) : pools_leave_error(l, why));
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
    next_disk(l);
}

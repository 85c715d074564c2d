/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/vm_lock.h"

#include <inttypes.h>

#include "base/str.h"
#include "loop/child.h"
#include "vm/vm_lock_core.h"

#define LOG_MODULE "vm"
#include "base/log.h"

#define SWITCH_MS 10000
#define OUTPUT_MAX (1 << 20)
#define SOON_MS 50

struct vm_lock { /* an interface that the switch restrains, or was restrained lately */
    struct vm_locks *all;
    struct uuid vif, vm;
    struct value wanted; /* what is in force, or is being put in force */
    bool in_force, is_busy, is_seen, was_told;
    struct vm_lock *next;
};

struct vm_locks {
    struct vm_agent *a;
    struct worker *worker; /* of its own: a switch that hangs must not hold up storage */
    struct loop_source *soon;
    struct db_watch *watches[3];
    struct vm_lock *first;
    bool is_freed;
};

/* ---- the switch; worker thread ---- */

struct job {
    struct vm_locks *all;
    struct pool_reply *reply; /* of a call; NULL: a look */
    struct uuid vm;
    struct value wanted;
    bool only_if_missing, was_there;
    struct error *error;
};

static bool run(const char *const argv[], const char *input, struct buf *out, struct error **errp) {
    struct child_result r;
    int started = child_run_sync(argv, input, SWITCH_MS, OUTPUT_MAX, &r);
    if (started < 0) {
        error_errno(errp, started, "running '%s'", argv[0]);
        return false;
    }
    bool ok = r.exit_code == 0;
    if (ok)
        buf_add(out, r.out.data, r.out.size);
    else
        error_internal(errp, "the switch refused (%s): %s", argv[1], buf_str(&r.err));
    child_result_done(&r);
    return ok;
}

static void cut_line(struct buf *b) {
    buf_add_str(b, "");
    if (b->size > 0)
        b->data[strcspn(b->data, "\n")] = '\0';
}

/* The port of an interface, and the bridge that has it; a bridge that is only a VLAN of another has no flows itself. */
static bool find_port(const char *vif, int64_t *ret_port, struct buf *bridge, struct error **errp) {
    _cleanup_free_ char *which = strf("external_ids:iface-id=%s", vif);
    const char *const find[] = {"ovs-vsctl", "--timeout=5", "--bare", "--columns=name,ofport",
                                "find",      "interface",   which,    NULL};
    _cleanup_buf_ struct buf out = BUF_INIT, own = BUF_INIT;
    if (!run(find, NULL, &out, errp))
        return false;
    char *name = out.data, *port = name ? strchr(name, '\n') : NULL;
    if (port) {
        *port++ = '\0';
        port[strcspn(port, "\n")] = '\0';
    }
    if (!port || !str_parse_int(port, 1, 65535, ret_port)) {
        error_internal(errp, "the switch has no port of interface '%s'", vif);
        return false;
    }
    const char *const of[] = {"ovs-vsctl", "--timeout=5", "iface-to-br", name, NULL};
    if (!run(of, NULL, &own, errp))
        return false;
    cut_line(&own);
    const char *const parent[] = {"ovs-vsctl", "--timeout=5", "br-to-parent", buf_str(&own), NULL};
    if (!run(parent, NULL, bridge, errp))
        return false;
    cut_line(bridge);
    return true;
}

static bool has_flows(const char *bridge, const char *vif, unsigned n, int64_t port) {
    _cleanup_free_ char *which = strf("cookie=0x%" PRIx64 "/-1", vm_lock_cookie(vif)),
                        *mark = strf("in_port=%" PRId64, port);
    const char *const dump[] = {"ovs-ofctl", "--no-names", "--no-stats", "dump-flows", bridge, which, NULL};
    _cleanup_buf_ struct buf out = BUF_INIT;
    _cleanup_error_ struct error *e = NULL;
    unsigned found = 0;
    if (!run(dump, NULL, &out, &e))
        return false;
    for (const char *p = buf_str(&out); (p = strstr(p, mark)); p += strlen(mark))
        found += p[strlen(mark)] == ' ' || p[strlen(mark)] == ',' || p[strlen(mark)] == '\n';
    return found == n;
}

static void apply(void *data) {
    struct job *j = data;
    const char *vif = str_or_empty(value_map_str(&j->wanted, "vif"));
    _cleanup_buf_ struct buf bridge = BUF_INIT, out = BUF_INIT;
    int64_t port;
    unsigned n;
    if (!find_port(vif, &port, &bridge, &j->error))
        return;
    _cleanup_free_ char *flows = vm_lock_flows(&j->wanted, port, &n);
    j->was_there = j->only_if_missing && has_flows(bridge.data, vif, n, port);
    if (j->was_there)
        return;
    const char *const put[] = {"ovs-ofctl", "-OOpenFlow14", "--bundle", "add-flows", bridge.data, "-", NULL};
    (void)!run(put, flows, &out, &j->error);
}

/* ---- the loop's side ---- */

static struct vm_lock *lock_of(struct vm_locks *l, const struct uuid *vif) {
    struct vm_lock *k = l->first;
    while (k && !uuid_eq(&k->vif, vif))
        k = k->next;
    return k;
}

static const char *mode_of(const struct value *lock) {
    return str_or_empty(value_map_str(lock, "lock"));
}

static void job_free(struct job *j) {
    value_done(&j->wanted);
    error_free(j->error);
    free(j);
}

static void on_link(struct error *error, const struct virt_domain *domain, void *userdata) {
    struct job *j = userdata;
    if (j->all->is_freed) {
        job_free(j);
        return;
    }
    if (error && !j->error)
        j->error = error_dup(error);
    struct uuid vif;
    struct vm_lock *k = value_map_uuid(&j->wanted, "vif", &vif) ? lock_of(j->all, &vif) : NULL;
    if (k && !j->reply) {
        k->is_busy = false;
        if (j->error && !k->was_told)
            log_warn("an interface of a VM has no link until its lock is in the switch: %s", error_text(j->error));
        k->was_told = j->error != NULL;
        k->in_force = !j->error && value_equal(&k->wanted, &j->wanted);
    }
    if (j->reply && j->error)
        pool_reply_fail(j->reply, TAKE(j->error));
    else if (j->reply)
        pool_reply_return(j->reply, value_bool(true));
    job_free(j);
}

static void applied(void *data) {
    struct job *j = data;
    bool is_up = !j->error && !str_eq(mode_of(&j->wanted), "disabled");
    if (j->all->is_freed) {
        job_free(j);
        return;
    }
    if (j->was_there) {
        on_link(NULL, NULL, j);
        return;
    }
    struct virt_request r = {.op = VIRT_LINK,
                             .vm = j->vm,
                             .path = xstrdup(str_or_empty(value_map_str(&j->wanted, "mac"))),
                             .paused = !is_up};
    virt_ask(j->all->a->virt, r, on_link, j);
}

static void submit(struct vm_locks *l, struct job *j) {
    worker_submit(l->worker, str_or_empty(value_map_str(&j->wanted, "vif")), apply, applied, j);
}

/* ---- what the rows want ---- */

static const char *mode_wanted(struct db *d, const struct row *vif) {
    const char *mode = row_str(vif, FIELD_VIF_locking_mode);
    const struct row *network = db_follow(d, vif, FIELD_VIF_network);
    if (str_eq(mode, "network_default"))
        mode = network ? row_str(network, FIELD_network_default_locking_mode) : "";
    return *mode ? mode : "unlocked";
}

static struct value wanted_of(struct db *d, const struct row *vif) {
    struct value v = value_map();
    value_map_add(&v, "vif", value_string(row_str(vif, FIELD_VIF_uuid)));
    value_map_add(&v, "mac", value_string(row_str(vif, FIELD_VIF_MAC)));
    value_map_add(&v, "lock", value_string(mode_wanted(d, vif)));
    value_map_add(&v, "v4", value_copy(row_value(vif, FIELD_VIF_ipv4_allowed)));
    value_map_add(&v, "v6", value_copy(row_value(vif, FIELD_VIF_ipv6_allowed)));
    return v;
}

static void look_at(struct vm_locks *l, const struct row *vif, const struct row *vm) {
    struct vm_lock *k = lock_of(l, &vif->uuid);
    if (!k && str_eq(mode_wanted(l->a->db, vif), "unlocked"))
        return;
    struct value wanted = wanted_of(l->a->db, vif);
    if (!k) {
        k = xnew0(struct vm_lock);
        k->all = l;
        k->vif = vif->uuid;
        k->next = l->first;
        l->first = k;
    }
    k->is_seen = true;
    if (k->is_busy || (k->in_force && str_eq(mode_of(&wanted), "unlocked") && value_equal(&k->wanted, &wanted))) {
        value_done(&wanted);
        return;
    }
    struct job *j = xnew0(struct job);
    *j = (struct job){.all = l,
                      .vm = vm->uuid,
                      .wanted = value_copy(&wanted),
                      .only_if_missing = k->in_force && value_equal(&k->wanted, &wanted)};
    value_done(&k->wanted);
    k->wanted = wanted;
    k->vm = vm->uuid;
    k->is_busy = true;
    submit(l, j);
}

void vm_locks_look(struct vm_locks *l) {
    struct db *d = l->a->db;
    if (!db_get_status(d).loaded || !virt_is_up(l->a->virt))
        return;
    for (struct vm_lock *k = l->first; k; k = k->next)
        k->is_seen = false;
    for (const struct row *vif = db_first(d, CLASS_VIF); vif; vif = db_next(d, vif)) {
        const struct row *vm = row_bool(vif, FIELD_VIF_currently_attached) ? db_follow(d, vif, FIELD_VIF_VM) : NULL;
        if (vm && uuid_eq(row_ref(vm, FIELD_VM_resident_on), &l->a->self) && !vm_agent_is_busy(l->a, &vm->uuid))
            look_at(l, vif, vm);
        else if (vm && lock_of(l, &vif->uuid))
            lock_of(l, &vif->uuid)->is_seen = true;
    }
    for (struct vm_lock **at = &l->first; *at;) {
        struct vm_lock *k = *at;
        if (k->is_seen || k->is_busy) {
            at = &k->next;
            continue;
        }
        *at = k->next; /* unplugged, with its port and what the switch had of it */
        value_done(&k->wanted);
        free(k);
    }
}

static void on_soon(struct loop_source *s, void *userdata) {
    vm_locks_look(userdata);
}

static void on_row(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    struct vm_locks *l = userdata;
    if (!loop_timer_armed(l->soon))
        loop_timer_set(l->soon, SOON_MS);
}

void vm_serve_lock(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct job *j = xnew0(struct job);
    struct error *e = NULL;
    struct uuid vif;
    *j = (struct job){.all = a->locks, .reply = reply};
    const struct value *lock = value_map_get(args, "lock");
    if (vm_args_vm(args, &j->vm, &e) && lock && lock->type == VALUE_MAP && value_map_uuid(lock, "vif", &vif)) {
        j->wanted = value_copy(lock);
        submit(a->locks, j);
        return;
    }
    if (!e)
        error_internal(&e, "the request names no interface");
    pool_reply_fail(reply, e);
    free(j);
}

struct vm_locks *vm_locks_new(struct vm_agent *a) {
    static const int classes[] = {CLASS_VIF, CLASS_network, CLASS_VM};
    struct vm_locks *l = xnew0(struct vm_locks);
    *l = (struct vm_locks){.a = a, .worker = worker_new(a->loop, 1)};
    l->soon = loop_add_timer(a->loop, LOOP_NEVER, on_soon, l);
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
        l->watches[i] = db_watch_add(a->db, classes[i], on_row, l);
    return l;
}

void vm_locks_stop(struct vm_locks *l) {
    l->is_freed = true;
    for (size_t i = 0; i < ARRAY_SIZE(l->watches); i++)
        db_watch_free(l->watches[i]);
    loop_source_free(l->soon);
    worker_free(l->worker);
}

void vm_locks_free(struct vm_locks *l) {
    while (l->first) {
        struct vm_lock *k = l->first;
        l->first = k->next;
        value_done(&k->wanted);
        free(k);
    }
    free(l);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/control_domain.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

#define PROC_FILE_MAX (1 << 20)
#define MEMORY_STEP (16ll << 20)

struct memory { /* bytes */
    int64_t total, available;
};

/* The number after `key` in a file in the manner of /proc/meminfo and /proc/stat; 0 when it is not there. */
static int64_t read_number(const char *text, const char *key) {
    long long n = 0;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (str_starts(line, key) && sscanf(line + strlen(key), " %lld", &n) == 1)
            return n;
    }
    return 0;
}

static int64_t read_file_number(const char *path, const char *key) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    return fs_read(path, PROC_FILE_MAX, &text) == 0 ? read_number(buf_str(&text), key) : 0;
}

static struct memory read_memory(void) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (fs_read("/proc/meminfo", PROC_FILE_MAX, &text) < 0)
        return (struct memory){0};
    return (struct memory){.total = read_number(buf_str(&text), "MemTotal:") * 1024,
                           .available = read_number(buf_str(&text), "MemAvailable:") * 1024};
}

static struct uuid vm_of(const struct uuid *host) {
    return db_companion_uuid(host, "control domain");
}

/* `vm` is NULL when the row is being made. */
static void put(struct db_txn *t, const struct row *vm, const struct uuid *uuid, unsigned field, struct value v) {
    if (vm && value_equal(row_value(vm, field), &v))
        value_done(&v);
    else
        db_txn_set(t, CLASS_VM, uuid, field, v);
}

static void insert(struct db_txn *t, const struct uuid *uuid, const struct row *host) {
    static const unsigned after[] = {FIELD_VM_actions_after_shutdown, FIELD_VM_actions_after_reboot,
                                     FIELD_VM_actions_after_crash};
    db_txn_insert(t, CLASS_VM, uuid);
    db_txn_set(t, CLASS_VM, uuid, FIELD_VM_name_label,
               value_stringf("Control domain on host: %s", row_str(host, FIELD_host_name_label)));
    db_txn_set(t, CLASS_VM, uuid, FIELD_VM_name_description,
               value_string("The host's own operating system; not a virtual machine."));
    db_txn_set(t, CLASS_VM, uuid, FIELD_VM_is_control_domain, value_bool(true));
    db_txn_set(t, CLASS_VM, uuid, FIELD_VM_power_state, value_string("Running"));
    for (size_t i = 0; i < ARRAY_SIZE(after); i++)
        db_txn_set(t, CLASS_VM, uuid, after[i], value_string("destroy"));
}

void control_domain_write(struct db *d, const struct uuid *self, struct db_txn *t) {
    const struct row *host = db_get(d, CLASS_host, self);
    if (!host)
        return;
    struct uuid uuid = vm_of(self);
    const struct row *vm = db_get(d, CLASS_VM, &uuid);
    if (!vm)
        insert(t, &uuid, host);
    struct memory memory = read_memory();
    long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
    put(t, vm, &uuid, FIELD_VM_resident_on, value_ref(self));
    put(t, vm, &uuid, FIELD_VM_memory_target, value_int(memory.total));
    put(t, vm, &uuid, FIELD_VM_memory_static_max, value_int(memory.total));
    put(t, vm, &uuid, FIELD_VM_memory_dynamic_max, value_int(memory.total));
    put(t, vm, &uuid, FIELD_VM_VCPUs_max, value_int(n_cpus));
    put(t, vm, &uuid, FIELD_VM_VCPUs_at_startup, value_int(n_cpus));
    if (!uuid_eq(row_ref(host, FIELD_host_control_domain), &uuid))
        db_txn_set(t, CLASS_host, self, FIELD_host_control_domain, value_ref(&uuid));
}

static void measure_vm(struct db *d, const struct uuid *self, const struct memory *memory) {
    struct uuid vm = vm_of(self);
    const struct row *r = db_get(d, CLASS_VM, &vm);
    if (!r)
        return;
    const struct uuid *metrics = row_ref(r, FIELD_VM_metrics);
    struct value state = value_set();
    value_set_add(&state, value_string("running"));
    db_volatile_set(d, self, CLASS_VM, &vm, FIELD_VM_domid, value_int(0));
    db_volatile_put(d, self, CLASS_VM_metrics, metrics);
    db_volatile_set(d, self, CLASS_VM_metrics, metrics, FIELD_VM_metrics_memory_actual,
                    value_int((memory->total - memory->available) / MEMORY_STEP * MEMORY_STEP));
    db_volatile_set(d, self, CLASS_VM_metrics, metrics, FIELD_VM_metrics_VCPUs_number,
                    value_int(sysconf(_SC_NPROCESSORS_ONLN)));
    db_volatile_set(d, self, CLASS_VM_metrics, metrics, FIELD_VM_metrics_state, state);
    db_volatile_set(d, self, CLASS_VM_metrics, metrics, FIELD_VM_metrics_start_time,
                    value_time(read_file_number("/proc/stat", "btime")));
}

void control_domain_metrics(struct db *d, const struct uuid *self) {
    const struct row *host = db_get(d, CLASS_host, self);
    if (!host)
        return;
    struct memory memory = read_memory();
    struct uuid metrics = *row_ref(host, FIELD_host_metrics);
    db_volatile_put(d, self, CLASS_host_metrics, &metrics);
    db_volatile_set(d, self, CLASS_host_metrics, &metrics, FIELD_host_metrics_memory_total, value_int(memory.total));
    db_volatile_set(d, self, CLASS_host_metrics, &metrics, FIELD_host_metrics_memory_free,
                    value_int(memory.available / MEMORY_STEP * MEMORY_STEP));
    measure_vm(d, self, &memory);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/virt_machine_core.h"

#include "base/str.h"
#include "model/model.h"

#define SLOT "slot "
#define SERIAL "serial "
#define SLOT_MAX 31
#define SERIAL_MAX 20 /* what virtio has room for */
#define WORD_MAX 64
#define FEATURES_MAX 8192

/* ---- out of libvirt's text, which is regular: attributes in single quotes, a tag on one line ---- */

struct piece {
    const char *at, *end;
};

static bool find(const char *from, const char *end, const char *open, const char *close, struct piece *ret) {
    const char *at = memmem(from, (size_t)(end - from), open, strlen(open));
    const char *stop = at ? memmem(at, (size_t)(end - at), close, strlen(close)) : NULL;
    if (!stop)
        return false;
    *ret = (struct piece){at, stop};
    return true;
}

/* An attribute of the first such tag in the piece; NULL when there is none. The caller frees. */
static char *attribute(const struct piece *p, const char *tag, const char *name) {
    _cleanup_free_ char *open = strf("<%s ", tag), *key = strf(" %s='", name);
    struct piece t, v;
    if (!find(p->at, p->end, open, ">", &t) || !find(t.at, t.end, key, "'", &v))
        return NULL;
    const char *text = v.at + strlen(key), *quote = memchr(text, '\'', (size_t)(t.end - text));
    return quote ? xstrndup(text, (size_t)(quote - text)) : NULL;
}

/* False with *errp when it lies elsewhere than on the one bus. */
static bool put_slot(struct value *machine, const struct piece *device, const char *key, struct error **errp) {
    _cleanup_free_ char *type = attribute(device, "address", "type"), *bus = attribute(device, "address", "bus"),
                        *slot = attribute(device, "address", "slot"),
                        *function = attribute(device, "address", "function"), *name = strf(SLOT "%s", key);
    if (!type || !str_eq(type, "pci"))
        return true;
    char *end = NULL;
    unsigned long n = slot ? strtoul(slot, &end, 0) : 0;
    if (!bus || !str_eq(bus, "0x00") || !function || !str_eq(function, "0x0") || !slot || *end || n < 1 ||
        n > SLOT_MAX) {
        error_internal(errp, "a device of the VM (%s) lies where no other host can have it", key);
        return false;
    }
    value_map_put(machine, name, value_stringf("%lu", n));
    return true;
}

/* By which the guest tells its disks apart. */
static void put_serials(struct value *machine, const char *xml) {
    static const char open[] = "<serial>";
    const char *end = xml + strlen(xml);
    struct piece d, s;
    for (const char *from = xml; find(from, end, "<disk ", "</disk>", &d); from = d.end) {
        _cleanup_free_ char *device = attribute(&d, "target", "dev"), *key = device ? strf(SERIAL "%s", device) : NULL;
        if (key && find(d.at, d.end, open, "</serial>", &s))
            value_map_put(machine, key,
                          value_string_take(xstrndup(s.at + strlen(open), (size_t)(s.end - s.at) - strlen(open))));
    }
}

static bool put_each(struct value *machine, const char *xml, const char *open, const char *close, const char *tag,
                     const char *attribute_name, struct error **errp) {
    const char *end = xml + strlen(xml);
    struct piece d;
    for (const char *from = xml; find(from, end, open, close, &d); from = d.end) {
        _cleanup_free_ char *key = attribute(&d, tag, attribute_name);
        if (!key)
            error_internal(errp, "a device of the VM has no name");
        if (!key || !put_slot(machine, &d, key, errp))
            return false;
    }
    return true;
}

static bool put_one(struct value *machine, const char *xml, const char *open, const char *close, const char *key,
                    struct error **errp) {
    struct piece d;
    return !find(xml, xml + strlen(xml), open, close, &d) || put_slot(machine, &d, key, errp);
}

static void put_cpu(struct value *machine, const char *xml) {
    struct piece cpu, model;
    _cleanup_buf_ struct buf features = BUF_INIT;
    if (!find(xml, xml + strlen(xml), "<cpu ", "</cpu>", &cpu) || !find(cpu.at, cpu.end, "<model", "</model>", &model))
        return;
    const char *text = memchr(model.at, '>', (size_t)(model.end - model.at));
    if (!text)
        return;
    for (struct piece f = {cpu.at, cpu.at}; find(f.end, cpu.end, "<feature ", "/>", &f);) {
        const struct piece one = {f.at, f.end + 2};
        _cleanup_free_ char *policy = attribute(&one, "feature", "policy"), *name = attribute(&one, "feature", "name");
        if (policy && name)
            buf_addf(&features, "%s%s%s", features.size ? " " : "", str_eq(policy, "disable") ? "-" : "+", name);
    }
    value_map_put(machine, "cpu", value_string_take(xstrndup(text + 1, (size_t)(model.end - text - 1))));
    value_map_put(machine, "features", value_string(buf_str(&features)));
}

struct value virt_machine_of(const char *xml, struct error **errp) {
    struct value machine = value_map();
    const struct piece all = {xml, xml + strlen(xml)};
    _cleanup_free_ char *type = attribute(&all, "type", "machine"), *kind = attribute(&all, "domain", "type");
    bool ok = put_each(&machine, xml, "<disk ", "</disk>", "target", "dev", errp) &&
              put_each(&machine, xml, "<interface ", "</interface>", "mac", "address", errp) &&
              put_one(&machine, xml, "<video>", "</video>", "video", errp) &&
              put_one(&machine, xml, "<controller type='virtio-serial'", "</controller>", "serial", errp) &&
              put_one(&machine, xml, "<memballoon ", "</memballoon>", "balloon", errp) &&
              put_one(&machine, xml, "<rng ", "</rng>", "random", errp);
    if (ok && (!type || !kind)) {
        error_internal(errp, "the hypervisor does not say what machine the VM has");
        ok = false;
    }
    if (ok) {
        value_map_put(&machine, "machine", value_string(type));
        put_serials(&machine, xml);
        if (!str_eq(kind, "qemu"))
            put_cpu(&machine, xml);
        return machine;
    }
    value_done(&machine);
    return (struct value){.type = VALUE_VOID};
}

/* ---- into a specification: whatever comes is a stranger's ---- */

/* A word as libvirt has them in its lists. */
static bool is_word(const char *s, size_t max) {
    size_t n = strlen(s);
    return n > 0 && n <= max && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n;
}

static bool are_features(const char *s) {
    _cleanup_strv_ struct strv words = {0};
    if (strlen(s) > FEATURES_MAX)
        return false;
    if (*s)
        strv_split(&words, s, ' ');
    for (size_t i = 0; i < words.n; i++)
        if ((*words.items[i] != '+' && *words.items[i] != '-') || !is_word(words.items[i] + 1, WORD_MAX))
            return false;
    return true;
}

static bool bad(struct error **errp, const char *what) {
    error_set(errp, ERR_INVALID_VALUE, "machine", what, NULL);
    return false;
}

/* The slot of a key; 0 when it has none, or none that can be. */
static int64_t slot_of(const struct value *machine, const char *key) {
    _cleanup_free_ char *name = strf(SLOT "%s", key);
    int64_t n;
    return str_parse_int(str_or_empty(value_map_str(machine, name)), 1, SLOT_MAX, &n) ? n : 0;
}

static bool put_number(struct value *to, const struct value *machine, const char *key, const char *as, uint64_t *taken,
                       struct error **errp) {
    int64_t slot = slot_of(machine, key);
    if (!slot || *taken & 1ull << slot)
        return bad(errp, key);
    *taken |= 1ull << slot;
    value_map_put(to, as, value_int(slot));
    return true;
}

static bool put_devices(struct value *spec, const char *set_key, const char *name, const struct value *machine,
                        uint64_t *taken, struct error **errp) {
    struct value *set = value_map_get(spec, set_key);
    for (size_t i = 0; set && set->type == VALUE_SET && i < set->set.n; i++) {
        struct value *d = &set->set.items[i];
        const struct value *cd = value_map_get(d, "cd");
        if (cd && value_as_bool(cd)) /* on a bus of its own, where its name says */
            continue;
        const char *key = str_or_empty(value_map_str(d, name));
        _cleanup_free_ char *serial_key = strf(SERIAL "%s", key);
        const char *serial = value_map_str(machine, serial_key);
        if (!put_number(d, machine, key, "slot", taken, errp))
            return false;
        if (serial && !is_word(serial, SERIAL_MAX))
            return bad(errp, "serial");
        if (serial)
            value_map_put(d, "serial", value_string(serial));
    }
    return true;
}

bool virt_machine_put(struct value *spec, const struct value *machine, struct error **errp) {
    static const struct {
        const char *key, *as;
    } others[] = {
        {"video", "slot_video"}, {"serial", "slot_serial"}, {"balloon", "slot_balloon"}, {"random", "slot_random"}};
    const char *type = str_or_empty(value_map_str(machine, "machine")), *cpu = value_map_str(machine, "cpu"),
               *features = str_or_empty(value_map_str(machine, "features"));
    uint64_t taken = 0;
    if (!is_word(type, WORD_MAX) || !str_starts(type, "pc-i440fx-"))
        return bad(errp, "machine");
    if ((cpu && !is_word(cpu, WORD_MAX)) || !are_features(features))
        return bad(errp, "cpu");
    if (!put_devices(spec, "disks", "device", machine, &taken, errp) ||
        !put_devices(spec, "nics", "mac", machine, &taken, errp))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (!put_number(spec, machine, others[i].key, others[i].as, &taken, errp))
            return false;
    value_map_put(spec, "machine", value_string(type));
    value_map_put(spec, "cpu", value_string(str_or_empty(cpu)));
    value_map_put(spec, "features", value_string(features));
    return true;
}

/* ---- the head of a file with memory ---- */

void virt_memory_head(struct buf *out, const char *xml) {
    /* libvirt's qemu_saveimage.h: numbers as the host has them; no compression, nothing behind the description. */
    struct {
        char magic[16];
        uint32_t version, size, was_running, compressed, cookie;
        uint32_t unused[14];
    } head = {.version = 2, .size = (uint32_t)strlen(xml) + 1, .was_running = 1};
    memcpy(head.magic, "LibvirtQemudSave", sizeof(head.magic));
    buf_add(out, &head, sizeof(head));
    buf_add(out, xml, strlen(xml) + 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/virt_xml_core.h"

#include "base/str.h"

#define NFS "nfs://"
#define ISCSI "iscsi://"

/* Text of strangers into XML: what XML 1.0 cannot carry becomes a question mark. */
void virt_xml_add_text(struct buf *out, const char *s) {
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        switch (c) {
        case '&':
            buf_add_str(out, "&amp;");
            break;
        case '<':
            buf_add_str(out, "&lt;");
            break;
        case '>':
            buf_add_str(out, "&gt;");
            break;
        case '\'':
            buf_add_str(out, "&apos;");
            break;
        case '"':
            buf_add_str(out, "&quot;");
            break;
        default:
            buf_add_char(out, c < 0x20 ? '?' : *s);
        }
    }
}

static const char *text_of(const struct value *map, const char *key) {
    return str_or_empty(value_map_str(map, key));
}

static int64_t int_of(const struct value *map, const char *key) {
    const struct value *v = value_map_get(map, key);
    return v ? value_as_int(v) : 0;
}

static bool flag_of(const struct value *map, const char *key) {
    const struct value *v = value_map_get(map, key);
    return v && value_as_bool(v);
}

/* <tag>text</tag>, left out when there is no text. */
static void add_element(struct buf *out, const char *indent, const char *tag, const char *text) {
    if (str_empty(text))
        return;
    buf_addf(out, "%s<%s>", indent, tag);
    virt_xml_add_text(out, text);
    buf_addf(out, "</%s>\n", tag);
}

static void add_attribute(struct buf *out, const char *name, const char *text) {
    buf_addf(out, " %s='", name);
    virt_xml_add_text(out, text);
    buf_add_char(out, '\'');
}

/* ---- devices ---- */

/* Where a guest that comes from elsewhere has the device; else libvirt chooses. */
static void add_slot(struct buf *out, int64_t slot) {
    if (slot > 0)
        buf_addf(out, "      <address type='pci' domain='0x0000' bus='0x00' slot='0x%02llx' function='0x0'/>\n",
                 (unsigned long long)slot);
}

/* "nfs://server/path": a file of a server, which QEMU reaches by itself. As root, who makes the files: the server knows
 * accounts by number alone. */
static void add_nfs_source(struct buf *out, const char *indent, const char *url) {
    const char *host = url + strlen(NFS), *slash = strchr(host, '/');
    bool is_v6 = *host == '[' && slash && slash > host && slash[-1] == ']';
    _cleanup_free_ char *server = !slash  ? xstrdup(host)
                                  : is_v6 ? xstrndup(host + 1, (size_t)(slash - host - 2))
                                          : xstrndup(host, (size_t)(slash - host));
    buf_addf(out, "%s<source protocol='nfs'", indent);
    add_attribute(out, "name", slash ? slash : "");
    buf_addf(out, ">\n%s  <host", indent);
    add_attribute(out, "name", server);
    buf_addf(out, "/>\n%s  <identity user='+0' group='+0'/>\n%s</source>\n", indent, indent);
}

/* "iscsi://server:port/<target>/<LUN>". */
static void add_iscsi_source(struct buf *out, const char *url, const char *initiator) {
    const char *host = url + strlen(ISCSI), *slash = strchr(host, '/');
    const char *colon = slash ? memrchr(host, ':', (size_t)(slash - host)) : NULL;
    bool is_v6 = colon && *host == '[' && colon > host + 1 && colon[-1] == ']';
    _cleanup_free_ char *server = !colon  ? xstrdup("")
                                  : is_v6 ? xstrndup(host + 1, (size_t)(colon - host - 2))
                                          : xstrndup(host, (size_t)(colon - host)),
                        *port = colon ? xstrndup(colon + 1, (size_t)(slash - colon - 1)) : xstrdup("");
    buf_add_str(out, "      <source protocol='iscsi'");
    add_attribute(out, "name", slash ? slash + 1 : "");
    buf_add_str(out, ">\n        <host");
    add_attribute(out, "name", server);
    add_attribute(out, "port", port);
    buf_add_str(out, "/>\n");
    if (!str_empty(initiator)) {
        buf_add_str(out, "        <initiator>\n          <iqn");
        add_attribute(out, "name", initiator);
        buf_add_str(out, "/>\n        </initiator>\n");
    }
    buf_add_str(out, "      </source>\n");
}

/* The images of a server that a disk goes on from. Said in full: QEMU would look for them under its own account. */
static void add_backing(struct buf *out, const struct value *files) {
    for (size_t i = 0; i < files->set.n; i++) {
        buf_add_str(out, "      <backingStore type='network'>\n        <format type='qcow2'/>\n");
        add_nfs_source(out, "        ", value_str(&files->set.items[i]));
    }
    buf_add_str(out, "      <backingStore/>\n");
    for (size_t i = 0; i < files->set.n; i++)
        buf_add_str(out, "      </backingStore>\n");
}

static void add_disk(struct buf *out, const struct value *d) {
    bool is_cd = flag_of(d, "cd");
    const char *path = text_of(d, "path");
    bool is_nfs = str_starts(path, NFS), is_far = is_nfs || str_starts(path, ISCSI);
    buf_addf(out, "    <disk type='%s' device='%s'>\n", is_far ? "network" : "file", is_cd ? "cdrom" : "disk");
    /* No cache in the host: a disk that another host may open next must not have a part in this one's memory. */
    buf_add_str(out, "      <driver name='qemu'");
    add_attribute(out, "type", str_empty(text_of(d, "format")) ? "raw" : text_of(d, "format"));
    /* A full or broken array stops the VM rather than tell the guest: what it was about to write is not lost. */
    buf_addf(out, "%s discard='unmap'/>\n",
             is_cd    ? ""
             : is_far ? " cache='none' error_policy='stop' rerror_policy='stop'"
                      : " cache='none' io='threads'");
    if (is_nfs) {
        add_nfs_source(out, "      ", path);
    } else if (is_far) {
        add_iscsi_source(out, path, text_of(d, "initiator"));
    } else if (*path) {
        buf_add_str(out, "      <source");
        add_attribute(out, "file", path);
        buf_add_str(out, "/>\n");
    }
    const struct value *backing = is_nfs ? value_map_get(d, "backing") : NULL;
    if (backing && backing->type == VALUE_SET)
        add_backing(out, backing);
    buf_add_str(out, "      <target");
    add_attribute(out, "dev", text_of(d, "device"));
    buf_addf(out, " bus='%s'/>\n", is_cd ? "ide" : "virtio");
    if (is_cd || flag_of(d, "read_only"))
        buf_add_str(out, "      <readonly/>\n");
    if (int_of(d, "boot") > 0)
        buf_addf(out, "      <boot order='%lld'/>\n", (long long)int_of(d, "boot"));
    if (!is_cd) { /* the guest can tell its disks apart: 20 bytes are what virtio has for it */
        _cleanup_free_ char *serial = xstrndup(text_of(d, *text_of(d, "serial") ? "serial" : "id"), 20);
        add_element(out, "      ", "serial", serial);
        add_slot(out, int_of(d, "slot"));
    }
    buf_add_str(out, "    </disk>\n");
}

static void add_nic(struct buf *out, const struct value *n) {
    int64_t kbps = int_of(n, "kbps"); /* kilobytes a second, as libvirt counts */
    buf_add_str(out, "    <interface type='bridge'>\n      <mac");
    add_attribute(out, "address", text_of(n, "mac"));
    buf_add_str(out, "/>\n      <source");
    add_attribute(out, "bridge", text_of(n, "bridge"));
    buf_add_str(out, "/>\n      <virtualport type='openvswitch'>\n        <parameters");
    add_attribute(out, "interfaceid", text_of(n, "id"));
    buf_add_str(out, "/>\n      </virtualport>\n      <model type='virtio'/>\n      <rom enabled='no'/>\n");
    if (flag_of(n, "plain")) /* every frame whole, with its checksum */
        buf_add_str(out,
                    "      <driver name='qemu'>\n"
                    "        <host csum='off' gso='off' tso4='off' tso6='off' ecn='off' ufo='off' mrg_rxbuf='off'/>\n"
                    "        <guest csum='off' tso4='off' tso6='off' ecn='off' ufo='off'/>\n      </driver>\n");
    if (*text_of(n, "lock") && !str_eq(text_of(n, "lock"), "unlocked")) /* until the switch restrains it */
        buf_add_str(out, "      <link state='down'/>\n");
    if (int_of(n, "mtu") > 0)
        buf_addf(out, "      <mtu size='%lld'/>\n", (long long)int_of(n, "mtu"));
    if (kbps > 0)
        buf_addf(out,
                 "      <bandwidth>\n        <inbound average='%lld'/>\n        <outbound average='%lld'/>\n"
                 "      </bandwidth>\n",
                 (long long)kbps, (long long)kbps);
    if (int_of(n, "boot") > 0)
        buf_addf(out, "      <boot order='%lld'/>\n", (long long)int_of(n, "boot"));
    add_slot(out, int_of(n, "slot"));
    buf_add_str(out, "    </interface>\n");
}

static char *one(const struct value *device, void (*add)(struct buf *out, const struct value *device)) {
    struct buf out = BUF_INIT;
    add(&out, device);
    return buf_take(&out);
}

char *virt_xml_disk(const struct value *disk) {
    return one(disk, add_disk);
}

char *virt_xml_nic(const struct value *nic) {
    return one(nic, add_nic);
}

static void add_each(struct buf *out, const struct value *spec, const char *key,
                     void (*add)(struct buf *out, const struct value *device)) {
    const struct value *set = value_map_get(spec, key);
    for (size_t i = 0; set && set->type == VALUE_SET && i < set->set.n; i++)
        add(out, &set->set.items[i]);
}

static void add_consoles(struct buf *out, const struct value *spec, const struct virt_host *host) {
    const char *uuid = text_of(spec, "uuid");
    buf_addf(out,
             "    <serial type='unix'>\n      <source mode='bind' path='%s/%s.serial'/>\n      <target port='0'/>\n"
             "    </serial>\n",
             host->run_dir, uuid);
    /* Whom a guest agent speaks to, if there is one. */
    buf_add_str(out, "    <channel type='unix'>\n      <target type='virtio' name='org.qemu.guest_agent.0'/>\n"
                     "    </channel>\n");
    buf_addf(out, "    <graphics type='vnc' socket='%s/%s.vnc'/>\n", host->run_dir, uuid);
    buf_add_str(out, "    <video>\n      <model type='vga' vram='8192'/>\n");
    add_slot(out, int_of(spec, "slot_video"));
    buf_add_str(out, "    </video>\n");
    if (int_of(spec, "slot_serial") > 0) {
        buf_add_str(out, "    <controller type='virtio-serial' index='0'>\n");
        add_slot(out, int_of(spec, "slot_serial"));
        buf_add_str(out, "    </controller>\n");
    }
}

static void add_devices(struct buf *out, const struct value *spec, const struct virt_host *host) {
    buf_add_str(out, "  <devices>\n");
    add_each(out, spec, "disks", add_disk);
    add_each(out, spec, "nics", add_nic);
    if (!host->type || str_eq(host->type, "qemu") || str_eq(host->type, "kvm")) {
        add_consoles(out, spec, host);
        buf_add_str(out, "    <controller type='usb' model='none'/>\n    <memballoon model='virtio'");
        if (int_of(spec, "slot_balloon") > 0) {
            buf_add_str(out, ">\n");
            add_slot(out, int_of(spec, "slot_balloon"));
            buf_add_str(out, "    </memballoon>\n");
        } else {
            buf_add_str(out, "/>\n");
        }
        buf_add_str(out, "    <rng model='virtio'>\n      <backend model='random'>/dev/urandom</backend>\n");
        add_slot(out, int_of(spec, "slot_random"));
        buf_add_str(out, "    </rng>\n");
    }
    buf_add_str(out, "  </devices>\n");
}

/* ---- the machine ---- */

static void add_os(struct buf *out, const struct value *spec, const struct virt_host *host) {
    bool is_qemu = !host->type || str_eq(host->type, "qemu") || str_eq(host->type, "kvm");
    buf_addf(out, "  <os%s>\n    <type arch='x86_64'",
             str_eq(text_of(spec, "firmware"), "uefi") ? " firmware='efi'" : "");
    if (is_qemu)
        add_attribute(out, "machine", *text_of(spec, "machine") ? text_of(spec, "machine") : "pc");
    buf_add_str(out, ">hvm</type>\n");
    add_element(out, "    ", "kernel", text_of(spec, "kernel"));
    if (*text_of(spec, "kernel")) {
        add_element(out, "    ", "initrd", text_of(spec, "ramdisk"));
        add_element(out, "    ", "cmdline", text_of(spec, "args"));
    }
    buf_add_str(out, "  </os>\n");
}

/* The very one that a guest from elsewhere has seen; libvirt refuses it where the host's cannot be that. */
static void add_same_processor(struct buf *out, const struct value *spec) {
    _cleanup_strv_ struct strv features = {0};
    if (*text_of(spec, "features"))
        strv_split(&features, text_of(spec, "features"), ' ');
    buf_add_str(out, "  <cpu mode='custom' match='exact' check='partial'>\n");
    buf_add_str(out, "    <model fallback='forbid'>");
    virt_xml_add_text(out, text_of(spec, "cpu"));
    buf_add_str(out, "</model>\n");
    for (size_t i = 0; i < features.n; i++) {
        buf_addf(out, "    <feature policy='%s'", *features.items[i] == '-' ? "disable" : "require");
        add_attribute(out, "name", features.items[i] + 1);
        buf_add_str(out, "/>\n");
    }
    buf_add_str(out, "  </cpu>\n");
}

static void add_processor(struct buf *out, const struct value *spec, const char *type) {
    if (str_eq(type, "kvm") && *text_of(spec, "cpu"))
        add_same_processor(out, spec);
    else if (str_eq(type, "kvm"))
        buf_add_str(out, "  <cpu mode='host-model' check='partial'/>\n");
    else if (str_eq(type, "qemu")) /* emulated: the same on every host, and old enough to be emulated well */
        buf_add_str(out, "  <cpu mode='custom' match='exact' check='none'>\n"
                         "    <model fallback='forbid'>Nehalem</model>\n  </cpu>\n");
}

char *virt_xml_domain(const struct value *spec, const struct virt_host *host) {
    struct buf out = BUF_INIT;
    const char *type = host->type ? host->type : host->has_kvm ? "kvm" : "qemu";
    int64_t memory_max = int_of(spec, "memory_max"), memory = int_of(spec, "memory");
    int64_t vcpus_max = MAX(int_of(spec, "vcpus_max"), (int64_t)1), vcpus = int_of(spec, "vcpus");
    buf_addf(&out, "<domain type='%s'>\n", type);
    add_element(&out, "  ", "name", text_of(spec, "uuid"));
    add_element(&out, "  ", "uuid", text_of(spec, "uuid"));
    add_element(&out, "  ", "title", text_of(spec, "name"));
    buf_addf(&out, "  <memory unit='KiB'>%lld</memory>\n", (long long)(memory_max / 1024));
    if (memory > 0 && memory < memory_max)
        buf_addf(&out, "  <currentMemory unit='KiB'>%lld</currentMemory>\n", (long long)(memory / 1024));
    if (vcpus > 0 && vcpus < vcpus_max)
        buf_addf(&out, "  <vcpu current='%lld'>%lld</vcpu>\n", (long long)vcpus, (long long)vcpus_max);
    else
        buf_addf(&out, "  <vcpu>%lld</vcpu>\n", (long long)vcpus_max);
    add_os(&out, spec, host);
    buf_add_str(&out, "  <features>\n    <acpi/>\n    <apic/>\n  </features>\n");
    add_processor(&out, spec, type);
    buf_add_str(&out, "  <clock offset='utc'/>\n");
    add_element(&out, "  ", "on_poweroff", text_of(spec, "on_poweroff"));
    add_element(&out, "  ", "on_reboot", text_of(spec, "on_reboot"));
    add_element(&out, "  ", "on_crash", text_of(spec, "on_crash"));
    add_devices(&out, spec, host);
    buf_add_str(&out, "</domain>\n");
    return buf_take(&out);
}

/* ---- snapshots, and going on from them ---- */

char *virt_xml_snapshot(const struct value *disks, const char *memory) {
    struct buf out = BUF_INIT;
    bool is_empty = !memory;
    buf_add_str(&out, "<domainsnapshot>\n");
    if (memory) {
        buf_add_str(&out, "  <memory snapshot='external'");
        add_attribute(&out, "file", memory);
        buf_add_str(&out, "/>\n");
    }
    buf_add_str(&out, "  <disks>\n");
    for (size_t i = 0; i < disks->set.n; i++) {
        const struct value *d = &disks->set.items[i];
        bool is_live = flag_of(d, "live");
        buf_add_str(&out, "    <disk");
        add_attribute(&out, "name", text_of(d, "device"));
        if (!is_live) {
            buf_add_str(&out, " snapshot='no'/>\n");
            continue;
        }
        is_empty = false;
        buf_add_str(&out, " snapshot='external'>\n      <driver type='qcow2'/>\n      <source");
        add_attribute(&out, "file", text_of(d, "file"));
        buf_add_str(&out, "/>\n    </disk>\n");
    }
    buf_add_str(&out, "  </disks>\n</domainsnapshot>\n");
    if (!is_empty)
        return buf_take(&out);
    buf_done(&out);
    return NULL;
}

/* The value of an attribute of the first element `tag` in a piece of libvirt's own text, which is regular: attributes
 * in single quotes, a tag on one line. NULL when there is none. */
static const char *attribute_in(const char *piece, const char *end, const char *tag, const char *name,
                                size_t *ret_len) {
    _cleanup_free_ char *open = strf("<%s ", tag), *key = strf(" %s='", name);
    const char *at = memmem(piece, (size_t)(end - piece), open, strlen(open));
    const char *close = at ? memchr(at, '>', (size_t)(end - at)) : NULL;
    const char *value = close ? memmem(at, (size_t)(close - at), key, strlen(key)) : NULL;
    if (!value)
        return NULL;
    value += strlen(key);
    const char *quote = memchr(value, '\'', (size_t)(close - value));
    *ret_len = quote ? (size_t)(quote - value) : 0;
    return quote ? value : NULL;
}

static const char *next_disk(const char *text, const char **ret_end) {
    const char *disk = strstr(text, "<disk "), *end = disk ? strstr(disk, "</disk>") : NULL;
    *ret_end = end;
    return end ? disk : NULL;
}

/* The place of the disk of this name, as it stands in the text (escaped); NULL when there is none. */
static const char *place_of(const char *wanted, const char *device, size_t len, size_t *ret_len) {
    const char *end;
    for (const char *d = next_disk(wanted, &end); d; d = next_disk(end, &end)) {
        size_t n;
        const char *name = attribute_in(d, end, "target", "dev", &n);
        if (name && n == len && strncmp(name, device, n) == 0)
            return attribute_in(d, end, "source", "file", ret_len);
    }
    return NULL;
}

/* A disk's element without the chain below its image. Chains nest: it ends with the last of them. */
static void add_without_chain(struct buf *out, const char *disk, const char *end) {
    const char *chain = memmem(disk, (size_t)(end - disk), "<backingStore", 13);
    if (!chain) {
        buf_add(out, disk, (size_t)(end - disk));
        return;
    }
    static const char close[] = "</backingStore>";
    const char *after = NULL;
    for (const char *p = chain; (p = memmem(p, (size_t)(end - p), close, sizeof(close) - 1)); p = after)
        after = p + sizeof(close) - 1;
    if (!after) { /* <backingStore/> */
        const char *bracket = memchr(chain, '>', (size_t)(end - chain));
        after = bracket ? bracket + 1 : chain;
    }
    buf_add(out, disk, (size_t)(chain - disk));
    buf_add(out, after, (size_t)(end - after));
}

static void add_refitted(struct buf *out, const char *disk, const char *end, const char *wanted) {
    _cleanup_buf_ struct buf plain = BUF_INIT;
    size_t n_name = 0, n_file = 0, n_place = 0;
    if (!attribute_in(disk, end, "source", "file", &n_file)) { /* empty, or of the network: its place has not changed */
        buf_add(out, disk, (size_t)(end - disk));
        return;
    }
    add_without_chain(&plain, disk, end);
    const char *plain_end = plain.data + plain.size;
    const char *name = attribute_in(plain.data, plain_end, "target", "dev", &n_name);
    const char *file = attribute_in(plain.data, plain_end, "source", "file", &n_file);
    const char *place = name ? place_of(wanted, name, n_name, &n_place) : NULL;
    if (!file || !place) {
        buf_add(out, plain.data, plain.size);
        return;
    }
    buf_add(out, plain.data, (size_t)(file - plain.data));
    buf_add(out, place, n_place);
    buf_add(out, file + n_file, (size_t)(plain_end - file) - n_file);
}

char *virt_xml_refit(const char *saved, const char *wanted) {
    struct buf out = BUF_INIT;
    const char *from = saved, *end;
    for (const char *d = next_disk(saved, &end); d; d = next_disk(end, &end)) {
        buf_add(&out, from, (size_t)(d - from));
        add_refitted(&out, d, end, wanted);
        from = end;
    }
    buf_add_str(&out, from);
    return buf_take(&out);
}

char *virt_xml_link(const char *domain, const char *mac, bool up) {
    const char *end = NULL;
    for (const char *nic = strstr(domain, "<interface "); nic; nic = strstr(end, "<interface ")) {
        end = strstr(nic, "</interface>");
        size_t n_mac = 0, n_state = 0;
        if (!end)
            return NULL;
        const char *address = attribute_in(nic, end, "mac", "address", &n_mac);
        if (!address || n_mac != strlen(mac) || strncmp(address, mac, n_mac) != 0)
            continue;
        const char *state = attribute_in(nic, end, "link", "state", &n_state), *wanted = up ? "up" : "down";
        bool is_up = !(state && n_state == 4 && strncmp(state, "down", 4) == 0);
        if (is_up == up)
            return NULL;
        if (state)
            return strf("%.*s%s%.*s</interface>", (int)(state - nic), nic, wanted, (int)(end - state - (int)n_state),
                        state + n_state);
        return strf("%.*s<link state='%s'/></interface>", (int)(end - nic), nic, wanted);
    }
    return NULL;
}

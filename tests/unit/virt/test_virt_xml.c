/* SPDX-License-Identifier: Apache-2.0 */
/* Specifications of VMs and the XML that libvirt gets: golden/NAME.json to golden/NAME.xml. MUSTER_GOLDEN_WRITE=1
 * writes them anew, to be read as a diff. */
#include "base/fs.h"
#include "base/str.h"
#include "virt/virt_xml_core.h"
#include "virt/virt_xml_swap_core.h"
#include "wire/value_json.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static struct value read_spec(const char *name) {
    _cleanup_free_ char *path = strf(GOLDEN "/%s.json", name);
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct value v;
    struct error *e = NULL;
    assert_int_equal(fs_read(path, 1 << 20, &text), 0);
    if (!value_json_parse(text.data, text.size, 10, 1000, &v, &e))
        fail_msg("%s: %s", path, error_text(e));
    return v;
}

static void compare(const char *name, const char *as, const struct virt_host *host) {
    _cleanup_value_ struct value spec = read_spec(name);
    _cleanup_free_ char *path = strf(GOLDEN "/%s.xml", as), *xml = virt_xml_domain(&spec, host);
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (getenv("MUSTER_GOLDEN_WRITE"))
        assert_int_equal(fs_write_atomic(path, xml, strlen(xml), 0644), 0);
    assert_int_equal(fs_read(path, 1 << 20, &text), 0);
    assert_string_equal(xml, buf_str(&text));
}

static void test_goldens(void **state) {
    compare("linux", "linux", &(struct virt_host){.run_dir = "/run/muster/vm"});
    compare("windows", "windows", &(struct virt_host){.run_dir = "/run/muster/vm", .has_kvm = true});
    compare("evil", "evil", &(struct virt_host){.run_dir = "/run/muster/vm"});
    compare("linux", "linux-xen", &(struct virt_host){.run_dir = "/run/muster/vm", .type = "xen"});
}

/* What a stranger wrote stays text: no element more than the harmless machine has. */
static void test_evil_text_stays_text(void **state) {
    _cleanup_value_ struct value evil = read_spec("evil");
    _cleanup_free_ char *xml = virt_xml_domain(&evil, &(struct virt_host){.run_dir = "/run/muster/vm"});
    assert_null(strstr(xml, "<hostdev"));
    assert_null(strstr(xml, "<x"));
    assert_null(strstr(xml, "<b>"));
    assert_null(strstr(xml, "bus='scsi"));
    assert_null(strstr(xml, "</serial></serial>"));
    assert_null(strchr(xml, '\001'));
}

static void test_devices(void **state) {
    _cleanup_value_ struct value spec = read_spec("linux");
    _cleanup_free_ char *disk = virt_xml_disk(&value_map_get(&spec, "disks")->set.items[0]),
                        *nic = virt_xml_nic(&value_map_get(&spec, "nics")->set.items[0]);
    assert_non_null(strstr(disk, "file='/srv/sr/a.qcow2'"));
    struct value far = value_copy(&value_map_get(&spec, "disks")->set.items[0]);
    value_map_put(&far, "path", value_string("nfs://10.9.0.9/srv/array/a&b/a.qcow2"));
    _cleanup_free_ char *nfs = virt_xml_disk(&far);
    value_map_put(&far, "path", value_string("nfs://[fd00::9]/x/a.qcow2"));
    _cleanup_free_ char *nfs6 = virt_xml_disk(&far);
    value_map_put(&far, "path", value_string("iscsi://10.9.0.9:3260/iqn.2026-01.lab.muster:array/3"));
    value_map_put(&far, "initiator", value_string("iqn.2026-11.local.muster:h1"));
    _cleanup_free_ char *lun = virt_xml_disk(&far);
    value_map_put(&far, "path", value_string("iscsi://[fd00::9]:860/iqn.2026-01.lab.muster:array/3"));
    _cleanup_free_ char *lun6 = virt_xml_disk(&far);
    value_done(&far);
    assert_non_null(strstr(lun, "<disk type='network' device='disk'>"));
    assert_non_null(strstr(lun, "<source protocol='iscsi' name='iqn.2026-01.lab.muster:array/3'>"));
    assert_non_null(strstr(lun, "<host name='10.9.0.9' port='3260'/>"));
    assert_non_null(strstr(lun, "<iqn name='iqn.2026-11.local.muster:h1'/>"));
    assert_non_null(strstr(lun, "error_policy='stop'"));
    assert_non_null(strstr(lun6, "<host name='fd00::9' port='860'/>"));
    assert_non_null(strstr(nfs, "<disk type='network' device='disk'>"));
    assert_non_null(strstr(nfs, "<source protocol='nfs' name='/srv/array/a&amp;b/a.qcow2'>"));
    assert_non_null(strstr(nfs, "<host name='10.9.0.9'/>"));
    assert_non_null(strstr(nfs, "error_policy='stop'"));
    assert_non_null(strstr(nfs6, "<host name='fd00::9'/>"));
    assert_non_null(strstr(nic, "<mtu size='9000'/>"));
    assert_non_null(strstr(nic, "<virtualport type='openvswitch'>"));
}

static void test_snapshot(void **state) {
    struct value disks = value_set(), d = value_map(), idle = value_map();
    value_map_add(&d, "device", value_string("vda"));
    value_map_add(&d, "live", value_bool(true));
    value_map_add(&d, "file", value_string("/srv/a&b/u.live-1"));
    value_map_add(&idle, "device", value_string("vdb"));
    value_map_add(&idle, "live", value_bool(false));
    value_set_add(&disks, idle);
    assert_null(virt_xml_snapshot(&disks, NULL)); /* nothing that QEMU writes to */
    value_set_add(&disks, d);
    _cleanup_free_ char *xml = virt_xml_snapshot(&disks, NULL), *with = virt_xml_snapshot(&disks, "/srv/m.save");
    assert_non_null(strstr(xml, "<disk name='vdb' snapshot='no'/>"));
    assert_non_null(strstr(xml, "<source file='/srv/a&amp;b/u.live-1'/>"));
    assert_null(strstr(xml, "<memory"));
    assert_non_null(strstr(with, "<memory snapshot='external' file='/srv/m.save'/>"));
    value_done(&disks);
}

/* As libvirt writes it after two snapshots. */
static const char saved[] =
    "<domain type='qemu'>\n  <devices>\n"
    "    <disk type='file' device='disk'>\n      <driver name='qemu' type='qcow2'/>\n"
    "      <source file='/srv/u.live-2' index='5'/>\n      <backingStore type='file' index='3'>\n"
    "        <format type='qcow2'/>\n        <source file='/srv/u.live-1'/>\n        <backingStore type='file'>\n"
    "          <source file='/srv/u.qcow2'/>\n          <backingStore/>\n        </backingStore>\n"
    "      </backingStore>\n      <target dev='vda' bus='virtio'/>\n    </disk>\n"
    "    <disk type='file' device='cdrom'>\n      <target dev='hda' bus='ide'/>\n      <readonly/>\n    </disk>\n"
    "    <disk type='file' device='disk'>\n      <source file='/srv/v.qcow2'/>\n      <backingStore/>\n"
    "      <target dev='vdb' bus='virtio'/>\n    </disk>\n"
    "    <interface type='bridge'>\n      <mac address='02:00:00:00:00:01'/>\n      <link state='down'/>\n"
    "      <model type='virtio'/>\n    </interface>\n"
    "    <interface type='bridge'>\n      <mac address='02:00:00:00:00:02'/>\n    </interface>\n"
    "  </devices>\n</domain>\n";

static void test_refit(void **state) {
    static const char wanted[] = "<disk type='file'><source file='/new/a&amp;b.qcow2'/><target dev='vda'/></disk>"
                                 "<disk type='file'><target dev='hda'/></disk>";
    _cleanup_free_ char *xml = virt_xml_refit(saved, wanted), *same = virt_xml_refit("<domain/>", wanted);
    assert_string_equal(same, "<domain/>");
    assert_null(strstr(xml, "backingStore"));
    assert_null(strstr(xml, "live-"));
    assert_non_null(strstr(xml, "<source file='/new/a&amp;b.qcow2' index='5'/>"));
    assert_non_null(strstr(xml, "<source file='/srv/v.qcow2'/>")); /* of which the new one says nothing */
    assert_non_null(strstr(xml, "<target dev='hda' bus='ide'/>\n      <readonly/>"));
    assert_true(str_ends(xml, "</devices>\n</domain>\n"));
}

static void test_link(void **state) {
    _cleanup_free_ char *up = virt_xml_link(saved, "02:00:00:00:00:01", true),
                        *down = virt_xml_link(saved, "02:00:00:00:00:02", false);
    assert_non_null(strstr(up, "<link state='up'/>"));
    assert_null(strstr(up, "00:02"));
    assert_non_null(strstr(down, "<link state='down'/></interface>"));
    assert_null(virt_xml_link(saved, "02:00:00:00:00:01", false));
    assert_null(virt_xml_link(saved, "02:00:00:00:00:02", true));
    assert_null(virt_xml_link(saved, "02:00:00:00:00:03", true));
}

static void test_swap(void **state) {
    static const char xml[] = "<source file='/srv/a&amp;b/1.qcow2'/><mac address='m1'/><source bridge='xapi1'/>"
                              "<mac address='m2'/><source bridge='xapi1'/>";
    char path[] = "/srv/a&b/1.qcow2", there[] = "/mnt/2'.qcow2", mac[] = "m2", bridge[] = "xapi1", other[] = "xapi7";
    const struct virt_swap swaps[] = {{NULL, path, there}, {mac, bridge, other}};
    const char *missing = NULL;
    _cleanup_free_ char *swapped = virt_xml_swap(xml, swaps, 2, &missing);
    assert_string_equal(swapped, "<source file='/mnt/2&apos;.qcow2'/><mac address='m1'/><source bridge='xapi1'/>"
                                 "<mac address='m2'/><source bridge='xapi7'/>");
    /* A part of a value is none. */
    const struct virt_swap part = {NULL, other, bridge};
    assert_null(virt_xml_swap(xml, &part, 1, &missing));
    assert_string_equal(missing, "xapi7");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_swap),    cmocka_unit_test(test_goldens),  cmocka_unit_test(test_evil_text_stays_text),
        cmocka_unit_test(test_devices), cmocka_unit_test(test_snapshot), cmocka_unit_test(test_refit),
        cmocka_unit_test(test_link)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

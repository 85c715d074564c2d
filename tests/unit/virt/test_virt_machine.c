/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest sees of its machine, out of libvirt's text and into a specification; what strangers may say of it. */
#include "base/str.h"
#include "virt/virt_machine_core.h"
#include "virt/virt_xml_core.h"
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#define PCI(slot) "      <address type='pci' domain='0x0000' bus='0x00' slot='" slot "' function='0x0'/>\n"

static const char live[] =
    "<domain type='kvm' id='3'>\n  <name>u</name>\n"
    "  <os>\n    <type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type>\n  </os>\n"
    "  <cpu mode='custom' match='exact' check='full'>\n    <model fallback='forbid'>Skylake-Client</model>\n"
    "    <vendor>Intel</vendor>\n    <feature policy='require' name='vmx'/>\n"
    "    <feature policy='disable' name='hle'/>\n  </cpu>\n  <devices>\n"
    "    <disk type='file' device='cdrom'>\n      <target dev='hda' bus='ide'/>\n"
    "      <address type='drive' controller='0' bus='0' target='0' unit='0'/>\n    </disk>\n"
    "    <disk type='file' device='disk'>\n      <target dev='vda' bus='virtio'/>\n      "
    "<serial>a-serial</serial>\n" PCI(
        "0x05") "    </disk>\n"
                "    <controller type='usb' index='0' model='none'/>\n"
                "    <controller type='virtio-serial' index='0'>\n" PCI(
                    "0x04") "    </controller>\n"
                            "    <interface type='bridge'>\n      <mac address='02:00:00:00:00:01'/>\n" PCI(
                                "0x1f") "    </interface>\n"
                                        "    <video>\n" PCI("0x02") "    </video>\n    <memballoon "
                                                                    "model='virtio'>\n" PCI(
                                                                        "0x06") "    </memballoon>\n"
                                                                                "    <rng model='virtio'>\n" PCI(
                                                                                    "0x07") "    </rng>\n  "
                                                                                            "</devices>\n</domain>\n";

static struct value spec_new(void) {
    struct value spec = value_map(), disks = value_set(), nics = value_set(), cd = value_map(), disk = value_map(),
                 nic = value_map();
    value_map_add(&cd, "device", value_string("hda"));
    value_map_add(&cd, "cd", value_bool(true));
    value_map_add(&disk, "device", value_string("vda"));
    value_map_add(&disk, "path", value_string("/srv/d.qcow2"));
    value_map_add(&nic, "mac", value_string("02:00:00:00:00:01"));
    value_set_add(&disks, cd);
    value_set_add(&disks, disk);
    value_set_add(&nics, nic);
    value_map_add(&spec, "disks", disks);
    value_map_add(&spec, "nics", nics);
    return spec;
}

static struct value machine_of(const char *xml) {
    struct error *e = NULL;
    struct value machine = virt_machine_of(xml, &e);
    assert_null(e);
    return machine;
}

/* There and back: each device is where it was. */
static void test_same_machine(void **state) {
    static const char *const places[] = {
        "machine='pc-i440fx-7.2'",
        ("<target dev='vda' bus='virtio'/>\n      <serial>a-serial</serial>\n      <address type='pci' domain='0x0000' "
         "bus='0x00' slot='0x05'"),
        "slot='0x1f'",
        "<model type='vga' vram='8192'/>\n      <address type='pci' domain='0x0000' bus='0x00' slot='0x02'",
        "<controller type='virtio-serial' index='0'>\n      <address type='pci' domain='0x0000' bus='0x00' slot='0x04'",
        "<memballoon model='virtio'>\n      <address type='pci' domain='0x0000' bus='0x00' slot='0x06'",
        "</backend>\n      <address type='pci' domain='0x0000' bus='0x00' slot='0x07'",
        "<model fallback='forbid'>Skylake-Client</model>",
        "<feature policy='require' name='vmx'/>",
        "<feature policy='disable' name='hle'/>"};
    _cleanup_value_ struct value machine = machine_of(live), spec = spec_new();
    struct error *e = NULL;
    assert_true(virt_machine_put(&spec, &machine, &e));
    _cleanup_free_ char *xml =
        virt_xml_domain(&spec, &(struct virt_host){.run_dir = "/run/muster/vm", .has_kvm = true});
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        if (!strstr(xml, places[i]))
            fail_msg("%s is not in\n%s", places[i], xml);
    _cleanup_value_ struct value again = machine_of(xml);
    for (size_t i = 0; i < machine.map.n; i++)
        assert_string_equal(value_str(&machine.map.pairs[i].value),
                            str_or_empty(value_map_str(&again, machine.map.pairs[i].key)));
}

static void test_emulated_has_no_model(void **state) {
    _cleanup_free_ char *xml = strf("<domain type='qemu'%s", live + strlen("<domain type='kvm'"));
    _cleanup_value_ struct value machine = machine_of(xml);
    assert_null(value_map_get(&machine, "cpu"));
}

static void test_other_bus(void **state) {
    _cleanup_free_ char *xml = xstrdup(live);
    struct error *e = NULL;
    memcpy(strstr(xml, "bus='0x00' slot='0x06'"), "bus='0x01'", 10);
    struct value machine = virt_machine_of(xml, &e);
    assert_int_equal(machine.type, VALUE_VOID);
    assert_non_null(e);
    error_free(e);
}

static void refused(const char *key, const char *text) {
    _cleanup_value_ struct value machine = machine_of(live), spec = spec_new();
    struct error *e = NULL;
    if (text)
        value_map_put(&machine, key, value_string(text));
    else
        (void)value_map_remove(&machine, key);
    if (virt_machine_put(&spec, &machine, &e))
        fail_msg("%s: %s", key, text ? text : "(none)");
    error_free(e);
}

static void test_strangers_words(void **state) {
    refused("machine", "");
    refused("machine", "q35");
    refused("machine", "pc-i440fx-7.2'><kernel>/etc/shadow</kernel>");
    refused("machine", NULL);
    refused("cpu", "Nehalem</model>");
    refused("features", "+vmx hle");
    refused("features", "+vmx +a'/>");
    refused("serial vda", "</serial>");
    refused("serial vda", "longer-than-a-disk-has");
    refused("slot vda", NULL);
    refused("slot vda", "0");
    refused("slot vda", "32");
    refused("slot vda", "5 6");
    refused("slot vda", "2"); /* where the screen is */
    refused("slot 02:00:00:00:00:01", NULL);
    refused("slot random", NULL);
}

static void test_memory_head(void **state) {
    _cleanup_buf_ struct buf head = BUF_INIT;
    uint32_t size;
    virt_memory_head(&head, "<domain/>");
    assert_int_equal(head.size, 92 + 10);
    assert_memory_equal(head.data, "LibvirtQemudSave", 16);
    memcpy(&size, head.data + 20, sizeof(size));
    assert_int_equal(size, 10);
    assert_string_equal(head.data + 92, "<domain/>");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_machine),
                                       cmocka_unit_test(test_emulated_has_no_model), cmocka_unit_test(test_other_bus),
                                       cmocka_unit_test(test_strangers_words), cmocka_unit_test(test_memory_head)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to libvirt and what it is asked, on libvirt's own test driver, which keeps its VMs in this process. */
#include "base/buf.h"
#include "base/str.h"
#include "virt/virt.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

struct rig {
    struct loop *loop;
    struct virt *virt;
    unsigned n_up, n_events, n_done;
    bool failed, is_there;
    struct virt_domain domain;
    size_t n_listed;
};

static void up(void *userdata) {
    ((struct rig *)userdata)->n_up++;
}
static void down(const char *why, void *userdata) {}
static void event(const struct uuid *vm, void *userdata) {
    ((struct rig *)userdata)->n_events++;
}
static const struct virt_callbacks callbacks = {.up = up, .down = down, .event = event, .rebooted = event};

static void until(struct rig *r, const unsigned *counter, unsigned value) {
    for (int i = 0; *counter < value && i < 1000; i++)
        loop_step(r->loop, 10);
    assert_true(*counter >= value);
}

static void on_done(struct error *error, const struct virt_domain *domain, void *userdata) {
    struct rig *r = userdata;
    r->failed = error != NULL;
    r->is_there = domain != NULL;
    if (domain)
        r->domain = *domain;
    r->n_done++;
}

static void on_list(struct error *error, const struct virt_domain *domains, size_t n, void *userdata) {
    struct rig *r = userdata;
    r->failed = error != NULL;
    r->n_listed = n;
    r->n_done++;
}

static void ask(struct rig *r, enum virt_op op, const struct uuid *vm, char *xml) {
    unsigned n = r->n_done;
    virt_ask(r->virt, (struct virt_request){.op = op, .vm = *vm, .xml = xml}, on_done, r);
    assert_int_equal(r->n_done, n); /* never at once */
    until(r, &r->n_done, n + 1);
}

static void list(struct rig *r) {
    unsigned n = r->n_done;
    virt_list(r->virt, on_list, r);
    until(r, &r->n_done, n + 1);
}

static void on_waited(struct error *error, void *userdata) {
    struct rig *r = userdata;
    r->failed = error != NULL;
    r->n_done++;
}

static int setup(void **state) {
    struct rig *r = xnew0(struct rig);
    r->loop = loop_new();
    struct virt_config config = {.loop = r->loop, .uri = "test:///default", .callbacks = &callbacks, .userdata = r};
    r->virt = virt_new(&config);
    *state = r;
    return 0;
}

static int teardown(void **state) {
    struct rig *r = *state;
    virt_free(r->virt);
    loop_step(r->loop, 10);
    loop_free(r->loop);
    free(r);
    return 0;
}

static void test_life(void **state) {
    struct rig *r = *state;
    struct uuid vm = uuid_random();
    char text[UUID_TEXT_SIZE];
    until(r, &r->n_up, 1);
    assert_true(virt_is_up(r->virt));
    list(r);
    size_t n_before = r->n_listed; /* the driver brings one of its own */
    ask(r, VIRT_START, &vm,
        strf("<domain type='test'><name>%s</name><uuid>%s</uuid><memory>131072</memory><vcpu>2</vcpu>"
             "<os><type>hvm</type></os></domain>",
             uuid_text(&vm, text), text));
    assert_false(r->failed);
    assert_true(r->is_there);
    assert_true(uuid_eq(&r->domain.uuid, &vm));
    assert_int_equal(r->domain.n_vcpus, 2);
    assert_int_equal(r->domain.state, VIRT_RUNNING);
    until(r, &r->n_events, 1);
    ask(r, VIRT_PAUSE, &vm, NULL);
    assert_int_equal(r->domain.state, VIRT_PAUSED);
    ask(r, VIRT_UNPAUSE, &vm, NULL);
    assert_int_equal(r->domain.state, VIRT_RUNNING);
    list(r);
    assert_int_equal(r->n_listed, n_before + 1);
    ask(r, VIRT_DESTROY, &vm, NULL);
    assert_false(r->failed);
    assert_false(r->is_there);
    list(r);
    assert_int_equal(r->n_listed, n_before);
    ask(r, VIRT_DESTROY, &vm, NULL); /* again: it is gone, which is what was wanted */
    assert_false(r->failed);
    ask(r, VIRT_PAUSE, &vm, NULL);
    assert_true(r->failed);
}

static void test_bad_xml(void **state) {
    struct rig *r = *state;
    struct uuid vm = uuid_random();
    until(r, &r->n_up, 1);
    ask(r, VIRT_START, &vm, xstrdup("<domain"));
    assert_true(r->failed);
}

static void test_not_up(void **state) {
    struct rig *r = *state;
    struct uuid vm = uuid_random();
    struct virt_config config = {
        .loop = r->loop, .uri = "test:///no/such/file", .callbacks = &callbacks, .userdata = r};
    struct virt *v = virt_new(&config);
    virt_ask(v, (struct virt_request){.op = VIRT_PAUSE, .vm = vm}, on_done, r);
    until(r, &r->n_done, 1);
    assert_true(r->failed);
    for (int i = 0; i < 100 && str_starts(virt_trouble(v), "the hypervisor is being"); i++)
        loop_step(r->loop, 10);
    assert_true(*virt_trouble(v));
    virt_free(v);
}

/* Whoever waits is told once: when it is up, when it has taken too long, and when nobody will ever know. */
static void test_wait(void **state) {
    struct rig *r = *state;
    struct virt_config config = {
        .loop = r->loop, .uri = "test:///no/such/file", .callbacks = &callbacks, .userdata = r};
    assert_false(virt_is_up(r->virt));
    virt_when_up(r->virt, 10000, on_waited, r);
    virt_when_up(r->virt, 10000, on_waited, r);
    assert_int_equal(r->n_done, 0);
    until(r, &r->n_done, 2);
    assert_true(virt_is_up(r->virt));
    assert_false(r->failed);
    virt_when_up(r->virt, 10000, on_waited, r); /* at once */
    assert_int_equal(r->n_done, 3);
    assert_false(r->failed);
    struct virt *v = virt_new(&config);
    virt_when_up(v, 60000, on_waited, r);
    virt_when_up(v, 50, on_waited, r);
    until(r, &r->n_done, 4);
    assert_true(r->failed);
    r->failed = false;
    virt_free(v);
    assert_int_equal(r->n_done, 5);
    assert_true(r->failed);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_life, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_bad_xml, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_not_up, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_wait, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

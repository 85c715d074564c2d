/* SPDX-License-Identifier: Apache-2.0 */
/* Leases of disks: what names mean, and that of two who want a disk one gets it, in a folder of this machine. */
#include "base/fs.h"
#include "base/str.h"
#include "model/model.h"
#include "store/store_lease.h"
#include "store/store_place_core.h"
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

struct rig {
    char *top;
    struct folder f;
    struct uuid vdi;
    struct lease_id a, b; /* two hosts, each with a VM */
    struct error *error;
};

static int setup(void **state) {
    struct rig *r = xnew0(struct rig);
    char top[] = "/var/tmp/muster-lease-XXXXXX";
    r->top = xstrdup(mkdtemp(top));
    r->vdi = uuid_random();
    r->a = (struct lease_id){.host = uuid_random(), .vm = uuid_random(), .generation = 3};
    r->b = (struct lease_id){.host = uuid_random(), .vm = uuid_random(), .generation = 1};
    assert_true(folder_open(r->top, &r->f, &r->error));
    *state = r;
    return 0;
}

static int teardown(void **state) {
    struct rig *r = *state;
    _cleanup_free_ char *command = strf("rm -rf '%s'", r->top);
    FILE *f = popen(command, "r");
    pclose(f);
    folder_close(&r->f);
    error_free(r->error);
    free(r->top);
    free(r);
    return 0;
}

static bool take(struct rig *r, const struct lease_id *id) {
    error_free(TAKE(r->error));
    return lease_take(&r->f, &r->vdi, id, &r->error);
}

static bool give_back(struct rig *r, const struct lease_id *id) {
    error_free(TAKE(r->error));
    return lease_release(&r->f, &r->vdi, id, &r->error);
}

static void test_names(void **state) {
    struct lease_id id = {.host = uuid_random(), .vm = uuid_random(), .generation = INT64_MAX}, read;
    char name[LEASE_NAME_SIZE], host[UUID_TEXT_SIZE];
    assert_true(lease_parse(lease_format(&id, 0xffffffff, name), &read));
    assert_true(uuid_eq(&id.host, &read.host) && uuid_eq(&id.vm, &read.vm) && read.generation == INT64_MAX);
    static const char *const bad[] = {"", ".", "...", "x", "a.1.b.00000000", "notes.txt"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(lease_parse(bad[i], &read));
    _cleanup_free_ char *zero = strf("%s.0.%s.00000000", uuid_text(&id.host, host), host),
                        *shorter = strf("%s.1.%s.0000000", host, host),
                        *longer = strf("%s.1.%s.00000000.x", host, host);
    assert_false(lease_parse(zero, &read));
    assert_false(lease_parse(shorter, &read));
    assert_false(lease_parse(longer, &read));
}

static enum lease_verdict judge(const struct lease_id *holder, const struct lease_id *me) {
    _cleanup_strv_ struct strv names = {0};
    char name[LEASE_NAME_SIZE];
    struct lease_id found;
    const char *decided;
    if (holder)
        strv_add(&names, lease_format(holder, 7, name));
    return lease_judge(&names, me, &decided, &found);
}

static void test_verdicts(void **state) {
    struct rig *r = *state;
    struct lease_id other_vm = r->a, older = r->a, newer = r->a;
    other_vm.vm = uuid_random();
    older.generation--;
    newer.generation++;
    assert_int_equal(judge(NULL, &r->a), LEASE_FREE);
    assert_int_equal(judge(&r->a, &r->a), LEASE_MINE);
    assert_int_equal(judge(&r->b, &r->a), LEASE_OTHERS);
    assert_int_equal(judge(&other_vm, &r->a), LEASE_OTHERS);
    assert_int_equal(judge(&older, &r->a), LEASE_OLDER);
    assert_int_equal(judge(&newer, &r->a), LEASE_OTHERS); /* a host whose disk was set back must not take it */
    _cleanup_strv_ struct strv names = {0};
    struct lease_id found;
    const char *decided;
    strv_add(&names, "what is this");
    assert_int_equal(lease_judge(&names, &r->a, &decided, &found), LEASE_DAMAGED);
    char name[LEASE_NAME_SIZE];
    strv_add(&names, lease_format(&r->a, 1, name));
    assert_int_equal(lease_judge(&names, &r->a, &decided, &found), LEASE_DAMAGED);
}

static void test_one_holder(void **state) {
    struct rig *r = *state;
    char host[UUID_TEXT_SIZE];
    assert_true(lease_check_storage(&r->f, &r->error));
    assert_true(take(r, &r->a));
    assert_true(take(r, &r->a)); /* again */
    assert_false(take(r, &r->b));
    assert_string_equal(error_code(r->error), ERR_VDI_IN_USE);
    assert_string_equal(error_param(r->error, 2), uuid_text(&r->a.host, host));
    assert_true(give_back(r, &r->b)); /* which takes nothing from the holder */
    assert_false(take(r, &r->b));
    assert_true(give_back(r, &r->a));
    assert_true(take(r, &r->b));
    struct value all;
    assert_true(lease_list(&r->f, &all, &r->error));
    assert_int_equal(all.set.n, 1);
    assert_string_equal(value_map_str(&all.set.items[0], "host"), uuid_text(&r->b.host, host));
    value_done(&all);
    _cleanup_free_ char *left = strf("%s/" LEASES_FOLDER, r->top);
    struct stat st;
    assert_int_equal(stat(left, &st), 0);
    assert_int_equal(st.st_nlink, 3); /* the disk's folder, and nothing of the attempts */
}

static void test_check(void **state) {
    struct rig *r = *state;
    int64_t n;
    assert_false(lease_check(&r->f, &r->vdi, &r->a, &r->error));
    error_free(TAKE(r->error));
    assert_true(take(r, &r->a));
    assert_true(lease_check(&r->f, &r->vdi, &r->a, &r->error));
    assert_false(lease_check(&r->f, &r->vdi, &r->b, &r->error));
    assert_string_equal(error_code(r->error), ERR_VDI_IN_USE);
    error_free(TAKE(r->error));
    assert_true(lease_break(&r->f, &r->vdi, NULL, &n, &r->error));
    assert_true(take(r, &r->b));
    assert_false(lease_check(&r->f, &r->vdi, &r->a, &r->error));
}

static void test_restart(void **state) {
    struct rig *r = *state;
    struct lease_id next = r->a;
    next.generation++;
    next.vm = uuid_random();
    assert_true(take(r, &r->a));
    assert_true(take(r, &next)); /* the host was started anew: its VM of then is gone */
    assert_false(take(r, &r->a));
    assert_false(take(r, &r->b));
}

static void test_sweep_and_break(void **state) {
    struct rig *r = *state;
    int64_t n;
    assert_true(take(r, &r->a));
    assert_true(lease_sweep(&r->f, &r->a.host, r->a.generation, &r->a.vm, 1, &n, &r->error));
    assert_int_equal(n, 0); /* it runs */
    assert_true(lease_sweep(&r->f, &r->b.host, 99, NULL, 0, &n, &r->error));
    assert_int_equal(n, 0); /* it is another's */
    assert_true(lease_sweep(&r->f, &r->a.host, r->a.generation, NULL, 0, &n, &r->error));
    assert_int_equal(n, 1);
    assert_true(take(r, &r->b));
    assert_true(lease_break(&r->f, NULL, &r->a.host, &n, &r->error));
    assert_int_equal(n, 0);
    assert_true(lease_break(&r->f, &r->vdi, NULL, &n, &r->error));
    assert_int_equal(n, 1);
    assert_true(take(r, &r->a));
    assert_true(lease_break(&r->f, NULL, &r->a.host, &n, &r->error));
    assert_int_equal(n, 1);
}

static void test_pass(void **state) {
    struct rig *r = *state;
    struct lease_id to = r->b;
    to.vm = r->a.vm;
    assert_true(take(r, &r->a));
    assert_true(lease_pass(&r->f, &r->vdi, &r->a, &to, &r->error));
    assert_true(lease_pass(&r->f, &r->vdi, &r->a, &to, &r->error)); /* asked again */
    assert_false(take(r, &r->a));
    assert_true(take(r, &to));
    assert_false(lease_pass(&r->f, &r->vdi, &r->a, &r->a, &r->error));
}

static void test_damage(void **state) {
    struct rig *r = *state;
    char text[UUID_TEXT_SIZE];
    assert_true(take(r, &r->a));
    _cleanup_free_ char *stray = strf("%s/" LEASES_FOLDER "/%s/notes", r->top, uuid_text(&r->vdi, text));
    assert_int_equal(fs_write_atomic(stray, "x", 1, 0644), 0);
    assert_false(take(r, &r->a)); /* not even its holder: first a person looks */
    assert_string_equal(error_code(r->error), ERR_SR_BACKEND_FAILURE);
}

/* Many at once: one gets it, each time. */
static void test_race(void **state) {
    enum { N = 8, ROUNDS = 20 };
    struct rig *r = *state;
    for (int round = 0; round < ROUNDS; round++) {
        pid_t pids[N];
        struct uuid vdi = uuid_random();
        for (int i = 0; i < N; i++) {
            pids[i] = fork();
            if (pids[i] == 0) {
                struct lease_id me = {.host = uuid_random(), .vm = uuid_random(), .generation = 1};
                struct error *e = NULL;
                bool got = lease_take(&r->f, &vdi, &me, &e);
                _exit(got ? 1 : error_is(e, ERR_VDI_IN_USE) ? 0 : 2);
            }
        }
        int n_got = 0;
        for (int i = 0; i < N; i++) {
            int status;
            assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
            n_got += WEXITSTATUS(status);
        }
        assert_int_equal(n_got, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names),
                                       cmocka_unit_test_setup_teardown(test_verdicts, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_one_holder, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_check, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_sweep_and_break, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_pass, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_race, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

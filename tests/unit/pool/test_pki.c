/* SPDX-License-Identifier: Apache-2.0 */
/* The authority signs only sound requests, and what it signs is bound to a host; a sealed key opens with its key file
 * only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "pool/pki_stream.h"

static char folder[] = "/tmp/muster-pki-XXXXXX";

static char *path_of(const char *name) {
    return strf("%s/%s", folder, name);
}

static void test_life_of_a_certificate(void **state) {
    struct error *e = NULL;
    struct uuid pool = uuid_random(), host = uuid_random();
    struct pki_ca *ca = pki_ca_new(&pool, 1, &e);
    assert_null(e);
    _cleanup_free_ char *key = path_of("host.key");
    assert_true(pki_key_ensure(key, &e));
    _cleanup_free_ char *csr = pki_csr(key, &host, &e);
    assert_null(e);
    struct strv addresses = {0};
    strv_add(&addresses, "10.9.0.11");
    strv_add(&addresses, "fd00::11");
    _cleanup_free_ char *certificate = pki_ca_sign(ca, csr, &host, &addresses, &e);
    assert_null(e);
    _cleanup_free_ char *authority = pki_ca_certificate(ca);
    assert_true(pki_certificate_check(certificate, authority, key, &e));
    struct pki_info info;
    assert_true(pki_certificate_info(certificate, &info, &e));
    assert_true(info.has_host && uuid_eq(&info.host, &host));
    assert_true(info.not_before < time(NULL) - 80000 && info.not_after > time(NULL) + 86400);
    assert_int_equal(strlen(info.fingerprint), 64);

    struct pki_ca *other = pki_ca_new(&pool, 2, &e);
    _cleanup_free_ char *other_authority = pki_ca_certificate(other);
    assert_false(pki_certificate_check(certificate, other_authority, NULL, &e));
    error_free(TAKE(e));
    _cleanup_free_ char *both = strf("%s%s", other_authority, authority);
    assert_true(pki_certificate_check(certificate, both, key, &e));

    csr[strlen(csr) / 2] ^= 1;
    assert_null(pki_ca_sign(ca, csr, &host, &addresses, &e));
    error_free(TAKE(e));
    assert_null(pki_ca_sign(ca, "not a request", &host, &addresses, &e));
    error_free(TAKE(e));

    uint8_t keyfile[PKI_KEYFILE_SIZE], again[PKI_KEYFILE_SIZE];
    _cleanup_free_ char *keyfile_path = path_of("seal.key");
    assert_true(pki_keyfile_ensure(keyfile_path, keyfile, &e));
    assert_true(pki_keyfile_ensure(keyfile_path, again, &e));
    assert_memory_equal(keyfile, again, sizeof(again));
    _cleanup_free_ char *sealed = pki_ca_seal(ca, keyfile, &e);
    assert_null(strstr(sealed, "PRIVATE"));
    struct pki_ca *opened = pki_ca_unseal(authority, sealed, keyfile, &e);
    assert_non_null(opened);
    pki_ca_free(opened);
    keyfile[0] ^= 1;
    assert_null(pki_ca_unseal(authority, sealed, keyfile, &e));
    error_free(TAKE(e));
    keyfile[0] ^= 1;
    sealed[40] = sealed[40] == 'A' ? 'B' : 'A';
    assert_null(pki_ca_unseal(authority, sealed, keyfile, &e));
    error_free(TAKE(e));
    assert_int_equal(fs_write_atomic(keyfile_path, "short", 5, 0600), 0);
    assert_false(pki_keyfile_ensure(keyfile_path, again, &e));
    error_free(TAKE(e));

    pki_ca_free(ca);
    pki_ca_free(other);
    strv_done(&addresses);
    fs_unlink(key);
    fs_unlink(keyfile_path);
}

/* A host that knows only the older authority trusts the younger one's certificate when it is shown the cross. */
static void test_generations(void **state) {
    struct error *e = NULL;
    struct uuid pool = uuid_random(), host = uuid_random();
    struct pki_ca *one = pki_ca_new(&pool, 1, &e), *two = pki_ca_new(&pool, 2, &e);
    assert_int_equal(pki_ca_generation(one), 1);
    assert_int_equal(pki_ca_generation(two), 2);
    _cleanup_free_ char *key = path_of("host.key"), *other_key = path_of("other.key"),
                        *cross = pki_ca_cross(one, two, &e), *first = pki_ca_certificate(one),
                        *second = pki_ca_certificate(two);
    assert_non_null(cross);
    assert_true(pki_key_ensure(key, &e));
    assert_true(pki_key_ensure(other_key, &e));
    _cleanup_free_ char *csr = pki_csr(key, &host, &e), *other_csr = pki_csr(other_key, &host, &e);
    struct strv addresses = {0}, roots = {0}, crosses = {0};
    strv_add(&addresses, "10.9.0.11");
    _cleanup_free_ char *old = pki_ca_sign(one, csr, &host, &addresses, &e),
                        *young = pki_ca_sign(two, csr, &host, &addresses, &e),
                        *bundle = strf("%s%s%s", second, first, cross);
    assert_false(pki_certificate_check(young, first, key, &e));
    error_free(TAKE(e));
    assert_true(pki_certificate_check(young, second, key, &e));
    assert_true(pki_certificate_check(old, bundle, key, &e));
    assert_false(pki_certificate_check(old, second, key, &e));
    error_free(TAKE(e));
    assert_true(pki_csr_matches(csr, old));
    assert_false(pki_csr_matches(other_csr, old));
    assert_false(pki_csr_matches("no request", old));
    struct pki_info a, b;
    assert_true(pki_certificate_info(old, &a, &e) && pki_certificate_info(young, &b, &e));
    assert_string_equal(a.key_fingerprint, b.key_fingerprint);
    assert_string_not_equal(a.fingerprint, b.fingerprint);
    pki_bundle_split(bundle, &roots, &crosses);
    assert_int_equal(roots.n, 2);
    assert_int_equal(crosses.n, 1);
    assert_string_equal(roots.items[0], second);
    assert_string_equal(crosses.items[0], cross);
    strv_done(&addresses);
    strv_done(&roots);
    strv_done(&crosses);
    pki_ca_free(one);
    pki_ca_free(two);
    fs_unlink(key);
    fs_unlink(other_key);
}

/* ---- the authority's key on its way ---- */
static void test_wrapped_for_one_host(void **state) {
    struct error *e = NULL;
    struct uuid pool = uuid_random(), host = uuid_random();
    struct pki_ca *ca = pki_ca_new(&pool, 3, &e), *other = pki_ca_new(&pool, 4, &e);
    _cleanup_free_ char *key = path_of("to.key"), *wrong = path_of("wrong.key");
    assert_true(pki_key_ensure(key, &e) && pki_key_ensure(wrong, &e));
    _cleanup_free_ char *csr = pki_csr(key, &host, &e);
    struct strv addresses = {0};
    _cleanup_free_ char *certificate = pki_ca_sign(ca, csr, &host, &addresses, &e);
    _cleanup_free_ char *authority = pki_ca_certificate(ca), *others = pki_ca_certificate(other);
    _cleanup_free_ char *text = pki_ca_wrap(ca, certificate, &e);
    assert_non_null(text);
    assert_null(strstr(text, "PRIVATE"));
    struct pki_ca *opened = pki_ca_unwrap(authority, text, key, &e);
    assert_non_null(opened);
    assert_int_equal(pki_ca_generation(opened), 3);
    pki_ca_free(opened);
    /* Not with another host's key, not as another authority's, not when it was touched, and not cut short. */
    assert_null(pki_ca_unwrap(authority, text, wrong, &e));
    error_free(TAKE(e));
    assert_null(pki_ca_unwrap(others, text, key, &e));
    error_free(TAKE(e));
    for (size_t n = 0; n < strlen(text); n += 97) {
        _cleanup_free_ char *part = xstrndup(text, n);
        assert_null(pki_ca_unwrap(authority, part, key, &e));
        error_free(TAKE(e));
        _cleanup_free_ char *touched = xstrdup(text);
        touched[n] = touched[n] == 'A' ? 'B' : 'A';
        assert_null(pki_ca_unwrap(authority, touched, key, &e));
        error_free(TAKE(e));
    }
    assert_null(pki_ca_wrap(ca, "not a certificate", &e));
    error_free(TAKE(e));
    pki_ca_free(ca);
    pki_ca_free(other);
    unlink(key);
    unlink(wrong);
}

/* Keys for QEMU: made once, named by the host, and trusted only by those who were told. */
static void test_keys_for_streams(void **state) {
    struct error *e = NULL;
    struct uuid host = uuid_random(), peer = uuid_random();
    _cleanup_free_ char *dir = path_of("stream"), *peer_dir = path_of("stream-peer");
    int64_t now = (int64_t)time(NULL);
    assert_true(pki_stream_ensure(dir, &host, getuid(), now, &e));
    assert_true(pki_stream_ensure(peer_dir, &peer, getuid(), now, &e));
    _cleanup_free_ char *first = pki_stream_authority(dir, &e), *theirs = pki_stream_authority(peer_dir, &e);
    assert_true(pki_stream_ensure(dir, &host, getuid(), now, &e));
    _cleanup_free_ char *again = pki_stream_authority(dir, &e), *path = strf("%s/server-cert.pem", dir),
                        *trusted = strf("%s/ca-cert.pem", dir), *their_path = strf("%s/client-cert.pem", peer_dir);
    assert_string_equal(first, again);
    _cleanup_buf_ struct buf certificate = BUF_INIT, all = BUF_INIT, peers = BUF_INIT;
    assert_int_equal(fs_read(path, PKI_MAX_PEM, &certificate), 0);
    assert_int_equal(fs_read(their_path, PKI_MAX_PEM, &peers), 0);
    assert_true(pki_certificate_check(buf_str(&certificate), first, NULL, &e));
    const char *list[] = {theirs};
    assert_true(pki_stream_trust(dir, list, 1, &e));
    assert_int_equal(fs_read(trusted, PKI_MAX_PEM, &all), 0);
    assert_true(pki_certificate_check(buf_str(&peers), buf_str(&all), NULL, &e));
    assert_false(pki_certificate_check(buf_str(&peers), first, NULL, &e));
    error_free(e);
    e = NULL;
    list[0] = "no certificate";
    assert_false(pki_stream_trust(dir, list, 1, &e));
    error_free(e);
}

int main(void) {
    if (!mkdtemp(folder))
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys_for_streams),
                                       cmocka_unit_test(test_life_of_a_certificate), cmocka_unit_test(test_generations),
                                       cmocka_unit_test(test_wrapped_for_one_host)};
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return r;
}

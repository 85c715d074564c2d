/* SPDX-License-Identifier: Apache-2.0 */
/* Whole requests over a real socket, as clients send them: paths, headers, envelopes, malformed bodies, a client that
 * goes. */
#include "api/api.h"
#include "auth/pam.h"
#include "base/str.h"
#include "db/db_internal.h"
#include "gen_handlers.h"
#include "wire/http_client.h"
#include "wire/http_server.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

struct rig {
    struct loop *loop;
    struct db *db;
    struct worker *worker;
    struct api *api;
    struct http_server *server;
    struct http_client *client;
    struct uuid host;
    char folder[32], path[64], audit[64];
    bool over_tcp; /* requests come over the network: from nobody in particular */
    const char *headers[2];
    /* the latest response */
    bool is_there;
    int status;
    char *body;
    char content_type[64];
};

static int setup(void **state) {
    struct rig *r = xnew0(struct rig);
    struct error *e = NULL;
    r->loop = loop_new();
    r->db = db_new(r->loop);
    r->worker = worker_new(r->loop, 1);
    struct uuid pool = uuid_random();
    r->host = uuid_random();
    db_object_add(r->db, CLASS_pool, &pool);
    db_object_set(r->db, db_object_add(r->db, CLASS_host, &r->host), FIELD_host_name_label,
                  value_string("<host & \"name\">"));
    db_object_set(r->db, db_object(r->db, CLASS_pool, &pool), FIELD_pool_master, value_ref(&r->host));
    str_copy(r->folder, sizeof(r->folder), "/tmp/test_api_XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    snprintf(r->path, sizeof(r->path), "%s/socket", r->folder);
    snprintf(r->audit, sizeof(r->audit), "%s/audit.log", r->folder);
    struct api_config config = {.loop = r->loop,
                                .db = r->db,
                                .worker = r->worker,
                                .own_host = r->host,
                                .handlers = model_handlers,
                                .audit_path = r->audit};
    r->api = api_new(&config);
    r->server = http_server_new(r->loop, NULL);
    api_attach_http(r->api, r->server);
    assert_true(http_server_listen(r->server, r->path, 0, 0600, NULL, &e));
    assert_true(http_server_listen(r->server, "127.0.0.1", 0, 0, NULL, &e));
    r->client = http_client_new(r->loop);
    *state = r;
    return 0;
}

static int teardown(void **state) {
    struct rig *r = *state;
    http_client_free(r->client);
    http_server_free(r->server);
    for (int i = 0; i < 10; i++) /* streams that say goodbye */
        loop_step(r->loop, 20);
    api_free(r->api);
    worker_free(r->worker);
    db_free(r->db);
    loop_free(r->loop);
    unlink(r->path);
    unlink(r->audit);
    rmdir(r->folder);
    free(r->body);
    free(r);
    return 0;
}

static void done(const struct http_response *response, const struct error *error, void *userdata) {
    struct rig *r = userdata;
    r->is_there = true;
    r->status = response ? response->status : 0;
    free(r->body);
    r->body = xstrdup(response ? buf_str(&response->body) : "");
    str_copy(r->content_type, sizeof(r->content_type), response ? response->content_type : "");
}

static struct http_call *start(struct rig *r, const char *method, const char *path, const char *body) {
    struct http_target target = {.unix_path = r->path};
    if (r->over_tcp)
        target = (struct http_target){.host = "127.0.0.1", .port = http_server_port(r->server), .is_plain = true};
    r->is_there = false;
    return http_client_start(r->client, &target, method, path, r->headers, body, strlen(body), done, r);
}

static const char *request(struct rig *r, const char *method, const char *path, const char *body) {
    start(r, method, path, body);
    for (uint64_t end = loop_now_ms(r->loop) + 10000; !r->is_there && loop_now_ms(r->loop) < end;)
        loop_step(r->loop, 100);
    assert_true(r->is_there);
    return r->body;
}

static const char *json(struct rig *r, const char *fmt, ...) {
    char body[1000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(body, sizeof(body), fmt, ap);
    va_end(ap);
    return request(r, "POST", "/jsonrpc", body);
}

/* The text between two marks. */
static char *between(const char *text, const char *before, const char *after) {
    const char *begin = strstr(text, before), *end = begin ? strstr(begin + strlen(before), after) : NULL;
    if (!end)
        fail_msg("no '%s' in %s", before, text);
    return xstrndup(begin + strlen(before), (size_t)(end - begin) - strlen(before));
}

static void test_json(void **state) {
    struct rig *r = *state;
    const char *reply = json(r, "{\"jsonrpc\":\"2.0\",\"method\":\"session.login_with_password\",\"params\":[\"root\","
                                "\"\"],\"id\":7}");
    assert_int_equal(r->status, 200);
    assert_string_equal(r->content_type, "application/json"); /* clients compare the whole text */
    assert_true(str_ends(reply, "\"id\":7}") || strstr(reply, "\"id\":7"));
    _cleanup_free_ char *session = between(reply, "\"result\":\"", "\"");
    reply =
        json(r, "{\"jsonrpc\":\"2.0\",\"method\":\"host.get_all_records\",\"params\":[\"%s\"],\"id\":\"a\"}", session);
    assert_non_null(strstr(reply, "\"name_label\":\"<host & \\\"name\\\">\""));
    reply = json(r, "{\"method\":\"host.get_uuid\",\"params\":[\"%s\",\"OpaqueRef:NULL\"],\"id\":1}", session);
    assert_non_null(strstr(reply, "\"error\":[\"HANDLE_INVALID\",\"host\",\"OpaqueRef:NULL\"]"));
    reply = json(r, "{\"jsonrpc\":\"2.0\",\"method\":\"host.get_uuid\",\"params\":[\"%s\",\"x\"],\"id\":1}", session);
    assert_non_null(strstr(reply, "\"message\":\"HANDLE_INVALID\""));
    assert_non_null(strstr(reply, "\"data\":[\"host\",\"x\"]"));
    assert_int_equal(r->status, 200);
    reply = json(r, "{\"jsonrpc\":\"2.0\",\"method\":\"system.listMethods\",\"id\":1}");
    assert_non_null(strstr(reply, "\"host.get_all_records\""));
}

#define CALL "<?xml version='1.0'?><methodCall><methodName>"
#define PARAM "<param><value>"
#define END "</value></param>"

static void test_xml(void **state) {
    struct rig *r = *state;
    const char *reply = request(r, "POST", "/RPC2",
                                CALL "session.login_with_password</methodName><params>" PARAM "root" END PARAM END
                                     "</params></methodCall>");
    assert_int_equal(r->status, 200);
    assert_string_equal(r->content_type, "text/xml");
    assert_non_null(strstr(reply, "<name>Status</name><value>Success</value>"));
    _cleanup_free_ char *session = between(reply, "<name>Value</name><value>", "</value>");
    static const char *const paths[] = {"/", "/RPC2", "/xmlrpc"};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        _cleanup_free_ char *body =
            strf(CALL "host.get_all_records</methodName><params>" PARAM "%s" END "</params></methodCall>", session);
        reply = request(r, "POST", paths[i], body);
        assert_non_null(strstr(reply, "&lt;host &amp; &quot;name&quot;&gt;"));
        assert_non_null(strstr(reply, "<name>enabled</name><value><boolean>0</boolean>"));
    }
    reply = request(r, "POST", "/", CALL "host.fly</methodName><params></params></methodCall>");
    assert_non_null(strstr(reply, "<value>Failure</value>"));
    assert_non_null(strstr(reply, "MESSAGE_METHOD_UNKNOWN"));
    assert_int_equal(r->status, 200);
}

static void test_malformed(void **state) {
    struct rig *r = *state;
    static const char *const bodies[] = {"",
                                         "{",
                                         "[]",
                                         "{\"method\":5,\"params\":[],\"id\":1}",
                                         "{\"params\":[],\"id\":1}",
                                         "{\"method\":\"host.get_all\",\"params\":[]}",
                                         "<methodCall>"};
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        request(r, "POST", "/jsonrpc", bodies[i]);
        assert_int_equal(r->status, 500);
        request(r, "POST", "/", bodies[i]);
        assert_int_equal(r->status, 500);
    }
    request(r, "OPTIONS", "/jsonrpc", "");
    assert_int_equal(r->status, 200);
    request(r, "DELETE", "/jsonrpc", "");
    assert_true(r->status == 501 || r->status == 405 || r->status == 404);
}

static void test_client_goes(void **state) {
    struct rig *r = *state;
    const char *reply = json(r, "{\"jsonrpc\":\"2.0\",\"method\":\"session.login_with_password\",\"params\":[\"root\","
                                "\"\"],\"id\":7}");
    _cleanup_free_ char *session = between(reply, "\"result\":\"", "\"");
    _cleanup_free_ char *wait = strf(
        "{\"jsonrpc\":\"2.0\",\"method\":\"event.from\",\"params\":[\"%s\",[\"network\"],\"\",30],\"id\":1}", session);
    struct http_call *call = start(r, "POST", "/jsonrpc", wait);
    for (int i = 0; i < 5; i++)
        loop_step(r->loop, 20);
    assert_false(r->is_there);
    http_call_cancel(call);
    /* The server goes on; what waited is gone without a trace (the sanitizer looks). */
    json(r, "{\"jsonrpc\":\"2.0\",\"method\":\"pool.get_all\",\"params\":[\"%s\"],\"id\":1}", session);
    assert_int_equal(r->status, 200);
    /* And one that is still waiting when the api ends. */
    start(r, "POST", "/jsonrpc", wait);
    for (int i = 0; i < 5; i++)
        loop_step(r->loop, 20);
}

static bool backend(const char *user, const char *password, char **ret_reason) {
    bool ok = str_eq(password, "secret");
    *ret_reason = xstrdup(ok ? "" : "wrong");
    return ok;
}

/* Who may read it, by which way of saying who they are; and what is in it. */
static void test_audit_log(void **state) {
    struct rig *r = *state;
    auth_set_backend(backend);
    _cleanup_free_ char *session =
        between(json(r, "{\"jsonrpc\":\"2.0\",\"method\":\"session.login_with_password\",\"params\":[\"root\","
                        "\"\"],\"id\":7}"),
                "\"result\":\"", "\"");
    json(r, "{\"jsonrpc\":\"2.0\",\"method\":\"host.disable\",\"params\":[\"%s\",\"OpaqueRef:NULL\"],\"id\":1}",
         session);
    json(r, "{\"jsonrpc\":\"2.0\",\"method\":\"host.get_all\",\"params\":[\"%s\"],\"id\":1}", session);

    const char *text = request(r, "GET", "/audit_log", ""); /* root on the local socket */
    assert_int_equal(r->status, 200);
    assert_non_null(
        strstr(text, "Z user 'root' from 'local': host.disable host=OpaqueRef:NULL auto_enable=true: refused, "));
    assert_null(strstr(text, "host.get_all"));
    assert_non_null(strstr(request(r, "GET", "/audit_log?since=20000101", ""), "host.disable"));
    assert_string_equal(request(r, "GET", "/audit_log?since=2999-01-01T00:00:00Z", ""), "");
    request(r, "GET", "/audit_log?since=yesterday", "");
    assert_int_equal(r->status, 400);

    r->over_tcp = true;
    request(r, "GET", "/audit_log", "");
    assert_int_equal(r->status, 401);
    _cleanup_free_ char *by_query = strf("/audit_log?session_id=%s", session),
                        *cookie = strf("Cookie: session_id=%s", session);
    assert_non_null(strstr(request(r, "GET", by_query, ""), "host.disable"));
    r->headers[0] = cookie;
    assert_non_null(strstr(request(r, "GET", "/audit_log", ""), "host.disable"));
    r->headers[0] = "Cookie: session_id=OpaqueRef:6e8e2c31-4f0f-4e51-9b2a-3d8f1f6a7b5c";
    request(r, "GET", "/audit_log", "");
    assert_int_equal(r->status, 401);
    r->headers[0] = "Authorization: Basic cm9vdDpzZWNyZXQ="; /* root:secret */
    assert_non_null(strstr(request(r, "GET", "/audit_log", ""), "host.disable"));
    r->headers[0] = "Authorization: Basic cm9vdDpndWVzcw=="; /* root:guess; the answer takes its time */
    request(r, "GET", "/audit_log", "");
    assert_int_equal(r->status, 401);
    r->headers[0] = NULL;
    r->over_tcp = false;
    text = request(r, "GET", "/audit_log", "");
    assert_null(strstr(text, "guess"));
    assert_null(strstr(text, "secret"));
    auth_set_backend(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_xml, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_client_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit_log, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

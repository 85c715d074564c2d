/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API behind its HTTP server on a local socket, over a small pool whose rows have the fixed UUIDs below, for the
 * corpus of this folder. Transactions are applied to the replica at once (fixture_txn.c). Ends when GET /quit is asked
 * for.
 */
#include "api_fixture.h"

#include <stdio.h>

#include "base/log.h"
#include "base/str.h"
#include "db/db_internal.h"
#include "gen_handlers.h"
#include "wire/http_server.h"

extern struct fx *fixture_current;

static struct db *db;

static struct uuid uuid_of(const char *last) {
    struct uuid u;
    _cleanup_free_ char *text = strf("00000000-0000-4000-8000-0000000000%s", last);
    if (!uuid_parse(text, &u))
        abort();
    return u;
}

static struct object *add(int class_id, const char *last) {
    struct uuid u = uuid_of(last);
    return db_object_add(db, class_id, &u);
}

static void set_map(struct object *o, unsigned field, const char *key, const char *text) {
    struct value map = value_map();
    value_map_add(&map, key, value_string(text));
    db_object_set(db, o, field, map);
}

static void set_ref(struct object *o, unsigned field, const char *last) {
    struct uuid u = uuid_of(last);
    db_object_set(db, o, field, value_ref(&u));
}

static void fill(void) {
    struct object *host = add(CLASS_host, "01"), *pool = add(CLASS_pool, "02");
    db_object_set(db, host, FIELD_host_name_label, value_string("<h> & \"1\""));
    db_object_set(db, host, FIELD_host_address, value_string("192.0.2.1"));
    db_object_set(db, host, FIELD_host_enabled, value_bool(true));
    set_ref(pool, FIELD_pool_master, "01");
    db_object_set(db, pool, FIELD_pool_epoch, value_int(1));
    struct uuid self = uuid_of("01");
    db_set_self(db, &self);
    struct object *network = add(CLASS_network, "03");
    db_object_set(db, network, FIELD_network_name_label, value_string("n\xc3\xbc\xf0\x9f\x90\x98"));
    db_object_set(db, network, FIELD_network_MTU, value_int(9000));
    db_object_set(db, network, FIELD_network_managed, value_bool(true));
    set_map(network, FIELD_network_other_config, "<key>", "a&b\tc");
    struct value tags = value_set();
    value_set_add(&tags, value_string("a"));
    value_set_add(&tags, value_string("<b>"));
    db_object_set(db, network, FIELD_network_tags, tags);
    struct object *pif = add(CLASS_PIF, "04");
    set_ref(pif, FIELD_PIF_network, "03");
    set_ref(pif, FIELD_PIF_host, "01");
    db_object_set(db, pif, FIELD_PIF_VLAN, value_int(-1));
    struct object *vm = add(CLASS_VM, "05");
    db_object_set(db, vm, FIELD_VM_name_label, value_string("guest"));
    db_object_set(db, vm, FIELD_VM_power_state, value_string("Halted"));
    db_object_set(db, vm, FIELD_VM_memory_static_max, value_int(INT64_MAX));
    db_object_set(db, vm, FIELD_VM_HVM_shadow_multiplier, value_float(0.1));
    db_object_set(db, vm, FIELD_VM_snapshot_time, value_time(1787277623)); /* 2026-08-21 02:00:23 */
    db_batch_close(db);
}

static void end(void *userdata) {
    loop_quit(userdata, 0);
}

static void on_quit(struct http_request *req, void *userdata) {
    http_reply(req, 204, NULL, NULL, NULL);
    loop_defer(userdata, end, userdata);
}

int main(int argc, char **argv) {
    _cleanup_error_ struct error *e = NULL;
    struct fx fx = {0};
    log_set_level(LOG_LEVEL_ERR); /* refused calls are what this is for */
    fixture_current = &fx;
    struct loop *l = loop_new();
    db = db_new(l);
    fill();
    struct worker *worker = worker_new(l, 1);
    struct api_config config = {
        .loop = l, .db = db, .worker = worker, .own_host = uuid_of("01"), .handlers = model_handlers};
    struct api *api = api_new(&config);
    struct http_server *server = http_server_new(l, NULL);
    api_attach_http(api, server);
    http_server_route(server, HTTP_GET, "/quit", 0, on_quit, l);
    if (argc != 2 || !http_server_listen(server, argv[1], 0, 0600, NULL, &e)) {
        fprintf(stderr, "usage: serve SOCKET (%s)\n", e ? error_text(e) : "");
        return 2;
    }
    int status = loop_run(l);
    for (int i = 0; i < 10; i++)
        loop_step(l, 10); /* streams that say goodbye */
    http_server_free(server);
    for (int i = 0; i < 10; i++)
        loop_step(l, 10);
    api_free(api);
    worker_free(worker);
    db_free(db);
    loop_free(l);
    return status;
}

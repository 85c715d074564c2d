/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about the pool. */
#include <string.h>

#include "base/fs.h"
#include "cli/change.h"
#include "cli/commands.h"
#include "cli/request.h"

#define FILE_MAX 65536

/* The other pool's password: given, from a file, or asked for. */
static void add_master_password(struct request *r) {
    struct args *a = &r->x->args;
    const char *given = args_get(a, "master-password"), *path = args_get(a, "master-password-file");
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (!request_is_good(r))
        return;
    if (given) {
        request_add(r, value_string(given));
    } else if (path) {
        if (!xe_may_use_files(path, r->errp))
            return;
        int n = fs_read(path, FILE_MAX, &text);
        if (n < 0) {
            error_set(r->errp, "CLI_FILE", path, strerror(-n), NULL);
            return;
        }
        if (text.data)
            text.data[strcspn(text.data, "\r\n")] = 0;
        request_add(r, value_string(buf_str(&text)));
        if (text.data)
            explicit_bzero(text.data, text.size);
    } else {
        char *asked = xe_ask_password("Password of the other pool");
        if (!asked) {
            (void)xe_need(r->x, "master-password", r->errp);
            return;
        }
        request_add(r, value_string(asked));
        explicit_bzero(asked, strlen(asked));
        free(asked);
    }
}

static bool pool_join_plan(struct request *r) {
    _cleanup_value_ struct value report = {.type = VALUE_VOID};
    request_add(r, value_bool(args_is(&r->x->args, ARGS_PROVE)));
    request_add(r, value_bool(args_is(&r->x->args, ARGS_FORCE)));
    if (!request_call(r, "pool.join_plan", &report))
        return false;
    change_print_report(r->x, &report, "it would be refused, for");
    return true;
}

static bool pool_join(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_text(&r, "master-address", NULL);
    request_add_text(&r, "master-username", NULL);
    add_master_password(&r);
    request_add_text(&r, "master-fingerprint", "");
    if (args_is(&x->args, ARGS_DRY_RUN))
        return pool_join_plan(&r);
    if (!request_call_void(&r, args_is(&x->args, ARGS_FORCE) ? "pool.join_force" : "pool.join"))
        return false;
    xe_print_message(x, "Host agent will restart and attempt to join pool in a few seconds...");
    return true;
}

static bool pool_eject(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_host, "host-uuid");
    if (request_is_good(&r) &&
        !xe_confirm(x,
                    "WARNING: the host leaves the pool and starts again alone; what only it holds stays on it but is "
                    "not of this pool any more.",
                    errp)) {
        /* the error is there; the end below sees it */
    }
    return request_call_void(&r, "pool.eject");
}

static bool pool_designate(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_host, "host-uuid");
    return request_call_void(&r, "pool.designate_new_master");
}

static bool pool_emergency_transition(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    return request_call_void(&r, "pool.emergency_transition_to_master");
}

static bool pool_emergency_reset(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_text(&r, "master-address", NULL);
    return request_call_void(&r, "pool.emergency_reset_master");
}

static bool pool_recover(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    return request_print_uuids(&r, "pool.recover_slaves");
}

static bool pool_management(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_network, "network-uuid");
    return request_call_void(&r, "pool.management_reconfigure");
}

static bool pool_sync(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    return request_call_void(&r, "pool.sync_database");
}

static bool pool_vlan_create(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_PIF, "pif-uuid");
    request_add_object(&r, CLASS_network, "network-uuid");
    request_add_int(&r, "vlan", 0, INT16_MAX); /* the server says which are VLANs */
    return request_print_uuids(&r, "pool.create_VLAN_from_PIF");
}

static bool pool_fingerprint(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    return request_print_text(&r, "pool.get_fingerprint");
}

static bool pool_secret_rotate(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    return request_call_void(&r, "pool.rotate_secret");
}

static const struct command list[] = {
    {"pool-designate-new-master", "host-uuid", "", "hand coordination to a host", pool_designate, 0},
    {"pool-eject", "host-uuid", "force", "take a host out of the pool; asks for a yes unless force", pool_eject, 0},
    {"pool-emergency-reset-master", "master-address", "", "on a host without a coordinator: look for it there",
     pool_emergency_reset, COMMAND_HOST_ONLY},
    {"pool-emergency-transition-to-master", "", "force", "on a host without a coordinator: become it",
     pool_emergency_transition, COMMAND_HOST_ONLY},
    {"pool-fingerprint", "", "", "fingerprint of the pool's certificate authority, for pool-join and --fingerprint",
     pool_fingerprint, 0},
    {"pool-join", "master-address,master-username", "master-password,master-password-file,master-fingerprint,force",
     "make this host a member of another pool (--dry-run: only say what it comes to); asks for the password", pool_join,
     COMMAND_PLANS},
    {"pool-management-reconfigure", "network-uuid", "", "move management of all hosts to a network", pool_management,
     COMMAND_CHANGES_NETWORKS},
    {"pool-recover-slaves", "", "", "tell members where the new coordinator is; prints their uuids", pool_recover, 0},
    {"pool-secret-rotate", "", "", "begin a new certificate authority; what the old one signed is void afterwards",
     pool_secret_rotate, 0},
    {"pool-sync-database", "", "", "wait until every host has the database as it is now", pool_sync, 0},
    {"pool-vlan-create", "pif-uuid,vlan,network-uuid", "", "a VLAN on every host; prints the uuids of its PIFs",
     pool_vlan_create, COMMAND_CHANGES_NETWORKS},
};
const struct command_group commands_pool = {list, ARRAY_SIZE(list)};

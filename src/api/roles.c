/* SPDX-License-Identifier: Apache-2.0 */
#include "api/roles.h"

#include "base/str.h"

#define MAX_NAME 128

static const struct {
    struct uuid uuid;
    const char *description;
} roles[ROLES_N] = {
    [ROLE_READ_ONLY] = {{{0x72, 0x33, 0xb8, 0xe3, 0xea, 0xcb, 0xd7, 0xda, 0x2c, 0x95, 0xf2, 0xe5, 0x81, 0xcd, 0xbf,
                          0x4e}},
                        "Sees the pool, but for secrets, and changes nothing."},
    [ROLE_VM_OPERATOR] = {{{0xfb, 0x8d, 0x4f, 0xf9, 0x31, 0x0c, 0xa9, 0x59, 0x06, 0x13, 0x54, 0x10, 0x15, 0x35, 0xd3,
                            0xd5}},
                          "Starts and stops virtual machines and uses their consoles."},
    [ROLE_VM_ADMIN] = {{{0xaa, 0xa0, 0x0a, 0xb5, 0x73, 0x40, 0xbf, 0xbc, 0x0d, 0x1b, 0x7c, 0xf3, 0x42, 0x63, 0x9a,
                         0x6e}},
                       "Makes, changes and deletes virtual machines and templates as well."},
    [ROLE_VM_POWER_ADMIN] = {{{0x79, 0x55, 0x16, 0x8d, 0x7b, 0xec, 0x10, 0xed, 0x10, 0x5f, 0xc6, 0xa7, 0xe6, 0xe6, 0x32,
                               0x49}},
                             "Says where virtual machines run, moves them and takes snapshots as well."},
    [ROLE_POOL_OPERATOR] = {{{0xb9, 0xce, 0x97, 0x91, 0x06, 0x04, 0x50, 0xcd, 0x06, 0x49, 0x09, 0xb3, 0x28, 0x4c, 0x7d,
                              0xfd}},
                            "Runs hosts, networks and storage of the pool as well, but gives nobody a role."},
    [ROLE_POOL_ADMIN] = {{{0x01, 0x65, 0xf1, 0x54, 0xba, 0x3e, 0x03, 0x4e, 0x6b, 0x27, 0x5d, 0x27, 0x1a, 0xf1, 0x09,
                           0xba}},
                         "May do everything, as root may."},
};

/* What is no call: paths over HTTP, by the names that clients ask for, and tasks of other users. */
static const struct {
    const char *name;
    enum role role;
} other_permissions[] = {
    {"http/get_audit_log", ROLE_READ_ONLY},     {"http/connect_console", ROLE_VM_OPERATOR},
    {"http/get_console", ROLE_VM_OPERATOR},     {"http/get_export", ROLE_VM_ADMIN},
    {"http/get_export_raw_vdi", ROLE_VM_ADMIN}, {"http/put_import", ROLE_VM_ADMIN},
    {"http/put_import_raw_vdi", ROLE_VM_ADMIN}, {"http/get_blob", ROLE_READ_ONLY},
    {"http/put_blob", ROLE_VM_POWER_ADMIN},     {"task.cancel/any", ROLE_POOL_OPERATOR},
    {"task.destroy/any", ROLE_POOL_OPERATOR},
};

const struct uuid *role_uuid(enum role role) {
    return &roles[role].uuid;
}

bool role_by_uuid(const struct uuid *uuid, enum role *ret) {
    for (unsigned i = 0; i < ROLES_N; i++) {
        if (!uuid_eq(uuid, &roles[i].uuid))
            continue;
        *ret = (enum role)i;
        return true;
    }
    return false;
}

const char *role_description(enum role role) {
    return roles[role].description;
}

/* ---- permissions ---- */

static void lower(char *to, size_t size, const char *name) {
    str_copy(to, size, name);
    for (; *to; to++)
        *to = *to >= 'A' && *to <= 'Z' ? (char)(*to - 'A' + 'a') : *to;
}

struct value role_permissions(enum role role, bool with_certificate) {
    struct value all = value_set();
    char name[MAX_NAME];
    for (unsigned i = 0; i < model_n_calls; i++) {
        const struct call_def *def = &model_calls[i];
        if (!def->has_session || (def->role > role && !(with_certificate && def->with_certificate)))
            continue;
        lower(name, sizeof(name), def->name);
        value_set_add(&all, value_string(name));
    }
    for (size_t i = 0; i < ARRAY_SIZE(other_permissions); i++)
        if (other_permissions[i].role <= role)
            value_set_add(&all, value_string(other_permissions[i].name));
    return all;
}

bool role_needed_for(const char *permission, enum role *ret) {
    char name[MAX_NAME];
    for (unsigned i = 0; i < model_n_calls; i++) {
        lower(name, sizeof(name), model_calls[i].name);
        if (!model_calls[i].has_session || !str_eq(name, permission))
            continue;
        *ret = model_calls[i].role;
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(other_permissions); i++) {
        if (!str_eq(other_permissions[i].name, permission))
            continue;
        *ret = other_permissions[i].role;
        return true;
    }
    return false;
}

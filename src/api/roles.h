/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The six roles that people can have, as objects and as sets of permissions. What a role may do is what the datamodel
 * says of each call: nothing here decides, and nothing in a row of class role can change it. Their references are those
 * of every pool, and of XenServer's. Pure; any thread.
 */
#pragma once

#include "model/model.h"

#define ROLES_N (ROLE_POOL_ADMIN + 1)

const struct uuid *role_uuid(enum role role); /* not of ROLE_INTERNAL */
bool role_by_uuid(const struct uuid *uuid, enum role *ret) _warn_unused_;
const char *role_description(enum role role);

/* Names of all permissions that a role has, as clients write them ("vm.start"): a set of texts; `with_certificate`: and
 * of the calls that are open to who logged in with a certificate. */
struct value role_permissions(enum role role, bool with_certificate);
/* The weakest role that has this permission; false when there is no such permission. */
bool role_needed_for(const char *permission, enum role *ret) _warn_unused_;

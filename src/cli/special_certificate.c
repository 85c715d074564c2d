/* SPDX-License-Identifier: Apache-2.0 */
/* Client certificates: the authorities that are trusted, what they have revoked, and whether they are asked for. */
#include <string.h>

#include "cli/commands.h"
#include "cli/request.h"

/* Named as its file is, without the folder. */
static bool install(struct xe *x, const char *method, struct error **errp) {
    struct request r = request_new(x, errp);
    const char *path = args_get(&x->args, "filename"), *name = args_get(&x->args, "name");
    const char *slash = path ? strrchr(path, '/') : NULL;
    request_add(&r, value_string(name ? name : slash ? slash + 1 : str_or_empty(path)));
    request_add_file(&r, "filename", /* is_optional= */ false);
    return request_call_void(&r, method);
}

static bool install_authority(struct xe *x, struct error **errp) {
    return install(x, "pool.install_ca_certificate", errp);
}

static bool install_revoked(struct xe *x, struct error **errp) {
    return install(x, "pool.crl_install", errp);
}

static bool uninstall_authority(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_text(&r, "name", NULL);
    request_add(&r, value_bool(args_is(&x->args, ARGS_FORCE)));
    return request_call_void(&r, "pool.uninstall_ca_certificate");
}

static bool uninstall_revoked(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_text(&r, "name", NULL);
    return request_call_void(&r, "pool.crl_uninstall");
}

static bool list_authorities(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    return request_print_uuids(&r, "pool.certificate_list"); /* names */
}

static bool list_revoked(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    return request_print_uuids(&r, "pool.crl_list");
}

static bool sync_all(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    return request_call_void(&r, "pool.certificate_sync");
}

static bool on_the_pool(struct request *r) {
    _cleanup_value_ struct value pools = {.type = VALUE_VOID};
    if (!client_call(r->x->client, "pool.get_all", NULL, 0, &pools, r->errp))
        return false;
    if (pools.type == VALUE_SET && pools.set.n == 1) {
        request_add(r, value_copy(&pools.set.items[0]));
        return true;
    }
    error_setf(r->errp, "CLI_FAILURE", "The server does not say which pool it is of.");
    return false;
}

static bool enable_auth(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    if (!on_the_pool(&r))
        return false;
    request_add_text(&r, "name", NULL);
    return request_call_void(&r, "pool.enable_client_certificate_auth");
}

static bool disable_auth(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    return on_the_pool(&r) && request_call_void(&r, "pool.disable_client_certificate_auth");
}

static const struct command list[] = {
    {"pool-certificate-install", "filename", "name", "old name of pool-install-ca-certificate", install_authority, 0},
    {"pool-certificate-list", "", "", "names of the authorities of client certificates", list_authorities, 0},
    {"pool-certificate-sync", "", "", "nothing is left to do: all hosts read them in the pool database", sync_all, 0},
    {"pool-certificate-uninstall", "name", "force", "old name of pool-uninstall-ca-certificate", uninstall_authority,
     0},
    {"pool-crl-install", "filename", "name", "keep what an authority has revoked (PEM), under the name of the file",
     install_revoked, 0},
    {"pool-crl-list", "", "", "names of the revocation lists", list_revoked, 0},
    {"pool-crl-uninstall", "name", "", "forget a revocation list", uninstall_revoked, 0},
    {"pool-disable-client-certificate-auth", "", "", "ask for passwords only; sessions by certificate end",
     disable_auth, 0},
    {"pool-enable-client-certificate-auth", "name", "",
     "let certificates in this name, of an installed authority, log in without a password", enable_auth, 0},
    {"pool-install-ca-certificate", "filename", "name",
     "trust an authority of client certificates (PEM), under the name of the file", install_authority, 0},
    {"pool-uninstall-ca-certificate", "name", "force", "trust it no longer", uninstall_authority, 0},
};
const struct command_group commands_certificate = {list, ARRAY_SIZE(list)};

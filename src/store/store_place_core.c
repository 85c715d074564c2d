/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_place_core.h"

#include <string.h>

#include "base/macro.h"
#include "base/str.h"
#include "store/store_lun_core.h"

#define NFS "nfs://"
#define ISCSI "iscsi://"
#define ISCSI_PORT "3260"
#define IQN_MAX_LEN 223 /* RFC 7143 4.2.7 */
#define PATH_MAX_LEN 1024
#define SERVER_MAX_LEN 253

bool store_type_is_known(const char *type) {
    return str_eq(type, "file") || str_eq(type, "iso") || str_eq(type, "iscsi") || str_eq(type, "nfs");
}

bool store_type_is_shared(const char *type) {
    return str_eq(type, "iso") || str_eq(type, "iscsi") || str_eq(type, "nfs");
}

bool store_type_has_leases(const char *type) {
    return str_eq(type, "iscsi") || str_eq(type, "nfs");
}

bool store_type_is_made_elsewhere(const char *type) {
    return str_eq(type, "iscsi") || str_eq(type, "iso");
}

/* Absolute, in its plainest form. */
static const char *plain_path_trouble(const char *path) {
    size_t n = strlen(path);
    if (path[0] != '/' || n > PATH_MAX_LEN || strstr(path, "//") || (n > 1 && path[n - 1] == '/'))
        return "the location is not the plain absolute path of a folder";
    for (const char *c = path; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f || strchr(",:", *c))
            return "the location is not the plain absolute path of a folder";
    if (strstr(path, "/../") || strstr(path, "/./") || str_ends(path, "/..") || str_ends(path, "/."))
        return "the location goes up";
    return NULL;
}

const char *store_path_trouble(const char *path) {
    static const char *const system_folders[] = {
        "/",    "/bin",     "/boot",           "/dev",    "/etc",  "/home", "/lib", "/lib64", "/mnt",
        "/opt", "/proc",    "/root",           "/run",    "/sbin", "/srv",  "/sys", "/tmp",   "/usr",
        "/var", "/var/lib", "/var/lib/muster", "/var/log"};
    static const char *const system_trees[] = {"/bin/", "/boot/",           "/dev/",    "/etc/",
                                               "/lib/", "/proc/",           "/sbin/",   "/sys/",
                                               "/usr/", "/var/lib/muster/", "/var/log/"};
    const char *trouble = plain_path_trouble(path);
    if (trouble)
        return trouble;
    for (size_t i = 0; i < ARRAY_SIZE(system_folders); i++)
        if (str_eq(path, system_folders[i]))
            return "the location is a folder of the system";
    for (size_t i = 0; i < ARRAY_SIZE(system_trees); i++)
        if (str_starts(path, system_trees[i]))
            return "the location lies in a folder of the system";
    return NULL;
}

/* A name or an address, IPv6 without its brackets. */
static const char *server_trouble(const char *server) {
    size_t n = strlen(server);
    bool is_v6 = strchr(server, ':') != NULL;
    const char *allowed =
        is_v6 ? "0123456789abcdefABCDEF:." : "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    if (n == 0)
        return "the name of the server is missing";
    return n > SERVER_MAX_LEN || strspn(server, allowed) != n || server[0] == '-' || server[0] == '.'
               ? "it is not the name or the address of a server"
               : NULL;
}

/* The path goes into a URL, where these would mean something. */
static const char *export_trouble(const char *path) {
    const char *trouble = *path ? plain_path_trouble(path) : "the path on the server is missing";
    return !trouble && strpbrk(path, "?#%&;\\ ") ? "the path has characters that a URL cannot carry" : trouble;
}

static const char *key_of(const struct value *config, const char *key) {
    return config && config->type == VALUE_MAP ? str_or_empty(value_map_str(config, key)) : "";
}

/* "server:/path", or a folder of the host. The server's address has no colon here: it could not be told from the path.
 */
static char *iso_server(const char *location) {
    const char *colon = strstr(location, ":/");
    return location[0] != '/' && colon ? xstrndup(location, (size_t)(colon - location)) : NULL;
}

static const char *iso_location_trouble(const char *location) {
    _cleanup_free_ char *server = iso_server(location);
    if (!server)
        return store_path_trouble(location);
    const char *path = location + strlen(server) + 1, *trouble = server_trouble(server);
    if (!trouble)
        trouble = export_trouble(path);
    return !trouble && str_eq(path, "/") ? "the path on the server is missing" : trouble;
}

/* ---- iSCSI ---- */

static const char *iqn_trouble(const char *iqn) {
    size_t n = strlen(iqn);
    bool is_name = str_starts(iqn, "iqn.") || str_starts(iqn, "eui.") || str_starts(iqn, "naa.");
    if (n == 0)
        return "the name of the target is missing: xe sr-probe lists them";
    return !is_name || n > IQN_MAX_LEN ||
                   strspn(iqn, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_") != n
               ? "it is not the name of an iSCSI target"
               : NULL;
}

static const char *port_of(const struct value *config) {
    const char *port = key_of(config, "port");
    return *port ? port : ISCSI_PORT;
}

/* The LUN that Muster keeps for itself, by its own name or by its number at the target; the caller frees. */
static char *board_of(const struct value *config) {
    int64_t n;
    const char *id = key_of(config, "SCSIid"), *number = key_of(config, "LUNid");
    if (*id)
        return lun_id_is_good(id) && !str_starts(id, "lun-") ? xstrdup(id) : NULL;
    return str_parse_int(number, 0, LUN_NUMBER_MAX, &n) ? strf("lun-%lld", (long long)n) : NULL;
}

const char *store_portal_trouble(const struct value *config, const char **ret_key) {
    int64_t n;
    static const char *const passwords[] = {"chapuser", "chappassword", "chappassword_secret", "incoming_chapuser",
                                            "incoming_chappassword"};
    const char *trouble = server_trouble(key_of(config, "target"));
    *ret_key = "target";
    if (trouble)
        return trouble;
    *ret_key = "port";
    if (!str_parse_int(port_of(config), 1, 65535, &n))
        return "it is not the number of a port";
    for (size_t i = 0; i < ARRAY_SIZE(passwords); i++) {
        *ret_key = passwords[i];
        if (*key_of(config, passwords[i]))
            return "logging in with a password (CHAP) is not done yet";
    }
    return NULL;
}

static const char *iscsi_trouble(const struct value *config, const char **ret_key) {
    const char *trouble = store_portal_trouble(config, ret_key);
    if (trouble)
        return trouble;
    *ret_key = "targetIQN";
    trouble = iqn_trouble(key_of(config, "targetIQN"));
    if (trouble)
        return trouble;
    *ret_key = "SCSIid";
    _cleanup_free_ char *board = board_of(config);
    return board ? NULL
                 : "it does not name the LUN that the repository keeps its leases on (SCSIid or LUNid): xe sr-probe "
                   "lists them";
}

char *store_portal(const struct value *config) {
    const char *server = key_of(config, "target");
    bool is_v6 = strchr(server, ':') != NULL;
    return strf("%s%s%s:%s", is_v6 ? "[" : "", server, is_v6 ? "]" : "", port_of(config));
}

static char *iscsi_place(const struct value *config) {
    _cleanup_free_ char *board = board_of(config), *portal = store_portal(config);
    return strf(ISCSI "%s/%s/%s", portal, key_of(config, "targetIQN"), board);
}

bool iscsi_place_parse(const char *place, struct iscsi_place *ret) {
    struct iscsi_place p = {0};
    int64_t n;
    if (!str_starts(place, ISCSI))
        return false;
    const char *host = place + strlen(ISCSI), *slash = strchr(host, '/'), *last = strrchr(host, '/');
    const char *colon = slash ? memrchr(host, ':', (size_t)(slash - host)) : NULL;
    if (!colon || last == slash || colon == host)
        return false;
    bool is_v6 = *host == '[' && colon[-1] == ']' && colon - host > 2;
    p.server = is_v6 ? xstrndup(host + 1, (size_t)(colon - host - 2)) : xstrndup(host, (size_t)(colon - host));
    p.portal = xstrndup(host, (size_t)(slash - host));
    p.target = xstrndup(slash + 1, (size_t)(last - slash - 1));
    p.lun = xstrdup(last + 1);
    _cleanup_free_ char *port = xstrndup(colon + 1, (size_t)(slash - colon - 1));
    const char *number = str_starts(p.lun, "lun-") ? p.lun + 4 : NULL;
    bool lun_is_good = number ? str_parse_int(number, 0, LUN_NUMBER_MAX, &n) : lun_id_is_good(p.lun);
    if (!server_trouble(p.server) && is_v6 == (strchr(p.server, ':') != NULL) && str_parse_int(port, 1, 65535, &n) &&
        !iqn_trouble(p.target) && lun_is_good) {
        *ret = p;
        return true;
    }
    iscsi_place_done(&p);
    return false;
}

void iscsi_place_done(struct iscsi_place *p) {
    free(p->server);
    free(p->portal);
    free(p->target);
    free(p->lun);
    *p = (struct iscsi_place){0};
}

bool store_place_is_iscsi(const char *place) {
    return str_starts(place, ISCSI);
}

/* ---- all of them ---- */

const char *store_config_trouble(const char *type, const struct value *config, const char **ret_key) {
    const char *trouble;
    *ret_key = "location";
    if (str_eq(type, "file"))
        return store_path_trouble(key_of(config, "location"));
    if (str_eq(type, "iso"))
        return iso_location_trouble(key_of(config, "location"));
    if (str_eq(type, "iscsi"))
        return iscsi_trouble(config, ret_key);
    *ret_key = "server";
    trouble = server_trouble(key_of(config, "server"));
    if (trouble)
        return trouble;
    *ret_key = "serverpath";
    return export_trouble(key_of(config, "serverpath"));
}

char *store_place(const char *type, const struct value *config, const struct uuid *sr) {
    const char *key;
    char text[UUID_TEXT_SIZE];
    if (!store_type_is_known(type) || store_config_trouble(type, config, &key))
        return xstrdup("");
    if (str_eq(type, "file"))
        return xstrdup(key_of(config, "location"));
    if (str_eq(type, "iscsi"))
        return iscsi_place(config);
    if (str_eq(type, "iso")) {
        const char *location = key_of(config, "location");
        _cleanup_free_ char *host = iso_server(location);
        return host ? strf(NFS "%s%s/", host, location + strlen(host) + 1) : xstrdup(location);
    }
    const char *server = key_of(config, "server"), *path = key_of(config, "serverpath");
    bool is_v6 = strchr(server, ':') != NULL;
    return strf(NFS "%s%s%s%s/%s", is_v6 ? "[" : "", server, is_v6 ? "]" : "", str_eq(path, "/") ? "" : path,
                uuid_text(sr, text));
}

bool store_place_is_shared(const char *place) {
    return str_starts(place, NFS) || str_starts(place, ISCSI);
}

void nfs_place_done(struct nfs_place *p) {
    free(p->server);
    free(p->export);
    free(p->folder);
    *p = (struct nfs_place){0};
}

bool nfs_place_parse(const char *place, struct nfs_place *ret) {
    struct nfs_place p = {0};
    struct uuid u;
    if (!str_starts(place, NFS))
        return false;
    const char *host = place + strlen(NFS), *slash = strchr(host, '/'), *last = strrchr(host, '/');
    if (!slash || last - slash == 1) /* "/" has no second one behind it */
        return false;
    bool is_v6 = *host == '[' && slash > host && slash[-1] == ']';
    p.server = is_v6 ? xstrndup(host + 1, (size_t)(slash - host - 2)) : xstrndup(host, (size_t)(slash - host));
    p.export = last == slash ? xstrdup("/") : xstrndup(slash, (size_t)(last - slash));
    p.folder = xstrdup(last + 1);
    if (!server_trouble(p.server) && !export_trouble(p.export) && (!*p.folder || uuid_parse(p.folder, &u)) &&
        is_v6 == (strchr(p.server, ':') != NULL)) {
        *ret = p;
        return true;
    }
    nfs_place_done(&p);
    return false;
}

const char *store_place_trouble(const char *place) {
    struct nfs_place p;
    struct iscsi_place i;
    if (str_starts(place, ISCSI)) {
        if (!iscsi_place_parse(place, &i))
            return "the place is not a LUN of an iSCSI target";
        iscsi_place_done(&i);
        return NULL;
    }
    if (!str_starts(place, NFS))
        return store_path_trouble(place);
    if (!nfs_place_parse(place, &p))
        return "the place is not a folder of an NFS server";
    nfs_place_done(&p);
    return NULL;
}

bool store_iso_name_is_good(const char *name) {
    size_t n = strlen(name);
    if (n < 5 || n > 200 || name[0] == '.' || strpbrk(name, "/\\?#%&;,:\"'<>|*"))
        return false;
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    return strcasecmp(name + n - 4, ".iso") == 0;
}

char *store_iso_file(const char *place, const char *name) {
    return strf("%s%s%s", place, str_ends(place, "/") ? "" : "/", name);
}

char *store_file(const char *place, const struct uuid *vdi, const char *format) {
    char text[UUID_TEXT_SIZE];
    return strf("%s/%s.%s", place, uuid_text(vdi, text), format);
}

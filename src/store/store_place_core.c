/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_place_core.h"

#include <string.h>

#include "base/macro.h"
#include "base/str.h"

#define NFS "nfs://"
#define PATH_MAX_LEN 1024
#define SERVER_MAX_LEN 253

bool store_type_is_known(const char *type) {
    return str_eq(type, "file") || str_eq(type, "iso") || str_eq(type, "nfs");
}

bool store_type_is_shared(const char *type) {
    return str_eq(type, "iso") || str_eq(type, "nfs");
}

bool store_type_has_leases(const char *type) {
    return str_eq(type, "nfs");
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

const char *store_config_trouble(const char *type, const struct value *config, const char **ret_key) {
    const char *trouble;
    *ret_key = "location";
    if (str_eq(type, "file"))
        return store_path_trouble(key_of(config, "location"));
    if (str_eq(type, "iso"))
        return iso_location_trouble(key_of(config, "location"));
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
    return str_starts(place, NFS);
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
    if (!slash)
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

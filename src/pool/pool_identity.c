/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/pool_identity.h"

#include <errno.h>
#include <string.h>

#include "base/fs.h"
#include "base/str.h"
#include "wire/value_json.h"

#define MAX_FILE (256 * 1024)

static bool parse(const struct value *v, struct identity *ret) {
    struct identity id = {.database = IDENTITY_DB_NONE};
    const struct value *version = value_map_get(v, "version"), *hosts = value_map_get(v, "hosts");
    const char *host = value_map_str(v, "host"), *pool = value_map_str(v, "pool"),
               *coordinator = value_map_str(v, "coordinator"), *database = value_map_str(v, "database");
    if (!version || value_as_int(version) != 1 || !host || !pool || !coordinator || !database || !hosts ||
        hosts->type != VALUE_SET || hosts->set.n > IDENTITY_MAX_HOSTS)
        return false;
    if (!uuid_parse(host, &id.host) || !uuid_parse(pool, &id.pool) || !uuid_parse(coordinator, &id.coordinator) ||
        uuid_is_null(&id.host))
        return false;
    const struct value *epoch = value_map_get(v, "epoch"); /* not in files of the first version */
    id.epoch = epoch && epoch->type == VALUE_INT ? value_as_int(epoch) : 0;
    id.database = str_eq(database, "voter") ? IDENTITY_DB_VOTER : IDENTITY_DB_NONE;
    for (size_t i = 0; i < hosts->set.n; i++) {
        const struct value *h = &hosts->set.items[i];
        struct identity_host *out = &id.hosts[id.n_hosts];
        const char *uuid = h->type == VALUE_MAP ? value_map_str(h, "host") : NULL,
                   *address = uuid ? value_map_str(h, "address") : NULL;
        const struct value *voter = uuid ? value_map_get(h, "voter") : NULL;
        if (!address || !voter || !uuid_parse(uuid, &out->host) ||
            !str_copy(out->address, sizeof(out->address), address))
            return false;
        out->voter = value_as_bool(voter);
        id.n_hosts++;
    }
    *ret = id;
    return true;
}

static int load_file(const char *path, struct identity *ret) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    int r = fs_read(path, MAX_FILE, &text);
    if (r < 0)
        return r;
    _cleanup_value_ struct value v = {.type = VALUE_VOID};
    _cleanup_error_ struct error *e = NULL;
    if (!value_json_parse(buf_str(&text), text.size, 8, 8192, &v, &e) || v.type != VALUE_MAP || !parse(&v, ret))
        return -EBADMSG;
    return 0;
}

bool identity_load(const char *state_dir, struct identity *ret, bool *ret_found, bool *ret_previous,
                   struct error **errp) {
    _cleanup_free_ char *path = strf("%s/host.json", state_dir), *previous = strf("%s/host.prev.json", state_dir);
    int r = load_file(path, ret);
    *ret_previous = false;
    *ret_found = r != -ENOENT;
    if (r == 0)
        return true;
    int r_previous = load_file(previous, ret);
    if (r_previous == 0) {
        *ret_found = *ret_previous = true;
        return true;
    }
    *ret_found = r != -ENOENT || r_previous != -ENOENT;
    if (!*ret_found)
        error_internal(errp, "this host has not been set up yet");
    else
        error_internal(errp,
                       "'%s' and the copy before it are damaged; put one back from a backup, or remove both and join "
                       "the pool again",
                       path);
    return false;
}

bool identity_save(const char *state_dir, const struct identity *id, struct error **errp) {
    _cleanup_free_ char *path = strf("%s/host.json", state_dir), *previous = strf("%s/host.prev.json", state_dir);
    _cleanup_value_ struct value v = value_map();
    char text[UUID_TEXT_SIZE];
    value_map_add(&v, "version", value_int(1));
    value_map_add(&v, "host", value_string(uuid_text(&id->host, text)));
    value_map_add(&v, "pool", value_string(uuid_text(&id->pool, text)));
    value_map_add(&v, "coordinator", value_string(uuid_text(&id->coordinator, text)));
    value_map_add(&v, "epoch", value_int(id->epoch));
    value_map_add(&v, "database", value_string(id->database == IDENTITY_DB_VOTER ? "voter" : "none"));
    struct value hosts = value_set();
    for (unsigned i = 0; i < id->n_hosts; i++) {
        struct value h = value_map();
        value_map_add(&h, "host", value_string(uuid_text(&id->hosts[i].host, text)));
        value_map_add(&h, "address", value_string(id->hosts[i].address));
        value_map_add(&h, "voter", value_bool(id->hosts[i].voter));
        value_set_add(&hosts, h);
    }
    value_map_add(&v, "hosts", hosts);
    _cleanup_buf_ struct buf out = BUF_INIT, old = BUF_INIT;
    value_json_emit(&out, &v);
    buf_add_char(&out, '\n');

    struct identity current;
    int r = fs_read(path, MAX_FILE, &old);
    if (r == 0 && old.size == out.size && !memcmp(old.data, out.data, out.size))
        return true; /* nothing new: the disk is left alone */
    if (r == 0 && load_file(path, &current) == 0)
        r = fs_write_atomic(previous, old.data, old.size, 0600);
    else
        r = 0;
    if (r == 0)
        r = fs_write_atomic(path, out.data, out.size, 0600);
    if (r < 0) {
        error_errno(errp, r, "writing '%s'", path);
        return false;
    }
    return true;
}

const struct identity_host *identity_find(const struct identity *id, const struct uuid *host) {
    for (unsigned i = 0; i < id->n_hosts; i++)
        if (uuid_eq(&id->hosts[i].host, host))
            return &id->hosts[i];
    return NULL;
}

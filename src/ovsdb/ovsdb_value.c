/* SPDX-License-Identifier: Apache-2.0 */
#include "ovsdb/ovsdb_value.h"

#include "base/str.h"

json_t *ovsdb_uuid(const struct uuid *u) {
    char text[UUID_TEXT_SIZE];
    return json_pack("[s,s]", "uuid", uuid_text(u, text));
}

/* The second element of [tag, x], or NULL when v is not of that form. */
static const json_t *tagged(const json_t *v, const char *tag) {
    if (!json_is_array(v) || json_array_size(v) != 2)
        return NULL;
    const char *found = json_string_value(json_array_get(v, 0));
    return found && str_eq(found, tag) ? json_array_get(v, 1) : NULL;
}

bool ovsdb_uuid_parse(const json_t *v, struct uuid *ret) {
    const char *text = json_string_value(tagged(v, "uuid"));
    return text && uuid_parse(text, ret);
}

json_t *ovsdb_set(json_t *items_taken) {
    return json_pack("[s,o]", "set", items_taken);
}

json_t *ovsdb_map(json_t *pairs_taken) {
    return json_pack("[s,o]", "map", pairs_taken);
}

static bool is_atom(const json_t *v) {
    return json_is_string(v) || json_is_number(v) || json_is_boolean(v) || tagged(v, "uuid") || tagged(v, "named-uuid");
}

bool ovsdb_is_set(const json_t *v) {
    return is_atom(v) || json_is_array(tagged(v, "set"));
}

size_t ovsdb_set_size(const json_t *v) {
    const json_t *items = tagged(v, "set");
    return items ? json_array_size(items) : is_atom(v) ? 1 : 0;
}

const json_t *ovsdb_set_item(const json_t *v, size_t i) {
    const json_t *items = tagged(v, "set");
    return items ? json_array_get(items, i) : i == 0 && is_atom(v) ? v : NULL;
}

bool ovsdb_is_map(const json_t *v) {
    const json_t *pairs = tagged(v, "map");
    if (!json_is_array(pairs))
        return false;
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        const json_t *pair = json_array_get(pairs, i);
        if (!json_is_array(pair) || json_array_size(pair) != 2)
            return false;
    }
    return true;
}

size_t ovsdb_map_size(const json_t *v) {
    return json_array_size(tagged(v, "map"));
}

bool ovsdb_map_pair(const json_t *v, size_t i, const json_t **ret_key, const json_t **ret_value) {
    const json_t *pair = json_array_get(tagged(v, "map"), i);
    if (!pair)
        return false;
    *ret_key = json_array_get(pair, 0);
    *ret_value = json_array_get(pair, 1);
    return true;
}

json_t *ovsdb_where_uuid(const struct uuid *u) {
    return json_pack("[[s,s,o]]", "_uuid", "==", ovsdb_uuid(u));
}

json_t *ovsdb_op_insert(const char *table, const struct uuid *u, json_t *row_taken) {
    char text[UUID_TEXT_SIZE];
    return json_pack("{s:s,s:s,s:s,s:o}", "op", "insert", "table", table, "uuid", uuid_text(u, text), "row", row_taken);
}

json_t *ovsdb_op_update(const char *table, const struct uuid *u, json_t *row_taken) {
    return json_pack("{s:s,s:s,s:o,s:o}", "op", "update", "table", table, "where", ovsdb_where_uuid(u), "row",
                     row_taken);
}

json_t *ovsdb_op_mutate(const char *table, const struct uuid *u, json_t *mutations_taken) {
    return json_pack("{s:s,s:s,s:o,s:o}", "op", "mutate", "table", table, "where", ovsdb_where_uuid(u), "mutations",
                     mutations_taken);
}

json_t *ovsdb_op_delete(const char *table, const struct uuid *u) {
    return json_pack("{s:s,s:s,s:o}", "op", "delete", "table", table, "where", ovsdb_where_uuid(u));
}

json_t *ovsdb_op_wait(const char *table, const struct uuid *u, json_t *row_taken) {
    json_t *columns = json_array();
    const char *name;
    json_t *value;
    json_object_foreach(row_taken, name, value) {
        json_array_append_new(columns, json_string(name));
    }
    return json_pack("{s:s,s:s,s:o,s:o,s:s,s:[o],s:i}", "op", "wait", "table", table, "where", ovsdb_where_uuid(u),
                     "columns", columns, "until", "==", "rows", row_taken, "timeout", 0);
}

json_t *ovsdb_op_comment(const char *text) {
    return json_pack("{s:s,s:s}", "op", "comment", "comment", text);
}

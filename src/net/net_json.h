/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict reading of JSON objects, shared by the config and the scenario files: a member with a wrong type, a value
 * beyond its limits or a member nobody asked for becomes one error with the path of the place. The first error sticks;
 * later reads return their defaults, so a reader needs one check at its end. Internal to src/net. Not thread-safe.
 */
#pragma once

#include <jansson.h>

#include "base/error.h"
#include "net/net_types.h"

struct net_json_reader {
    const char *code; /* API code of errors */
    struct error **errp;
    bool failed;
};

#define NET_JSON_MAX_MEMBERS 40

struct net_json {
    struct net_json_reader *reader;
    const json_t *object; /* NULL after a failure */
    const struct net_json *parent;
    const char *member; /* name in the parent; NULL for the root */
    int index;          /* in the parent's array, -1 none */
    const char *used[NET_JSON_MAX_MEMBERS];
    unsigned n_used;
};

/* Parses text to an object; NULL with an error that tells a truncated text from a malformed one. */
json_t *net_json_parse(const char *text, size_t size, size_t max_size, const char *what, const char *code,
                       struct error **errp);
void net_json_root(struct net_json *j, struct net_json_reader *r, const json_t *object);
void net_json_fail(struct net_json *j, const char *member, const char *fmt, ...) _printf_(3, 4);

bool net_json_has(struct net_json *j, const char *member);
int64_t net_json_int(struct net_json *j, const char *member, int64_t min, int64_t max, int64_t fallback);
bool net_json_bool(struct net_json *j, const char *member, bool fallback);
const char *net_json_str(struct net_json *j, const char *member, size_t max_len, const char *fallback);
void net_json_name(struct net_json *j, const char *member, net_name ret); /* "" when absent */
void net_json_mac(struct net_json *j, const char *member, struct net_mac *ret);
void net_json_addr(struct net_json *j, const char *member, struct net_addr *ret);
/* Index of the text in `texts`; fallback when absent. */
int net_json_enum(struct net_json *j, const char *member, const char *const *texts, unsigned n_texts, int fallback);
/* Array: number of elements (0 when absent), at most max. */
size_t net_json_array(struct net_json *j, const char *member, size_t max);
/* Element i of the array as an object; end it with net_json_end. */
void net_json_element(struct net_json *j, const char *member, size_t i, struct net_json *ret);
const char *net_json_element_str(struct net_json *j, const char *member, size_t i, size_t max_len);
/* Member object; false when absent. */
bool net_json_object(struct net_json *j, const char *member, struct net_json *ret);
/* Refuses members that were not asked for. */
void net_json_end(struct net_json *j);

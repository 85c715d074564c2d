/* SPDX-License-Identifier: Apache-2.0 */
/* What event clients listen to, and where they stand: subscriptions and tokens. Pure. */
#include "api/events.h"
#include "base/str.h"
#include <inttypes.h>
#include <stdio.h>

static bool parse_object(const char *text, const char *slash, struct subscription *s) {
    _cleanup_free_ char *class_name = xstrndup(text, (size_t)(slash - text));
    const struct class_def *class = model_class_by_name_any_case(class_name);
    struct uuid u;
    if (!*class_name || strchr(slash + 1, '/') || !ref_parse(slash + 1, &u))
        return false;
    if (!class)
        return true;
    s->objects = xrealloc_array(s->objects, s->n_objects + 1, sizeof(*s->objects));
    s->objects[s->n_objects++] = (struct subscribed_object){class->id, u};
    return true;
}

static bool parse_one(const char *text, struct subscription *s) {
    const char *slash = strchr(text, '/');
    if (str_eq(text, "*")) {
        s->everything = true;
        return true;
    }
    if (slash)
        return parse_object(text, slash, s);
    const struct class_def *class = model_class_by_name_any_case(text);
    if (class)
        s->classes[class->id] = true;
    return *text != '\0';
}

bool subscription_parse(const struct value *classes, struct subscription *ret, struct error **errp) {
    struct subscription s = {0};
    const char *bad = classes->set.n > EVENTS_MAX_SUBSCRIPTIONS ? "too many" : NULL;
    for (size_t i = 0; !bad && i < classes->set.n; i++) {
        const char *text = value_str(&classes->set.items[i]);
        if (!parse_one(text, &s))
            bad = text;
    }
    if (bad) {
        error_set(errp, ERR_EVENT_SUBSCRIPTION_PARSE_FAILURE, bad, NULL);
        subscription_done(&s);
        return false;
    }
    *ret = s;
    return true;
}

void subscription_done(struct subscription *s) {
    free(s->objects);
    *s = (struct subscription){0};
}

bool subscription_has(const struct subscription *s, int class_id, const struct uuid *uuid) {
    if (!model_classes[class_id].has_events)
        return false;
    if (s->everything || s->classes[class_id])
        return true;
    for (size_t i = 0; i < s->n_objects; i++) {
        if (s->objects[i].class_id == class_id && uuid_eq(&s->objects[i].uuid, uuid))
            return true;
    }
    return false;
}

const char *event_token(uint64_t base, uint64_t generation, char text[static EVENT_TOKEN_SIZE]) {
    snprintf(text, EVENT_TOKEN_SIZE, "%020" PRIu64 ",%020" PRIu64, base, generation);
    return text;
}

/* 1 to 20 digits up to `end`; false on anything else, and beyond 64 bits. */
static bool parse_number(const char *text, const char *end, uint64_t *ret) {
    uint64_t n = 0;
    if (text == end || end - text > 20)
        return false;
    for (; text < end; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
            return false;
    }
    *ret = n;
    return true;
}

bool event_token_parse(const char *text, uint64_t base, uint64_t newest, uint64_t *ret_since) {
    const char *comma = strchr(text, ',');
    uint64_t token_base, generation;
    if (!*text) {
        *ret_since = 0;
        return true;
    }
    if (!comma || !parse_number(text, comma, &token_base) ||
        !parse_number(comma + 1, comma + 1 + strlen(comma + 1), &generation))
        return false;
    *ret_since = token_base == base && generation <= newest ? generation : 0;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What an event client names: the first line its token, the others its subscriptions. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "api/events.h"
#include "base/str.h"

#define BASE UINT64_C(12345)
#define NEWEST UINT64_C(1000)

static void require(bool holds) {
    if (!holds)
        abort();
}

static void try_token(const char *text) {
    char own[EVENT_TOKEN_SIZE];
    uint64_t since, again;
    if (!event_token_parse(text, BASE, NEWEST, &since))
        return;
    require(since <= NEWEST);
    require(event_token_parse(event_token(BASE, since, own), BASE, NEWEST, &again) && again == since);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    _cleanup_strv_ struct strv lines = {0};
    _cleanup_value_ struct value classes = value_set();
    _cleanup_error_ struct error *e = NULL;
    struct subscription s;
    strv_split(&lines, text, '\n');
    for (size_t i = 1; i < lines.n; i++)
        value_set_add(&classes, lines.items[i][0] == '#' ? value_int(1) : value_string(lines.items[i]));
    try_token(lines.n ? lines.items[0] : "");
    if (!subscription_parse(&classes, &s, &e)) {
        require(e != NULL);
        return 0;
    }
    const struct uuid nobody = {{7}};
    for (int i = 0; i < N_CLASSES; i++)
        require(subscription_has(&s, i, &nobody) <= (s.everything || s.classes[i] || s.n_objects > 0));
    for (size_t i = 0; i < s.n_objects; i++)
        require(subscription_has(&s, s.objects[i].class_id, &s.objects[i].uuid) ==
                model_classes[s.objects[i].class_id].has_events);
    subscription_done(&s);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/alerts.h"

#include "base/str.h"

#define SETTLE_MS 200
#define RETRY_MS 2000
#define PREFIX "MUSTER-"
/* Alerts handled in one round: a pool that shows more at once gets the rest in the next. */
#define ROUND_MAX 64

struct alerts {
    struct loop *loop;
    struct db *db;
    struct api *api;
    bool (*is_coordinator)(void *userdata);
    void *userdata;
    struct loop_source *timer;
    struct db_watch *hosts;
    unsigned n_writing;
    uint64_t writing_until_ms; /* a write that got no answer by then is looked at again */
};

static bool fault_shown(struct db *d, const struct row *message) {
    struct uuid host;
    if (!uuid_parse(row_str(message, FIELD_message_obj_uuid), &host))
        return false;
    const struct row *h = db_get(d, CLASS_host, &host);
    const char *sentence =
        h ? value_map_str(row_value(h, FIELD_host_faults), row_str(message, FIELD_message_name)) : NULL;
    return sentence && str_eq(sentence, row_str(message, FIELD_message_body));
}

static const struct row *message_of(struct db *d, const struct row *host, const char *key, const char *sentence) {
    char uuid[UUID_TEXT_SIZE];
    uuid_text(&host->uuid, uuid);
    for (const struct row *m = db_first(d, CLASS_message); m; m = db_next(d, m))
        if (str_eq(row_str(m, FIELD_message_name), key) && str_eq(row_str(m, FIELD_message_obj_uuid), uuid) &&
            str_eq(row_str(m, FIELD_message_body), sentence))
            return m;
    return NULL;
}

static void on_written(struct error *error, void *userdata) {
    struct alerts *a = userdata;
    if (a->n_writing)
        a->n_writing--;
    if (!loop_timer_armed(a->timer))
        loop_timer_set(a->timer, error ? RETRY_MS : SETTLE_MS);
}

static void on_timer(struct loop_source *s, void *userdata) {
    struct alerts *a = userdata;
    struct db_status status = db_get_status(a->db);
    if (!a->is_coordinator(a->userdata) || !status.has_quorum || !status.in_step) {
        loop_timer_set(a->timer, RETRY_MS);
        return;
    }
    if (a->n_writing && loop_now_ms(a->loop) < a->writing_until_ms) {
        loop_timer_set(a->timer, SETTLE_MS); /* what was sent a moment ago may not be in the rows yet */
        return;
    }
    a->n_writing = 0;
    unsigned n = 0;
    for (const struct row *m = db_first(a->db, CLASS_message); m && n < ROUND_MAX; m = db_next(a->db, m))
        if (str_starts(row_str(m, FIELD_message_name), PREFIX) && !fault_shown(a->db, m)) {
            message_withdraw(a->api, row_str(m, FIELD_message_name), row_str(m, FIELD_message_obj_uuid));
            n++;
        }
    for (const struct row *h = db_first(a->db, CLASS_host); h; h = db_next(a->db, h)) {
        const struct value *faults = row_value(h, FIELD_host_faults);
        char uuid[UUID_TEXT_SIZE];
        for (size_t i = 0; i < faults->map.n && n < ROUND_MAX; i++) {
            const char *key = faults->map.pairs[i].key, *sentence = value_str(&faults->map.pairs[i].value);
            if (!str_starts(key, PREFIX) || message_of(a->db, h, key, sentence))
                continue;
            a->n_writing++;
            a->writing_until_ms = loop_now_ms(a->loop) + RETRY_MS;
            n++;
            message_raise(a->api, key, ALERT_PRIORITY, "Host", uuid_text(&h->uuid, uuid), sentence, on_written, a);
        }
    }
    if (n && !loop_timer_armed(a->timer))
        loop_timer_set(a->timer, RETRY_MS); /* look whether it came out as wanted */
}

static void on_row(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    struct alerts *a = userdata;
    if (!loop_timer_armed(a->timer))
        loop_timer_set(a->timer, SETTLE_MS);
}

struct alerts *alerts_new(struct loop *l, struct db *d, struct api *api, bool (*is_coordinator)(void *userdata),
                          void *userdata) {
    struct alerts *a = xnew0(struct alerts);
    *a = (struct alerts){.loop = l, .db = d, .api = api, .is_coordinator = is_coordinator, .userdata = userdata};
    a->timer = loop_add_timer(l, SETTLE_MS, on_timer, a);
    a->hosts = db_watch_add(d, CLASS_host, on_row, a);
    return a;
}

void alerts_free(struct alerts *a) {
    if (!a)
        return;
    db_watch_free(a->hosts);
    loop_source_free(a->timer);
    free(a);
}

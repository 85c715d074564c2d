/* SPDX-License-Identifier: Apache-2.0 */
#include "api/event_batch.h"

#include <inttypes.h>

struct search {
    const struct subscription *subscription;
    struct events_found *found;
};

static void collect(const struct db_change *change, void *userdata) {
    const struct search *s = userdata;
    struct events_found *f = s->found;
    if (!subscription_has(s->subscription, change->class_id, &change->uuid))
        return;
    if ((f->n & (f->n - 1)) == 0)
        f->changes = xrealloc_array(f->changes, f->n ? f->n * 2 : 1, sizeof(*f->changes));
    f->changes[f->n++] = *change;
}

/* Alerts come first; the order among the others (adds, changes, deletes) is the log's. */
static void messages_first(struct events_found *f) {
    struct db_change *sorted = xcalloc(f->n + 1, sizeof(*sorted));
    size_t n = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < f->n; i++) {
            if ((f->changes[i].class_id == CLASS_message) == (pass == 0))
                sorted[n++] = f->changes[i];
        }
    }
    free(f->changes);
    f->changes = sorted;
}

bool event_find(struct db *d, const struct subscription *s, uint64_t since, struct events_found *f) {
    *f = (struct events_found){0};
    struct search search = {.subscription = s, .found = f};
    bool complete = db_changes_since(d, since, collect, &search);
    if (!complete) {
        f->n = 0;
        if (!db_changes_since(d, 0, collect, &search))
            f->n = 0;
    }
    messages_first(f);
    return complete;
}

void events_found_done(struct events_found *f) {
    free(f->changes);
}

static const char *operation_name(enum db_event op) {
    return op == DB_ADDED ? "add" : op == DB_CHANGED ? "mod" : "del";
}

void event_batch_json(struct db *d, const struct events_found *f, struct buf *out) {
    char token[EVENT_TOKEN_SIZE], ref[REF_TEXT_SIZE];
    uint64_t generation = db_generation(d);
    event_token(db_generation_base(d), generation, token);
    buf_addf(out, "{\"events\":[");
    for (size_t i = 0; i < f->n; i++) {
        const struct db_change *c = &f->changes[i];
        buf_addf(out,
                 "%s{\"id\":\"%" PRIu64 "\",\"timestamp\":\"0.0\",\"class\":\"%s\",\"operation\":\"%s\",\"ref\":\"%s\"",
                 i ? "," : "", generation, model_classes[c->class_id].event_name, operation_name(c->op),
                 ref_text(&c->uuid, ref));
        if (c->row) {
            const struct buf *text = db_row_json(d, c->row);
            buf_add_str(out, ",\"snapshot\":");
            buf_add(out, text->data, text->size);
        }
        buf_add_char(out, '}');
    }
    buf_addf(out, "],\"valid_ref_counts\":{");
    const char *comma = "";
    for (int i = 0; i < N_CLASSES; i++) {
        if (!model_classes[i].has_events)
            continue;
        buf_addf(out, "%s\"%s\":%zu", comma, model_classes[i].event_name, db_count(d, i));
        comma = ",";
    }
    buf_addf(out, "},\"token\":\"%s\"}", token);
}

struct value event_value(const struct db_change *c, uint64_t generation) {
    struct value e = value_map();
    value_map_add(&e, "id", value_stringf("%" PRIu64, generation));
    value_map_add(&e, "timestamp", value_string("0.0"));
    value_map_add(&e, "class", value_string(model_classes[c->class_id].event_name));
    value_map_add(&e, "operation", value_string(operation_name(c->op)));
    value_map_add(&e, "ref", value_ref(&c->uuid));
    if (c->row) {
        struct value record = record_borrow(c->row);
        value_map_add(&e, "snapshot", value_copy(&record));
        record_release(&record);
    }
    return e;
}

struct value event_batch_value(struct db *d, const struct events_found *f) {
    char token[EVENT_TOKEN_SIZE];
    struct value batch = value_map(), events = value_set(), counts = value_map();
    for (size_t i = 0; i < f->n; i++)
        value_set_add(&events, event_value(&f->changes[i], db_generation(d)));
    for (int i = 0; i < N_CLASSES; i++) {
        if (model_classes[i].has_events)
            value_map_add(&counts, model_classes[i].event_name, value_int((int64_t)db_count(d, i)));
    }
    value_map_add(&batch, "events", events);
    value_map_add(&batch, "valid_ref_counts", counts);
    value_map_add(&batch, "token", value_string(event_token(db_generation_base(d), db_generation(d), token)));
    return batch;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/faults.h"

#include "base/str.h"

#define LOG_MODULE "faults"
#include "base/log.h"

/* The prober has confirmed a negative before it says so; this only bridges hosts that change one after another. */
#define RAISE_AFTER_MS 1500
/*
 * Said of what some measurements show and others do not: the link between switches is blamed for what no port explains,
 * a direction for what passes the other way. Paths are measured one after another, so these wait for the rest.
 */
#define RAISE_PARTIAL_AFTER_MS 4000
#define WITHDRAW_AFTER_MS 1500
#define MAX_FAULTS 256

struct entry {
    char *key;
    char *sentence;
    enum fault_source source;
    bool stated; /* in the source's latest list */
    bool shown;
    uint64_t since_ms; /* of `stated` */
};

struct faults {
    struct loop *loop;
    struct db *db;
    struct uuid self;
    struct entry entries[MAX_FAULTS];
    unsigned n;
    struct value shown;
    struct loop_source *timer;
    faults_looked_fn *looked;
    void *looked_userdata;
};

/* Sizes and ways; a peer that is down is not this host's limit. */
static bool is_limit(const char *key) {
    return str_starts(key, "MUSTER-N10") && !str_starts(key, "MUSTER-N106");
}

static void publish(struct faults *f) {
    struct value now = value_map();
    for (unsigned i = 0; i < f->n; i++)
        if (f->entries[i].shown)
            value_map_put(&now, f->entries[i].key, value_string(f->entries[i].sentence));
    value_done(&f->shown);
    f->shown = value_copy(&now);
    db_volatile_set(f->db, &f->self, CLASS_host, &f->self, FIELD_host_faults, now);
}

static void entry_remove(struct faults *f, unsigned i) {
    free(f->entries[i].key);
    free(f->entries[i].sentence);
    f->entries[i] = f->entries[--f->n];
}

static uint64_t patience_of(const struct entry *e) {
    if (e->source != FAULTS_PROBE)
        return 0;
    if (!e->stated)
        return WITHDRAW_AFTER_MS;
    bool is_partial = str_starts(e->key, "MUSTER-N104") || str_starts(e->key, "MUSTER-N102");
    return is_partial ? RAISE_PARTIAL_AFTER_MS : RAISE_AFTER_MS;
}

/* Shows what has held long enough, withdraws what has been gone long enough, and sets the timer for the next. */
static void settle(struct faults *f) {
    uint64_t now = loop_now_ms(f->loop), next = LOOP_NEVER;
    bool changed = false;
    for (unsigned i = 0; i < f->n; i++) {
        struct entry *e = &f->entries[i];
        if (e->stated == e->shown) {
            if (!e->stated)
                entry_remove(f, i--); /* gone before it was shown */
            continue;
        }
        uint64_t patience = patience_of(e);
        if (now - e->since_ms < patience) {
            next = MIN(next, patience - (now - e->since_ms));
            continue;
        }
        changed = true;
        e->shown = e->stated;
        if (e->shown) {
            log_warn("%s", e->sentence);
        } else {
            log_notice("no longer so: %s", e->sentence);
            entry_remove(f, i--);
        }
    }
    loop_timer_set(f->timer, next);
    if (changed)
        publish(f);
    if (f->looked)
        f->looked(f->looked_userdata);
}

static void on_timer(struct loop_source *s, void *userdata) {
    settle(userdata);
}

struct faults *faults_new(struct loop *l, struct db *d, const struct uuid *self) {
    struct faults *f = xnew0(struct faults);
    *f = (struct faults){.loop = l, .db = d, .self = *self, .shown = value_map()};
    f->timer = loop_add_timer(l, LOOP_NEVER, on_timer, f);
    return f;
}

void faults_free(struct faults *f) {
    if (!f)
        return;
    while (f->n)
        entry_remove(f, 0);
    value_done(&f->shown);
    loop_source_free(f->timer);
    free(f);
}

static struct entry *find(struct faults *f, enum fault_source source, const char *key) {
    for (unsigned i = 0; i < f->n; i++)
        if (f->entries[i].source == source && str_eq(f->entries[i].key, key))
            return &f->entries[i];
    return NULL;
}

void faults_state(struct faults *f, enum fault_source source, struct value list) {
    uint64_t now = loop_now_ms(f->loop);
    bool reworded = false;
    for (unsigned i = 0; i < f->n; i++) {
        struct entry *e = &f->entries[i];
        if (e->source == source && e->stated && !value_map_get(&list, e->key)) {
            e->stated = false;
            e->since_ms = now;
        }
    }
    for (size_t i = 0; i < list.map.n; i++) {
        const char *key = list.map.pairs[i].key, *sentence = value_str(&list.map.pairs[i].value);
        struct entry *e = find(f, source, key);
        if (!e && f->n < MAX_FAULTS) {
            e = &f->entries[f->n++];
            *e = (struct entry){.key = xstrdup(key), .sentence = xstrdup(""), .source = source, .since_ms = now};
            e->stated = true;
        }
        if (!e)
            continue;
        if (!e->stated) {
            e->stated = true;
            e->since_ms = now;
        }
        if (!str_eq(e->sentence, sentence)) {
            free(e->sentence);
            e->sentence = xstrdup(sentence);
            reworded |= e->shown;
        }
    }
    value_done(&list);
    settle(f);
    if (reworded)
        publish(f);
}

const struct value *faults_shown(const struct faults *f) {
    return &f->shown;
}

const char *faults_limit(const struct faults *f) {
    const char *sentence = NULL;
    for (size_t i = 0; i < f->shown.map.n; i++)
        if (is_limit(f->shown.map.pairs[i].key))
            sentence = value_str(&f->shown.map.pairs[i].value);
    return sentence;
}

bool faults_is_settling(const struct faults *f) {
    for (unsigned i = 0; i < f->n; i++)
        if (f->entries[i].stated && !f->entries[i].shown && is_limit(f->entries[i].key))
            return true;
    return false;
}

void faults_on_look(struct faults *f, faults_looked_fn *fn, void *userdata) {
    f->looked = fn;
    f->looked_userdata = userdata;
}

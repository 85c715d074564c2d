/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that every class has, made from the datamodel: getters, setters, lists, records, default create and
 * destroy. */
#include "api/call_private.h"
#include "api/tasks.h"
#include "api/where.h"
#include "base/str.h"
#include "wire/value_json.h"

static const struct class_def *class_of(const struct call *c) {
    return &model_classes[c->def->class_id];
}

/* ---- reading ---- */

static void get_field(struct call *c) {
    const struct row *r = call_arg_row(c, 0);
    if (r)
        call_return_borrowed(c, row_value(r, (unsigned)c->def->field));
}

static void return_record(struct call *c, const struct row *r) {
    if (c->wants_json) {
        const struct buf *text = db_row_json(call_db(c), r);
        call_return_json(c, text->data, text->size);
        return;
    }
    struct value record = record_borrow(r);
    call_answer(c, &(struct reply){.value = &record});
    record_release(&record);
}

static void get_record(struct call *c) {
    const struct row *r = call_arg_row(c, 0);
    if (r)
        return_record(c, r);
}

static void get_by_uuid(struct call *c) {
    struct uuid u;
    const struct class_def *class = class_of(c);
    const char *text = call_arg_str(c, 0);
    if (uuid_parse(text, &u) && db_get(call_db(c), class->id, &u))
        call_return_ref(c, &u);
    else
        call_fail_code(c, ERR_UUID_INVALID, class->name, text, NULL);
}

static void get_by_name_label(struct call *c) {
    int name_label;
    struct value found = value_set();
    if (model_field_by_name(class_of(c), "name_label", &name_label)) {
        const char *label = call_arg_str(c, 0);
        for (const struct row *r = db_first(call_db(c), c->def->class_id); r; r = db_next(call_db(c), r)) {
            if (str_eq(row_str(r, (unsigned)name_label), label))
                value_set_add(&found, value_ref(&r->uuid));
        }
    }
    call_return(c, found);
}

static void list_refs(struct call *c, const struct where *w) {
    struct value found = value_set();
    for (const struct row *r = db_first(call_db(c), c->def->class_id); r; r = db_next(call_db(c), r)) {
        if (!w || where_match(w, r))
            value_set_add(&found, value_ref(&r->uuid));
    }
    call_return(c, found);
}

/* {"OpaqueRef:...": record, ...} out of the cached texts of the rows. */
static void list_records_json(struct call *c, const struct where *w) {
    _cleanup_buf_ struct buf out = BUF_INIT;
    char ref[REF_TEXT_SIZE];
    buf_add_char(&out, '{');
    for (const struct row *r = db_first(call_db(c), c->def->class_id); r; r = db_next(call_db(c), r)) {
        if (w && !where_match(w, r))
            continue;
        const struct buf *text = db_row_json(call_db(c), r);
        buf_reserve(&out, text->size + REF_TEXT_SIZE + 8);
        buf_add_str(&out, out.size > 1 ? ",\"" : "\"");
        buf_add_str(&out, ref_text(&r->uuid, ref));
        buf_add_str(&out, "\":");
        buf_add(&out, text->data, text->size);
    }
    buf_add_char(&out, '}');
    call_return_json(c, out.data, out.size);
}

static void list_records(struct call *c, const struct where *w) {
    if (c->wants_json) {
        list_records_json(c, w);
        return;
    }
    struct value all = value_map();
    char ref[REF_TEXT_SIZE];
    for (const struct row *r = db_first(call_db(c), c->def->class_id); r; r = db_next(call_db(c), r)) {
        if (!w || where_match(w, r))
            value_map_add(&all, ref_text(&r->uuid, ref), record_borrow(r));
    }
    call_answer(c, &(struct reply){.value = &all});
    for (size_t i = 0; i < all.map.n; i++)
        record_release(&all.map.pairs[i].value);
    value_done(&all);
}

static void list_where(struct call *c, void (*list)(struct call *c, const struct where *w)) {
    struct error *e = NULL;
    _cleanup_(where_freep) struct where *w = where_parse(class_of(c), call_arg_str(c, 0), &e);
    if (w)
        list(c, w);
    else
        call_fail(c, e);
}

/* ---- writing ---- */

static const struct field_def *field_of(const struct call *c) {
    return &class_of(c)->fields[c->def->field];
}

/* A field of the volatile store: written at once, and only by the host that owns the row. */
static void write_volatile(struct call *c, const struct row *r, struct value v) {
    if (c->def->class_id == CLASS_task && tasks_is_own(c->api, &r->uuid)) {
        db_volatile_set(call_db(c), api_own_host(c->api), CLASS_task, &r->uuid, (unsigned)c->def->field, v);
        call_return_void(c);
        return;
    }
    value_done(&v);
    api_fail_unavailable(c, c->def->name);
}

/* The field's new value for volatile fields, which are small: the whole is replaced. */
static struct value changed_copy(struct call *c, const struct value *old) {
    struct value v = value_copy(old);
    switch (c->def->kind) {
    case CALL_ADD_TO_MAP:
        value_map_put(&v, call_arg_str(c, 1), value_copy(call_arg(c, 2)));
        break;
    case CALL_REMOVE_FROM_MAP:
        value_map_remove(&v, call_arg_str(c, 1));
        break;
    case CALL_ADD_TO_SET:
        if (!value_set_has(&v, call_arg(c, 1)))
            value_set_add(&v, value_copy(call_arg(c, 1)));
        break;
    case CALL_REMOVE_FROM_SET:
        value_set_remove(&v, call_arg(c, 1));
        break;
    default:
        value_done(&v);
        v = value_copy(call_arg(c, 1));
    }
    return v;
}

/* What the replica shows already needs no write; it has been committed. */
static bool is_already_so(struct call *c, const struct value *old) {
    switch (c->def->kind) {
    case CALL_REMOVE_FROM_MAP:
        return !value_map_get(old, call_arg_str(c, 1));
    case CALL_ADD_TO_SET:
        return value_set_has(old, call_arg(c, 1));
    case CALL_REMOVE_FROM_SET:
        return !value_set_has(old, call_arg(c, 1));
    case CALL_SET_FIELD:
        return value_equal(old, call_arg(c, 1));
    default:
        return false;
    }
}

static void write_field(struct call *c) {
    const struct row *r = call_arg_row(c, 0);
    if (!r)
        return;
    const struct call_def *def = c->def;
    const struct field_def *f = field_of(c);
    unsigned field = (unsigned)def->field;
    const struct value *old = row_value(r, field);
    if (def->kind == CALL_ADD_TO_MAP && value_map_get(old, call_arg_str(c, 1))) {
        char ref[REF_TEXT_SIZE];
        call_fail_code(c, ERR_MAP_DUPLICATE_KEY, class_of(c)->name, f->name, ref_text(&r->uuid, ref),
                       call_arg_str(c, 1), NULL);
        return;
    }
    if (is_already_so(c, old)) {
        call_return_void(c);
        return;
    }
    if (f->store != STORE_DB) {
        write_volatile(c, r, changed_copy(c, old));
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), def->name);
    switch (def->kind) {
    case CALL_ADD_TO_MAP:
        /* Another client may be adding the same key just now. The database can only compare the whole map, so one that
         * adds another key gets in the way too: then this looks again. */
        db_txn_expect(t, def->class_id, &r->uuid, field, value_copy(old));
        db_txn_map_put(t, def->class_id, &r->uuid, field, call_arg_str(c, 1), value_copy(call_arg(c, 2)));
        break;
    case CALL_REMOVE_FROM_MAP:
        db_txn_map_remove(t, def->class_id, &r->uuid, field, call_arg_str(c, 1));
        break;
    case CALL_ADD_TO_SET:
        db_txn_set_add(t, def->class_id, &r->uuid, field, value_copy(call_arg(c, 1)));
        break;
    case CALL_REMOVE_FROM_SET:
        db_txn_set_remove(t, def->class_id, &r->uuid, field, value_copy(call_arg(c, 1)));
        break;
    default:
        db_txn_set(t, def->class_id, &r->uuid, field, value_copy(call_arg(c, 1)));
    }
    call_commit_or_again(c, t, write_field);
}

/* ---- default constructor and destructor ---- */

struct created {
    struct uuid uuid;
};

static void created(struct call *c, void *userdata) {
    struct uuid u = ((struct created *)userdata)->uuid;
    free(userdata);
    call_return_ref(c, &u);
}

bool call_fill_row(struct call *c, struct db_txn *t, const struct uuid *u, struct error **errp) {
    const struct class_def *class = class_of(c);
    const struct value *record = call_arg(c, 0);
    for (unsigned i = 0; i < class->n_fields; i++) {
        const struct field_def *f = &class->fields[i];
        if (f->store != STORE_DB || f->access == FIELD_DYNAMIC_RO || f->internal)
            continue;
        const struct value *given = value_map_get(record, f->name);
        if (given) {
            struct value v = value_copy(given);
            if (!model_coerce(f->type, &v, f->name, errp)) {
                value_done(&v);
                return false;
            }
            db_txn_set(t, class->id, u, i, v);
        } else if (!f->default_value) {
            error_internal(errp, "the record given to %s lacks '%s'", c->def->name, f->name);
            return false;
        }
    }
    return true;
}

static void create_default(struct call *c) {
    struct db_txn *t = db_txn_new(call_db(c), c->def->name);
    struct uuid u = db_txn_insert(t, c->def->class_id, /* uuid= */ NULL);
    struct error *e = NULL;
    if (!call_fill_row(c, t, &u, &e)) {
        db_txn_abandon(t);
        call_fail(c, e);
        return;
    }
    struct created *done = xnew0(struct created);
    done->uuid = u;
    call_commit(c, t, created, done);
}

static void destroy_default(struct call *c) {
    const struct row *r = call_arg_row(c, 0);
    if (!r)
        return;
    struct db_txn *t = db_txn_new(call_db(c), c->def->name);
    db_txn_delete(t, c->def->class_id, &r->uuid);
    call_commit(c, t, NULL, NULL);
}

void generic_run(struct call *c) {
    if (c->def->class_id == CLASS_session) {
        session_generic_run(c);
        return;
    }
    switch (c->def->kind) {
    case CALL_GET_FIELD:
        get_field(c);
        return;
    case CALL_SET_FIELD:
    case CALL_ADD_TO_MAP:
    case CALL_REMOVE_FROM_MAP:
    case CALL_ADD_TO_SET:
    case CALL_REMOVE_FROM_SET:
        write_field(c);
        return;
    case CALL_GET_ALL:
        list_refs(c, NULL);
        return;
    case CALL_GET_ALL_RECORDS:
        list_records(c, NULL);
        return;
    case CALL_GET_ALL_WHERE:
        list_where(c, list_refs);
        return;
    case CALL_GET_ALL_RECORDS_WHERE:
        list_where(c, list_records);
        return;
    case CALL_GET_RECORD:
        get_record(c);
        return;
    case CALL_GET_BY_UUID:
        get_by_uuid(c);
        return;
    case CALL_GET_BY_NAME_LABEL:
        get_by_name_label(c);
        return;
    case CALL_CREATE_DEFAULT:
        create_default(c);
        return;
    case CALL_DESTROY_DEFAULT:
        destroy_default(c);
        return;
    case CALL_CUSTOM:
        break;
    }
    api_fail_unavailable(c, c->def->name);
}

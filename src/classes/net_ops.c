/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/net_ops.h"

#include "base/str.h"
#include "classes/net_change.h"
#include "wire/value_json.h"

#define MAX_JSON_SIZE (1024 * 1024)

static void op_done(struct net_op_row *o) {
    value_done(&o->old);
    value_done(&o->then);
    value_done(&o->fields);
}

void net_ops_done(struct net_ops *ops) {
    for (size_t i = 0; i < ops->n; i++)
        op_done(&ops->items[i]);
    free(ops->items);
    *ops = (struct net_ops){0};
}

static struct net_op_row *add(struct net_ops *ops, enum net_op_kind kind, int class_id, const struct uuid *uuid) {
    ops->items = xrealloc_array(ops->items, ops->n + 1, sizeof(*ops->items));
    ops->items[ops->n] = (struct net_op_row){.kind = kind, .class_id = class_id, .uuid = *uuid};
    return &ops->items[ops->n++];
}

static struct net_op_row *find(struct net_ops *ops, enum net_op_kind kind, int class_id, const struct uuid *uuid,
                               unsigned field) {
    for (size_t i = 0; i < ops->n; i++) {
        struct net_op_row *o = &ops->items[i];
        if (o->kind == kind && o->class_id == class_id && uuid_eq(&o->uuid, uuid) &&
            (kind != NET_OP_ROW_SET || o->field == field))
            return o;
    }
    return NULL;
}

static void forget(struct net_ops *ops, struct net_op_row *o) {
    size_t at = (size_t)(o - ops->items);
    op_done(o);
    memmove(o, o + 1, (ops->n - at - 1) * sizeof(*o));
    ops->n--;
}

void net_ops_set(struct net_ops *ops, const struct row *r, unsigned field, struct value v) {
    struct net_op_row *o = find(ops, NET_OP_ROW_SET, r->class->id, &r->uuid, field);
    bool is_as_before = value_equal(row_value(r, field), &v);
    if (o && is_as_before)
        forget(ops, o);
    if (is_as_before) {
        value_done(&v);
        return;
    }
    if (!o) {
        o = add(ops, NET_OP_ROW_SET, r->class->id, &r->uuid);
        o->field = field;
        o->old = value_copy(row_value(r, field));
    }
    value_done(&o->then);
    o->then = v;
}

void net_ops_insert(struct net_ops *ops, int class_id, const struct uuid *uuid) {
    add(ops, NET_OP_ROW_INSERT, class_id, uuid)->fields = value_map();
}

void net_ops_set_new(struct net_ops *ops, int class_id, const struct uuid *uuid, unsigned field, struct value v) {
    struct net_op_row *o = find(ops, NET_OP_ROW_INSERT, class_id, uuid, 0);
    if (o)
        value_map_put(&o->fields, model_classes[class_id].fields[field].name, v);
    else
        value_done(&v);
}

void net_ops_delete(struct net_ops *ops, const struct row *r) {
    if (find(ops, NET_OP_ROW_DELETE, r->class->id, &r->uuid, 0))
        return;
    for (size_t i = ops->n; i-- > 0;) /* what was to be set on it is of no use any more */
        if (ops->items[i].kind == NET_OP_ROW_SET && uuid_eq(&ops->items[i].uuid, &r->uuid))
            forget(ops, &ops->items[i]);
    struct net_op_row *o = add(ops, NET_OP_ROW_DELETE, r->class->id, &r->uuid);
    o->fields = value_map();
    for (unsigned i = 0; i < r->class->n_fields; i++)
        if (r->class->fields[i].store == STORE_DB)
            value_map_put(&o->fields, r->class->fields[i].name, value_copy(row_value(r, i)));
}

/* ---- using ---- */

/* Calls fn with each field of a whole row that the model knows. */
#define EACH_FIELD(o, index, v)                                                                                        \
    for (size_t k_ = 0; k_ < (o)->fields.map.n; k_++)                                                                  \
        if (model_field_by_name(&model_classes[(o)->class_id], (o)->fields.map.pairs[k_].key, &(index)) &&             \
            ((v) = &(o)->fields.map.pairs[k_].value))

static void try_on(struct db *fork, const struct net_op_row *o) {
    const struct value *v;
    int field;
    switch (o->kind) {
    case NET_OP_ROW_SET:
        db_fork_set(fork, o->class_id, &o->uuid, o->field, value_copy(&o->then));
        return;
    case NET_OP_ROW_INSERT:
        db_fork_insert(fork, o->class_id, &o->uuid);
        EACH_FIELD(o, field, v)
        db_fork_set(fork, o->class_id, &o->uuid, (unsigned)field, value_copy(v));
        return;
    case NET_OP_ROW_DELETE:
        db_fork_delete(fork, o->class_id, &o->uuid);
        return;
    }
}

struct db *net_ops_fork(struct db *d, const struct net_ops *ops) {
    static const int classes[] = {CLASS_pool, CLASS_host, CLASS_network, CLASS_PIF,
                                  CLASS_Bond, CLASS_VLAN, CLASS_tunnel,  CLASS_PIF_metrics};
    struct db *fork = db_fork(d, classes, ARRAY_SIZE(classes));
    for (size_t i = 0; ops && i < ops->n; i++)
        try_on(fork, &ops->items[i]);
    /* What is plugged will be attached: that is what a host reports after a change, and some readers go by it. */
    for (const struct row *p = db_first(fork, CLASS_PIF); p; p = db_next(fork, p))
        db_fork_set(fork, CLASS_PIF, &p->uuid, FIELD_PIF_currently_attached,
                    value_bool((row_bool(p, FIELD_PIF_plugged) || row_bool(p, FIELD_PIF_management)) &&
                               !db_follow(fork, p, FIELD_PIF_bond_slave_of)));
    return fork;
}

void net_ops_write(const struct net_ops *ops, struct db_txn *t) {
    const struct value *v;
    int field;
    for (size_t i = 0; i < ops->n; i++) {
        const struct net_op_row *o = &ops->items[i];
        if (o->kind == NET_OP_ROW_SET) {
            db_txn_set(t, o->class_id, &o->uuid, o->field, value_copy(&o->then));
        } else if (o->kind == NET_OP_ROW_DELETE) {
            db_txn_delete(t, o->class_id, &o->uuid);
        } else {
            db_txn_insert(t, o->class_id, &o->uuid);
            EACH_FIELD(o, field, v)
            db_txn_set(t, o->class_id, &o->uuid, (unsigned)field, value_copy(v));
        }
    }
}

struct net_ops net_ops_inverse(const struct net_ops *ops) {
    struct net_ops back = {0};
    for (size_t i = ops->n; i-- > 0;) {
        const struct net_op_row *o = &ops->items[i];
        enum net_op_kind kind = o->kind == NET_OP_ROW_SET      ? NET_OP_ROW_SET
                                : o->kind == NET_OP_ROW_INSERT ? NET_OP_ROW_DELETE
                                                               : NET_OP_ROW_INSERT;
        struct net_op_row *b = add(&back, kind, o->class_id, &o->uuid);
        b->field = o->field;
        b->old = value_copy(&o->then);
        b->then = value_copy(&o->old);
        b->fields = value_copy(&o->fields);
    }
    return back;
}

static bool has_changed(struct error **errp, const struct net_op_row *o, const char *what) {
    char uuid[UUID_TEXT_SIZE];
    error_setf(errp, ERR_OPERATION_NOT_ALLOWED, "%s %s %s since; undo the later changes first: xe network-change-list",
               model_classes[o->class_id].name, uuid_text(&o->uuid, uuid), what);
    return false;
}

bool net_ops_still_hold(const struct net_ops *ops, struct db *d, struct error **errp) {
    for (size_t i = 0; i < ops->n; i++) {
        const struct net_op_row *o = &ops->items[i];
        const struct row *r = db_get(d, o->class_id, &o->uuid);
        if (o->kind == NET_OP_ROW_DELETE ? r != NULL : r == NULL)
            return has_changed(errp, o, r ? "has come back" : "has gone");
        if (o->kind == NET_OP_ROW_SET && !value_equal(row_value(r, o->field), &o->then))
            return has_changed(errp, o, "has been changed");
    }
    return true;
}

struct uuid *net_ops_hosts(const struct net_ops *ops, struct db *d, size_t *ret_n) {
    struct db *fork = net_ops_fork(d, ops);
    struct uuid *hosts = xcalloc(db_count(d, CLASS_host) + 1, sizeof(*hosts));
    size_t n = 0;
    for (const struct row *h = db_first(d, CLASS_host); h; h = db_next(d, h)) {
        char now[65] = "", then[65] = "";
        struct error *e = NULL;
        bool is_sound = net_change_hash_of_rows(d, &h->uuid, now, &e);
        error_free(e);
        e = NULL;
        is_sound = net_change_hash_of_rows(fork, &h->uuid, then, &e) && is_sound;
        error_free(e);
        if (!is_sound || !str_eq(now, then))
            hosts[n++] = h->uuid;
    }
    db_free(fork);
    *ret_n = n;
    return hosts;
}

/* ---- for people ---- */

static const struct value *field_of(const struct net_op_row *o, struct db *d, unsigned field) {
    const struct row *r = db_get(d, o->class_id, &o->uuid);
    return o->kind == NET_OP_ROW_SET ? (r ? row_value(r, field) : NULL)
                                     : value_map_get(&o->fields, model_classes[o->class_id].fields[field].name);
}

static const char *host_name(struct db *d, const struct value *ref) {
    const struct row *h = ref && ref->type == VALUE_REF ? db_get(d, CLASS_host, &ref->ref) : NULL;
    return h ? row_str(h, FIELD_host_name_label) : "?";
}

/* "eth0 of host 'h1'": of a PIF by reference, which may be in the list alone. */
static void add_pif(struct buf *b, const struct net_ops *ops, struct db *d, const struct uuid *pif) {
    const struct row *r = db_get(d, CLASS_PIF, pif);
    const struct value *device = NULL, *host = NULL, *tag = NULL;
    for (size_t i = 0; !r && i < ops->n; i++)
        if (ops->items[i].kind != NET_OP_ROW_SET && uuid_eq(&ops->items[i].uuid, pif)) {
            device = field_of(&ops->items[i], d, FIELD_PIF_device);
            host = field_of(&ops->items[i], d, FIELD_PIF_host);
            tag = field_of(&ops->items[i], d, FIELD_PIF_VLAN);
        }
    if (r) {
        device = row_value(r, FIELD_PIF_device);
        host = row_value(r, FIELD_PIF_host);
        tag = row_value(r, FIELD_PIF_VLAN);
    }
    buf_addf(b, "%s", device ? value_str(device) : "?");
    if (tag && value_as_int(tag) >= 0)
        buf_addf(b, " VLAN %lld", (long long)value_as_int(tag));
    buf_addf(b, " of host '%s'", host_name(d, host));
}

static void add_subject(struct buf *b, const struct net_ops *ops, struct db *d, const struct net_op_row *o) {
    const struct value *v;
    switch (o->class_id) {
    case CLASS_network:
        v = field_of(o, d, FIELD_network_name_label);
        buf_addf(b, "network '%s'", v ? value_str(v) : "?");
        return;
    case CLASS_PIF:
        buf_add_str(b, "interface ");
        add_pif(b, ops, d, &o->uuid);
        return;
    case CLASS_Bond:
        v = field_of(o, d, FIELD_Bond_master);
        buf_add_str(b, "bond ");
        add_pif(b, ops, d, v ? &v->ref : &o->uuid);
        return;
    case CLASS_VLAN:
        v = field_of(o, d, FIELD_VLAN_untagged_PIF);
        buf_add_str(b, "VLAN ");
        add_pif(b, ops, d, v ? &v->ref : &o->uuid);
        return;
    default:
        buf_add_str(b, model_classes[o->class_id].name);
    }
}

static void add_value(struct buf *b, const struct net_ops *ops, struct db *d, const struct value *v) {
    if (v->type == VALUE_REF && db_get(d, CLASS_network, &v->ref)) {
        buf_addf(b, "network '%s'", row_str(db_get(d, CLASS_network, &v->ref), FIELD_network_name_label));
    } else if (v->type == VALUE_REF && db_get(d, CLASS_Bond, &v->ref)) {
        const struct row *pif = db_follow(d, db_get(d, CLASS_Bond, &v->ref), FIELD_Bond_master);
        buf_add_str(b, pif ? row_str(pif, FIELD_PIF_device) : "a bond");
    } else if (v->type == VALUE_REF) {
        buf_add_str(b, uuid_is_null(&v->ref) ? "none" : "the new one");
    } else if (v->type == VALUE_STRING) {
        buf_addf(b, "'%s'", value_str(v));
    } else {
        value_json_emit(b, v);
    }
}

char *net_ops_text(const struct net_ops *ops, struct db *d) {
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < ops->n; i++) {
        const struct net_op_row *o = &ops->items[i];
        add_subject(&b, ops, d, o);
        if (o->kind == NET_OP_ROW_SET) {
            buf_addf(&b, ": %s ", model_classes[o->class_id].fields[o->field].name);
            add_value(&b, ops, d, &o->old);
            buf_add_str(&b, " becomes ");
            add_value(&b, ops, d, &o->then);
            buf_add_char(&b, '\n');
        } else {
            buf_add_str(&b, o->kind == NET_OP_ROW_INSERT ? " comes\n" : " goes\n");
        }
    }
    return buf_take(&b);
}

/* ---- as text ---- */

static const char *const kinds[] = {"set", "insert", "delete"};

char *net_ops_to_json(const struct net_ops *ops) {
    _cleanup_value_ struct value list = value_set();
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < ops->n; i++) {
        const struct net_op_row *o = &ops->items[i];
        struct value v = value_map();
        char uuid[UUID_TEXT_SIZE];
        value_map_add(&v, "op", value_string(kinds[o->kind]));
        value_map_add(&v, "class", value_string(model_classes[o->class_id].name));
        value_map_add(&v, "uuid", value_string(uuid_text(&o->uuid, uuid)));
        if (o->kind == NET_OP_ROW_SET) {
            value_map_add(&v, "field", value_string(model_classes[o->class_id].fields[o->field].name));
            value_map_add(&v, "old", value_copy(&o->old));
            value_map_add(&v, "then", value_copy(&o->then));
        } else {
            value_map_add(&v, "fields", value_copy(&o->fields));
        }
        value_set_add(&list, v);
    }
    value_json_emit(&b, &list);
    return buf_take(&b);
}

static int class_by_name(const char *name) {
    for (int i = 0; i < N_CLASSES; i++)
        if (str_eq(model_classes[i].name, name))
            return i;
    return -1;
}

static bool coerce(const struct field_def *f, struct value *v, struct error **errp) {
    return model_coerce(f->type, v, f->name, errp);
}

static bool read_op(struct value *v, struct net_ops *ops, struct error **errp) {
    const char *op = v->type == VALUE_MAP ? value_map_str(v, "op") : NULL,
               *class = op ? value_map_str(v, "class") : NULL, *uuid_string = op ? value_map_str(v, "uuid") : NULL;
    struct uuid uuid;
    int class_id = class ? class_by_name(class) : -1, field;
    unsigned kind = 0;
    while (op && kind < ARRAY_SIZE(kinds) && !str_eq(op, kinds[kind]))
        kind++;
    if (class_id < 0 || kind == ARRAY_SIZE(kinds) || !uuid_string || !uuid_parse(uuid_string, &uuid)) {
        error_internal(errp, "a step of a network change cannot be read");
        return false;
    }
    const struct class_def *def = &model_classes[class_id];
    struct net_op_row *o = add(ops, (enum net_op_kind)kind, class_id, &uuid);
    if (o->kind != NET_OP_ROW_SET) {
        struct value *fields = value_map_get(v, "fields");
        o->fields = fields ? value_take(fields) : value_map();
        for (size_t i = 0; o->fields.type == VALUE_MAP && i < o->fields.map.n; i++) {
            const struct field_def *f = model_field_by_name(def, o->fields.map.pairs[i].key, &field);
            if (f && !coerce(f, &o->fields.map.pairs[i].value, errp))
                return false;
        }
        return true;
    }
    const char *name = value_map_str(v, "field");
    const struct field_def *f = name ? model_field_by_name(def, name, &field) : NULL;
    struct value *old = value_map_get(v, "old"), *then = value_map_get(v, "then");
    if (!f || !old || !then) {
        error_internal(errp, "a step of a network change cannot be read");
        return false;
    }
    o->field = (unsigned)field;
    o->old = value_take(old);
    o->then = value_take(then);
    return coerce(f, &o->old, errp) && coerce(f, &o->then, errp);
}

bool net_ops_from_json(const char *text, struct net_ops *ret, struct error **errp) {
    _cleanup_value_ struct value list = {.type = VALUE_VOID};
    struct net_ops ops = {0};
    size_t size = strlen(text);
    bool ok = size <= MAX_JSON_SIZE && value_json_parse(text, size, 16, 1000000, &list, errp);
    if (ok && list.type != VALUE_SET) {
        error_internal(errp, "a network change cannot be read");
        ok = false;
    }
    for (size_t i = 0; ok && i < list.set.n && i < NET_OPS_MAX; i++)
        ok = read_op(&list.set.items[i], &ops, errp);
    if (!ok) {
        net_ops_done(&ops);
        if (!*errp)
            error_internal(errp, "a network change cannot be read");
        return false;
    }
    *ret = ops;
    return true;
}

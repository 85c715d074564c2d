/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Derived fields (STORE_DERIVED). They depend on the UUID of the row alone, so they are filled once: the text of
 * `uuid`, and references to companion rows of the volatile store, whose UUID every host computes alike.
 */
#include "base/str.h"
#include "db/db_internal.h"

/* The name space of companion rows, chosen once at random. */
static const struct uuid companion_space = {
    {0x6b, 0x1f, 0x0a, 0x52, 0x5c, 0x4e, 0x4d, 0x0d, 0x9a, 0x7d, 0x33, 0xc8, 0x1e, 0x70, 0x2b, 0xe4}};

struct uuid db_companion_uuid(const struct uuid *object, const char *class_name) {
    char text[UUID_TEXT_SIZE];
    _cleanup_free_ char *name = strf("%s %s", class_name, uuid_text(object, text));
    return uuid_derive(&companion_space, name);
}

void db_derive(struct db *d, struct object *o) {
    const struct class_def *class = o->row.class;
    for (unsigned i = 0; i < class->n_fields; i++) {
        const struct field_def *f = &class->fields[i];
        if (f->store != STORE_DERIVED)
            continue;
        struct value v;
        if (f->type->kind == TYPE_STRING && str_eq(f->name, "uuid")) {
            char text[UUID_TEXT_SIZE];
            v = value_string(uuid_text(&o->row.uuid, text));
        } else if (f->type->kind == TYPE_REF && f->type->class_id >= 0 &&
                   model_classes[f->type->class_id].is_volatile) {
            struct uuid companion = db_companion_uuid(&o->row.uuid, f->type->class_name);
            v = value_ref(&companion);
        } else {
            continue; /* of a class that is not here yet: always empty */
        }
        value_done(&o->values[i]);
        o->values[i] = v;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include <strings.h>

#include "base/str.h"
#include "model/model_slots.h"

#define FNV_BASIS 2166136261u
#define FNV_PRIME 16777619u

/* FNV-1a, continued from `h`; gen/emit_tables.py lays the slots out by the same function. */
static uint32_t hash_more(uint32_t h, const char *text) {
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * FNV_PRIME;
    return h;
}

const struct class_def *model_class_by_name(const char *name) {
    uint32_t at = hash_more(FNV_BASIS, name) & model_class_mask;
    for (; model_class_slots[at]; at = (at + 1) & model_class_mask) {
        const struct class_def *c = &model_classes[model_class_slots[at] - 1];
        if (str_eq(c->name, name))
            return c;
    }
    return NULL;
}

const struct class_def *model_class_by_name_any_case(const char *name) {
    for (unsigned i = 0; i < N_CLASSES; i++)
        if (strcasecmp(model_classes[i].name, name) == 0)
            return &model_classes[i];
    return NULL;
}

const struct field_def *model_field_by_name(const struct class_def *c, const char *name, int *ret_index) {
    uint32_t at = hash_more(hash_more(hash_more(FNV_BASIS, c->name), "."), name) & model_field_mask;
    for (; model_field_slots[at]; at = (at + 1) & model_field_mask) {
        const struct model_field_at *f = &model_fields_at[model_field_slots[at] - 1];
        if (f->class_id == c->id && str_eq(c->fields[f->field].name, name)) {
            if (ret_index)
                *ret_index = f->field;
            return &c->fields[f->field];
        }
    }
    return NULL;
}

const struct call_def *model_call_by_name(const char *name) {
    uint32_t at = hash_more(FNV_BASIS, name) & model_call_mask;
    for (; model_call_slots[at]; at = (at + 1) & model_call_mask) {
        const struct call_def *c = &model_calls[model_call_slots[at] - 1];
        if (str_eq(c->name, name))
            return c;
    }
    return NULL;
}

static int compare_error(const void *key, const void *member) {
    const struct error_def *e = member;
    return strcmp(key, e->code);
}

const struct error_def *model_error_by_code(const char *code) {
    return bsearch(code, model_errors, model_n_errors, sizeof(model_errors[0]), compare_error);
}

bool model_role_by_name(const char *name, enum role *ret) {
    for (unsigned i = 0; i < N_ROLES; i++)
        if (str_eq(model_role_names[i], name)) {
            *ret = i;
            return true;
        }
    return false;
}

struct value model_empty_value(const struct type_def *t) {
    switch (t->kind) {
    case TYPE_VOID:
    case TYPE_ANY:
        return (struct value){0};
    case TYPE_STRING:
    case TYPE_ENUM: /* no value of the enum: it was never set */
        return value_string("");
    case TYPE_INT:
        return value_int(0);
    case TYPE_FLOAT:
        return value_float(0);
    case TYPE_BOOL:
        return value_bool(false);
    case TYPE_TIME:
        return value_time(0);
    case TYPE_REF:
        return value_ref(NULL);
    case TYPE_SET:
        return value_set();
    case TYPE_MAP:
    case TYPE_RECORD:
        return value_map();
    }
    return (struct value){0};
}

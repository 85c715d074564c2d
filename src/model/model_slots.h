/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lookup tables that the generator lays out for model.c: open addressing over the 32-bit FNV-1a hash of a name, linear
 * probing, each slot the index plus one of the entry (0: empty). Private to src/model.
 */
#pragma once

#include <stdint.h>

struct model_field_at {
    uint16_t class_id;
    uint16_t field;
};

extern const struct model_field_at model_fields_at[];
extern const uint16_t model_call_slots[];  /* by "Class.method" -> model_calls */
extern const uint16_t model_field_slots[]; /* by "Class.field" -> model_fields_at */
extern const uint16_t model_class_slots[]; /* by "Class" -> model_classes */
extern const uint32_t model_call_mask, model_field_mask, model_class_mask;

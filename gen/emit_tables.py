# SPDX-License-Identifier: Apache-2.0
"""model_gen.c: the constant tables behind model.h; gen_handlers.h and .inc: the functions behind the calls."""

import calendar
import json
import time

from emit_types import BANNER

KINDS = {
    "void": "TYPE_VOID",
    "string": "TYPE_STRING",
    "int": "TYPE_INT",
    "float": "TYPE_FLOAT",
    "bool": "TYPE_BOOL",
    "datetime": "TYPE_TIME",
    "enum": "TYPE_ENUM",
    "ref": "TYPE_REF",
    "record": "TYPE_RECORD",
    "set": "TYPE_SET",
    "map": "TYPE_MAP",
    "any": "TYPE_ANY",
    "option": "TYPE_ANY",
}
ACCESS = {"RW": "FIELD_RW", "StaticRO": "FIELD_STATIC_RO", "DynamicRO": "FIELD_DYNAMIC_RO"}
STORES = {"db": "STORE_DB", "volatile": "STORE_VOLATILE", "relation": "STORE_RELATION", "derived": "STORE_DERIVED"}
WRITERS = {"coordinator": "WRITER_COORDINATOR", "owner": "WRITER_OWNER_HOST", "nobody": "WRITER_NOBODY"}


def c_string(text):
    return json.dumps(text, ensure_ascii=False)


def role(name):
    return "ROLE_" + name.replace("-", "_").upper()


def fnv1a(text):
    """The hash of model.c: the slots below are laid out by it."""
    h = 2166136261
    for b in text.encode():
        h = ((h ^ b) * 16777619) & 0xFFFFFFFF
    return h


class _Types:
    """Each distinct type once, after those it is made of."""

    def __init__(self, model):
        self.model = model
        self.names = {}
        self.lines = []

    def ref(self, t):
        if t.text in self.names:
            return "&" + self.names[t.text]
        parts = [f".kind = {KINDS[t.kind]}", f".text = {c_string(t.text)}"]
        if t.key:
            parts.append(f".key = {self.ref(t.key)}")
        if t.elem:
            parts.append(f".elem = {self.ref(t.elem)}")
        if t.kind == "enum":
            parts.append(f".enumeration = &enum_{t.name}")
        if t.kind in ("ref", "record"):
            cls = self.model.class_by_name(t.name)
            parts.append(f".class_name = {c_string(t.name)}")
            parts.append(f".class_id = CLASS_{t.name}" if cls else ".class_id = -1")
        else:
            parts.append(".class_id = -1")
        name = f"type_{len(self.names)}"
        self.names[t.text] = name
        self.lines.append(f"static const struct type_def {name} = {{{', '.join(parts)}}};\n")
        return "&" + name


class _Values:
    """Each distinct default once."""

    def __init__(self):
        self.names = {}
        self.lines = []

    def ref(self, t, v):
        key = (t.text, json.dumps(v))
        if key not in self.names:
            init = self._init(t, v)
            self.names[key] = f"value_{len(self.names)}"
            self.lines.append(f"static const struct value {self.names[key]} = {init};\n")
        return "&" + self.names[key]

    def _init(self, t, v):
        if t.kind in ("string", "enum", "void"):
            return f"{{.type = VALUE_STRING, .string = (char *){c_string(v)}}}"
        if t.kind == "int":
            return f"{{.type = VALUE_INT, .integer = {v}}}"
        if t.kind == "float":
            return f"{{.type = VALUE_FLOAT, .real = {float(v)!r}}}"
        if t.kind == "bool":
            return f"{{.type = VALUE_BOOL, .boolean = {'true' if v else 'false'}}}"
        if t.kind == "datetime":
            return f"{{.type = VALUE_TIME, .time = {calendar.timegm(time.strptime(v, '%Y%m%dT%H:%M:%SZ'))}}}"
        if t.kind == "ref":
            return "{.type = VALUE_REF}"
        name = f"items_{len(self.lines)}"
        if t.kind == "set":
            if not v:
                return "{.type = VALUE_SET}"
            items = ", ".join(self._init(t.elem, x) for x in v)
            self.lines.append(f"static struct value {name}[] = {{{items}}};\n")
            return f"{{.type = VALUE_SET, .set = {{{name}, {len(v)}}}}}"
        if not v:
            return "{.type = VALUE_MAP}"
        pairs = ", ".join(f"{{(char *){c_string(k)}, {self._init(t.elem, x)}}}" for k, x in v.items())
        self.lines.append(f"static struct value_pair {name}[] = {{{pairs}}};\n")
        return f"{{.type = VALUE_MAP, .map = {{{name}, {len(v)}}}}}"


def _enums(model):
    for name, (values, where) in sorted(model.enums.items()):
        texts = ", ".join(c_string(v) for v in values)
        yield f"/* from {where} */\n"
        yield f"static const char *const enum_{name}_values[] = {{{texts}}};\n"
        yield f"static const struct enum_def enum_{name} = {{{c_string(name)}, enum_{name}_values, {len(values)}}};\n"


def _field(model, f, types, values):
    default = values.ref(f.type, f.default) if f.default is not None else "NULL"
    store, relation_class, relation_field = f.store, "-1", "-1"
    if f.relation:
        if model.class_by_name(f.relation[0]):
            relation_class = f"CLASS_{f.relation[0]}"
            relation_field = f"FIELD_{f.relation[0]}_{f.relation[1]}"
        else:
            store = "derived"  # the other class is not here yet: always empty
    return (
        f"    {{.name = {c_string(f.name)}, .type = {types.ref(f.type)}, .access = {ACCESS[f.access]},\n"
        f"     .store = {STORES[store]}, .writer = {WRITERS[f.writer]}, .default_value = {default},\n"
        f"     .relation_class = {relation_class}, .relation_field = {relation_field}, .write_role = {role(f.write_role)},\n"
        f"     .internal = {'true' if f.internal else 'false'}, .doc = {c_string(f.doc)}}},\n"
    )


def _params(call, index, types, values):
    if not call.params:
        return "NULL", []
    lines = [f"static const struct param_def params_{index}[] = {{\n"]
    for p in call.params:
        default = values.ref(p.type, p.default) if p.optional else "NULL"
        optional = "true" if p.optional else "false"
        lines.append(f"    {{{c_string(p.name)}, {types.ref(p.type)}, {optional}, {default}, {c_string(p.doc)}}},\n")
    lines.append("};\n")
    return f"params_{index}", lines


def _slots(name, keys, n_bits):
    """An open-addressing table: slot -> index of the key + 1, 0 when empty."""
    size = 1 << n_bits
    slots = [0] * size
    for i, key in enumerate(keys):
        at = fnv1a(key) & (size - 1)
        while slots[at]:
            at = (at + 1) & (size - 1)
        slots[at] = i + 1
    out = [f"const uint16_t {name}[{size}] = {{\n"]
    for i in range(0, size, 16):
        out.append("    " + ", ".join(str(s) for s in slots[i : i + 16]) + ",\n")
    out.append("};\n")
    return out


def _bits(n):
    return max(3, (2 * n).bit_length())


def source(model):
    types, values = _Types(model), _Values()
    body = []
    calls = model.all_calls()
    handled = [c for c in calls if c.handled]
    handler_index = {c.full_name: i for i, c in enumerate(handled)}
    call_index = {c.full_name: i for i, c in enumerate(calls)}

    for cls in model.classes:
        if cls.fields:
            body.append(f"\n/* from {cls.file} */\nstatic const struct field_def fields_{cls.name}[] = {{\n")
            body.extend(_field(model, f, types, values) for f in cls.fields)
            body.append("};\n")

    table = ["\nconst struct call_def model_calls[] = {\n"]
    for i, call in enumerate(calls):
        params, lines = _params(call, i, types, values)
        body.extend(lines)
        class_id = f"CLASS_{call.class_name}" if model.class_by_name(call.class_name) else "-1"
        field = f"FIELD_{call.class_name}_{call.field}" if call.field else "-1"
        error, reason = (c_string(s) for s in call.planned) if call.planned else ("NULL", "NULL")
        table.append(
            f"    {{.name = {c_string(call.full_name)}, .class_id = {class_id}, .kind = CALL_{call.kind.upper()}, .field = {field},\n"
            f"     .result = {types.ref(call.result)}, .params = {params}, .n_params = {len(call.params)},\n"
            f"     .has_session = {str(call.has_session).lower()}, .has_async = {str(call.has_async).lower()},"
            f" .role = {role(call.role)}, .place = CALL_{call.place.upper()},\n"
            f"     .with_certificate = {str(call.with_certificate).lower()},\n"
            f"     .handler = {handler_index.get(call.full_name, -1)}, .planned_error = {error}, .planned_reason = {reason},\n"
            f"     .doc = {c_string(call.doc)}}},\n"
        )
    table.append(f"}};\nconst unsigned model_n_calls = {len(calls)};\n")

    for cls in model.classes:
        if cls.calls:
            table.append(f"\nstatic const struct call_def *const calls_{cls.name}[] = {{\n")
            table.extend(f"    &model_calls[{call_index[c.full_name]}], /* {c.name} */\n" for c in cls.calls)
            table.append("};\n")
    table.append("\nconst struct class_def model_classes[N_CLASSES] = {\n")
    for cls in model.classes:
        table.append(
            f"    {{.name = {c_string(cls.name)}, .event_name = {c_string(cls.name.lower())}, .id = CLASS_{cls.name},\n"
            f"     .fields = {'fields_' + cls.name if cls.fields else 'NULL'}, .n_fields = N_FIELDS_{cls.name},\n"
            f"     .calls = {'calls_' + cls.name if cls.calls else 'NULL'}, .n_calls = {len(cls.calls)},\n"
            f"     .is_volatile = {str(cls.store == 'volatile').lower()}, .has_table = {str(cls.store != 'none').lower()},"
            f" .has_events = {str(cls.events).lower()},\n"
            f"     .doc = {c_string(cls.doc)}}},\n"
        )
    table.append("};\n")

    table.append("\n/* from datamodel/errors.toml */\n")
    for i, e in enumerate(model.errors):
        if e.params:
            table.append(f"static const char *const error_params_{i}[] = {{{', '.join(c_string(p) for p in e.params)}}};\n")
    table.append("const struct error_def model_errors[] = {\n")
    for i, e in enumerate(model.errors):
        params = f"error_params_{i}" if e.params else "NULL"
        table.append(f"    {{{c_string(e.code)}, {params}, {len(e.params)}, {c_string(e.text)}}},\n")
    table.append(f"}};\nconst unsigned model_n_errors = {len(model.errors)};\n")
    names = ", ".join(c_string(r) for r in model.roles)
    table.append(f"\nconst char *const model_role_names[N_ROLES] = {{{names}}};\n")
    table.append(f"const char model_schema_version[] = {c_string(model.schema_version)};\n\n")

    fields = [(c, f) for c in model.classes for f in c.fields]
    table.append("/* Where model.c finds a name: see model_hash there. */\n")
    table.append("const struct model_field_at model_fields_at[] = {\n")
    table.extend(f"    {{CLASS_{c.name}, FIELD_{c.name}_{f.name}}},\n" for c, f in fields)
    table.append("};\n")
    call_bits, field_bits, class_bits = _bits(len(calls)), _bits(len(fields)), _bits(len(model.classes))
    table += _slots("model_call_slots", [c.full_name for c in calls], call_bits)
    table += _slots("model_field_slots", [f"{c.name}.{f.name}" for c, f in fields], field_bits)
    table += _slots("model_class_slots", [c.name for c in model.classes], class_bits)
    for name, bits in (("call", call_bits), ("field", field_bits), ("class", class_bits)):
        table.append(f"const uint32_t model_{name}_mask = {(1 << bits) - 1};\n")

    out = [BANNER, '#include "model/model.h"\n#include "model/model_slots.h"\n\n']
    return "".join(out + list(_enums(model)) + ["\n"] + types.lines + ["\n"] + values.lines + body + table)


def handlers_header(model):
    out = [BANNER, '#pragma once\n\n#include "api/call.h"\n\n/* call_def.handler indexes this. */\n']
    out.append("extern call_handler_fn *const model_handlers[];\n\n")
    out.extend(f"call_handler_fn {c.handler}; /* {c.full_name} */\n" for c in model.all_calls() if c.handled)
    return "".join(out)


def handlers_table(model):
    out = [BANNER, "/* Included once, by src/classes: ties the calls to their functions. */\n"]
    out.append("call_handler_fn *const model_handlers[] = {\n")
    out.extend(f"    {c.handler},\n" for c in model.all_calls() if c.handled)
    out.append("};\n")
    return "".join(out)

# SPDX-License-Identifier: Apache-2.0
"""What a model must satisfy before anything is generated from it. Each rule says what is wrong and where."""

import re

from load import IMPLICIT, ModelError

ACCESS = {"RW", "StaticRO", "DynamicRO"}
STORES = {"db", "volatile", "relation", "derived"}
WRITERS = {"coordinator", "owner", "nobody"}
PLACES = {"coordinator", "local"}
RIGHTS = {"RO", "RW", "SRO", "SRW", "MRO", "MRW"}
NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_]*$")
TIME = re.compile(r"^\d{8}T\d\d:\d\d:\d\dZ$")
VERSION = re.compile(r"^\d+\.\d+\.\d+$")


def _types(t):
    yield t
    for inner in (t.key, t.elem):
        if inner:
            yield from _types(inner)


def _check_type(model, t, where):
    for part in _types(t):
        if part.kind == "enum" and part.name not in model.enums:
            raise ModelError(f"{where}: no enum is called '{part.name}'")
        if part.kind == "map" and part.key.kind not in ("string", "int", "ref", "enum"):
            raise ModelError(f"{where}: a map cannot have keys of type '{part.key.text}'")


def value_fits(model, t, v):
    if t.kind in ("string", "void"):
        return isinstance(v, str)
    if t.kind == "int":
        return isinstance(v, int) and not isinstance(v, bool)
    if t.kind == "float":
        return isinstance(v, (int, float)) and not isinstance(v, bool)
    if t.kind == "bool":
        return isinstance(v, bool)
    if t.kind == "datetime":
        return isinstance(v, str) and bool(TIME.match(v))
    if t.kind == "enum":
        return v in model.enums[t.name][0]
    if t.kind == "ref":
        return v == "null"
    if t.kind == "set":
        return isinstance(v, list) and all(value_fits(model, t.elem, x) for x in v)
    if t.kind in ("map", "record"):
        elem_fits = t.kind == "record" or all(value_fits(model, t.elem, x) for x in v.values())
        return isinstance(v, dict) and elem_fits
    return False


def _check_role(model, role, where):
    if role not in model.roles:
        raise ModelError(f"{where}: no role is called '{role}'")


def _check_doc(doc, where):
    if not doc:
        raise ModelError(f"{where}: has no sentence of documentation")
    if not doc.endswith((".", "!", "?")):
        raise ModelError(f"{where}: the documentation must be a sentence, ending in a full stop")


def _check_field(model, cls, f):
    if not NAME.match(f.name):
        raise ModelError(f"{f.where}: not a name")
    if f.access not in ACCESS:
        raise ModelError(f"{f.where}: access must be RW, StaticRO or DynamicRO, not '{f.access}'")
    if f.store not in STORES:
        raise ModelError(f"{f.where}: no store is called '{f.store}'")
    if f.writer not in WRITERS:
        raise ModelError(f"{f.where}: writer must be coordinator, owner or nobody, not '{f.writer}'")
    _check_type(model, f.type, f.where)
    _check_role(model, f.write_role, f.where)
    _check_role(model, f.read_role or cls.read_role, f.where)
    _check_doc(f.doc, f.where)
    if f.default is not None and not value_fits(model, f.type, f.default):
        raise ModelError(f"{f.where}: the default does not fit type '{f.type.text}'")
    if f.access == "RW" and cls.store != "none" and f.store in ("relation", "derived"):
        raise ModelError(f"{f.where}: a field that is computed cannot be RW")
    if cls.store == "volatile" and f.store == "db":
        raise ModelError(f"{f.where}: rows of '{cls.name}' are volatile, so none of its fields can be in the database")
    if f.store == "db" and f.type.kind in ("record", "any", "void", "option"):
        raise ModelError(f"{f.where}: type '{f.type.text}' cannot be stored")
    if f.store == "db" and f.type.elem and f.type.elem.kind in ("set", "map", "record", "any", "void"):
        raise ModelError(f"{f.where}: the database cannot hold '{f.type.elem.text}' inside a set or map")
    if f.relation:
        _check_relation(model, cls, f)
    if f.store == "volatile" and (f.access == "RW" or f.setters) and not f.refused and not cls.clients_write:
        raise ModelError(f"{f.where}: clients cannot set what its owner host keeps in memory; say why it is refused")
    if f.removed and f.store != "derived":
        raise ModelError(f"{f.where}: a removed field keeps no value, so it has no store")
    if f.refused and not (f.access == "RW" or f.setters):
        raise ModelError(f"{f.where}: has no setters to refuse")
    if f.refused:
        _check_doc(f.refused, f.where)


def _check_relation(model, cls, f):
    other = model.class_by_name(f.relation[0])
    if not (f.type.kind == "set" and f.type.elem.kind == "ref" and f.type.elem.name == f.relation[0]):
        raise ModelError(f"{f.where}: a relation to {f.relation[0]} must have type '{f.relation[0]} ref set'")
    if not other:
        return
    back = other.field(f.relation[1])
    if not back:
        raise ModelError(f"{f.where}: class '{other.name}' has no field '{f.relation[1]}'")
    target = back.type.elem if back.type.kind == "set" else back.type
    if target.kind != "ref" or target.name != cls.name:
        raise ModelError(f"{f.where}: '{other.name}.{back.name}' does not refer to class '{cls.name}'")


def _check_call(model, call):
    _check_role(model, call.role, call.where)
    _check_doc(call.doc, call.where)
    if call.place not in PLACES:
        raise ModelError(f"{call.where}: place must be coordinator or local, not '{call.place}'")
    _check_type(model, call.result, call.where)
    seen_optional = False
    names = set()
    for p in call.params:
        where = f"{call.where}: parameter '{p.name}'"
        if p.name in names:
            raise ModelError(f"{where}: named twice")
        names.add(p.name)
        _check_type(model, p.type, where)
        if seen_optional and not p.optional:
            raise ModelError(f"{where}: must have a default, as one before it has")
        seen_optional |= p.optional
        if p.optional and not value_fits(model, p.type, p.default):
            raise ModelError(f"{where}: the default does not fit type '{p.type.text}'")
    codes = {e.code for e in model.errors}
    if call.planned and call.planned[0] not in codes:
        raise ModelError(f"{call.where}: no error is called '{call.planned[0]}'")


def _check_cli(model, cls):
    names = {f.name for f in cls.cli_fields}
    for f in cls.cli_fields:
        if f.rights not in RIGHTS:
            raise ModelError(f"{f.where}: rights must be one of RO RW SRO SRW MRO MRW, not '{f.rights}'")
        at = cls
        for i, step in enumerate(f.path):
            field = at.field(step) if at else None
            if not field:
                raise ModelError(f"{f.where}: no field '{step}' on the path")
            if i + 1 < len(f.path):
                target = field.type.elem if field.type.kind == "set" else field.type
                if target.kind != "ref":
                    raise ModelError(f"{f.where}: '{step}' is not a reference, the path cannot go through it")
                at = model.class_by_name(target.name)
    for view in cls.cli_views:
        for name in view.default:
            if name not in names:
                raise ModelError(f"{view.where}: default '{name}' is not among the fields")
        for name, _ in view.only:
            field = cls.field(name)
            if not field or field.type.kind != "bool":
                raise ModelError(f"{view.where}: '{name}' is no field that is true or false")


def _check_command(cls, command):
    call = next((c for c in cls.calls if c.name == command.call), None)
    if not call:
        raise ModelError(f"{command.where}: class '{cls.name}' has no call '{command.call}'")
    takes_record = len(call.params) == 1 and call.params[0].type.kind == "record"
    if takes_record:
        for a in command.args:
            a.field = a.field or a.key.rstrip(":").replace("-", "_")
            if not cls.field(a.field):
                raise ModelError(f"{command.where}: '{a.key}' is no field of '{cls.name}'")
        types = [cls.field(a.field).type for a in command.args]
    else:
        if any(a.field for a in command.args):
            raise ModelError(f"{command.where}: {call.full_name} takes no record, so there are no fields to name")
        required = sum(1 for p in call.params if not p.optional)
        if not required <= len(command.args) <= len(call.params):
            raise ModelError(f"{command.where}: {call.full_name} takes {len(call.params)} parameters, not {len(command.args)}")
        types = [p.type for p, _ in zip(call.params, command.args)]
    for a, t in zip(command.args, types):
        if a.key.endswith(":") != (t.kind == "map"):
            raise ModelError(f"{command.where}: '{a.key}' stands for '{t.text}'; names of maps end in a colon, others do not")
    if command.help.endswith("."):
        raise ModelError(f"{command.where}: help is a phrase, without a full stop")


def check(model):
    if not VERSION.match(model.schema_version):
        raise ModelError("datamodel/model.toml: schema_version must be three numbers with dots")
    for name, (values, where) in model.enums.items():
        if not values or not all(isinstance(v, str) for v in values) or len(set(values)) != len(values):
            raise ModelError(f"{where}: enum '{name}' must be a list of different words")
    handlers = {}
    for cls in model.classes + model.bare:
        if not NAME.match(cls.name):
            raise ModelError(f"{cls.file}: class: '{cls.name}' is not a name")
        if cls.store not in ("db", "volatile", "none"):
            raise ModelError(f"{cls.file}: class: no store is called '{cls.store}'")
        _check_doc(cls.doc, f"{cls.file}: class")
        _check_role(model, cls.create_role, f"{cls.file}: class")
        _check_role(model, cls.read_role, f"{cls.file}: class")
        if cls.removed and cls.store != "none":
            raise ModelError(f"{cls.file}: class: what the API has removed has no objects, so it has no store")
        if cls.read_role != "read-only" and cls.events:
            raise ModelError(f"{cls.file}: class: events show whole records to everyone, so it must say events = false")
        for name in cls.implicit:
            if name not in IMPLICIT:
                raise ModelError(f"{cls.file}: class: '{name}' is not an implicit call")
        for f in cls.fields:
            _check_field(model, cls, f)
        names = set()
        for call in cls.calls:
            if call.name in names:
                raise ModelError(f"{call.where}: call '{call.name}' comes twice")
            names.add(call.name)
            _check_call(model, call)
            if call.handled:
                if call.handler in handlers:
                    raise ModelError(f"{call.where}: its handler '{call.handler}' also belongs to {handlers[call.handler]}")
                handlers[call.handler] = call.full_name
        _check_cli(model, cls)
        for command in cls.cli_commands:
            _check_command(cls, command)
        if cls.store == "db" and not cls.bare and not any(f.store == "db" for f in cls.fields):
            raise ModelError(f"{cls.file}: class: a table of the database needs a column; no field is kept there")
    for e in model.errors:
        _check_doc(e.text, f"datamodel/errors.toml: {e.code}")

# SPDX-License-Identifier: Apache-2.0
"""The calls that nobody writes down: getters, setters and the calls about whole objects, made from fields and class flags."""

from load import IMPLICIT, Call, Param, parse_type

REMOVED = ("MESSAGE_REMOVED", "The API has removed this.")
VOID = parse_type("void", "")


def _param(name, text, doc=""):
    return Param(name, parse_type(text, ""), False, None, doc)


def _field_calls(cls, field):
    ref = _param("self", f"{cls.name} ref", "the object")
    name, words = field.name, field.name.replace("_", " ")

    def make(prefix, kind, params, result, role, doc, place="coordinator"):
        planned = None
        if cls.removed or field.removed:
            planned = REMOVED
        elif field.refused and kind != "get_field":
            planned = ("NOT_IMPLEMENTED", field.refused)
        params = [ref, *params]
        return Call(prefix + name, cls.name, kind, params, result, role, place, field=name, planned=planned, doc=doc, where=field.where)

    if cls.getters:
        yield make("get_", "get_field", [], field.type, field.read_role or cls.read_role, f"Gives the {words} of a {cls.name}.", "local")
    if field.access != "RW" and not field.setters:
        return
    value = Param("value", field.type, False, None, "the new value")
    yield make("set_", "set_field", [value], VOID, field.write_role, f"Sets the {words} of a {cls.name}.")
    if field.type.kind == "map":
        key = Param("key", field.type.key, False, None, "the key")
        item = Param("value", field.type.elem, False, None, "what it stands for")
        doc = f"Adds a key to the {words} of a {cls.name}; one that is there already is an error."
        yield make("add_to_", "add_to_map", [key, item], VOID, field.write_role, doc)
        doc = f"Takes a key out of the {words} of a {cls.name}, if it is there."
        yield make("remove_from_", "remove_from_map", [key], VOID, field.write_role, doc)
    elif field.type.kind == "set":
        item = Param("value", field.type.elem, False, None, "the member")
        doc = f"Adds a member to the {words} of a {cls.name}, unless it is there."
        yield make("add_", "add_to_set", [item], VOID, field.write_role, doc)
        doc = f"Takes a member out of the {words} of a {cls.name}, if it is there."
        yield make("remove_", "remove_from_set", [item], VOID, field.write_role, doc)


def _object_call(cls, name):
    n = cls.name
    ref = _param("self", f"{n} ref", "the object")
    expr = _param("expr", "string", 'a condition such as: field "uuid" = "..."')
    table = {
        "get_all": ([], f"{n} ref set", f"Lists every {n}."),
        "get_all_records": ([], f"({n} ref -> {n} record) map", f"Gives every {n} with all its fields."),
        "get_all_where": ([expr], f"{n} ref set", f"Lists the {n} objects for which the condition holds."),
        "get_all_records_where": (
            [expr],
            f"({n} ref -> {n} record) map",
            f"Gives the {n} objects for which the condition holds, with all their fields.",
        ),
        "get_record": ([ref], f"{n} record", f"Gives all fields of a {n}."),
        "get_by_uuid": ([_param("uuid", "string", "its UUID")], f"{n} ref", f"Finds a {n} by its UUID."),
        "get_by_name_label": (
            [_param("label", "string", "the name")],
            f"{n} ref set",
            f"Finds every {n} of that name; there may be none or several.",
        ),
        "create": ([_param("args", f"{n} record", "its fields")], f"{n} ref", f"Makes a new {n}."),
        "destroy": ([ref], "void", f"Deletes a {n}."),
    }
    kinds = {"create": "create_default", "destroy": "destroy_default"}
    params, result, doc = table[name]
    writes = name in kinds
    return Call(
        name,
        n,
        kinds.get(name, name),
        params,
        parse_type(result, ""),
        cls.create_role if writes else cls.read_role,
        "coordinator" if writes else "local",
        has_async=writes,
        planned=REMOVED if cls.removed else None,
        doc=doc,
        where=cls.file,
    )


def add_implicit(model):
    for cls in model.classes:
        calls = [_object_call(cls, name) for name in IMPLICIT if name in cls.implicit]
        for field in cls.fields:
            if not field.internal:
                calls.extend(_field_calls(cls, field))
        written = {c.name for c in cls.calls}
        cls.calls = [c for c in calls if c.name not in written] + cls.calls

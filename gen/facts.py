# SPDX-License-Identifier: Apache-2.0
"""datamodel/xenapi.tsv: what the API has, noted apart from the model, and the comparison of the two.

The model may have more (fields and calls of our own, parameters with a default at the end); it must not lack or bend anything."""

import dataclasses
import json

from load import ModelError

FILE = "xenapi.tsv"


@dataclasses.dataclass
class FactClass:
    name: str
    state: str
    fields: list = dataclasses.field(default_factory=list)
    calls: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class FactField:
    name: str
    type: str
    access: str
    default: object  # None: there is none
    state: str


@dataclasses.dataclass
class FactCall:
    name: str
    params: list  # (type, optional)
    result: str
    role: str
    state: str


def _params(text):
    """ "self: VM ref; force: bool?" -> [("VM ref", False), ("bool", True)]"""
    types = [p.partition(": ")[2] for p in text.split("; ") if p]
    return [(t.removesuffix("?"), t.endswith("?")) for t in types]


def load(directory):
    """The classes of the API in the order of the file, or None when the model has no such file."""
    path = directory / FILE
    if not path.exists():
        return None
    classes = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#"):
            continue
        kind, *rest = line.split("\t")
        try:
            if kind == "class":
                name, state = rest
                classes[name] = FactClass(name, state)
            elif kind == "field":
                owner, name, type_text, access, default, state = rest
                value = json.loads(default) if default else None
                classes[owner].fields.append(FactField(name, type_text, access, value, state))
            elif kind == "call":
                owner, name, params, result, role, state = rest
                classes[owner].calls.append(FactCall(name, _params(params), result, role, state))
            else:
                raise ValueError(kind)
        except (ValueError, TypeError, KeyError):
            raise ModelError(f"datamodel/{FILE}: line {number} cannot be read") from None
    return list(classes.values())


def _same_type(fact, ours):
    return ours in (fact, "any")


def _compare_call(fact, call):
    where = f"{call.where}: {call.full_name}"
    if call.role != fact.role:
        raise ModelError(f"{where}: the API asks for role '{fact.role}', not '{call.role}'")
    if not _same_type(fact.result, call.result.text):
        raise ModelError(f"{where}: the API answers '{fact.result}', not '{call.result.text}'")
    ours = [(p.type.text, p.optional) for p in call.params]
    more = ours[len(fact.params) :]
    same = len(ours) >= len(fact.params) and all(
        _same_type(f[0], o[0]) and f[1] == o[1] for f, o in zip(fact.params, ours)
    )
    if not same or not all(optional for _, optional in more):
        raise ModelError(f"{where}: the API takes {fact.params}, the model {ours}")


def _compare_class(fact, cls):
    for f in fact.fields:
        ours = cls.field(f.name)
        if not ours or ours.internal:
            raise ModelError(f"{cls.file}: the API has a field '{f.name}'")
        if not _same_type(f.type, ours.type.text) or ours.access != f.access:
            raise ModelError(
                f"{ours.where}: in the API it is '{f.type}', {f.access}; here '{ours.type.text}', {ours.access}"
            )
        # One of our own where the API has none is as good for clients; a relation is never set.
        if f.default is not None and not ours.relation and ours.default != f.default:
            raise ModelError(f"{ours.where}: in the API the default is {json.dumps(f.default)}, not {json.dumps(ours.default)}")
    order = [f.name for f in cls.fields if f.name in {x.name for x in fact.fields}]
    if order != [f.name for f in fact.fields]:
        raise ModelError(f"{cls.file}: the fields are not in the order of the API")
    calls = {c.name: c for c in cls.calls}
    for f in fact.calls:
        if f.name not in calls:
            raise ModelError(f"{cls.file}: the API has a call '{f.name}'")
        _compare_call(f, calls[f.name])


def compare(model, facts):
    """Refuses a model that lacks a class, field or call of the API, or has it otherwise."""
    for fact in facts or []:
        if fact.name in model.left_out:
            continue
        cls = model.class_by_name(fact.name)
        if not cls:
            raise ModelError(f"datamodel: the API has a class '{fact.name}'; model.toml may leave it out, with the reason")
        _compare_class(fact, cls)

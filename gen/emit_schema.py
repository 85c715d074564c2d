# SPDX-License-Identifier: Apache-2.0
"""muster.ovsschema: the tables of the pool database; and schema.lock, which keeps a change of them from going unnoticed."""

import hashlib
import json

from load import ModelError

ATOMS = {"string": "string", "enum": "string", "int": "integer", "datetime": "integer", "float": "real", "bool": "boolean"}
# Marker rows let a writer find out whether a transaction without an answer was applied; the coordinator clears old ones.
MAX_MARKERS = 100000


def _has_table(model, name):
    cls = model.class_by_name(name)
    return cls is not None and cls.store == "db"


def _atom(model, t):
    if t.kind == "ref":
        if _has_table(model, t.name):
            return {"type": "uuid", "refTable": t.name, "refType": "weak"}
        return "string"
    return ATOMS[t.kind]


def _column(model, f):
    t = f.type
    if t.kind == "ref":
        atom = _atom(model, t)
        return {"type": {"key": atom, "min": 0, "max": 1}}
    if t.kind == "set":
        return {"type": {"key": _atom(model, t.elem), "min": 0, "max": "unlimited"}}
    if t.kind == "map":
        return {"type": {"key": "string", "value": _atom(model, t.elem), "min": 0, "max": "unlimited"}}
    return {"type": _atom(model, t)}


def tables(model):
    result = {"Marker": {"columns": {"time": {"type": "integer"}}, "isRoot": True, "maxRows": MAX_MARKERS}}
    for cls in model.classes:
        if cls.store != "db":
            continue
        columns = {f.name: _column(model, f) for f in cls.fields if f.store == "db"}
        result[cls.name] = {"columns": columns, "isRoot": True}
    return result


def schema(model):
    document = {"name": "Muster", "version": model.schema_version, "tables": tables(model)}
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def check_lock(model, update):
    """The shape of the persisted tables may only change together with schema_version."""
    path = model.directory / "schema.lock"
    digest = hashlib.sha256(json.dumps(tables(model), sort_keys=True).encode()).hexdigest()
    text = f"{model.schema_version} {digest}\n"
    old = path.read_text(encoding="utf-8").split() if path.exists() else None
    if update:
        if old and old[0] == model.schema_version and old[1] != digest:
            raise ModelError(
                f"datamodel/schema.lock: the tables changed but schema_version is still {model.schema_version}; "
                "raise it in datamodel/model.toml first"
            )
        path.write_text(text, encoding="utf-8")
        return
    if old is None:
        raise ModelError("datamodel/schema.lock: missing; make it with gen/muster_gen.py --model datamodel --update-lock")
    if old[1] != digest and old[0] == model.schema_version:
        raise ModelError(
            f"datamodel/schema.lock: what the pool database persists has changed since version {old[0]}; "
            "raise schema_version in datamodel/model.toml, then run gen/muster_gen.py --model datamodel --update-lock"
        )
    if old != text.split():
        raise ModelError(
            f"datamodel/schema.lock: notes version {old[0]}, the model says {model.schema_version}; "
            "run gen/muster_gen.py --model datamodel --update-lock"
        )

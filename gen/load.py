# SPDX-License-Identifier: Apache-2.0
"""Reads datamodel/*.toml into plain objects. What a file says is checked for shape here; what it means, in check.py."""

import dataclasses
import json
import pathlib
import tomllib

IMPLICIT = [
    "get_all",
    "get_all_records",
    "get_all_where",
    "get_all_records_where",
    "get_record",
    "get_by_uuid",
    "get_by_name_label",
    "create",
    "destroy",
]
SCALARS = {"void", "string", "int", "float", "bool", "datetime", "any"}


class ModelError(Exception):
    """Something in datamodel/ is wrong; the text names the file and the place."""


@dataclasses.dataclass(frozen=True)
class Type:
    kind: str  # a member of SCALARS, or enum ref record set map option
    text: str
    name: str = ""  # of the enum or the class
    key: "Type | None" = None
    elem: "Type | None" = None


@dataclasses.dataclass
class Field:
    name: str
    type: Type
    access: str
    store: str
    writer: str
    default: object  # None: mandatory in create()
    relation: tuple | None
    write_role: str
    read_role: str  # "": that of the class
    internal: bool
    setters: bool
    refused: str  # why its setters are answered with NOT_IMPLEMENTED; "" when they work
    deprecated: bool
    removed: bool  # still in records; its calls are answered with MESSAGE_REMOVED
    doc: str
    where: str


@dataclasses.dataclass
class Param:
    name: str
    type: Type
    optional: bool
    default: object
    doc: str


@dataclasses.dataclass
class Call:
    name: str  # without the class
    class_name: str
    kind: str
    params: list
    result: Type
    role: str
    place: str = "coordinator"
    has_session: bool = True
    has_async: bool = False
    with_certificate: bool = False  # open to who logs in with a certificate, too, whose role is read-only
    field: str = ""
    builtin: bool = False
    planned: tuple | None = None  # (error code, reason)
    doc: str = ""
    where: str = ""

    @property
    def full_name(self):
        return f"{self.class_name}.{self.name}"

    @property
    def handled(self):
        return self.kind == "custom" and not self.planned and not self.builtin

    @property
    def handler(self):
        return f"{self.class_name}_{self.name}".lower()


@dataclasses.dataclass
class CliField:
    name: str
    rights: str
    path: list  # field names, the first in the class itself
    flags: set
    where: str


@dataclasses.dataclass
class CliView:
    """One list of xe over a class; most have a single one, VMs have three."""

    name: str
    default: list
    only: list  # (field, bool): what must hold of an object for it to be in this list
    where: str


@dataclasses.dataclass
class CliArg:
    key: str  # ends in ':' when it takes keys of a map
    field: str  # of the record that the call takes; "" when it takes parameters of its own
    fallback: str | None  # None: it must be given


@dataclasses.dataclass
class CliCommand:
    """A command of xe that is one call with parameters in order."""

    name: str
    call: str
    args: list
    help: str
    where: str


@dataclasses.dataclass
class Class:
    name: str
    file: str
    doc: str
    store: str
    events: bool
    implicit: list
    getters: bool
    clients_write: bool  # volatile rows that the host which is asked owns itself: tasks
    read_role: str
    create_role: str
    deprecated: bool
    removed: bool
    bare: bool
    fields: list
    calls: list
    cli_fields: list = dataclasses.field(default_factory=list)
    cli_views: list = dataclasses.field(default_factory=list)
    cli_commands: list = dataclasses.field(default_factory=list)

    def field(self, name):
        return next((f for f in self.fields if f.name == name), None)


@dataclasses.dataclass
class Error:
    code: str
    params: list
    text: str


@dataclasses.dataclass
class Model:
    directory: pathlib.Path
    classes: list = dataclasses.field(default_factory=list)  # real ones, sorted by name
    bare: list = dataclasses.field(default_factory=list)  # holders of calls without a class
    enums: dict = dataclasses.field(default_factory=dict)  # name -> (values, where)
    errors: list = dataclasses.field(default_factory=list)
    roles: list = dataclasses.field(default_factory=list)
    schema_version: str = ""
    left_out: dict = dataclasses.field(default_factory=dict)  # class of the API -> why it is not here
    inputs: list = dataclasses.field(default_factory=list)

    def class_by_name(self, name):
        return next((c for c in self.classes if c.name == name), None)

    def all_calls(self):
        calls = [call for c in self.classes + self.bare for call in c.calls]
        return sorted(calls, key=lambda call: call.full_name)


def parse_type(text, where):
    """ "PIF ref set" -> Type; the grammar is that of the API reference."""
    text = text.strip()
    if text in SCALARS:
        return Type(text, text)
    if text.startswith("(") and text.endswith(") map") and " -> " in text:
        key, elem = _split_map(text[1:-5], where)
        return Type("map", text, key=parse_type(key, where), elem=parse_type(elem, where))
    if text.endswith(" option"):
        return Type("option", text, elem=parse_type(text[:-7], where))
    if text.endswith(" set"):
        return Type("set", text, elem=parse_type(text[:-4], where))
    words = text.split(" ")
    if len(words) == 2 and words[0] == "enum":
        return Type("enum", text, name=words[1])
    if len(words) == 2 and words[1] in ("ref", "record"):
        return Type(words[1], text, name=words[0])
    raise ModelError(f"{where}: unknown type '{text}'")


def _split_map(inner, where):
    depth = 0
    for i, c in enumerate(inner):
        depth += (c == "(") - (c == ")")
        if depth == 0 and inner.startswith(" -> ", i):
            return inner[:i], inner[i + 4 :]
    raise ModelError(f"{where}: unknown type '({inner}) map'")


class _Table:
    """A TOML table that knows where it is and complains about keys that nobody asked for."""

    def __init__(self, data, where):
        if not isinstance(data, dict):
            raise ModelError(f"{where}: expected a table")
        self.data = dict(data)
        self.where = where

    def take(self, key, kind, default=None, required=False):
        if key not in self.data:
            if required:
                raise ModelError(f"{self.where}: '{key}' is missing")
            return default
        value = self.data.pop(key)
        if kind is not object and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise ModelError(f"{self.where}: '{key}' must be a {kind.__name__}")
        return value

    def end(self):
        for key in self.data:
            raise ModelError(f"{self.where}: unknown key '{key}'")


def _load_field(name, data, class_store, where):
    t = _Table(data, where)
    kind = parse_type(t.take("type", str, required=True), where)
    relation = t.take("relation", str)
    if relation is not None:
        parts = relation.split(".")
        if len(parts) != 2:
            raise ModelError(f"{where}: relation must be written 'Class.field', not '{relation}'")
        relation = tuple(parts)
    removed = t.take("removed", bool, False)
    store = t.take("store", str, "relation" if relation else "derived" if removed else class_store)
    default_writer = {"db": "coordinator", "volatile": "owner"}.get(store, "nobody")
    field = Field(
        name=name,
        type=kind,
        access=t.take("access", str, required=True),
        store=store,
        writer=t.take("writer", str, default_writer),
        default=t.take("default", object),
        relation=relation,
        write_role=t.take("write_role", str, "pool-operator"),
        read_role=t.take("read_role", str, ""),
        internal=t.take("internal", bool, False),
        setters=t.take("setters", bool, False),
        refused=t.take("refused", str, ""),
        removed=removed,
        deprecated=t.take("deprecated", bool, False),
        doc=t.take("doc", str, required=True),
        where=where,
    )
    t.end()
    return field


def _load_param(text, where):
    """ "mode: enum bond_mode = \"balance-slb\"" -> Param; the default is JSON."""
    name, colon, rest = text.partition(": ")
    if not colon:
        raise ModelError(f"{where}: parameter '{text}' must be written 'name: type' or 'name: type = default'")
    type_text, equals, default = rest.partition(" = ")
    value = None
    if equals:
        try:
            value = json.loads(default)
        except json.JSONDecodeError:
            raise ModelError(f"{where}: default of parameter '{name}' is not JSON: {default}") from None
    return Param(name, parse_type(type_text, f"{where}: parameter '{name}'"), bool(equals), value, "")


def _load_call(name, data, class_name, where):
    t = _Table(data, where)
    planned = t.take("planned", object)
    if isinstance(planned, str):
        planned = ("NOT_IMPLEMENTED", planned)
    elif planned is not None:
        p = _Table(planned, f"{where}: planned")
        planned = (p.take("error", str, required=True), p.take("reason", str, required=True))
        p.end()
    docs = t.take("param_docs", dict, {})
    call = Call(
        name=name,
        class_name=class_name,
        kind="custom",
        params=[_load_param(p, where) for p in t.take("params", list, [])],
        result=parse_type(t.take("result", str, "void"), where),
        role=t.take("role", str, required=True),
        place=t.take("place", str, "coordinator"),
        has_session=t.take("session", bool, True),
        has_async=t.take("async", bool, True),
        with_certificate=t.take("with_certificate", bool, False),
        builtin=t.take("builtin", bool, False),
        planned=planned,
        doc=t.take("doc", str, f"Not available: {planned[1]}" if planned else "", required=not planned),
        where=where,
    )
    t.end()
    for p in call.params:
        p.doc = docs.pop(p.name, "")
    for key in docs:
        raise ModelError(f"{where}: param_docs names '{key}', which is no parameter")
    return call


def _load_view(name, t):
    """`only = ["is_a_template=false"]` keeps the other objects of the class out of this list."""
    only = []
    for text in t.take("only", list, []):
        field, _, value = text.partition("=")
        if value not in ("true", "false"):
            raise ModelError(f"{t.where}: '{text}' must be written 'field=true' or 'field=false'")
        only.append((field, value == "true"))
    return CliView(name, t.take("default", list, []), only, t.where)


def _load_cli(cls, data, where):
    t = _Table(data, where)
    cls.cli_views.append(_load_view(t.take("name", str, required=True), t))
    for name, view in t.take("views", dict, {}).items():
        v = _Table(view, f"{where}: view '{name}'")
        cls.cli_views.append(_load_view(name, v))
        v.end()
    for line in t.take("fields", list, required=True):
        words = line.split()
        here = f"{where}: field '{line}'"
        if len(words) < 2:
            raise ModelError(f"{here}: expected 'name RIGHTS [path] [flags]'")
        rest = words[2:]
        flags = {w for w in rest if w in ("hidden", "expensive", "deprecated")}
        paths = [w for w in rest if w not in flags]
        if len(paths) > 1:
            raise ModelError(f"{here}: more than one path")
        path = paths[0] if paths else words[0].replace("-", "_")
        cls.cli_fields.append(CliField(words[0], words[1], path.split("."), flags, here))
    t.end()


def _load_cli_arg(text):
    """ "sr-uuid>SR", "shared=false", "device-config:", "tags:=" -> CliArg"""
    text, equals, fallback = text.partition("=")
    key, _, field = text.partition(">")
    return CliArg(key, field, fallback if equals else "" if key.endswith(":") else None)


def _load_command(name, data, where):
    t = _Table(data, where)
    args = [_load_cli_arg(a) for a in t.take("args", list, [])]
    command = CliCommand(name, t.take("call", str, required=True), args, t.take("help", str, required=True), where)
    t.end()
    return command


def _load_class(model, data, where):
    top = _Table(data, where)
    t = _Table(top.take("class", dict, required=True), f"{where}: class")
    removed = t.take("removed", bool, False)
    store = t.take("store", str, "none" if removed else "db")
    cls = Class(
        name=t.take("name", str, required=True),
        file=where,
        doc=t.take("doc", str, required=True),
        store=store,
        events=t.take("events", bool, store != "none"),
        implicit=t.take("implicit", list, []),
        getters=t.take("getters", bool, True),
        clients_write=t.take("clients_write", bool, False),
        read_role=t.take("read_role", str, "read-only"),
        create_role=t.take("create_role", str, "pool-operator"),
        deprecated=t.take("deprecated", bool, False),
        removed=removed,
        bare=t.take("bare", bool, False),
        fields=[],
        calls=[],
    )
    t.end()
    for name, values in top.take("enums", dict, {}).items():
        if name in model.enums:
            raise ModelError(f"{where}: enum '{name}' is already defined in {model.enums[name][1]}")
        model.enums[name] = (values, where)
    for name, field in top.take("fields", dict, {}).items():
        default = "derived" if store == "none" else store
        cls.fields.append(_load_field(name, field, default, f"{where}: field '{name}'"))
    for name, call in top.take("calls", dict, {}).items():
        cls.calls.append(_load_call(name, call, cls.name, f"{where}: call '{name}'"))
    for name, command in top.take("commands", dict, {}).items():
        cls.cli_commands.append(_load_command(name, command, f"{where}: command '{name}'"))
    cli = top.take("cli", dict)
    if cli is not None:
        _load_cli(cls, cli, f"{where}: cli")
    top.end()
    return cls


def _load_errors(model, data, where):
    for code, entry in data.items():
        t = _Table(entry, f"{where}: {code}")
        model.errors.append(Error(code, t.take("params", list, []), t.take("text", str, required=True)))
        t.end()
    model.errors.sort(key=lambda e: e.code)


def load(directory):
    directory = pathlib.Path(directory)
    model = Model(directory)
    for path in sorted(directory.glob("*.toml")):
        where = f"datamodel/{path.name}"
        model.inputs.append(path)
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as e:
            raise ModelError(f"{where}: {e}") from None
        if path.name == "errors.toml":
            _load_errors(model, data, where)
        elif path.name == "model.toml":
            t = _Table(data, where)
            model.schema_version = t.take("schema_version", str, required=True)
            model.roles = t.take("roles", list, required=True)
            model.left_out = t.take("left_out", dict, {})
            t.end()
        else:
            cls = _load_class(model, data, where)
            if path.stem != cls.name:
                raise ModelError(f"{where}: holds class '{cls.name}', so it must be called {cls.name}.toml")
            (model.bare if cls.bare else model.classes).append(cls)
    model.classes.sort(key=lambda c: c.name.lower())
    return model

# SPDX-License-Identifier: Apache-2.0
"""api.md: the API reference for people: every class with its fields and calls, then every error."""

import json

STORES = {
    "db": "pool database",
    "volatile": "memory of its host",
    "relation": "computed: reverse of a reference",
    "derived": "computed",
}
ACCESS = {"RW": "read, write", "StaticRO": "set when made", "DynamicRO": "read"}


def _cell(text):
    return text.replace("|", "\\|")


def _fields(cls):
    shown = [f for f in cls.fields if not f.internal]
    if not shown:
        return
    yield "| field | type | access | kept in | |\n|---|---|---|---|---|\n"
    for f in shown:
        old = " *Removed from the API.*" if f.removed else " *For old clients.*" if f.deprecated else ""
        cells = (f"`{f.name}`", f"`{f.type.text}`", ACCESS[f.access], STORES[f.store], f.doc + old)
        yield "| " + " | ".join(_cell(c) for c in cells) + " |\n"
    yield "\n"


def _signature(call):
    params = ["session: session ref"] if call.has_session else []
    for p in call.params:
        default = f" = {json.dumps(p.default, ensure_ascii=False)}" if p.optional else ""
        params.append(f"{p.name}: {p.type.text}{default}")
    return f"{call.full_name}({', '.join(params)}) -> {call.result.text}"


def _call(call):
    yield f"`{_signature(call)}`  \n"
    if call.planned:
        yield f"Answered with `{call.planned[0]}`: {call.planned[1]}\n\n"
        return
    facts = [f"role {call.role}"]
    if call.has_async:
        facts.append("also as `Async.`")
    if call.with_certificate:
        facts.append("open to logins with a client certificate")
    if call.place == "local":
        facts.append("answered by the host that is asked")
    yield f"{call.doc} *({'; '.join(facts)})*\n\n"


def _calls(cls):
    written = [c for c in cls.calls if c.kind == "custom"]
    made = [c for c in cls.calls if c.kind != "custom" and not c.planned]
    refused = [c for c in cls.calls if c.kind != "custom" and c.planned]
    for call in [c for c in written if not c.planned] + [c for c in written if c.planned]:
        yield from _call(call)
    if made:
        yield "From the fields: " + ", ".join(f"`{c.name}`" for c in made) + ".\n\n"
    for answer in dict.fromkeys(c.planned for c in refused):
        names = ", ".join(f"`{c.name}`" for c in refused if c.planned == answer)
        yield f"Answered with `{answer[0]}` ({answer[1]}): {names}.\n\n"


def _class(cls):
    old = " *Removed from the API.*" if cls.removed else " *For old clients.*" if cls.deprecated else ""
    yield f"## {cls.name}\n\n{cls.doc}{old}\n\n"
    yield from _fields(cls)
    yield from _calls(cls)


def reference(model):
    out = [
        "# API reference\n\nGenerated from `datamodel/`. Roles, weakest first: "
        + ", ".join(model.roles)
        + ". Every call takes the session first, except where it is not shown.\n\n"
    ]
    for cls in model.classes + model.bare:
        out.extend(_class(cls))
    enums = sorted(model.enums.items())
    if enums:
        out.append("## Enumerations\n\n| name | values |\n|---|---|\n")
        out.extend(f"| `{name}` | {', '.join(values)} |\n" for name, (values, _) in enums)
        out.append("\n")
    out.append("## Errors\n\n| code | parameters | meaning |\n|---|---|---|\n")
    out.extend(f"| `{e.code}` | {_cell(', '.join(e.params))} | {_cell(e.text)} |\n" for e in model.errors)
    return "".join(out)

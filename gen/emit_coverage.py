# SPDX-License-Identifier: Apache-2.0
"""docs/api/coverage.md: for every call of the API, whether it does its work here, or which error it answers and why."""

WHERE_CALLS = ("get_all_where", "get_all_records_where")


def _answer(call):
    if call.planned:
        return f"`{call.planned[0]}`: {call.planned[1]}"
    return "done" if call.kind == "custom" else "done, from the model"


def _calls(fact, cls):
    """The calls of the API, and the two that every class has though its reference does not list them."""
    names = [c.name for c in fact.calls] + [n for n in WHERE_CALLS if any(c.name == n for c in cls.calls)]
    by_name = {c.name: c for c in cls.calls}
    return [by_name[n] for n in sorted(names)]


def _class(fact, cls):
    yield f"## {fact.name}\n\n"
    calls = _calls(fact, cls)
    if not calls:
        yield "A kind of record that other calls give; it has no calls of its own.\n\n"
        return
    yield "| call | role | answer |\n|---|---|---|\n"
    for call in calls:
        yield f"| `{call.name}` | {call.role} | {_answer(call)} |\n"
    yield "\n"


def coverage(model, facts):
    if not facts:
        return ""
    present = [(f, model.class_by_name(f.name)) for f in facts if f.name not in model.left_out]
    rows, totals = [], [0, 0, 0]
    for fact, cls in present:
        calls = _calls(fact, cls)
        removed = sum(1 for c in calls if c.planned and c.planned[0] == "MESSAGE_REMOVED")
        refused = sum(1 for c in calls if c.planned) - removed
        done = len(calls) - refused - removed
        totals = [totals[0] + done, totals[1] + refused, totals[2] + removed]
        rows.append(f"| [{fact.name}](#{fact.name.lower()}) | {len(fact.fields)} | {done} | {refused} | {removed} |\n")
    out = [
        "# What is covered of XenAPI 2.23\n\nGenerated from `datamodel/` (`gen/emit_coverage.py`); a test keeps it current. Each call of the API is either "
        "*done* (*from the model*: it follows from a field and needs no code of its own) or answered with the error that is named, which is what clients expect "
        "of a feature that is not there. Calls that the API itself has removed answer `MESSAGE_REMOVED`, as XenServer does.\n\n",
        "| class | fields | calls done | refused | removed by the API |\n|---|---|---|---|---|\n",
        *rows,
        f"| **all {len(present)}** | {sum(len(f.fields) for f, _ in present)} | {totals[0]} | {totals[1]} | {totals[2]} |\n\n",
    ]
    if model.left_out:
        out.append("## Classes that are left out\n\n| class | why |\n|---|---|\n")
        out.extend(f"| {name} | {reason} |\n" for name, reason in sorted(model.left_out.items()))
        out.append("\n")
    else:
        out.append("No class of the API is left out.\n\n")
    for fact, cls in present:
        out.extend(_class(fact, cls))
    return "".join(out).rstrip("\n") + "\n"

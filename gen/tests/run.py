#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the generator. accept/X.toml must give accept/X.expected; reject/X.toml must fail with the words of its first line.

The coverage table in docs/api must be the one of the model.

A case holds one class file, or several, each begun by a line `#--- Name.toml`. `run.py --regenerate` rewrites the goldens."""

import contextlib
import io
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

import muster_gen  # noqa: E402

BASE = {
    "model.toml": 'schema_version = "1.0.0"\n'
    'roles = ["read-only", "vm-operator", "vm-admin", "vm-power-admin", "pool-operator", "pool-admin", "internal"]\n',
    "errors.toml": 'NOT_IMPLEMENTED = { params = ["function"], text = "Not there." }\n'
    'MESSAGE_REMOVED = { params = [], text = "Gone." }\n',
}
GOLDEN = ["model_gen.h", "gen_handlers.h", "muster.ovsschema", "api.md", "coverage.md"]


def unpack(case, directory):
    """The files of a case, over those that every model needs."""
    files = dict(BASE)
    name = None
    for line in case.read_text(encoding="utf-8").splitlines(keepends=True):
        start = re.match(r"#--- (\S+)$", line)
        if start:
            name = start[1]
            files[name] = ""
        elif name:
            files[name] += line
    for file_name, text in files.items():
        (directory / file_name).write_text(text, encoding="utf-8")


def generate(*args):
    """Exit status and what was said."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        status = muster_gen.main(list(args))
    return status, said.getvalue().strip()


def first_difference(expected, actual):
    for i, (a, b) in enumerate(zip(expected.splitlines(), actual.splitlines()), 1):
        if a != b:
            return f"line {i}: expected {a!r}, got {b!r}"
    return "one is longer than the other"


def compile_tables(out):
    """The tables must be C that model.h agrees with."""
    cc = shutil.which("cc")
    if not cc:
        return None
    command = [cc, "-std=gnu17", "-fsyntax-only", "-Wall", "-Werror", f"-I{out}", f"-I{ROOT}/src", f"{out}/model_gen.c"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stderr.strip() if result.returncode else None


def accept(case, regenerate):
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        model, outs = work / "model", [work / "a", work / "b"]
        model.mkdir()
        unpack(case, model)
        generate("--model", str(model), "--update-lock")
        texts = []
        for out in outs:
            status, said = generate("--model", str(model), "--out", str(out))
            if status:
                return f"refused: {said}"
            texts.append("".join(f"=== {f}\n{(out / f).read_text(encoding='utf-8')}" for f in GOLDEN))
            texts[-1] += "=== all\n" + "\n".join(sorted(p.name for p in out.iterdir())) + "\n"
        if texts[0] != texts[1] or (outs[0] / "model_gen.c").read_bytes() != (outs[1] / "model_gen.c").read_bytes():
            return "the same input gave different output"
        broken = compile_tables(outs[0])
        if broken:
            return broken
        golden = case.with_suffix(".expected")
        if regenerate:
            golden.write_text(texts[0], encoding="utf-8")
        expected = golden.read_text(encoding="utf-8") if golden.exists() else ""
        return None if expected == texts[0] else first_difference(expected, texts[0])


def reject(case, _):
    first = case.read_text(encoding="utf-8").splitlines()[0]
    expected = first.removeprefix("# expect: ")
    with tempfile.TemporaryDirectory() as name:
        model = pathlib.Path(name)
        unpack(case, model)
        status, said = generate("--model", str(model), "--update-lock")
        said = said.removeprefix("muster_gen: ")
        if not status:
            return "was accepted"
        return None if said == expected else f"said {said!r}, not {expected!r}"


THING = '[class]\nname = "Thing"\ndoc = "A thing."\n[fields]\na = { type = "int", access = "RW", doc = "A number." }\n'


def lock(_, __):
    """A change of what is persisted needs a new version, and the lock must be kept up."""
    with tempfile.TemporaryDirectory() as name:
        model = pathlib.Path(name)
        for file_name, text in BASE.items():
            (model / file_name).write_text(text, encoding="utf-8")
        (model / "Thing.toml").write_text(THING, encoding="utf-8")
        steps = [
            ((), "schema.lock: missing"),
            (("--update-lock",), None),
            ((), None),
        ]
        for args, complaint in steps:
            status, said = generate("--model", name, *args)
            if bool(status) != bool(complaint) or (complaint or "") not in said:
                return f"{args}: said {said!r}, not {complaint!r}"
        # A volatile field changes nothing on disk; a column does.
        volatile = 'v = { type = "int", access = "DynamicRO", store = "volatile", doc = "One more." }\n'
        (model / "Thing.toml").write_text(THING + volatile, encoding="utf-8")
        if generate("--model", name)[0]:
            return "a volatile field asked for a new schema version"
        (model / "Thing.toml").write_text(THING.replace('"int"', '"string"'), encoding="utf-8")
        for args in ((), ("--update-lock",)):
            status, said = generate("--model", name, *args)
            if not status or "schema_version" not in said:
                return f"{args}: a changed column went unnoticed: {said!r}"
        newer = BASE["model.toml"].replace("1.0.0", "1.0.1")
        (model / "model.toml").write_text(newer, encoding="utf-8")
        if not generate("--model", name)[0]:
            return "a new version was taken without the lock"
        status, said = generate("--model", name, "--update-lock")
        return said if status else generate("--model", name)[1] or None


def coverage(_, __):
    """What the docs say of each call is what the model says."""
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name) / "coverage.md"
        status, said = generate("--model", str(ROOT / "datamodel"), "--coverage", str(path))
        if status:
            return said
        kept = (ROOT / "docs/api/coverage.md").read_text(encoding="utf-8")
        if kept == path.read_text(encoding="utf-8"):
            return None
        return "docs/api/coverage.md is not current: gen/muster_gen.py --model datamodel --coverage docs/api/coverage.md"


def main():
    regenerate = "--regenerate" in sys.argv[1:]
    cases = [(accept, p) for p in sorted((HERE / "accept").glob("*.toml"))]
    cases += [(reject, p) for p in sorted((HERE / "reject").glob("*.toml"))]
    cases.append((lock, pathlib.Path("schema-lock")))
    cases.append((coverage, pathlib.Path("docs")))
    failed = 0
    for check, case in cases:
        complaint = check(case, regenerate)
        if complaint:
            failed += 1
            print(f"FAIL {check.__name__} {case.stem}: {complaint}")
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

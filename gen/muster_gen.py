#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Generates C tables, handler prototypes, the database schema, the xe tables and the API reference from datamodel/."""

import argparse
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import check  # noqa: E402
import emit_cli  # noqa: E402
import emit_coverage  # noqa: E402
import emit_docs  # noqa: E402
import emit_schema  # noqa: E402
import emit_tables  # noqa: E402
import emit_types  # noqa: E402
import facts  # noqa: E402
import implicit  # noqa: E402
import load  # noqa: E402


def outputs(model, api):
    return {
        "model_gen.h": emit_types.header(model),
        "model_gen.c": emit_tables.source(model),
        "gen_handlers.h": emit_tables.handlers_header(model),
        "gen_handlers.inc": emit_tables.handlers_table(model),
        "gen_cli.c": emit_cli.source(model),
        "muster.ovsschema": emit_schema.schema(model),
        "api.md": emit_docs.reference(model),
        "coverage.md": emit_coverage.coverage(model, api),
    }


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="folder with the TOML files")
    parser.add_argument("--out", help="folder for what is generated; without it the model is only checked")
    parser.add_argument("--depfile", help="write the inputs here, for ninja")
    parser.add_argument("--update-lock", action="store_true", help="note the present shape of the database in schema.lock")
    parser.add_argument("--coverage", help="write docs/api/coverage.md here")
    args = parser.parse_args(argv)
    try:
        model = load.load(args.model)
        implicit.add_implicit(model)
        check.check(model)
        api = facts.load(model.directory)
        facts.compare(model, api)
        emit_schema.check_lock(model, args.update_lock)
        files = outputs(model, api)
    except load.ModelError as e:
        print(f"muster_gen: {e}", file=sys.stderr)
        return 1
    if args.coverage:
        pathlib.Path(args.coverage).write_text(files["coverage.md"], encoding="utf-8")
    if args.out:
        out = pathlib.Path(args.out)
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (out / name).write_text(text, encoding="utf-8")
        if args.depfile:
            inputs = [pathlib.Path(args.model), *model.inputs, *pathlib.Path(args.model).glob(facts.FILE), *sorted(pathlib.Path(__file__).parent.glob("*.py"))]
            text = f"{out}/model_gen.h: " + " ".join(str(p).replace(" ", "\\ ") for p in inputs) + "\n"
            pathlib.Path(args.depfile).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""gen_cli.c: what xe prints and filters by, class by class (cli_table.h)."""

from emit_tables import c_string
from emit_types import BANNER


def source(model):
    out = [BANNER, '#include "model/cli_table.h"\n']
    listed = [c for c in model.classes if c.cli_fields]
    for cls in listed:
        out.append(f"\n/* from {cls.file} */\n")
        out.append(f"static const struct cli_field cli_fields_{cls.name}[] = {{\n")
        for f in cls.cli_fields:
            flags = "".join(f", .{x} = true" for x in ("hidden", "expensive", "deprecated") if x in f.flags)
            path = ".".join(f.path)
            out.append(f"    {{.name = {c_string(f.name)}, .rights = CLI_{f.rights}, .path = {c_string(path)}{flags}}},\n")
        out.append("};\n")
        for i, view in enumerate(cls.cli_views):
            names = ", ".join(c_string(n) for n in view.default) or "NULL"
            out.append(f"static const char *const cli_default_{cls.name}_{i}[] = {{{names}}};\n")
            if view.only:
                only = ", ".join(f"{{{c_string(name)}, {str(value).lower()}}}" for name, value in view.only)
                out.append(f"static const struct cli_condition cli_only_{cls.name}_{i}[] = {{{only}}};\n")
    out.append("\nconst struct cli_class cli_classes[] = {\n")
    views = [(cls, i, view) for cls in listed for i, view in enumerate(cls.cli_views)]
    for cls, i, view in views:
        only = f",\n     .only = cli_only_{cls.name}_{i}, .n_only = {len(view.only)}" if view.only else ""
        out.append(
            f"    {{.name = {c_string(view.name)}, .class_id = CLASS_{cls.name},"
            f" .fields = cli_fields_{cls.name}, .n_fields = {len(cls.cli_fields)},\n"
            f"     .default_fields = cli_default_{cls.name}_{i}, .n_default_fields = {len(view.default)}{only}}},\n"
        )
    if not listed:
        out.append("    {0},\n")
    out.append(f"}};\nconst unsigned cli_n_classes = {len(views)};\n")
    out.extend(_commands(model))
    return "".join(out)


def _names(args):
    return ",".join(a.key for a in args)


def _commands(model):
    """Commands that are one call each: the parameters of xe in the order of the call's, or as fields of the record that it takes."""
    commands = [(cls, c) for cls in model.classes for c in cls.cli_commands]
    yield "\n/* Commands that are one call each. */\n"
    for i, (_, c) in enumerate(commands):
        if c.args:
            rows = ", ".join(
                f"{{{c_string(a.key)}, {c_string(a.field) if a.field else 'NULL'},"
                f" {'NULL' if a.fallback is None else c_string(a.fallback)}}}"
                for a in c.args
            )
            yield f"static const struct cli_arg cli_args_{i}[] = {{{rows}}};\n"
    yield "const struct cli_command cli_commands[] = {\n"
    for i, (cls, c) in enumerate(commands):
        required = [a for a in c.args if a.fallback is None]
        optional = [a for a in c.args if a.fallback is not None]
        yield (
            f"    {{.name = {c_string(c.name)}, .call = {c_string(cls.name + '.' + c.call)},"
            f" .args = {f'cli_args_{i}' if c.args else 'NULL'}, .n_args = {len(c.args)},\n"
            f"     .required = {c_string(_names(required))}, .optional = {c_string(_names(optional))}, .help = {c_string(c.help)}}},\n"
        )
    if not commands:
        yield "    {0},\n"
    yield f"}};\nconst unsigned cli_n_commands = {len(commands)};\n"

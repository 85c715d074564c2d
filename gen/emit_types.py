# SPDX-License-Identifier: Apache-2.0
"""model_gen.h: the names that C code uses for classes, fields and errors."""

import re

BANNER = "/* SPDX-License-Identifier: Apache-2.0 */\n/* Generated from datamodel/ by gen/muster_gen.py; do not edit. */\n"


def macro_name(code):
    return "ERR_" + re.sub(r"[^A-Za-z0-9]", "_", code).upper()


def header(model):
    out = [BANNER, "#pragma once\n"]
    out.append("/* Index into model_classes, in order of the names. */\nenum class_id {\n")
    for cls in model.classes:
        out.append(f"    CLASS_{cls.name},\n")
    out.append("    N_CLASSES\n};\n")
    for cls in model.classes:
        out.append(f"\n/* from {cls.file} */\nenum {{\n")
        for f in cls.fields:
            out.append(f"    FIELD_{cls.name}_{f.name},\n")
        out.append(f"    N_FIELDS_{cls.name}\n}};\n")
    out.append("\n/* from datamodel/errors.toml */\n")
    for e in model.errors:
        out.append(f'#define {macro_name(e.code)} "{e.code}"\n')
    return "".join(out)

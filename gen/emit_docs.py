# SPDX-License-Identifier: Apache-2.0
"""api.md: the API reference for people."""


def reference(model):
    return "# API reference\n"

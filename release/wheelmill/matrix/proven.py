"""A torch that is served by a build, or proven with it, as a patch to the matrix."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from wheelmill.matrix.model import Torch


def patch(text: str, torch: Torch, version: str, name: str = "matrix/compat.yaml") -> str:
    """A unified diff of the matrix's `text` in which `version` is proven with the build for `torch`.

    Empty where it is so already.
    """
    after = torch.proving(version)
    lines = text.splitlines(keepends=True)
    changed = list(lines)
    # From the last line of the row to the first, so that the numbers of those before it stay right.
    for field in ("proven", "serves"):
        if getattr(after, field) != getattr(torch, field):
            _write(changed, torch, field, getattr(after, field))
    return "".join(difflib.unified_diff(lines, changed, f"a/{name}", f"b/{name}", n=3))


def _write(lines: list[str], torch: Torch, field: str, versions: Sequence[str]) -> None:
    """Put the field in its place, or after what a row has before it."""
    row = f"    {field}: [{', '.join(versions)}]\n"
    if field in torch.at.fields:
        lines[torch.at.fields[field] - 1] = row
        return
    before = ("serves", "dependencies", "policies", "cxx11_abi")
    at = next(torch.at.fields[one] for one in before if one in torch.at.fields)
    lines.insert(at, row)

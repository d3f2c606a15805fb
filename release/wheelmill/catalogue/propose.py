"""What the index has and the matrix lacks, as a patch to the matrix: a draft for who reviews it.

What no document says is left as a question, the branch too: such a version is held as on the index, with its
CANN unknown.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wheelmill.catalogue.check import Subject
from wheelmill.catalogue.model import Catalogue, Wheel
from wheelmill.matrix.model import Matrix
from wheelmill.matrix.versions import python_key, version

SECTION = "other_versions:"
ASK = "On the index; no document says which CANN it goes with."
BRANCH = "# of which branch?"  # the next newer version of its torch may be of another one


@dataclass(frozen=True)
class Proposal:
    """A unified diff of compat.yaml, empty where nothing is missing, and what a person has to find out."""

    patch: str
    questions: tuple[str, ...]
    versions: tuple[str, ...]


def propose(matrix: Matrix, catalogue: Catalogue, text: str, name: str = "matrix/compat.yaml") -> Proposal:
    """A patch to `text`, the matrix's own file, that declares all that the index has."""
    subject = Subject(matrix, catalogue)
    lines = text.splitlines(keepends=True)
    changed = _with_pythons(subject, lines)
    missing = _missing(subject)
    changed = _with_versions(matrix, changed, missing)
    patch = "".join(difflib.unified_diff(lines, changed, f"a/{name}", f"b/{name}", n=3))
    return Proposal(patch, tuple(_question(subject, one) for one in missing), tuple(missing))


def _missing(subject: Subject) -> list[str]:
    """The adapter versions of the index that the matrix does not have, newest first."""
    known = {str(version(other.adapter)) for other in subject.matrix.document.other_versions}
    known |= {str(version(line.adapter)) for line in subject.matrix.lines}
    return sorted((one for one in subject.published if one not in known), key=version, reverse=True)


def _with_pythons(subject: Subject, lines: Sequence[str]) -> list[str]:
    """The file with every Python of a row that the index has, as far as its torch has it too."""
    changed = list(lines)
    for line in subject.lines.values():
        have = {python for wheel in subject.wheels(line) for python in wheel.pythons}
        more = [python for python in have - set(line.pythons) if python in line.torch.pythons]
        at = line.at.of("pythons") - 1
        if more and 0 <= at < len(changed) and "pythons: [" in changed[at]:
            pythons = sorted({*line.pythons, *more}, key=python_key)
            head = changed[at].partition("pythons:")[0]
            changed[at] = f"{head}pythons: {json.dumps(pythons)}\n"
    return changed


def _with_versions(matrix: Matrix, lines: Sequence[str], missing: Iterable[str]) -> list[str]:
    """The file with a row per missing version, each before the first one that is older."""
    changed = list(lines)
    rows = {one: _row(one) for one in missing}
    if not rows:
        return changed
    start = next((at for at, line in enumerate(changed) if line.rstrip() == SECTION), None)
    if start is None:
        return [*changed, "\n", f"{SECTION}\n", *rows.values()]
    places = [(other.at.line, other.adapter) for other in matrix.document.other_versions]
    end = max((line for line, _ in places), default=start + 1)
    for adapter, row in reversed(rows.items()):  # oldest first, so that places above stay right
        older = [line - 1 for line, other in places if version(other) < version(adapter)]
        changed.insert(min(older, default=end), row)
    return changed


def _row(adapter: str) -> str:
    return f'  - {{adapter: {adapter}, cann: null, reason: "{ASK}"}}  {BRANCH}\n'


def _question(subject: Subject, adapter: str) -> str:
    wheels: Sequence[Wheel] = subject.published[adapter]
    days = sorted(wheel.day for wheel in wheels if wheel.day)
    when = f", published on {days[0]}" if days else ""
    return f"torch_npu {adapter}{when}: which branch, and which CANN?"

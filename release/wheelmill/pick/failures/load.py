"""The failures that are known, from their data files."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from wheelmill.errors import WheelmillError
from wheelmill.pick.failures.model import LEVELS, Failure
from wheelmill.pick.model import LANGS, Words

ROWS = Path(__file__).parent / "rows"
# Rows that come first win among equals, so the files of the most exact messages come first.
FILES = ("install.yaml", "load.yaml", "device.yaml", "run.yaml")
_FIELDS = {
    "id",
    "printed_by",
    "level",
    "needles",
    "pattern",
    "values",
    "title",
    "cause",
    "cure",
    "commands",
    "seen",
}


@cache
def failures() -> tuple[Failure, ...]:
    """Every known failure, in the order in which they are tried."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: list[Failure] = []
    for name in FILES:
        rows = yaml.load((ROWS / name).read_text(encoding="utf-8"), Loader=loader)
        found += [_failure(row, name) for row in rows]
    return tuple(found)


def _failure(row: dict[str, Any], file: str) -> Failure:
    """A row as a value; raises WheelmillError for a field that is missing, unknown or of another kind."""
    where = f"{file}: {row.get('id', 'a row without id')}"
    unknown = set(row) - _FIELDS
    if unknown:
        raise WheelmillError(f"{where}: unknown fields {', '.join(sorted(unknown))}")
    try:
        failure = Failure(
            id=row["id"],
            printed_by=row["printed_by"],
            level=row.get("level", "cause"),
            needles=tuple(row["needles"]),
            pattern=row["pattern"],
            values=tuple(row.get("values", ())),
            title=_words(row["title"]),
            cause=_words(row["cause"]),
            cure=_words(row["cure"]),
            commands=tuple(row["commands"]),
            seen=tuple(row["seen"]),
        )
        groups = failure.regex.groups
    except (KeyError, TypeError, ValueError) as error:
        raise WheelmillError(f"{where}: {error!r}") from None
    if failure.level not in LEVELS or groups < len(failure.values):
        raise WheelmillError(f"{where}: level {failure.level!r}, {groups} groups for {failure.values}")
    return failure


def _words(texts: dict[str, str]) -> Words:
    return {lang: texts[lang] for lang in LANGS}

"""The innermost cause in what a Python program said: the first error of its last chain of tracebacks."""

from __future__ import annotations

_HEAD = "Traceback (most recent call last):"
# How Python joins the tracebacks of a chain; the first of them is of the error that began it.
_LINKS = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)


def innermost_cause(said: str) -> str | None:
    """`ModuleNotFoundError: No module named 'yaml'`; None where what was said has no traceback."""
    lines = said.splitlines()
    heads = [number for number, line in enumerate(lines) if line.strip().endswith(_HEAD)]
    if not heads:
        return None
    first = len(heads) - 1
    while first and any(line.strip().endswith(_LINKS) for line in lines[heads[first - 1] : heads[first]]):
        first -= 1
    # Frames are indented; the error is the first line that is not. All may stand behind a rank's name.
    prefix = lines[heads[first]].partition(_HEAD)[0]
    behind = (line.removeprefix(prefix) for line in lines[heads[first] + 1 :])
    return next((line.strip() for line in behind if line.strip() and not line[0].isspace()), None)

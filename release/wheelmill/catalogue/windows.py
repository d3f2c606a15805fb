"""In which torches published wheels run, by their symbols: one wheel of each version is judged.

What is kept is bound to the bytes that were judged, and stands beside the record of its source, in
`windows/`. Nobody's judgement is taken on trust: `catalogue check` holds it against the record.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wheelmill.catalogue.fields import HEAD, WHEEL
from wheelmill.catalogue.model import CatalogueError, Record, Wheel, Window, preferred
from wheelmill.limits import MAX_TEXT, parse_json, read_regular
from wheelmill.matrix.versions import python_key, version

SCHEMA = 1
FOLDER = "windows"
_RELEASE = re.compile(r"\d{1,4}(\.\d{1,4}){1,3}", re.ASCII)
_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,2000}")


def place(folder: Path, source: str) -> Path:
    """The file with the windows of a source, in the folder of the records."""
    return folder / FOLDER / f"{source}.json"


def read_windows(path: Path) -> tuple[Window, ...]:
    """The windows of one file; none where there is no file. Raises CatalogueError."""
    if not os.path.lexists(path):
        return ()
    try:
        data = parse_json(read_regular(path, MAX_TEXT))
    except (OSError, ValueError) as error:
        raise _wrong(path, f"it cannot be read: {error}") from None
    if (
        not isinstance(data, dict)
        or data.get("schema") != SCHEMA
        or not isinstance(data.get("windows"), list)
    ):
        raise _wrong(path, f"it has no windows of schema {SCHEMA}")
    return tuple(_window(path, number, one) for number, one in enumerate(data["windows"], 1))


def _window(path: Path, number: int, data: Any) -> Window:
    if not isinstance(data, dict) or set(data) != set(_RIGHT):
        raise _wrong(path, f"window {number} does not have {', '.join(_RIGHT)}, and nothing else")
    for name, right in _RIGHT.items():
        if not right(data[name]):
            raise _wrong(path, f"window {number}: {name} {data[name]!r:.120}")
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in data.items()}
    return Window(**values)


def _matching(form: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and form.fullmatch(value) is not None


def _all(form: re.Pattern[str]) -> Callable[[Any], bool]:
    right = _matching(form)
    return lambda value: isinstance(value, list) and all(map(right, value))


_RIGHT: dict[str, Callable[[Any], bool]] = {
    "file": _matching(re.compile(r"[A-Za-z0-9_.+!-]{1,255}\.whl", re.ASCII)),
    "sha256": WHEEL["sha256"].accepts,
    "day": HEAD["read"].accepts,
    "judged": _matching(_RELEASE),
    "runs": _all(_RELEASE),
    "without_cuda": _all(_RELEASE),
    "stops": _all(_LINE),
}


def write_windows(path: Path, windows: Iterable[Window]) -> None:
    """Write windows, one a line, whole or not at all."""
    lines = [json.dumps({name: getattr(one, name) for name in _RIGHT}, ensure_ascii=False) for one in windows]
    text = f'{{"schema": {SCHEMA}, "windows": [\n' + ",\n".join(lines) + "\n]}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def with_windows(record: Record, windows: Sequence[Window]) -> Record:
    """The record with what is known of each version at each of its wheels."""
    if not windows:
        return record
    known = {one.version: one for one in windows}
    wheels = tuple(replace(wheel, window=known.get(wheel.version)) for wheel in record.wheels)
    return replace(record, wheels=wheels, windows=tuple(windows))


# ----------------------------------------------------------------------------------------------- to be judged
def judged_wheels(record: Record) -> Iterator[Wheel]:
    """Of each version the wheel that stands for it: for x86_64 where there is one, and the newest Python."""
    versions: dict[str, list[Wheel]] = {}
    for wheel in record.wheels:
        if wheel.arch is not None and wheel.pythons and wheel.sha256 is not None:
            versions.setdefault(wheel.version, []).append(wheel)
    for wheels in versions.values():
        best = max(map(_rank, wheels))
        chosen = preferred(wheel for wheel in wheels if _rank(wheel) == best)
        assert chosen is not None
        yield chosen


def _rank(wheel: Wheel) -> tuple[bool, tuple[int, ...]]:
    return wheel.arch == "x86_64", max(map(python_key, wheel.pythons))


def to_judge(record: Record, windows: Sequence[Window], newest: str) -> tuple[Wheel, ...]:
    """The wheels that have no window, or one of other bytes, or one that may reach further by now: it ended
    with the newest torch that was recorded, and that is `newest` now."""
    known = {one.file: one for one in windows}
    return tuple(wheel for wheel in judged_wheels(record) if _open(wheel, known.get(wheel.file), newest))


def _open(wheel: Wheel, window: Window | None, newest: str) -> bool:
    if window is None or window.sha256 != wheel.sha256:
        return True
    return window.judged in window.runs and version(window.judged) < version(newest)


def judged(
    record: Record,
    wheel: Wheel,
    url: str,
    judge: Callable[[Path, Wheel], Window],
    *,
    verify: str | bool = True,
) -> Window:
    """Download one wheel, hold it to its hash, and judge it.

    Raises CatalogueError when the index does not serve the recorded bytes, or what `judge` raises.
    """
    import tempfile

    from wheelmill.catalogue.remote import served
    from wheelmill.catalogue.sample import download

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, wheel.file)
        download(served(url), record.project, wheel, path, verify)
        return judge(path, wheel)


def merged(record: Record, windows: Iterable[Window], found: Window) -> tuple[Window, ...]:
    """The windows with a new one, in the order of the record, without those of files that it has no more."""
    known = {one.file: one for one in windows} | {found.file: found}
    return tuple(known[wheel.file] for wheel in judged_wheels(record) if wheel.file in known)


def _wrong(path: Path, found: str) -> CatalogueError:
    return CatalogueError(
        f"{path} is no record of windows: {found}.",
        hint="Take the committed file again, or make it: wheelmill catalogue windows.",
    )

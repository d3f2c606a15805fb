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

from wheelmill.catalogue.fields import HEAD, WHEEL, file_fault
from wheelmill.catalogue.files import write_whole
from wheelmill.catalogue.model import CatalogueError, Record, Wheel, Window, preferred
from wheelmill.limits import MAX_TEXT, parse_json, read_regular
from wheelmill.matrix.versions import python_key, version

SCHEMA = 1
FOLDER = "windows"
_RELEASE = re.compile(r"(0|[1-9]\d{0,3})(\.(0|[1-9]\d{0,3})){1,3}", re.ASCII)
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
        or type(data.get("schema")) is not int
        or data["schema"] != SCHEMA
        or not isinstance(data.get("windows"), list)
    ):
        raise _wrong(path, f"it has no windows of schema {SCHEMA}")
    windows = tuple(_window(path, number, one) for number, one in enumerate(data["windows"], 1))
    for number, one in enumerate(windows, 1):
        if one.version in {other.version for other in windows[: number - 1]}:
            raise _wrong(path, f"window {number} is the second one of version {one.version}")
    return windows


def _window(path: Path, number: int, data: Any) -> Window:
    if not isinstance(data, dict) or set(data) != set(_RIGHT):
        raise _wrong(path, f"window {number} does not have {', '.join(_RIGHT)}, and nothing else")
    for name, right in _RIGHT.items():
        if not right(data[name]):
            raise _wrong(path, f"window {number}: {name} {data[name]!r:.120}")
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in data.items()}
    window = Window(**values)
    if (fault := _contradiction(window)) is not None:
        raise _wrong(path, f"window {number}, of {window.file}: {fault}")
    return window


def _contradiction(window: Window) -> str | None:
    """What cannot be true of the torches of a window."""
    order = [version(one) for one in window.runs]
    if order != sorted(set(order)):
        return f"runs has {', '.join(window.runs)}; right is each torch once, oldest first"
    if order and order[-1] > version(window.judged):
        return f"runs ends with {window.runs[-1]}, which is newer than judged, {window.judged}"
    if others := sorted(set(window.without_cuda) - set(window.runs)):
        return f"without_cuda has {', '.join(others)}, which is not among runs"
    return None


def _is_wheel(name: Any) -> bool:
    return isinstance(name, str) and file_fault(name, name.partition("-")[0]) is None


def _matching(form: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and form.fullmatch(value) is not None


def _all(form: re.Pattern[str]) -> Callable[[Any], bool]:
    right = _matching(form)
    return lambda value: isinstance(value, list) and all(map(right, value))


_RIGHT: dict[str, Callable[[Any], bool]] = {
    "file": _is_wheel,
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
    write_whole(path, text)


def with_windows(record: Record, windows: Sequence[Window]) -> Record:
    """The record with what is known of each version at each of its wheels.

    A window of other bytes than the record has, or of a wheel that it has no more, says nothing of them.
    """
    if not windows:
        return record
    digests = {wheel.file: wheel.sha256 for wheel in record.wheels}
    known = {one.version: one for one in windows if digests.get(one.file) == one.sha256}
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


def merged(record: Record, windows: Iterable[Window], *found: Window) -> tuple[Window, ...]:
    """The windows with new ones, in the order of the record, without those of files that it has no more."""
    known = {one.file: one for one in (*windows, *found)}
    return tuple(known[wheel.file] for wheel in judged_wheels(record) if wheel.file in known)


def _wrong(path: Path, found: str) -> CatalogueError:
    return CatalogueError(
        f"{path} is no record of windows: {found}.",
        hint="Take the committed file again, or delete it and make it anew: wheelmill catalogue windows.",
    )

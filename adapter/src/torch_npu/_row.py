"""Which torch and which CANN this package was made for, and what to say when they are not what is found.

A released wheel carries `_row.json`, the row of the compatibility table that it was built from, with the keys
schema, branch, cann, torch, serves, proven, adapter, python, arch and recipe. Beside it may lie `_rows.json`,
a list of `{"cann", "torch", "adapter", "branch"}` of all rows, from which the right wheel is named. A source
build has neither: the torch it needs is then read from the package's metadata.

Nothing here imports torch or loads a library, so the answers are known before anything can go wrong.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Optional, Tuple

try:
    from importlib import metadata
except ImportError:  # Python 3.7: a released wheel, which has its row, needs none
    metadata = None  # type: ignore[assignment]

PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Row:
    """One row of the compatibility table; `branch` is the release line, e.g. "v2.1.0-5.0.rc3".

    `torch` is what it is compiled for. It loads into the torches of `serves` too, and its tests passed with
    those of `proven`.
    """

    cann: str
    torch: str
    adapter: str
    branch: str
    serves: Tuple[str, ...] = ()
    proven: Tuple[str, ...] = ()


def stamped_row(package: Path = PACKAGE) -> Optional[Row]:
    """The row this wheel was built from; None in a source build."""
    loaded = _read(package / "_row.json")
    return None if loaded is None else _row(loaded)


def known_rows(package: Path = PACKAGE) -> Tuple[Row, ...]:
    """All rows of the table at the time of the build; empty when they were not stamped."""
    return tuple(_row(entry) for entry in _read(package / "_rows.json") or ())


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _row(entry: Any) -> Row:
    generation = {name: tuple(entry.get(name, ())) for name in ("serves", "proven")}
    return Row(**{name: entry[name] for name in ("cann", "torch", "adapter", "branch")}, **generation)


def package_version(row: Optional[Row]) -> str:
    """The version of torch_npu: the row's, else the installed package's, else "0+unknown" in a bare tree."""
    if row is not None:
        return row.adapter
    if metadata is None:
        return "0+unknown"
    try:
        return metadata.version("torch_npu")
    except metadata.PackageNotFoundError:
        return "0+unknown"


def required_torch(row: Optional[Row]) -> Optional[str]:
    """The exact torch release the native library was compiled for, "2.13.0"; None when nothing says so."""
    if row is not None:
        return row.torch
    if metadata is None:
        return None
    try:
        requirements = metadata.requires("torch_npu") or []
    except metadata.PackageNotFoundError:
        return None
    pins = (re.match(r"torch *\(?== *([0-9.]*[0-9])", line) for line in requirements)
    return next((pin.group(1) for pin in pins if pin), None)


def torch_mismatch(row: Optional[Row], rows: Tuple[Row, ...], installed: str) -> Optional[str]:
    """Why this package cannot run on the installed torch and what to install; None when it can or may.

    Patch releases count: torch's C++ interface is not kept between them. Local parts ("+cpu") do not.
    """
    required = required_torch(row)
    release = installed.split("+")[0]
    if required is None or required == release:
        return None
    if row is not None and (release in row.proven or _may_run(row, rows, release)):
        return None
    return (
        f"torch_npu {package_version(row)} is compiled for torch {required}, "
        f"but torch {installed} is installed.\n{_instead(required, rows, release)}"
    )


def torch_unproven(row: Optional[Row], rows: Tuple[Row, ...], installed: str) -> Optional[str]:
    """What is not proven of this package on the installed torch, and how to prove it; None where it is."""
    release = installed.split("+")[0]
    if row is None or release in (row.torch, *row.proven) or not _may_run(row, rows, release):
        return None
    proven = ", ".join((row.torch, *row.proven))
    known = (
        "no symbol, virtual function or operator that it uses differs there, but its tests did not run."
        if release in row.serves
        else "that torch is later than this package, so operators may be missing, fail or compute wrongly."
    )
    return (
        f"torch_npu {row.adapter} is not proven with torch {installed}, only with {proven}: {known}\n"
        f"{_instead(row.torch, rows, release)}\n"
        "or prove it, in a checkout of its sources:  "
        f"nox -s adapter -- --torch {release} --wheel built-for={row.torch}"
    )


def _may_run(row: Row, rows: Tuple[Row, ...], release: str) -> bool:
    """Whether it is worth trying: a torch that is served, or one later than all that were known when this
    was built, if nothing known lies between. Without a table nothing is known of others."""
    if release in row.serves or not rows:
        return release in row.serves
    own = max(torch_key(torch) for torch in (row.torch, *row.serves))
    return torch_key(release) > own and all(torch_key(other.torch) <= own for other in rows)


def torch_key(version: str) -> Tuple[int, ...]:
    """The numbers of a torch, to be compared: (2, 14, 1)."""
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])


def _instead(required: str, rows: Tuple[Row, ...], release: str) -> str:
    """What to install so that both fit, a command each."""
    text = f"Install the torch that it needs:      pip install torch=={required}"
    fitting = _newest([other for other in rows if other.torch == release])
    if fitting is not None:
        text += f"\nor the torch_npu for torch {release}:  pip install torch_npu=={fitting.adapter}"
    return text


def cann_mismatch(row: Row, rows: Tuple[Row, ...], found: str, where: str) -> Optional[str]:
    """Why this CANN is not the wheel's own and which wheel fits it; None when it is or cannot be told."""
    if cann_key(found) is None or cann_key(found) == cann_key(row.cann):
        return None
    text = (
        f"torch_npu {row.adapter} (line {row.branch}) is made for CANN {row.cann}, "
        f"but CANN {found} was loaded from {where}. Operators may be missing or behave differently. "
    )
    same_cann = [other for other in rows if cann_key(other.cann) == cann_key(found)]
    fitting = _newest([other for other in same_cann if other.torch == row.torch])
    if fitting is not None:
        return text + (
            f"For CANN {found} and torch {row.torch} take line {fitting.branch}: "
            f"pip install torch_npu=={fitting.adapter}"
        )
    if same_cann:
        pairs = ", ".join(f"torch_npu=={other.adapter} with torch=={other.torch}" for other in same_cann)
        return text + (
            f"CANN {found} has no line for torch {row.torch}; take {pairs}, or source CANN {row.cann}"
        )
    return text + f"Source CANN {row.cann}, or install the torch_npu whose line is made for CANN {found}"


def _newest(rows: List[Row]) -> Optional[Row]:
    return max(rows, key=lambda row: (cann_key(row.cann) or ((), ()), row.adapter), default=None)


_CANN = re.compile(r"(\d+(?:\.\d+)+)(?:[.-]?rc[.-]?(\d+(?:\.\d+)*))?", re.IGNORECASE)


def cann_key(version: str) -> Optional[Tuple[Tuple[int, ...], Tuple[int, ...]]]:
    """What makes two spellings the same CANN: three release numbers, and the RC numbers (none sorts last).

    "7.0.RC1" is "7.0.0.RC1"; "9.1.0-beta.3" is "9.1.0", as betas precede the release that they become;
    "8.0.RC1" and "8.0.RC2" are releases of their own. None for text that is no CANN version.
    """
    match = _CANN.match(version.strip())
    if match is None:
        return None
    release = tuple(int(part) for part in match.group(1).split("."))
    candidate = tuple(int(part) for part in match.group(2).split(".")) if match.group(2) else (10**6,)
    return (*release, 0, 0)[:3], candidate

"""C++ symbols: readable names, whose they are, and which versions have them where that is known."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypedDict

from wheelmill.cxx_names import readable
from wheelmill.errors import WheelmillError
from wheelmill.limits import MAX_TEXT, read_regular
from wheelmill.matrix.plain import from_plain
from wheelmill.matrix.versions import version
from wheelmill.pick.failures.model import Recorded, Symbol

# From a symbol as a loader printed it to what the records of torch's interface tell of it.
Records = Callable[[str], Recorded | None]

# By the readable name, the first that fits.
OWNERS: tuple[tuple[str, str], ...] = (
    (r"(?:c10_npu|at_npu|torch_npu|op_plugin|c10d_npu)::", "torch_npu"),
    (r"(?:atb|Mki)::", "NNAL (ATB)"),
    (r"(?:c10|at|torch|caffe2|c10d)::|THP|aoti_torch_", "torch"),
    (r"(?:ge|hccl|optiling|gert)::", "CANN"),
    (r"(?:acl[a-z]*[A-Z]|Hccl|Hcom|Msprof|rt[A-Z]|ge[A-Z]|Adx|aclrt)", "CANN"),
    (r"(?:hal[A-Z]|drv[A-Z]|dsmi_|dcmi_)", "the NPU driver"),
    (r"_?Py[A-Z_]", "Python"),
    (r"(?:std|__gnu_cxx|__cxxabiv1)::|__cxa_|__gxx", "libstdc++"),
)
_OWNED = tuple((re.compile(pattern), owner) for pattern, owner in OWNERS)
_SPECIAL = re.compile(r"^(?:vtable for|typeinfo for|typeinfo name for|guard variable for) ")


@dataclass(frozen=True)
class Known:
    """A row of matrix/symbols.yaml."""

    symbol: re.Pattern[str]
    package: str
    since: str | None
    until: str | None
    basis: str


@dataclass(frozen=True)
class SymbolTable:
    """What is known of symbols; without rows, only names and owners."""

    rows: tuple[Known, ...] = ()
    records: Records | None = None  # asked only about symbols of torch

    def look_up(self, mangled: str) -> Symbol:
        """Everything that is known of a symbol as a loader printed it."""
        name = readable(mangled)
        plain = _SPECIAL.sub("", name)
        owner = next((owner for pattern, owner in _OWNED if pattern.match(plain)), None)
        known = next((row for row in self.rows if row.symbol.search(plain)), None)
        recorded = self.records(mangled) if owner == "torch" and self.records is not None else None
        if known is None:
            return Symbol(mangled, name, owner, recorded=recorded)
        return Symbol(mangled, name, owner, known.package, known.since, known.until, known.basis, recorded)


def recorded(
    every: Mapping[str, Sequence[str]],
    having: Mapping[str, Collection[str]],
    adapter_of: Callable[[str], str | None],
) -> Recorded | None:
    """What records tell of a symbol; None without records.

    `every` are the recorded torches of each architecture, oldest first, and `having` those that have the
    symbol. `adapter_of` is the adapter version that can be had for a torch.
    """
    known = sorted({one for versions in every.values() for one in versions}, key=version)
    if not known:
        return None
    found = {arch: tuple(one for one in every[arch] if one in having.get(arch, ())) for arch in every}
    with_it = [one for one in reversed(known) if any(one in versions for versions in found.values())]
    offered = ((one, adapter) for one in with_it if (adapter := adapter_of(one)) is not None)
    torch, adapter = next(offered, (None, None))
    return Recorded(
        first=known[0],
        last=known[-1],
        versions=found,
        ranges={arch: _ranges(every[arch], found[arch]) for arch in found},
        torch=torch,
        adapter=adapter,
    )


def _ranges(every: Sequence[str], having: Collection[str]) -> str:
    """`1.11.0 to 2.8.0, 2.13.0`: neighbors among what is recorded are one range."""
    runs = (list(run) for has, run in itertools.groupby(every, having.__contains__) if has)
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def _is_pattern(text: str) -> bool:
    try:
        return bool(re.compile(text))
    except (re.error, OverflowError, RecursionError):
        return False


class _MayBe(TypedDict, total=False):
    since: str | None
    until: str | None


class _Row(_MayBe):
    symbol: Annotated[str, _is_pattern]
    package: str
    basis: str


class _Table(TypedDict):
    symbols: list[_Row]


def load_symbols(file: Path, records: Records | None = None) -> SymbolTable:
    """The table of matrix/symbols.yaml, without rows where the file does not lie beside the matrix."""
    if not file.is_file():
        return SymbolTable(records=records)
    from wheelmill.matrix.text import parse_plain

    try:
        rows = from_plain(_Table, parse_plain(read_regular(file, MAX_TEXT)))["symbols"]
    except (OSError, ValueError) as error:
        raise WheelmillError(f"{file} cannot be read: {error}", hint="Restore it from git.") from None
    return SymbolTable(
        tuple(
            Known(re.compile(row["symbol"]), row["package"], row.get("since"), row.get("until"), row["basis"])
            for row in rows
        ),
        records,
    )

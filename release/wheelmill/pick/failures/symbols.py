"""C++ symbols: readable names, whose they are, and which versions have them where that is known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheelmill.cxx_names import readable
from wheelmill.pick.failures.model import Symbol

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

    def look_up(self, mangled: str) -> Symbol:
        """Everything that is known of a symbol as a loader printed it."""
        name = readable(mangled)
        plain = _SPECIAL.sub("", name)
        owner = next((owner for pattern, owner in _OWNED if pattern.match(plain)), None)
        known = next((row for row in self.rows if row.symbol.search(plain)), None)
        if known is None:
            return Symbol(mangled, name, owner)
        return Symbol(mangled, name, owner, known.package, known.since, known.until, known.basis)


def load_symbols(file: Path) -> SymbolTable:
    """The table of matrix/symbols.yaml; empty where the file does not lie beside the matrix."""
    if not file.is_file():
        return SymbolTable()
    import yaml

    rows: list[dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))["symbols"]
    return SymbolTable(
        tuple(
            Known(re.compile(row["symbol"]), row["package"], row.get("since"), row.get("until"), row["basis"])
            for row in rows
        )
    )

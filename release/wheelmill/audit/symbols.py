"""Which symbols the dynamic loader would find: a file, the libraries it needs, and those that they need.

This catches `undefined symbol` before a user's import does, for any architecture, without running anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from wheelmill.audit.elf import ElfFacts, NotAnElfFileError, read_elf
from wheelmill.audit.model import AuditError


@dataclass(frozen=True)
class Sdk:
    """The `lib` directory of the torch that a wheel was built for."""

    lib: Path

    def __post_init__(self) -> None:
        if not (self.lib / "libc10.so").is_file():
            raise AuditError(
                f"{self.lib} holds no libc10.so, so it is not the library directory of a torch",
                hint="Give torch/lib of the unzipped torch wheel that the adapter was built against.",
            )

    def library(self, name: str) -> ElfFacts | None:
        """A library of the SDK by its DT_NEEDED name; None when the SDK has none of that name."""
        path = self.lib / name
        return _facts(path, path.stat().st_mtime_ns) if path.is_file() else None


@lru_cache(maxsize=32)
def _facts(path: Path, _changed: int) -> ElfFacts:
    try:
        with path.open("rb") as stream:
            return read_elf(path.name, stream)
    except (OSError, NotAnElfFileError) as error:
        raise AuditError(
            f"the SDK's {path} cannot be read: {error}", hint="Unzip the torch wheel again."
        ) from None


def unresolved(native: ElfFacts, wheel: Mapping[str, ElfFacts], sdk: Sdk) -> frozenset[str]:
    """Symbols without a version that neither the file nor anything it needs, at any depth, defines.

    `wheel`: the wheel's own libraries by DT_NEEDED name. Symbols with a version belong to libc and the
    compiler's libraries, which the platform policy answers for.
    """
    missing = set(native.undefined - native.defined)
    for library in _needed(native, wheel, sdk):
        if not missing:
            break
        missing -= library.defined
    return frozenset(missing)


def _needed(native: ElfFacts, wheel: Mapping[str, ElfFacts], sdk: Sdk) -> Iterator[ElfFacts]:
    """What the loader would search after the file itself, breadth first as it does."""
    queue = deque(native.needed)
    seen: set[str] = set()
    while queue:
        name = queue.popleft()
        if name in seen:
            continue
        seen.add(name)
        library = wheel.get(name) or sdk.library(name)
        if library is not None:
            yield library
            queue.extend(library.needed)

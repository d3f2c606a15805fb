"""Which symbols the dynamic loader would find: a file, the libraries it needs, and those that they need.

This catches `undefined symbol` before a user's import does, for any architecture, without running anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from wheelmill.prove.audit.model import AuditError
from wheelmill.wheel.elf import ElfFacts, NotAnElfFileError, read_elf


@dataclass(frozen=True)
class Sdk:
    """The `lib` directory of the torch that a wheel was built for."""

    lib: Path

    def __post_init__(self) -> None:
        if not (self.lib / "libc10.so").is_file():
            raise AuditError(
                f"{self.lib} holds no libc10.so, so it is not the library directory of a torch",
                hint="Give torch/lib of the unzipped torch wheel that the wheel was built against.",
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


@dataclass(frozen=True)
class Scope:
    """What the loader searches for a file: itself and what it needs, at any depth, in the loader's order.

    `unseen` are needed libraries that are neither in the wheel nor in the SDK.
    """

    libraries: tuple[ElfFacts, ...]
    unseen: frozenset[str]

    def resolve(self, symbols: frozenset[str]) -> frozenset[str]:
        """Those of the symbols that no library here defines."""
        for library in self.libraries:
            symbols = symbols - library.defined
        return symbols


def scope(native: ElfFacts, wheel: Mapping[str, ElfFacts], sdk: Sdk) -> Scope:
    """The scope of a file that is loaded by itself; `wheel` has the wheel's libraries by DT_NEEDED name."""
    libraries, unseen = [native], set()
    queue, seen = deque(native.needed), set(native.needed)
    while queue:
        name = queue.popleft()
        library = wheel.get(name) or sdk.library(name)
        if library is None:
            unseen.add(name)
            continue
        libraries.append(library)
        queue.extend(further for further in library.needed if further not in seen)
        seen.update(library.needed)
    return Scope(tuple(libraries), frozenset(unseen))

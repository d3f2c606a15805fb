"""A torch that was just released: whether the build that there is serves it, and what follows from that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmill.prove.abi.extension import read_extension
from wheelmill.prove.abi.kept import Shelf
from wheelmill.prove.abi.model import AbiError
from wheelmill.prove.abi.window import judge

if TYPE_CHECKING:
    from wheelmill.prove.abi.model import Judgement


@dataclass(frozen=True)
class Answer:
    """What came of it. `obstacles` are sentences; `tests` is pytest's exit code, None where none was run."""

    torch: str
    built_for: str
    obstacles: tuple[str, ...]
    cautions: tuple[str, ...]
    tests: int | None
    patch: str

    @property
    def proven(self) -> bool:
        """Whether the whole suite passed with it."""
        return not self.obstacles and self.tests == 0

    def to_json(self) -> dict[str, Any]:
        """The answer as data."""
        return {
            "schema": 1,
            "torch": self.torch,
            "built_for": self.built_for,
            "proven": self.proven,
            "obstacles": list(self.obstacles),
            "cautions": list(self.cautions),
            "tests": self.tests,
            "patch": self.patch,
        }


def judged(wheels: tuple[Path, ...], shelf: Shelf, version: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stops wheels in a torch, and what changed without stopping them. Raises AbiError."""
    found = [_of(wheel, shelf, version) for wheel in wheels]
    obstacles = tuple(
        f"{wheel.name}: {one.kind}: {one.text}"
        for wheel, judgement in zip(wheels, found, strict=True)
        for one in judgement.obstacles
    )
    return obstacles, tuple(dict.fromkeys(one.text for judgement in found for one in judgement.cautions))


def _of(wheel: Path, shelf: Shelf, version: str) -> Judgement:
    (window, *_) = judge(read_extension(wheel), shelf)
    for one in window.judgements:
        if one.origin.version == version:
            return one
    raise AbiError(f"torch {version} is not recorded", hint=f"Record it: wheelmill abi record {version}")


def answer(
    version: str,
    built_for: str,
    found: tuple[tuple[str, ...], tuple[str, ...]],
    tests: Callable[[], int],
    patch: Callable[[], str],
) -> Answer:
    """The tests are run where nothing stops the build; the patch is made where they pass."""
    obstacles, cautions = found
    code = None if obstacles else tests()
    return Answer(version, built_for, obstacles, cautions, code, patch() if code == 0 else "")


def note(version: str, built_for: str) -> str:
    """An entry for the features of a release note."""
    return "\n".join(
        [
            f"      - title: {{zh: torch {version}, en: torch {version}}}",
            f"        zh: 为torch {built_for}编译的软件包已在torch {version}上通过全部测试（模拟器）。",
            f'        en: "The package that is compiled for torch {built_for} passed all tests with torch '
            f'{version}, on the simulator."',
            "",
        ]
    )

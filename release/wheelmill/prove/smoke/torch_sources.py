"""Where a torch may come from, best first: without CUDA, and the build with CUDA only after a warning."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.facts import open_wheel
from wheelmill.wheel.name import parse_name, tag_arch

if TYPE_CHECKING:
    from wheelmill.matrix import Torch
    from wheelmill.prove.smoke.places import Target

# An address that does not answer is given up at once.
_QUICK = ("--retries", "0", "--timeout", "10")
# What builds with CUDA ask for, and no other build does.
_CUDA = re.compile(r"(nvidia|cuda)-")


@dataclass(frozen=True)
class TorchSource:
    """Words for `pip install`; `hashes` (`--hash=sha256:...`) hold the file to what the matrix lists.

    `verified` tells whether the file is known by its hash in any way; `warning` is to be said before it is
    fetched.
    """

    requirement: str
    options: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    verified: bool = False
    warning: str | None = None


def torch_sources(
    target: Target, version: str, known: Torch | None, wheel: Path | None, cpu_index: str | None
) -> Iterator[TorchSource]:
    """The sources of torch `version`, best first.

    `known` is the matrix's entry for that torch, `wheel` a file of it that is here already.
    """
    usable = wheel is not None and _fits(wheel, target)
    cuda_here = usable and has_cuda(wheel)  # type: ignore[arg-type]
    if usable and not cuda_here:
        yield TorchSource(str(wheel), verified=True)
        return
    cpu = None if known is None else known.wheel(target.python, target.arch, "cpu")
    if cpu is not None and cpu.url is not None:
        yield TorchSource(f"torch @ {cpu.url}#sha256={cpu.sha256}", _QUICK, verified=True)
    pinned, hashes = f"torch=={version}+cpu", () if cpu is None else (f"--hash=sha256:{cpu.sha256}",)
    if cpu_index is not None:
        yield TorchSource(pinned, (*_QUICK, "--index-url", cpu_index), hashes, bool(hashes))
    warning = None
    if target.arch == "x86_64":
        # A folder or an index that pip is configured with may have the build that nobody else has in reach.
        yield TorchSource(pinned, _QUICK, hashes, bool(hashes))
        warning = _cuda_warning(target, version, cpu_index)
    if cuda_here:
        yield TorchSource(str(wheel), verified=True, warning=warning)
        return
    default = None if known is None else known.wheel(target.python, target.arch, "default")
    hashes = () if default is None else (f"--hash=sha256:{default.sha256}",)
    yield TorchSource(f"torch=={version}", (), hashes, bool(hashes), warning)


def has_cuda(wheel: Path) -> bool:
    """Whether a torch wheel asks for CUDA's libraries; False for a file that cannot be read."""
    try:
        metadata = open_wheel(wheel).metadata
    except WheelError:
        return False
    return any(_CUDA.match(text) for text in metadata.requires_dist)


def _cuda_warning(target: Target, version: str, cpu_index: str | None) -> str:
    file = f"torch-{version}+cpu-cp{target.python.replace('.', '')}-...-{target.arch}.whl"
    mirror = "" if cpu_index is None else f", or PIP_EXTRA_INDEX_URL=URL of a mirror of {cpu_index}"
    return (
        f"torch {version} without CUDA cannot be reached: the build with CUDA is used, which downloads some "
        f"3 GB and needs 7 GB of disk.\n  to avoid it: end this and set PIP_FIND_LINKS=FOLDER that has "
        f"{file}{mirror}"
    )


def _fits(wheel: Path, target: Target) -> bool:
    """Whether a torch wheel is for the target's Python and arch, by its name."""
    try:
        name = parse_name(wheel.name)
    except WheelError:
        return False
    interpreter = "cp" + target.python.replace(".", "")
    return {(tag.interpreter, tag_arch(tag.platform)) for tag in name.tags} == {(interpreter, target.arch)}

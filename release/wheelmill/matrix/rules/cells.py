"""Rules about what a row promises to build: Pythons, architectures and the SDK wheels behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmill.errors import Finding
from wheelmill.matrix.forms import https_url
from wheelmill.matrix.rules.base import Subject, readable
from wheelmill.matrix.rules.frame import rule
from wheelmill.matrix.versions import python_key

_PYTHON = re.compile(r"3\.(0|[1-9][0-9]?)")


def ordered_pythons(pythons: tuple[str, ...]) -> bool:
    """Whether all are `3.N`, ascending and without repetition."""
    if not all(_PYTHON.fullmatch(python) for python in pythons):
        return False
    keys = [python_key(python) for python in pythons]
    return keys == sorted(set(keys))


@rule()
def pythons_in_order(subject: Subject) -> Iterator[Finding]:
    """Pythons and architectures are well-formed, ascending, each once"""
    for line in subject.lines:
        if not ordered_pythons(line.row.pythons):
            yield line.hit(
                "pythons", f"pythons {list(line.row.pythons)}", 'write them as ["3.8", "3.9"], ascending'
            )
        arches = line.row.arches
        if not arches or list(arches) != sorted(set(arches)):
            yield line.hit("arches", f"arches {list(arches)}", "write [aarch64, x86_64], each once")
        if line.row.buildable and not line.row.pythons:
            yield line.hit("pythons", "buildable for no Python", "add pythons, or write buildable: false")


@rule()
def pythons_within_torch(subject: Subject) -> Iterator[Finding]:
    """A row supports only Pythons that its torch has wheels for"""
    for line in subject.lines:
        offered = subject.matrix.torches[line.row.torch].pythons
        missing = [python for python in line.row.pythons if python not in offered]
        if missing:
            yield line.hit(
                "pythons",
                f"torch {line.row.torch} has no wheel for Python {', '.join(missing)}",
                f"keep within {', '.join(offered)}, or correct the torch's pythons",
            )


@rule()
def sdk_for_every_cell(subject: Subject) -> Iterator[Finding]:
    """Every cell of a buildable row has a torch wheel to build against, and a policy to be held to"""
    for line in subject.lines:
        if not line.row.buildable:
            continue
        torch = subject.matrix.torches[line.row.torch]
        cells = {(wheel.python, wheel.arch) for wheel in torch.wheels}
        wanted = [(python, arch) for python in line.row.pythons for arch in line.row.arches]
        missing = [f"{python}-{arch}" for python, arch in wanted if (python, arch) not in cells]
        if missing:
            yield line.hit(
                "pythons",
                f"torch {torch.version} lists no wheel for {', '.join(missing)}",
                f"add the wheel with its sha256 to torch {torch.version}, line {torch.at.line}",
            )
        for arch in line.row.arches:
            if arch not in torch.policies or arch not in torch.cxx11_abi:
                yield line.hit(
                    "arches",
                    f"torch {torch.version} gives no manylinux policy or libstdc++ ABI for {arch}",
                    f"add {arch} to policies: and cxx11_abi: of torch {torch.version}, line {torch.at.line}",
                )


@rule()
def download_is_folder(subject: Subject) -> Iterator[Finding]:
    """A published download is a URL of a folder"""
    for line in subject.lines:
        url = line.row.download
        if url is None:
            continue
        wrong = readable(https_url, url) or (f"{url!r} ends with a slash" if url.endswith("/") else None)
        if wrong:
            yield line.hit(
                "download", f"download {wrong}", "write it as https://host/folder, without a slash"
            )

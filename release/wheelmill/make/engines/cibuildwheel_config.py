"""The configuration with which cibuildwheel itself builds a release line: for a CI that has no wheelmill.

It makes source builds of `adapter/` (adapter/pyproject.toml) with the line's Pythons, manylinux policy and
torch; wheels with the line's version, rows and recipe are made by `wheelmill build --engine cibuildwheel`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from wheelmill.errors import WheelmillError
from wheelmill.make.toolchain.sdk import candidates
from wheelmill.matrix import Cell
from wheelmill.matrix.own import own_packages

_SDK = "/opt/torch-sdk"
_NOT_BUNDLED = ("libc10.so", "libtorch.so", "libtorch_cpu.so")


def configuration(cells: Iterable[Cell], torch_cpu_index: str | None) -> str:
    """The TOML text for the cells of one line. Raises WheelmillError when there are none."""
    wanted = tuple(cells)
    if not wanted:
        raise WheelmillError("there is no cell to configure", hint="name a line that can be built")
    line = wanted[0].line
    excluded = " ".join(f"--exclude {name}" for name in _NOT_BUNDLED)
    arches = tuple(dict.fromkeys(cell.arch for cell in wanted))
    lines = [
        f"# Release line {line.branch}: torch {line.torch.version}, {own_packages().sdk} {line.cann}. "
        "Made from the matrix:",
        f"#   wheelmill cibuildwheel --line {line.branch} > cibuildwheel.toml",
        "#   cibuildwheel --config-file cibuildwheel.toml --platform linux adapter",
        "# cibuildwheel 3 is the last that has Python 3.8.",
        "[tool.cibuildwheel]",
        f"build = {_toml([f'cp{_digits(cell.python)}-manylinux_{cell.arch}' for cell in wanted])}",
        *(f'manylinux-{arch}-image = "{_image(wanted, arch)}"' for arch in arches),
        f"repair-wheel-command = {_toml(f'auditwheel repair {excluded} -w {{dest_dir}} {{wheel}}')}",
        f'environment = {{ TORCH_SDK = "{_SDK}/torch" }}',
    ]
    for arch in arches:
        one = next(cell for cell in wanted if cell.arch == arch)
        lines += [
            "",
            "[[tool.cibuildwheel.overrides]]",
            f'select = "*-manylinux_{arch}"',
            f"before-all = {_toml(_fetch(one, torch_cpu_index))}",
        ]
    return "\n".join(lines) + "\n"


def _fetch(cell: Cell, torch_cpu_index: str | None) -> str:
    """Download the torch that the matrix names, by its hash, and unzip it: one for all Pythons."""
    wheels = candidates(cell.line.torch, cell.arch, cell.python)
    digits = _digits(wheels[0].python)
    hashes = " ".join(f"--hash=sha256:{wheel.sha256}" for wheel in wheels)
    platforms = " ".join(f"--platform {name}_{cell.arch}" for name in _platforms(cell.manylinux))
    index = f" --extra-index-url {torch_cpu_index}" if torch_cpu_index else ""
    return (
        f"echo 'torch=={cell.line.torch.version} {hashes}' > /opt/torch.txt"
        f" && pip download --no-deps --only-binary=:all: --require-hashes{index}"
        f" --python-version {wheels[0].python} --abi cp{digits} {platforms}"
        " -d /opt/torch-wheel -r /opt/torch.txt"
        f" && python -m zipfile -e /opt/torch-wheel/*.whl {_SDK}"
    )


def _platforms(policy: str) -> tuple[str, ...]:
    return (policy, "manylinux2014", "linux")


def _image(cells: tuple[Cell, ...], arch: str) -> str:
    """cibuildwheel's own name for PyPA's image of the policy: its pin has all Pythons that it builds for."""
    policy = next(cell.manylinux for cell in cells if cell.arch == arch)
    return "manylinux2014" if policy == "manylinux_2_17" else policy


def _digits(python: str) -> str:
    return python.replace(".", "")


def _toml(value: object) -> str:
    """A string or a list of strings: TOML writes them as JSON does."""
    return json.dumps(value)

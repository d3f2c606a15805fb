"""A torch wheel for another Python or arch, from whatever index pip is configured with on this machine.

pip itself is asked, so that the user's index, mirror, proxy, certificates and find-links hold here as
everywhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wheelmill.errors import WheelmillError

if TYPE_CHECKING:
    from wheelmill.matrix import TorchWheel

_NEWEST_GLIBC_MINOR = 41


class NotOnIndexError(WheelmillError):
    """pip found no wheel with an accepted hash."""


def download(version: str, wheels: Sequence[TorchWheel], folder: Path) -> Path:
    """Download torch `version` for the Python and arch of these wheels; any of their hashes is accepted.

    The file ends up under `folder`. Raises NotOnIndexError with pip's own reason.
    """
    wheel = wheels[0]
    tag = wheel.python.replace(".", "")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="pip-") as scratch:
        hashes = " ".join(f"--hash=sha256:{wheel.sha256}" for wheel in wheels)
        requirement = Path(scratch, "torch.txt")
        requirement.write_text(f"torch=={version} {hashes}\n")
        accepted = [word for name in platforms(wheel.arch) for word in ("--platform", name)]
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *(
                "--only-binary=:all:",
                "--require-hashes",
                "--requirement",
                str(requirement),
                "--dest",
                scratch,
            ),
            *(
                "--implementation",
                "cp",
                "--python-version",
                wheel.python,
                "--abi",
                f"cp{tag}",
                "--abi",
                f"cp{tag}m",
            ),
            *accepted,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        found = list(Path(scratch).glob("*.whl"))
        if done.returncode or not found:
            raise NotOnIndexError(f"pip: {reason(done.stderr)}")
        target = folder / found[0].name
        shutil.move(found[0], target)
    return target


def index_url() -> str:
    """The index that pip is configured with on this machine."""
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    return _configured("index-url") or PYPI_SIMPLE_ENDPOINT


def extra_indexes() -> tuple[str, ...]:
    """The indexes that pip reads besides it."""
    return tuple(_configured("extra-index-url").split())


def certificates() -> str | bool:
    """The file of certificates that pip is configured with; True for the usual ones."""
    return _configured("cert") or True


def _configured(name: str) -> str:
    """A setting of pip: its variable, else its configuration."""
    variable = os.environ.get(f"PIP_{name.upper().replace('-', '_')}")
    if variable:
        return variable
    command = [sys.executable, "-m", "pip", "config", "get", f"global.{name}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def platforms(arch: str) -> Iterator[str]:
    """Every Linux platform tag: the hash decides, so a newer policy than this machine's is welcome."""
    yield from (f"manylinux_2_{minor}_{arch}" for minor in range(_NEWEST_GLIBC_MINOR, 4, -1))
    yield from (f"{name}_{arch}" for name in ("manylinux2014", "manylinux2010", "manylinux1", "linux"))


def reason(stderr: str) -> str:
    """The lines of pip's output that say why, without its own prefixes."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    if any("DO NOT MATCH THE HASHES" in line for line in errors):
        got = [line.split()[-1] for line in lines if line.startswith("Got")]
        return (
            f"the index offers another file than the one held by hash: SHA-256 {', '.join(got) or 'unknown'}"
        )
    return "; ".join(errors[:2] or lines[-2:]) or "it said nothing"

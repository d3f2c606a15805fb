"""Root file systems of Debian packages, from the mirror that this machine's apt is set to.

They are what images start from where no container registry is in reach. Which ones there are is data:
docker/base/roots.yaml.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from wheelmill.errors import WheelmillError
from wheelmill.progress import Progress

MIRROR_VARIABLE = "WHEELMILL_DEBIAN_MIRROR"

_DPKG_ARCHES = {"x86_64": "amd64", "aarch64": "arm64"}
_TIMEOUT = 3600.0  # seconds; another architecture's package scripts run under emulation

# Nothing reads these in an image; without them it is a tenth smaller.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")

# Debian 11 ships its cross compiler with all debugging symbols: 600 MB of 1.1 GB.
_STRIP = 'chroot "$1" find /usr/lib/gcc-cross /usr/bin -type f -size +4M -exec strip --strip-unneeded {} +'

# The users that base-passwd's own script would have made, where no package's script runs.
_USERS = 'for file in passwd group; do cp "$1"/usr/share/base-passwd/$file.master "$1"/etc/$file; done'

_SECOND_PYTHON = Path(__file__).parents[3] / "docker" / "base" / "second_python.sh"


class DebianError(WheelmillError):
    """No root file system could be made: no mirror, no mmdebstrap, or a package that is not there."""


@dataclass(frozen=True)
class Beside:
    """A later suite's Python, put beside the root's own; second_python.sh explains how that works."""

    suite: str
    python: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class Root:
    """One root file system: a row of roots.yaml, whose head explains the fields."""

    image: str
    purpose: Literal["build", "run"]
    arch: str
    suite: str
    variant: Literal["minbase", "extract"]
    python: str
    packages: tuple[str, ...]
    beside: Beside | None = field(default=None, repr=False)

    @property
    def has_users(self) -> bool:
        """Whether its users are made here: its packages bring a list of them and run no script."""
        return self.variant == "extract" and "base-passwd" in self.packages

    @property
    def key(self) -> str:
        """SHA-256 over all that decides what is in it, except the day on which the mirror was asked."""
        parts: tuple[object, ...] = (self, _LEFT_OUT, _STRIP)
        if self.has_users:
            parts += (_USERS,)
        if self.beside is not None:
            parts += (self.beside, _SECOND_PYTHON.read_text(encoding="utf-8"))
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def read_roots(path: Path) -> tuple[Root, ...]:
    """The rows of roots.yaml."""
    import yaml

    return tuple(_root(row) for row in yaml.safe_load(path.read_text(encoding="utf-8")))


def _root(row: Mapping[str, Any]) -> Root:
    beside = row.get("beside")
    second = None if beside is None else Beside(**{**beside, "packages": tuple(beside["packages"])})
    return Root(**{**row, "packages": tuple(row["packages"]), "beside": second})


def mirror(environment: Mapping[str, str] | None = None) -> str:
    """The address of the Debian mirror: $WHEELMILL_DEBIAN_MIRROR, else apt's for this machine's own release.

    apt itself is asked, so both of its file formats count, and whatever else it reads. Raises DebianError.
    """
    environment = os.environ if environment is None else environment
    given = environment.get(MIRROR_VARIABLE)
    if given:
        return given
    release = _os_release()
    hint = f"set {MIRROR_VARIABLE} to the address of a Debian mirror (the folder that has `dists`)"
    system = release.get("ID", "an unknown system")
    if system != "debian":
        raise DebianError(f"this machine runs {system}, so its apt names no Debian mirror", hint=hint)
    words = ("--no-release-info", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages")
    listed = _output("apt-get", "indextargets", *words)
    for line in listed.splitlines():
        suite, _, uri = line.partition(" ")
        if suite in (release.get("VERSION_CODENAME"), "stable", "oldstable"):
            return uri.strip()
    raise DebianError(f"apt has no repository for {release.get('VERSION_CODENAME', system)}", hint=hint)


def make_root(root: Root, target: Path, log: Path, progress: Progress) -> None:
    """Write the root file system as a tar archive to `target`, which appears whole or not at all.

    mmdebstrap works in the folder of `target`. Raises DebianError with its own reason.
    """
    if shutil.which("mmdebstrap") is None:
        raise DebianError("mmdebstrap is not installed", hint="as root: bash ci/machine.sh")
    progress(f"making a root file system: Debian {root.suite}, {root.arch}")
    part, second = target.with_suffix(".part.tar"), target.with_suffix(".second.tar")
    hooks = []
    if any(name.startswith("g++-") for name in root.packages):
        hooks.append(_STRIP)
    if root.has_users:
        hooks.append(_USERS)
    try:
        if root.beside is not None:
            words = _command(root.arch, root.beside.suite, "extract", root.beside.packages, second)
            _mmdebstrap(root, [*words, "--skip=output/dev"], target.parent, log)
            hooks += _second_python(root.arch, root.beside, second)
        words = _command(root.arch, root.suite, root.variant, root.packages, part)
        _mmdebstrap(root, [*words, *(f"--customize-hook={hook}" for hook in hooks)], target.parent, log)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
        second.unlink(missing_ok=True)


def _mmdebstrap(root: Root, command: list[str], folder: Path, log: Path) -> None:
    from wheelmill.make.process import TimedOutError, run_logged

    lines: list[str] = []
    environment = {**os.environ, "TMPDIR": str(folder), "LC_ALL": "C.UTF-8"}
    try:
        code = run_logged(command, log=log, environment=environment, timeout=_TIMEOUT, on_line=lines.append)
    except TimedOutError:
        raise DebianError(f"mmdebstrap did not end within {_TIMEOUT:.0f} s; log: {log}") from None
    if code:
        what = f"mmdebstrap could not make {root.image}"
        raise DebianError(f"{what}: {_reason(lines)}", hint=_hint(root, lines, log))


def _command(arch: str, suite: str, variant: str, packages: Sequence[str], target: Path) -> list[str]:
    return [
        *("mmdebstrap", f"--variant={variant}", f"--architectures={_DPKG_ARCHES[arch]}"),
        f"--include={','.join(packages)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        *(suite, str(target), mirror()),
    ]


def _second_python(arch: str, beside: Beside, archive: Path) -> list[str]:
    """Hooks of mmdebstrap that put the archive into the root and make its Python run there."""
    folder = f"/opt/{beside.suite}"
    script = shlex.join(["sh", str(_SECOND_PYTHON)])
    return [
        f'mkdir -p "$1"{folder}',
        shlex.join(["tar-in", str(archive), folder]),
        f'{script} "$1" {beside.suite} {beside.python} {arch}-linux-gnu',
    ]


def _reason(lines: list[str]) -> str:
    """What went wrong: the last lines that mmdebstrap or apt mark as errors, else the last line of all."""
    errors = [line[3:].strip() for line in lines if line.startswith("E: ")]
    full = [line.strip() for line in lines if "No space left on device" in line]
    return "; ".join((full[-1:] or errors[:2]) or lines[-1:]) or "it said nothing"


def _hint(root: Root, lines: list[str], log: Path) -> str:
    text = "\n".join(lines)
    if "No space left on device" in text:
        return f"the disk is full; about 2 GB are needed in the folder of {log}"
    if "exec format error" in text.lower() or "cannot be executed" in text:
        return "register the emulator, as root: bash ci/machine.sh"
    if "Release" in text or "Could not resolve" in text or "Failed to fetch" in text:
        return f"is {root.suite} on this machine's mirror? {MIRROR_VARIABLE} names another one; log: {log}"
    return f"full log: {log}"


def _os_release() -> dict[str, str]:
    pairs = (line.partition("=") for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return {name: value.strip('"') for name, _, value in pairs}


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        message = f"{command[0]} does not run: {error.strerror}"
        raise DebianError(message, hint=f"set {MIRROR_VARIABLE}") from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise DebianError(f"{command[0]} fails: {reason}", hint="apt-get update shows more")
    return done.stdout

"""A lock file (PEP 751) of one pick: the adapter, its torch and all that they need, by address and hash.

uv or pip resolves, for they know what a dependency needs; the result is held to the hashes that the catalogue
and the matrix have, and written the same way whichever of the two resolved.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from wheelmill.limits import parse_json
from wheelmill.matrix.model import Matrix
from wheelmill.matrix.versions import glibc_key
from wheelmill.pick.commands import dependencies_of, torch_requirement
from wheelmill.pick.model import Offer, SaidError
from wheelmill.pick.words import say

ADAPTER = "torch-npu"
TIMEOUT = 900  # seconds; without metadata on the index, whole wheels are read


class LockError(SaidError):
    """A pick cannot be locked, or what the index serves is not what is recorded."""


@dataclass(frozen=True)
class Locked:
    """One wheel of the lock; `sha256` in hex."""

    name: str
    version: str
    url: str
    sha256: str

    @property
    def file(self) -> str:
        """The wheel's file name."""
        return unquote(urlsplit(self.url).path).rpartition("/")[2]


@dataclass(frozen=True)
class Indexes:
    """Where packages come from: those of `elsewhere` from an index of their own, all others from `usual`.

    The index of a torch without CUDA has old copies of what torch needs, which are not to be taken.
    """

    usual: str
    elsewhere: Mapping[str, str] = field(default_factory=dict)


def lock(
    matrix: Matrix,
    offer: Offer,
    glibc: str | None,
    index: str,
    certificates: str | bool = True,
    *,
    own: str | None = None,
) -> str:
    """The text of a pylock.toml. `glibc` is that of the machine, where it is known.

    `own` is the address of the index that has this project's releases, without `simple/`.

    Raises LockError when nothing can resolve, or the index serves other bytes than those recorded.
    """
    if offer.how != "index":
        raise LockError(say("lock nothing", adapter=offer.adapter), hint=say("hint lock nothing"))
    torch, torch_index = torch_requirement(matrix, offer)
    wanted = [torch, f"{ADAPTER}=={offer.adapter}", *dependencies_of(matrix, offer)]
    elsewhere = {"torch": torch_index} if torch_index else {}
    if offer.released_here:
        if own is None:
            raise LockError(say("lock release", adapter=offer.adapter), hint=say("hint lock release"))
        elsewhere[ADAPTER] = f"{own}/simple/"
    indexes = Indexes(index, elsewhere)
    packages = _resolved(offer, wanted, _glibc(offer, glibc), indexes, certificates)
    _hold_to_what_is_recorded(matrix, offer, packages)
    return render(offer, packages)


def _glibc(offer: Offer, glibc: str | None) -> int:
    """The minor version of the C library to resolve for: the machine's, else what the wheel needs."""
    return glibc_key(glibc or offer.glibc or "2.28")[1]


def _hold_to_what_is_recorded(matrix: Matrix, offer: Offer, packages: Sequence[Locked]) -> None:
    found = {package.name: package for package in packages}
    adapter, torch = found.get(ADAPTER), found.get("torch")
    recorded = offer.wheel.sha256 if offer.wheel is not None else None
    if adapter is None or torch is None:
        raise LockError(say("left out", name=ADAPTER if adapter is None else "torch"))
    if recorded is not None and adapter.sha256 != recorded:
        raise LockError(
            say("other bytes", file=adapter.file, found=adapter.sha256, recorded=recorded),
            hint=say("hint other bytes"),
        )
    known = matrix.torches.get(offer.torch)
    build = "cpu" if "+cpu" in torch.version else "default"
    wheels = known.wheels if known is not None else ()
    hashes = {
        one.sha256 for one in wheels if (one.python, one.arch, one.build) == (offer.python, offer.arch, build)
    }
    if hashes and torch.sha256 not in hashes:
        raise LockError(say("other torch", file=torch.file, found=torch.sha256))


# -------------------------------------------------------------------------------------------------- resolvers
def _resolved(
    offer: Offer, wanted: Sequence[str], glibc: int, indexes: Indexes, certificates: str | bool
) -> list[Locked]:
    """By uv; where there is none or it cannot, by pip, whose own settings may know a way to the files."""
    if not _uv_command():
        return _pip(offer, wanted, glibc, indexes, certificates)
    try:
        return _uv(offer, wanted, glibc, indexes, certificates)
    except LockError as error:
        try:
            return _pip(offer, wanted, glibc, indexes, certificates)
        except LockError:
            raise error from None


def _uv_command() -> list[str]:
    found = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    return [found] if found else []


def _uv(
    offer: Offer, wanted: Sequence[str], glibc: int, indexes: Indexes, certificates: str | bool
) -> list[Locked]:
    """Resolved by uv, which knows the markers of any Python and platform; from the lock that it writes."""
    platform = f"{offer.arch}-manylinux_2_{_known_to_uv(glibc)}"
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "pyproject.toml")
        project.write_text(_project(wanted, indexes), encoding="utf-8")
        command = [
            *_uv_command(), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--generate-hashes",
            "--only-binary", ":all:", "--no-config", "--default-index", indexes.usual,
            *("--python-version", offer.python, "--python-platform", platform),
            # A candidate is taken where it is pinned: of dependencies users get what `pip install` gives.
            *("--prerelease", "if-necessary-or-explicit", "--format", "pylock.toml", str(project)),
        ]  # fmt: skip
        environment = dict(os.environ)
        if isinstance(certificates, str):
            environment["SSL_CERT_FILE"] = certificates
        done = _run(command, environment)
    return _from_uv(done.stdout, offer, glibc)


def _project(wanted: Sequence[str], indexes: Indexes) -> str:
    """A project that asks for these: in no other way does uv take one package alone from an index."""
    lines = ["[project]", 'name = "wanted"', 'version = "0"']
    lines.append(f"dependencies = [{', '.join(map(_toml, wanted))}]")
    for name, url in indexes.elsewhere.items():
        lines += ["[[tool.uv.index]]", f"name = {_toml(name)}", f"url = {_toml(url)}", "explicit = true"]
    lines.append("[tool.uv.sources]")
    lines += [f"{name} = {{ index = {_toml(name)} }}" for name in indexes.elsewhere]
    return "\n".join(lines) + "\n"


def _known_to_uv(glibc: int) -> int:
    """The newest platform of uv's that a C library serves."""
    return 17 if glibc < 28 else 28 if glibc < 31 else min(glibc, 40)


def _from_uv(text: str, offer: Offer, glibc: int) -> list[Locked]:
    try:
        import tomllib  # type: ignore[import-not-found,unused-ignore]
    except ModuleNotFoundError:
        raise LockError(say("old python"), hint=say("hint old python")) from None
    found = []
    for package in tomllib.loads(text).get("packages", []):
        wheels = [_of_uv(package, wheel) for wheel in package.get("wheels", [])]
        best = _recorded(wheels, offer) or _best(wheels, offer, glibc)
        if best is None:
            version = str(package.get("version"))
            raise LockError(say("no wheel of it", name=package["name"], version=version))
        found.append(best)
    return found


def _recorded(wheels: Sequence[Locked], offer: Offer) -> Locked | None:
    """The wheel that was picked, where it is one of these: of two that fit, installers prefer either."""
    sha256 = offer.wheel.sha256 if offer.wheel is not None else None
    return next((wheel for wheel in wheels if wheel.name == ADAPTER and wheel.sha256 == sha256), None)


def _of_uv(package: Mapping[str, Any], wheel: Mapping[str, Any]) -> Locked:
    return Locked(package["name"], package["version"], wheel["url"], wheel["hashes"].get("sha256", ""))


def _best(wheels: Sequence[Locked], offer: Offer, glibc: int) -> Locked | None:
    """Of a version's wheels, the one that installers prefer for this Python and platform."""
    from packaging.tags import compatible_tags, cpython_tags
    from packaging.utils import parse_wheel_filename

    legacy = (("manylinux2014", 17), ("manylinux2010", 12), ("manylinux1", 5))
    platforms = [f"manylinux_2_{minor}_{offer.arch}" for minor in range(glibc, 4, -1)]
    platforms += [f"{name}_{offer.arch}" for name, minor in legacy if minor <= glibc] + [
        f"linux_{offer.arch}"
    ]
    major, minor = map(int, offer.python.split("."))
    ranked = [
        *cpython_tags((major, minor), platforms=platforms),
        *compatible_tags((major, minor), f"cp{major}{minor}", platforms),
    ]
    rank = {tag: place for place, tag in reversed(list(enumerate(ranked)))}
    places = {
        wheel: min((rank[tag] for tag in parse_wheel_filename(wheel.file)[3] if tag in rank), default=None)
        for wheel in wheels
        if wheel.sha256
    }
    fitting = {wheel: place for wheel, place in places.items() if place is not None}
    return min(fitting, key=lambda wheel: fitting[wheel], default=None)


def _pip(
    offer: Offer, wanted: Sequence[str], glibc: int, indexes: Indexes, certificates: str | bool
) -> list[Locked]:
    """Resolved by pip, which reads markers as those of its own interpreter: for this kind of machine only."""
    here = (f"{sys.version_info.major}.{sys.version_info.minor}", os.uname().machine)
    if here != (offer.python, offer.arch):
        raise LockError(
            say("pip elsewhere", python=offer.python, arch=offer.arch), hint=say("hint pip elsewhere")
        )
    found = [_of_pip(item) for item in _reported(wanted, indexes)]
    return [_as_picked(one, offer, indexes) for one in found]


def _as_picked(found: Locked, offer: Offer, indexes: Indexes) -> Locked:
    """Of two wheels of the adapter that fit, the one that was picked: pip is asked for it by its hash."""
    sha256 = offer.wheel.sha256 if offer.wheel is not None else None
    if found.name != ADAPTER or sha256 in (None, found.sha256):
        return found
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "requirements.txt")
        file.write_text(f"{ADAPTER}=={offer.adapter} --hash=sha256:{sha256}\n", encoding="utf-8")
        try:
            items = _reported(("--no-deps", "--require-hashes", "-r", str(file)), indexes)
        except LockError:  # the index has it no more, which is told with both hashes
            return found
    return _of_pip(items[0])


def _reported(words: Sequence[str], indexes: Indexes) -> list[Any]:
    """What pip would install, as its report has it."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"),
            *("--disable-pip-version-check", "--only-binary", ":all:", "--report", str(report)),
            *("--index-url", indexes.usual),
            *(word for extra in indexes.elsewhere.values() for word in ("--extra-index-url", extra)),
            *words,
        ]
        _run(command, dict(os.environ))
        return list(parse_json(report.read_text(encoding="utf-8"))["install"])


def _of_pip(item: Mapping[str, Any]) -> Locked:
    meta, info = item["metadata"], item["download_info"]
    sha256 = info.get("archive_info", {}).get("hashes", {}).get("sha256", "")
    if not sha256:
        raise LockError(say("no hash", name=meta["name"], version=meta["version"]))
    return Locked(meta["name"].lower().replace("_", "-"), meta["version"], info["url"], sha256)


def _run(command: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        program = Path(command[0]).name
        raise LockError(say("no end", program=program, seconds=str(TIMEOUT))) from None
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        text = " ".join(said[-6:])[:1200]
        raise LockError(say("unsolved", program=Path(command[0]).name, text=text))
    return done


# ------------------------------------------------------------------------------------------------------- text
def render(offer: Offer, packages: Sequence[Locked]) -> str:
    """The lock as TOML, the same for the same packages."""
    machine = f"platform_machine == '{offer.arch}' and python_version == '{offer.python}'"
    lines = [
        'lock-version = "1.0"',
        _environments(machine),
        f"requires-python = {_toml(f'=={offer.python}.*')}",
        'created-by = "wheelmill"',
    ]
    for package in sorted(packages, key=lambda one: one.name):
        lines += [
            "",
            "[[packages]]",
            f"name = {_toml(package.name)}",
            f"version = {_toml(package.version)}",
            "[[packages.wheels]]",
            f"name = {_toml(package.file)}",
            f"url = {_toml(package.url)}",
            f"hashes = {{ sha256 = {_toml(package.sha256)} }}",
        ]
    return "\n".join(lines) + "\n"


def _environments(machine: str) -> str:
    marker = f"sys_platform == 'linux' and implementation_name == 'cpython' and {machine}"
    return f"environments = [{_toml(marker)}]"


def _toml(text: str) -> str:
    """A TOML string; JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False)

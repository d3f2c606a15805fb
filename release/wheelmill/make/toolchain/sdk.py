"""The target torch as an SDK: its wheel is fetched for the target arch and unzipped, never imported or
installed.

One wheel serves for all Pythons of its (torch, arch), because the adapter's native files use no Python. Where
the matrix lists a wheel for the Python that runs this, that one is taken, so that a smoke run can install the
same file.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import zipfile
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from wheelmill.errors import WheelmillError
from wheelmill.limits import parse_json
from wheelmill.matrix.plain import from_plain
from wheelmill.matrix.versions import python_key
from wheelmill.progress import Progress, silent
from wheelmill.store import Digest, Record, Store, digest_file
from wheelmill.store.errors import disk_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wheelmill.matrix import Torch, TorchWheel

KIND = "torch-sdk"
TREE_KIND = "sdk-tree"  # by the wheel's SHA-256: the object that lists the unzipped files

# What to do about a download of a gigabyte, where the matrix is one's own.
_AVOID = "add the +cpu build's SHA-256 and URL under `wheels:` of that torch in matrix/compat.yaml"
# Linking needs these alone; a CUDA build carries gigabytes of others.
_LIBRARIES = ("libc10.so", "libtorch_cpu.so", "libtorch.so")
_HEADER_LIMIT = 64 << 20
_LIBRARY_LIMIT = 4 << 30
_TOTAL_LIMIT = 8 << 30


class SdkError(WheelmillError):
    """No torch wheel to compile against, or one that is not what it should be."""


@dataclass(frozen=True)
class Sdk:
    """A torch to compile against: `root` has include/ and lib/; the store has its wheel."""

    root: Path
    wheel_name: str
    sha256: Digest


def running_python() -> str:
    """The Python that runs this, as the matrix writes it: `3.11`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def candidates(torch: Torch, arch: str, python: str | None = None) -> tuple[TorchWheel, ...]:
    """The wheels that may serve, best first: one Python's, its CPU build before the one of the package index.

    That Python is `python` (default: the running one) where the matrix lists it, else the oldest.
    Raises SdkError when the matrix has no wheel for the arch.
    """
    wheels = [wheel for wheel in torch.wheels if wheel.arch == arch]
    if not wheels:
        raise SdkError(
            f"the matrix has no torch {torch.version} wheel for {arch}: there is nothing to compile against",
            hint="add its file and SHA-256 under `wheels:` of that torch in matrix/compat.yaml",
        )
    wanted = running_python() if python is None else python
    listed = {wheel.python for wheel in wheels}
    chosen = wanted if wanted in listed else min(listed, key=python_key)
    return tuple(sorted((w for w in wheels if w.python == chosen), key=lambda wheel: wheel.build != "cpu"))


def expected_sha256(torch: Torch, arch: str, store: Store) -> str:
    """The wheel that a build would compile against: the one the store has, else the first candidate."""
    stored = stored_sha256(torch, arch, store)
    if stored in {wheel.sha256 for wheel in torch.wheels if wheel.arch == arch}:
        return str(stored)
    return candidates(torch, arch)[0].sha256


def stored_sha256(torch: Torch, arch: str, store: Store) -> str | None:
    """The wheel for (torch, arch) that the store took last; None without any."""
    record = store.find(KIND, _key(torch, arch))
    return None if record is None else str(record.data["sha256"])


def ensure(
    torch: Torch,
    arch: str,
    store: Store,
    progress: Progress = silent,
    note: Progress = silent,
    avoid: str = _AVOID,
) -> Sdk:
    """The SDK for (torch, arch), fetched and unzipped on first use, and compared with its wheel on every use.

    `note` hears of a build with CUDA before it is fetched, and how to `avoid` it.

    Raises SdkError or FetchError; then nothing half-done is left behind.
    """
    key = _key(torch, arch)
    with store.lock(f"sdk-{key.replace('/', '-')}", waiting=progress):
        record = store.find(KIND, key)
        accepted = {wheel.sha256 for wheel in torch.wheels if wheel.arch == arch}
        if record is None or record.data["sha256"] not in accepted or not store.has(record.data["sha256"]):
            record = _kept(key, accepted, store)
        if record is None:
            downloads = store.root / "downloads" / key.replace("/", "-")
            path, wheel = _fetch(torch, arch, downloads, progress, partial(_told_of_cuda, note, avoid))
            progress("storing the wheel")
            digest, name = store.put(path), path.name
            record = store.record(KIND, key, sha256=digest, file=name, python=wheel.python, build=wheel.build)
            shutil.rmtree(downloads, ignore_errors=True)
        digest = Digest(record.data["sha256"])
        root = store.root / "sdk" / digest
        if not _is_whole(root, digest, store, progress):
            progress(f"unzipping {record.data['file']}")
            shutil.rmtree(root, ignore_errors=True)
            store.record(TREE_KIND, digest, digest=store.put(_listing(unpack(store.get(digest), root))))
        return Sdk(root, record.data["file"], digest)


def adopt(torch: Torch, wheel: TorchWheel, file: Path, store: Store) -> None:
    """Take a file for the SDK of (torch, arch), as if it had been fetched for it."""
    key, digest = _key(torch, wheel.arch), store.put(file)
    store.record(KIND, key, sha256=digest, file=file.name, python=wheel.python, build=wheel.build)


def _kept(key: str, accepted: set[str], store: Store) -> Record | None:
    """The record of an accepted wheel that was taken before another one was, made the last one again."""
    for record in store.records(KIND):
        if record.key == key and record.data["sha256"] in accepted and store.has(record.data["sha256"]):
            return store.record(KIND, key, **record.data)
    return None


def _listing(files: Mapping[str, str]) -> bytes:
    """The unzipped files and their SHA-256, as an object of the store."""
    return json.dumps(files, sort_keys=True, indent=0).encode()


def _is_whole(root: Path, wheel: Digest, store: Store, progress: Progress) -> bool:
    """Whether exactly the unzipped files are there; what is something else is told and set aside.

    Compilers and the audit read these files, and no key would show that one is another.
    """
    record = store.find(TREE_KIND, wheel)
    if record is None or not store.has(record.data["digest"]) or not root.is_dir():
        return False
    progress("checking the unzipped torch")
    try:
        wanted = from_plain(dict[str, str], parse_json(store.get(record.data["digest"]).read_bytes()))
    except ValueError:  # the record names another object
        return False
    found = {
        str(Path(folder, name).relative_to(root)) for folder, _, names in os.walk(root) for name in names
    }
    faults = {name: store.fault(root / name, digest) for name, digest in wanted.items()}
    faults |= dict.fromkeys(found - set(wanted), f"is not a file of {wheel}")
    wrong = {name: fault for name, fault in faults.items() if fault is not None}
    for name, fault in wrong.items():
        if fault:
            store.set_aside(root / name, fault)
        else:
            store.notice(f"damaged: {root / name} is gone; the torch wheel is unzipped again")
    return not wrong


def _key(torch: Torch, arch: str) -> str:
    return f"{torch.version}/{arch}"


def _fetch(
    torch: Torch, arch: str, folder: Path, progress: Progress, told_of_cuda: Progress
) -> tuple[Path, TorchWheel]:
    """Get one of the candidates: from the matrix's URL, else from the index that pip is configured with."""
    from wheelmill.make.toolchain import fetch, pip_index

    wheels = candidates(torch, arch)
    failures = []
    for wheel in wheels:
        if wheel.url is None:
            continue
        target = folder / wheel.sha256 / _file_name(wheel.url)
        progress(f"downloading {target.name}")
        try:
            with disk_errors("download to", target):
                fetch.download(wheel.url, target, wheel.sha256, progress)
        except fetch.UnreachableError as error:
            failures.append(error.message)
        else:
            return target, wheel
    progress(f"downloading torch {torch.version} for Python {wheels[0].python} on {arch} with pip")
    # pip takes a file with a published hash before one without, so the CPU build is asked for by its version.
    cpu = [wheel for wheel in wheels if wheel.build == "cpu"]
    for version, accepted in ((f"{torch.version}+cpu", cpu), (torch.version, wheels)):
        if not accepted:
            continue
        if version == torch.version and arch == "x86_64":
            told_of_cuda(version)
        try:
            path = pip_index.download(version, accepted, folder)
        except pip_index.NotOnIndexError as error:
            failures.append(error.message)
            continue
        digest = digest_file(path)
        return path, next(wheel for wheel in accepted if wheel.sha256 == digest)
    raise SdkError(
        f"no source has torch {torch.version} for Python {wheels[0].python} on {arch}:\n  "
        + "\n  ".join(failures),
        hint="let this machine reach one of them, or put the wheel into a folder named by PIP_FIND_LINKS",
    )


def _told_of_cuda(note: Progress, avoid: str, version: str) -> None:
    note(
        f"torch {version} to compile against is the build with CUDA, a download of some 0.9 GB: the matrix "
        f"lists no other that can be reached\n  to avoid it: stop, and {avoid}"
    )


def _file_name(url: str) -> str:
    from urllib.parse import unquote, urlsplit

    return PurePosixPath(unquote(urlsplit(url).path)).name


def unpack(wheel: Path, root: Path) -> dict[str, str]:
    """Unzip torch/include and the libraries that linking needs to `root`, which appears complete or not at
    all; return the files' SHA-256.

    Raises SdkError for a file that is no torch wheel or has names or sizes that no honest one has.
    """
    scratch = root.with_name(f".{root.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    files = {}
    try:
        with disk_errors("unzip to", root), zipfile.ZipFile(wheel) as archive:
            for member, relative in _members(archive, wheel):
                files[relative.as_posix()] = _unzip(archive, member, scratch / relative)
            scratch.rename(root)
        return files
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise SdkError(
            f"{wheel} is not a whole zip file: {error}", hint="remove it and run this again"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _unzip(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> str:
    """Write one file; return its SHA-256."""
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as stream, target.open("wb") as out:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def _members(archive: zipfile.ZipFile, wheel: Path) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    found, total = [], 0
    for member in archive.infolist():
        relative = _sdk_path(member.filename, wheel)
        if relative is None or member.is_dir():
            continue
        limit = _LIBRARY_LIMIT if relative.parts[0] == "lib" else _HEADER_LIMIT
        total += member.file_size
        if member.file_size > limit or total > _TOTAL_LIMIT:
            raise SdkError(
                f"{wheel}: {member.filename} unzips to {member.file_size} bytes, which no torch has"
            )
        found.append((member, relative))
    names = {relative.as_posix() for _, relative in found}
    missing = [f"lib/{name}" for name in _LIBRARIES if f"lib/{name}" not in names]
    if missing or not any(name.startswith("include/") for name in names):
        raise SdkError(f"{wheel} is not a torch wheel for Linux: it has no torch/{(*missing, 'include')[0]}")
    return found


def _sdk_path(name: str, wheel: Path) -> PurePosixPath | None:
    """Where a member of the wheel goes in the SDK; None when it is not needed."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise SdkError(
            f"{wheel}: the name {name!r} leads out of the folder it is unzipped to; no honest wheel has it"
        )
    if path.parts[:2] == ("torch", "include"):
        return path.relative_to("torch")
    return (
        path.relative_to("torch") if path.parts[:2] == ("torch", "lib") and path.name in _LIBRARIES else None
    )

"""The SDKs that a cell of a described project is built against: found, and made ready to be read or run."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from wheelmill.describe.rules import distribution
from wheelmill.make.packages import standin
from wheelmill.make.packages.shop import Job, PackageError, Shop
from wheelmill.make.toolchain import sdk as sdks
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.matrix.model import TorchWheel
from wheelmill.project import find_project
from wheelmill.store import Digest, Store
from wheelmill.wheel.name import parse_name

if TYPE_CHECKING:
    from wheelmill.describe import Cell
    from wheelmill.matrix import Torch
    from wheelmill.matrix.model import Build


_AVOID = "name an index that has its +cpu build as `index` under [sdks.torch] of the project file"


def _others(shop: Shop) -> list[str]:
    """The SDKs beside torch, each after those that it needs."""
    wanted = shop.described.project.sdks
    ordered: list[str] = []

    def add(name: str) -> None:
        for needed in wanted[name].needs:
            add(needed)
        if name not in ordered:
            ordered.append(name)

    for name in wanted:
        add(name)
    return [name for name in ordered if name != "torch"]


def stand_ins(job: Job, shop: Shop, work: Path) -> tuple[Path, ...]:
    """Make the stand-ins of the SDKs that are only read; what a container must see beside the work folder."""
    cell, store = job.cell, shop.sdk_store
    torch, readable = torch_of(cell, shop), []
    if torch is not None:
        sdk = sdks.ensure(torch, cell.arch, store, shop.progress, shop.note, _AVOID)
        if shop.described.project.sdks["torch"].use == "headers":
            abi = torch.cxx11_abi[cell.arch]  # type: ignore[index]
            standin.torch(sdk, store.get(sdk.sha256), work / "site", cxx11_abi=abi)
            readable.append(sdk.root)
    for name in _others(shop):
        if shop.described.project.sdks[name].use == "headers":
            digest, file = _other_sdk(name, cell, shop)
            standin.other(store.export(digest, work / "tmp", file), work / "site")
    return tuple(readable)


def installed(job: Job, shop: Shop) -> list[str]:
    """What pip installs of the SDKs that the build runs."""
    cell, found = job.cell, []
    for name, sdk in shop.described.project.sdks.items():
        if sdk.use != "install":
            continue
        if name == "torch":
            found.append(str(torch_wheel(cell, shop)))
        else:
            digest, file = _other_sdk(name, cell, shop)
            found.append(str(shop.sdk_store.export(digest, shop.store.root / "sdks", file)))
    return found


def torch_of(cell: Cell, shop: Shop) -> Torch | None:
    """The torch of a cell; where the build runs it, that of the cell's own Python. Raises PackageError.

    Where the project names an index for it, with the one wheel that this has.
    """
    torch = shop.described.torch(cell)
    if torch is None:
        return None
    sdk = shop.described.project.sdks["torch"]
    runs = sdk.use == "install"
    if sdk.index is not None:
        python = cell.python if runs else _any_python(torch)
        torch = replace(torch, wheels=(_of_index(torch, python, cell.arch, shop),))
    if not runs:
        return torch
    hint = 'write use = "headers" under [sdks.torch]: that serves any Python and architecture'
    if cell.arch != host_arch() and shop.elsewhere is None:
        raise PackageError(f"{cell.key}: its build runs torch, which a {host_arch()} cannot", hint=hint)
    own = tuple(wheel for wheel in torch.wheels if (wheel.python, wheel.arch) == (cell.python, cell.arch))
    if not own:
        raise PackageError(
            f"{cell.key}: its build runs torch, and there is no torch {torch.version} for its Python",
            hint=hint,
        )
    return replace(torch, wheels=own)


def _any_python(torch: Torch) -> str:
    """Headers and libraries are the same for all: the one that runs this may serve the smoke run, too."""
    running = sdks.running_python()
    return running if running in torch.pythons else torch.pythons[0]


def _of_index(torch: Torch, python: str, arch: str, shop: Shop) -> TorchWheel:
    """The wheel of a torch that the project's own index has; it is in the store as the SDK of the torch."""
    store, index = shop.sdk_store, shop.described.project.sdks["torch"].index
    key = f"{index} torch=={torch.version} {python} {arch}"
    record = store.find("torch-wheel", key)
    if record is None or not store.has(record.data["digest"]):
        shop.progress(f"downloading torch {torch.version} from {index}")
        # No other index is asked: that of pip may have the build with CUDA, and would be taken on the quiet.
        where = alone(index_words(index, shop.described.beside))
        digest, file = _downloaded(f"torch=={torch.version}", python, arch, where, store)
        record = store.record("torch-wheel", key, digest=digest, file=file)
    digest, file = Digest(record.data["digest"]), str(record.data["file"])
    build: Build = "cpu" if parse_name(file).version.endswith("+cpu") else "default"
    wheel = TorchWheel(python, arch, digest, None, build)  # type: ignore[arg-type]
    if digest != sdks.stored_sha256(torch, arch, store):
        with store.scratch("torch-") as folder:
            sdks.adopt(torch, wheel, store.export(digest, folder, file), store)
    return wheel


def other_sdks(cell: Cell, shop: Shop) -> dict[str, tuple[Digest, str]]:
    """SHA-256 and file name of each SDK of a cell beside torch, by its name; they are in the store."""
    return {name: _other_sdk(name, cell, shop) for name in _others(shop)}


def _other_sdk(name: str, cell: Cell, shop: Shop) -> tuple[Digest, str]:
    """SHA-256 and file name of an SDK's wheel for a cell, from its index or those of pip; in the store."""
    if name in shop.given:
        return shop.given[name]
    sdk = shop.described.project.sdks[name]
    wanted = f"{distribution(name, shop.described.project)}=={cell.values[sdk.axis or name]}"
    return _downloaded(
        wanted, cell.python, cell.arch, index_words(sdk.index, shop.described.beside), shop.sdk_store
    )


@cache
def _downloaded(
    wanted: str, python: str, arch: str, where: tuple[str, ...], store: Store
) -> tuple[Digest, str]:
    from wheelmill.make.toolchain.pip_index import platforms, reason

    tag = python.replace(".", "")
    with store.scratch("sdk-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder), *where, wanted]
        command += ["--implementation", "cp", "--python-version", python]
        command += ["--abi", f"cp{tag}", "--abi", "abi3", "--abi", "none"]
        command += [word for name in platforms(arch) for word in ("--platform", name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        found = list(folder.glob("*.whl"))
        if done.returncode or len(found) != 1:
            raise PackageError(
                f"no wheel of {wanted} for Python {python} on {arch} to build against: {reason(done.stderr)}",
                hint="name the folder or address that has it under `index` of this SDK",
            )
        digest, name = store.put(found[0]), found[0].name
        known = frozenset() if where else find_project().catalogue().hashes(name)
        if known and digest not in known:
            raise PackageError(
                f"{name} is another file than the catalogue has recorded: its SHA-256 is {digest}, recorded "
                f"is {' or '.join(sorted(known))}",
                hint="an index never replaces a file: do not build against this one",
            )
        return digest, name


def index_words(index: str | None, root: Path) -> tuple[str, ...]:
    """pip's words for an index of the project file: an address, a folder of wheels, or an index's folder."""
    if index is None:
        return ()
    if "://" in index:
        return ("--extra-index-url", index)
    folder = (root / index).resolve()
    if (folder / "simple").is_dir():
        return ("--extra-index-url", f"{(folder / 'simple').as_uri()}/")
    return ("--find-links", str(folder))


def alone(where: tuple[str, ...]) -> tuple[str, ...]:
    """pip's words for an index (of `index_words`) when no other is to be asked."""
    if where[:1] == ("--find-links",):
        return ("--no-index", *where)
    return tuple("--index-url" if word == "--extra-index-url" else word for word in where)


def torch_wheel(cell: Cell, shop: Shop) -> Path | None:
    """The file of the torch that a cell is built against; None for a project without torch."""
    torch = torch_of(cell, shop)
    if torch is None:
        return None
    have = sdks.ensure(torch, cell.arch, shop.sdk_store, shop.progress, shop.note, _AVOID)
    return shop.sdk_store.export(have.sha256, shop.store.root / "torch", have.wheel_name)


def torch_to_run(cell: Cell, shop: Shop) -> Path | None:
    """The torch for a smoke run: that of the cell's own Python, where an index of the project's has it."""
    torch = shop.described.torch(cell)
    if torch is None or shop.described.project.sdks["torch"].index is None or cell.arch != host_arch():
        return torch_wheel(cell, shop)
    try:
        wheel = _of_index(torch, cell.python, cell.arch, shop)
    except PackageError:  # it may have one to compile against, and no other
        return torch_wheel(cell, shop)
    have = sdks.ensure(replace(torch, wheels=(wheel,)), cell.arch, shop.sdk_store, shop.progress)
    return shop.sdk_store.export(have.sha256, shop.store.root / "torch", have.wheel_name)

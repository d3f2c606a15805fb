"""From a bundle and Python files to wheels, for any Python: the target's interpreter is never run."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from pathlib import Path

from wheelmill.errors import WheelmillError
from wheelmill.make import metadata
from wheelmill.make.plan import Recipe, SimulatorRecipe, canonical_json
from wheelmill.make.sbom import adapter_sbom, sbom_path, simulator_sbom
from wheelmill.make.toolchain.sources import (
    LICENSE,
    PYTHON_PACKAGE,
    SIMULATOR_PACKAGE,
    digest_tree,
    files_under,
)
from wheelmill.matrix.own import own_packages
from wheelmill.wheel import wheelfile
from wheelmill.wheel.facts import RECIPE

# What every bundle has; a build without them went wrong, whatever its exit code said.
_REQUIRED = (*own_packages().adapter.native, *own_packages().simulator.native)


class AssembleError(WheelmillError):
    """A bundle or source tree that no wheel can be made of."""


def pack_bundle(prefix: Path, target: Path) -> None:
    """Write the installed tree as a tar that depends on names and contents alone."""
    files = sorted(path for path in prefix.rglob("*") if path.is_file() and not path.is_symlink())
    names = {path.relative_to(prefix).as_posix() for path in files}
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise AssembleError(f"the native build installed no {', '.join(missing)} into {prefix}")
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in files:
            entry = tarfile.TarInfo(path.relative_to(prefix).as_posix())
            entry.size, entry.mode = path.stat().st_size, 0o644
            with path.open("rb") as stream:
                archive.addfile(entry, stream)


def read_bundle(bundle: Path) -> dict[str, bytes]:
    """The native files by their path in the wheels. Raises AssembleError for what is no bundle."""
    found = {}
    try:
        with tarfile.open(bundle, "r:") as archive:
            for entry in archive:
                stream = archive.extractfile(entry) if entry.isreg() else None
                if stream is not None:
                    found[entry.name] = stream.read()
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise _other_files(bundle, str(error)) from None
    if missing := [name for name in _REQUIRED if name not in found]:
        raise _other_files(bundle, f"it has no {missing[0]}")
    return found


def _other_files(bundle: Path, why: str) -> AssembleError:
    """Its hash is right, so a record of the journal, or of the remote, names another object."""
    return AssembleError(
        f"{bundle} holds no native files: {why}",
        hint="the record that names it was written by somebody else: remove the file, and build again",
    )


def adapter_wheel(recipe: Recipe, native: Mapping[str, bytes], tree: Path, folder: Path) -> Path:
    """Write the adapter's wheel into `folder`, tagged `linux_<arch>`: the audit gives the final tag."""
    line, name = recipe.cell.line, metadata.ADAPTER
    own = _under(native, name)
    files: dict[str, wheelfile.Content] = {**_package(tree, PYTHON_PACKAGE, recipe.python), **own}
    files[f"{name}/_row.json"] = canonical_json({**recipe.row, "recipe": recipe.key}).encode()
    files[f"{name}/_rows.json"] = recipe.rows.encode()
    files[f"{name}-{line.adapter}.dist-info/{RECIPE}"] = canonical_json(recipe.stamp()).encode()
    files[sbom_path(name, line.adapter)] = adapter_sbom(recipe, own)
    content = wheelfile.WheelContent(
        name=name,
        version=line.adapter,
        tag=f"{recipe.cell.python_tag}-{recipe.cell.abi_tag}-linux_{recipe.cell.arch}",
        metadata=recipe.metadata,
        license=_license(tree, recipe.license),
        epoch=recipe.epoch,
        files=files,
        entry_points=own_packages().adapter.entry_points,
        executables=_executables(files),
    )
    return wheelfile.write(content, folder)


def simulator_wheel(recipe: SimulatorRecipe, native: Mapping[str, bytes], tree: Path, folder: Path) -> Path:
    """Write the simulator's wheel for (torch, arch) into `folder`; it serves every Python that torch has."""
    own, name, version = _under(native, metadata.SIMULATOR), metadata.SIMULATOR, recipe.bundle.torch
    files: dict[str, wheelfile.Content] = {**_package(tree, SIMULATOR_PACKAGE, recipe.python), **own}
    files[f"{name}-{version}.dist-info/{RECIPE}"] = canonical_json(recipe.stamp()).encode()
    files[sbom_path(name, version)] = simulator_sbom(recipe, own)
    content = wheelfile.WheelContent(
        name=name,
        version=version,
        tag=f"py3-none-linux_{recipe.bundle.arch}",
        metadata=recipe.metadata,
        license=_license(tree, recipe.license),
        epoch=recipe.epoch,
        files=files,
        entry_points=own_packages().simulator.entry_points,
        executables=_executables(files),
    )
    return wheelfile.write(content, folder)


def _package(tree: Path, package: Path, digest: str) -> dict[str, wheelfile.Content]:
    """The Python files of a package by their path in the wheel, read once and checked against the recipe."""
    paths = files_under(tree, package)
    files: dict[str, wheelfile.Content] = {
        path.relative_to(package.parent).as_posix(): (tree / path).read_bytes() for path in paths
    }
    if digest_tree(tree, paths) != digest:
        raise _changed(tree / package)
    return files


def _license(tree: Path, digest: str) -> bytes:
    text = (tree / LICENSE).read_bytes()
    if digest_tree(tree, [LICENSE]) != digest:
        raise _changed(tree / LICENSE)
    return text


def _changed(path: Path) -> AssembleError:
    return AssembleError(f"{path} changed while the wheel was made", hint="run the same command again")


def _under(native: Mapping[str, bytes], package: str) -> dict[str, bytes]:
    return {name: data for name, data in native.items() if name.startswith(f"{package}/")}


def _executables(files: Mapping[str, wheelfile.Content]) -> frozenset[str]:
    """Libraries, and scripts that name what runs them."""
    return frozenset(
        name
        for name, content in files.items()
        if name.endswith(".so")
        or ".so." in name
        or (isinstance(content, bytes) and content.startswith(b"#!"))
    )

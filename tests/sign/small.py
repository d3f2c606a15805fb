"""A small release of real wheels, keys in memory, and one way to tamper with a tree."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from wheelmill.make import assemble
from wheelmill.make.metadata import adapter_metadata, simulator_metadata
from wheelmill.make.plan import BuildImage, BundleRecipe, Recipe, SimulatorRecipe, row, rows
from wheelmill.make.toolchain.sources import LICENSE, PYTHON_PACKAGE, SIMULATOR_PACKAGE, digest_tree
from wheelmill.matrix import Cell, Line, Torch
from wheelmill.publish.sign import Key, Keyring, ReleaseFacts, Signers, WheelFacts, attest
from wheelmill.publish.sign.keyring import ROLES

NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=timezone.utc)
DAY = timedelta(days=1)
IMAGE = BuildImage("wheelmill-builder:x86_64-0123456789abcdef", f"sha256:{'ab' * 32}", "sha256:1", "2" * 64)
NATIVE = {
    f"{package}/lib/{name}.so": f"native {name}".encode()
    for package, name in (("torch_npu", "libnpu_core"), ("cann_simulator", "libascendcl"))
}
RELEASABLE = {"releasable": True, "local_only": False, "findings": []}


@dataclass
class Ring:
    """A keyring with its private keys."""

    path: Path
    keys: list[Key] = field(default_factory=list)
    held: dict[str, CryptoSigner] = field(default_factory=dict)
    thresholds: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, roles: tuple[str, ...] = ROLES, since: int = -30, until: int = 300) -> Key:
        """A new key; its first and last day are counted from NOW."""
        signer = CryptoSigner.generate_ed25519()
        public = signer.public_key.keyval["public"]
        first, last = (NOW + since * DAY).date(), (NOW + until * DAY).date()
        key = Key(name, public, roles, first, last)
        self.keys.append(key)
        self.held[key.id] = CryptoSigner(signer._private_key, _public(key))
        return key

    def change(self, name: str, **fields: Any) -> None:
        """Other dates, or a revocation."""
        self.keys = [replace(key, **fields) if key.name == name else key for key in self.keys]

    def revoke(self, name: str, on: date | None = None) -> None:
        self.change(name, revoked=on or NOW.date(), reason="a laptop was stolen")

    @property
    def keyring(self) -> Keyring:
        """As users have it."""
        return Keyring(self.path, tuple(self.keys), dict(self.thresholds))

    def signers(self, *names: str) -> Signers:
        """Who signs: all, or those named."""
        ids = {key.id for key in self.keys if not names or key.name in names}
        return Signers(self.keyring, {key: signer for key, signer in self.held.items() if key in ids})


def _public(key: Key) -> Any:
    from wheelmill.publish.sign.signers import public_key

    return public_key(key)


def one_key(path: Path) -> Ring:
    ring = Ring(path)
    ring.add("alice")
    return ring


# ---------------------------------------------------------------------------------------------------- wheels
def line(**fields: object) -> Line:
    """A line of a torch that does not exist."""
    arches = ("aarch64", "x86_64")
    torch = Torch(
        "9.1.0",
        ("3.10", "3.11"),
        17,
        dict.fromkeys(arches, True),
        dict.fromkeys(arches, "manylinux_2_28"),
        (),
        (),
    )
    made = Line(
        branch="v9.1.0-5.0",
        series=None,
        cann="9.9.0",
        torch=torch,
        adapter="9.1.0.post1",
        pythons=torch.pythons,
        arches=arches,
        buildable=True,
        reason=None,
        kind="development",
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def source_tree(root: Path) -> Path:
    """What wheels are assembled from, beside native files."""
    for path, text in {
        LICENSE: "BSD\n",
        PYTHON_PACKAGE / "__init__.py": "",
        SIMULATOR_PACKAGE / "__init__.py": "",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def recipe_of(cell: Cell, tree: Path, image: BuildImage = IMAGE) -> Recipe:
    """The recipe of a cell from that tree."""

    def digest(part: Path) -> str:
        return digest_tree(tree, [part / "__init__.py"])

    license_digest = digest_tree(tree, [LICENSE])
    torch = cell.line.torch
    bundle = BundleRecipe(torch.version, cell.arch, True, "1" * 64, "2" * 64, "GCC 10.2.1; glibc2.31")
    simulator = SimulatorRecipe(
        bundle, digest(SIMULATOR_PACKAGE), license_digest, simulator_metadata(torch), 1_700_000_000, image
    )
    return Recipe(
        cell,
        bundle,
        simulator,
        digest(PYTHON_PACKAGE),
        license_digest,
        adapter_metadata(cell.line, cell.python),
        row(cell),
        rows([cell.line]),
        1_700_000_000,
        image,
    )


def make_wheels(folder: Path, tree: Path, of: Line, *, simulator: bool = True) -> dict[str, WheelFacts]:
    """The line's wheels for x86_64, and the simulator's: file name -> what is known of it."""
    known = {}
    folder.mkdir(parents=True, exist_ok=True)
    for python in of.pythons:
        cell = Cell(of, python, "x86_64")
        recipe = recipe_of(cell, source_tree(tree))
        made = assemble.adapter_wheel(recipe, NATIVE, tree, folder)
        known[made.name] = WheelFacts(cell.key, RELEASABLE, not_run="run by the release team")
        if simulator:
            other = assemble.simulator_wheel(recipe.simulator, NATIVE, tree, folder)
            known[other.name] = WheelFacts(None, RELEASABLE, not_run="run with the adapter")
    return known


def facts_of(wheels: Mapping[str, WheelFacts], of: Line, **fields: Any) -> ReleaseFacts:
    base = {
        "package": "torch_npu",
        "branch": of.branch,
        "version": of.adapter,
        "commit": "c" * 40,
        "matrix": "d" * 64,
        "tag": of.branch,
        "stage": "maintained",
    }
    return ReleaseFacts(**{**base, "wheels": wheels, **fields})


def make_release(
    folder: Path, signers: Signers, of: Line | None = None, *, simulator: bool = True, **fields: Any
) -> Path:
    """A release as its session leaves it: wheels, release.json, and all that is signed."""
    of = of or line()
    wheels = make_wheels(folder, folder.with_name(f"{folder.name}-sources"), of, simulator=simulator)
    (folder / "release.json").write_text('{"schema": 1}\n')
    attest(folder, facts_of(wheels, of, **fields), signers, NOW)
    return folder


def copy(tree: Path, target: Path) -> Path:
    """A copy to tamper with."""
    shutil.copytree(tree, target, symlinks=True)
    return target


def flip(path: Path, place: int, mask: int = 1) -> None:
    """Change one bit (or some, by `mask`) of one byte."""
    with path.open("r+b") as stream:
        stream.seek(place)
        byte = stream.read(1)[0]
        stream.seek(place)
        stream.write(bytes([byte ^ mask]))

"""Signing and verifying: 500 wheels of a release, and indexes of many files."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from wheelmill.make import assemble
from wheelmill.matrix import Cell
from wheelmill.publish.sign import WheelFacts, attest, sign_root, verify_release
from wheelmill.publish.sign.root import METADATA
from wheelmill.publish.sign.signers import Signers
from wheelmill.store import digest_file

from tests.sign import small

WHEELS = 500
NATIVE_BYTES = 200_000
FILES = 100_000
ADDED = 35  # files of one more release: wheels, and what lies beside them
NOW = datetime(2026, 11, 28, tzinfo=timezone.utc)
EXPIRES = NOW + timedelta(days=30)


@dataclass(frozen=True)
class Measured:
    """Seconds. `hashing` is that of the same wheels, once; `flat` python-tuf's, all files in one role."""

    hashing: float
    sign: float
    verify: float
    first: float
    again: float
    flat: float


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure() -> Measured:
    """Everything, in a folder that is removed again."""
    with tempfile.TemporaryDirectory(prefix="bench-sign-") as name:
        folder = Path(name)
        ring = small.one_key(folder / "keys.yaml")
        release, known = _wheels(folder / "release", folder / "sources")
        facts = small.facts_of(known, small.line())
        paths = [release / file for file in known]
        small.make_release(folder / "warm", ring.signers())  # what is imported on first use
        hashing = min(seconds(lambda: [digest_file(path) for path in paths]) for _ in range(3))
        sign = min(seconds(lambda: attest(release, facts, ring.signers(), NOW)) for _ in range(3))
        verify = min(seconds(lambda: verify_release(release, ring.keyring, NOW)) for _ in range(3))
        return Measured(hashing, sign, verify, *_index(folder, ring.signers()))


def _wheels(folder: Path, tree: Path) -> tuple[Path, dict[str, WheelFacts]]:
    """500 wheels of one line, each with native files of its own: versions that differ in their local part."""
    folder.mkdir()
    small.source_tree(tree)
    known = {}
    for number in range(WHEELS):
        line = small.line(adapter=f"9.1.0.post{number + 1}")
        recipe = small.recipe_of(Cell(line, "3.11", "x86_64"), tree)
        noise = hashlib.shake_128(str(number).encode()).digest(NATIVE_BYTES)
        native = {**small.NATIVE, "torch_npu/lib/libtorch_npu.so": noise}
        made = assemble.adapter_wheel(recipe, native, tree, folder)
        known[made.name] = WheelFacts(recipe.cell.key, small.RELEASABLE, not_run="not run")
    return folder, known


def _index(folder: Path, signers: Signers) -> tuple[float, float, float]:
    """Sign an index of many files from nothing, then with one release more; the hashes are known."""
    files = {f"files/{_sha256(n)}/a-1.{n}-py3-none-any.whl": (1000, _sha256(n)) for n in range(FILES)}
    more = {f"files/{_sha256(-n)}/b-1.{n}-py3-none-any.whl": (1000, _sha256(-n)) for n in range(1, ADDED)}
    first, again = folder / "first", folder / "again"
    for tree in (first, again):
        tree.mkdir()
    one = seconds(lambda: sign_root(first, signers, NOW, EXPIRES, digests=files))
    later, page = NOW + timedelta(days=1), {"simple/a/index.html": (9, _sha256(0))}
    two = seconds(
        lambda: sign_root(again, signers, later, EXPIRES, previous=first, digests={**files, **more, **page})
    )
    assert (again / METADATA / "timestamp.json").is_file()
    flat = seconds(lambda: _flat(files, signers))
    return one, two, flat


def _flat(files: dict[str, tuple[int, str]], signers: Signers) -> bytes:
    from tuf.api.metadata import Metadata, TargetFile, Targets

    targets = {path: TargetFile(size, {"sha256": digest}, path) for path, (size, digest) in files.items()}
    made = Metadata(Targets(version=1, expires=EXPIRES, targets=targets))
    made.sign(signers.of("release", NOW)[0])
    return bytes(made.to_bytes())


def _sha256(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


if __name__ == "__main__":
    print(measure())

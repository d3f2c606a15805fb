"""Signing and verifying 500 wheels of a release, beside hashing them."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from wheelmill.make import assemble, sbom
from wheelmill.matrix import Cell
from wheelmill.publish.sign import WheelFacts, attest, verify_release

from tests.sign import small

WHEELS = 500
NATIVE_BYTES = 200_000
NOW = datetime(2026, 11, 28, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Measured:
    """Seconds, the best of three: `sign` and `verify` hash the wheels, too; `schema` is for audits."""

    hashing: float
    sign: float
    schema: float
    verify: float


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
        command = ["sha256sum", *map(str, paths)]
        hashing = min(
            seconds(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(3)
        )
        sign = min(seconds(lambda: attest(release, facts, ring.signers(), NOW)) for _ in range(3))
        verify = min(seconds(lambda: verify_release(release, ring.keyring, NOW)) for _ in range(3))
        documents = [path.read_bytes() for path in release.glob("*.cdx.json")]
        schema = min(seconds(lambda: [sbom.faults(data) for data in documents]) for _ in range(3))
        return Measured(hashing, sign, schema, verify)


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

"""Signing and verifying 500 wheels of a release, beside hashing them."""

from __future__ import annotations

import hashlib
import os
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
class Took:
    """Seconds on the clock, and of CPU, which other work on the machine changes less."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Measured:
    """The best of several runs: `sign` and `verify` hash the wheels, too; `schema` is for audits."""

    hashing: Took
    sign: Took
    schema: Took
    verify: Took


def took(work: Callable[[], object]) -> Took:
    """The least of five runs, each figure for itself; processes that it starts count."""
    runs = []
    for _ in range(5):
        cpu, wall = sum(os.times()[:4]), time.perf_counter()
        work()
        runs.append(Took(time.perf_counter() - wall, sum(os.times()[:4]) - cpu))
    return Took(min(run.wall for run in runs), min(run.cpu for run in runs))


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
        hashing = took(lambda: subprocess.run(command, check=True, capture_output=True))
        sign = took(lambda: attest(release, facts, ring.signers(), NOW))
        verify = took(lambda: verify_release(release, ring.keyring, NOW))
        documents = [path.read_bytes() for path in release.glob("*.cdx.json")]
        sbom.faults(documents[0])  # the schema is read once
        schema = took(lambda: [sbom.faults(data) for data in documents])
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

"""One cell all the way: build, audit, tag, index, smoke. The conductor of the making wing.

Every finished step is a record in the store, so a second run of the same cell reads a few records and does
nothing. A wheel that the audit refuses never reaches the index; one above its line's platform policy is shown
in the local index under its linux tag and is marked as local only.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wheelmill.build import Artifact, BuiltWheel, Workshop, build
from wheelmill.errors import WheelmillError
from wheelmill.store import Digest

if TYPE_CHECKING:
    from wheelmill.audit import Expectation
    from wheelmill.console import Console
    from wheelmill.matrix import Cell
    from wheelmill.smoke import SmokeResult
    from wheelmill.smoke.places import Place
    from wheelmill.store import Store

INDEX = "index"

# Whether to smoke-run: never, unless these wheels have run before, or in any case.
Smoke = Literal["never", "once", "again"]


class GateError(WheelmillError):
    """The audit refused a wheel; the message has every finding."""


@dataclass(frozen=True)
class Admitted:
    """A wheel that passed the gate, under the tag it deserves. `verdict` is the audit's JSON."""

    file: str
    digest: Digest
    path: Path
    verdict: Mapping[str, Any]
    summary: str
    cached: bool


@dataclass(frozen=True)
class Outcome:
    """What became of a cell. `smoke` is the run's JSON, or None with the reason in `not_run`."""

    built: BuiltWheel
    wheel: Admitted
    simulator: Admitted
    smoke: Mapping[str, Any] | None
    not_run: str | None
    smoke_cached: bool = False

    @property
    def cached(self) -> bool:
        """Whether there was nothing to do at all."""
        done = self.smoke is None or self.smoke_cached
        return self.built.cached and self.wheel.cached and self.simulator.cached and done

    def to_json(self) -> dict[str, Any]:
        """For machines; paths are absolute, seconds per phase that ran now."""
        cell = self.built.cell
        return {
            "cell": cell.key,
            "cached": self.cached,
            "wheel": str(self.wheel.path),
            "sha256": self.wheel.digest,
            "simulator": str(self.simulator.path),
            "audit": dict(self.wheel.verdict),
            "smoke": None if self.smoke is None else dict(self.smoke),
            "not_run": self.not_run,
            "seconds": dict(self.built.seconds),
        }


def run(
    cells: Iterable[Cell], workshop: Workshop, console: Console, *, smoke: Smoke = "once"
) -> tuple[Outcome, ...]:
    """Bring cells to audited, indexed and, where this machine can, smoke-run wheels.

    Raises what building raises, GateError for a refused wheel, and SmokeError for one that does not run.
    """
    wanted = tuple(cells)
    with console.step(f"build {_names(wanted)}"):
        built = build(wanted, workshop)
    with console.step("audit"):
        admitted = [_admit_both(one, workshop.store) for one in built]
    with console.step("index"):
        show_index(workshop.store)
    return tuple(
        _outcome(one, both, workshop, console, smoke) for one, both in zip(built, admitted, strict=True)
    )


def _names(cells: tuple[Cell, ...]) -> str:
    return cells[0].key if len(cells) == 1 else f"{len(cells)} cells"


# ------------------------------------------------------------------------------------------------------ audit
def _admit_both(built: BuiltWheel, store: Store) -> tuple[Admitted, Admitted]:
    from wheelmill.audit.model import Expectation

    roots = (str(store.root),)
    return (
        admit(built.wheel, Expectation.adapter(built.cell, build_roots=roots), store, built.cell),
        admit(built.simulator, Expectation.simulator(built.cell, build_roots=roots), store, built.cell),
    )


def admit(artifact: Artifact, expectation: Expectation, store: Store, cell: Cell) -> Admitted:
    """Audit a built wheel once and give it its tag; raises GateError when it is refused."""
    key = hashlib.sha256(f"{artifact.digest} {expectation} {_auditor()}".encode()).hexdigest()
    record = store.find("audit", key)
    cached = record is not None and store.has(record.data["digest"])
    if record is None or not cached:
        record = store.record("audit", key, **_audit(artifact, expectation, store, cell))
    data = record.data
    file, digest = str(data["file"]), Digest(data["digest"])
    path = store.export(digest, artifact.path.parent, file)
    return Admitted(file, digest, path, data["verdict"], str(data["summary"]), cached)


def _audit(artifact: Artifact, expectation: Expectation, store: Store, cell: Cell) -> dict[str, Any]:
    from wheelmill import audit
    from wheelmill.toolchain import sdk

    lib = sdk.ensure(cell.line.torch, cell.arch, store).root / "lib"
    verdict = audit.audit(artifact.path, expectation, sdk_lib=lib)
    if not verdict.ok:
        raise GateError(
            f"the audit refuses {artifact.file}:\n{audit.render_text(verdict)}",
            hint=f"The wheel is kept for a look: {artifact.path}",
        )
    file, digest = artifact.file, artifact.digest
    if verdict.release_tag:
        file, digest = _retag(artifact, verdict.release_tag, store)
    return {
        "file": file,
        "digest": digest,
        "built": artifact.digest,
        "uploaded": datetime.now(tz=timezone.utc).isoformat(timespec="seconds"),
        "verdict": audit.to_json(verdict),
        "summary": audit.summary(verdict),
    }


def _retag(artifact: Artifact, platform_tag: str, store: Store) -> tuple[str, Digest]:
    """The wheel under the platform tag that its symbols deserve."""
    from wheelmill.wheelfile import rewrite

    python, abi = artifact.file.removesuffix(".whl").split("-")[-3:-1]
    with tempfile.TemporaryDirectory(dir=store.root, prefix="retag-") as folder:
        path = rewrite(artifact.path, Path(folder), tag=f"{python}-{abi}-{platform_tag}")
        return path.name, store.put(path)


def _auditor() -> str:
    """What decides a verdict beside the wheel: the rules' own source."""
    digest = hashlib.sha256()
    for source in sorted((Path(__file__).parent / "audit").glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


# ------------------------------------------------------------------------------------------------------ index
def show_index(store: Store) -> Path:
    """Make the local index show the newest admitted wheel of every name; a known set costs a comparison."""
    newest = {str(record.data["file"]): record.data for record in store.records("audit")}
    shown = {file: data for file, data in newest.items() if store.has(data["digest"])}
    key = hashlib.sha256(repr(sorted((f, d["digest"]) for f, d in shown.items())).encode()).hexdigest()
    out = store.root / INDEX
    record = store.find("index", "local")
    if record is not None and record.data["set"] == key and out.exists():
        return out
    from wheelmill.index import WheelRecord, build_index

    build_index(
        [
            WheelRecord.from_wheel(
                store.get(data["digest"]), datetime.fromisoformat(data["uploaded"]), filename=file
            )
            for file, data in shown.items()
        ],
        out,
    )
    store.record("index", "local", set=key, wheels=len(shown))
    return out


# ------------------------------------------------------------------------------------------------------ smoke
def _outcome(
    built: BuiltWheel, admitted: tuple[Admitted, Admitted], workshop: Workshop, console: Console, smoke: Smoke
) -> Outcome:
    wheel, simulator = admitted
    if smoke == "never":
        return Outcome(built, wheel, simulator, None, "not asked for")
    key = f"{wheel.digest}/{simulator.digest}"
    record = workshop.store.find("smoke", key)
    if record is not None and smoke == "once":
        return Outcome(built, wheel, simulator, record.data["result"], None, smoke_cached=True)
    with console.step(f"smoke {built.cell.key}"):
        result = run_smoke(built.cell, workshop)
    if result.status == "not run":
        return Outcome(built, wheel, simulator, None, result.reason)
    found = result.to_json()
    workshop.store.record("smoke", key, result=found)
    return Outcome(built, wheel, simulator, found, None)


def run_smoke(cell: Cell, workshop: Workshop, *, keep: bool = False) -> SmokeResult:
    """Smoke-run a cell from the local index; `keep` leaves its environment. Raises SmokeError on failure."""
    from wheelmill.smoke import smoke
    from wheelmill.smoke.result import SmokeResult
    from wheelmill.toolchain import sdk

    place = _place(cell, workshop)
    reason = place.cannot_run(cell)
    if reason is not None:
        return SmokeResult.not_run(cell.key, reason)
    store = workshop.store
    torch = sdk.ensure(cell.line.torch, cell.arch, store, workshop.progress)
    return smoke(
        cell,
        store.root / INDEX,
        store.root / "smoke",
        torch_wheel=store.export(torch.sha256, store.root / "torch", torch.wheel_name),
        torch_cpu_index=workshop.torch_cpu_index,
        progress=workshop.progress,
        keep=keep,
        place=place,
    ).check()


def _place(cell: Cell, workshop: Workshop) -> Place:
    """This machine; a container for what it cannot run, where that is what is built with, or when told."""
    from wheelmill.smoke.places import ThisMachine

    here = ThisMachine()
    runs_here = workshop.engine.name != "docker" or here.cannot_run(cell) is None
    if runs_here and not workshop.run_in_container:
        return here
    from wheelmill.images import ImageShop
    from wheelmill.smoke.container import InContainer

    return InContainer(ImageShop(workshop.store.root, progress=workshop.progress))

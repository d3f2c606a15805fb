"""The gate between building and showing: every built wheel is audited once and gets the tag it deserves."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmill.errors import WheelmillError
from wheelmill.make.build import Artifact, BuiltWheel
from wheelmill.store import Digest
from wheelmill.wheel.name import parse_name

if TYPE_CHECKING:
    from wheelmill.make.packages.shop import Made, Shop
    from wheelmill.prove.audit import Expectation
    from wheelmill.store import Store


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


def admit_both(built: BuiltWheel, store: Store) -> tuple[Admitted, Admitted]:
    """Audit a cell's adapter wheel and its simulator's; raises GateError when one is refused."""
    from wheelmill.prove.audit.model import Expectation

    roots = (str(store.root),)

    def lib() -> Path:
        from wheelmill.make.toolchain import sdk

        return sdk.ensure(built.cell.line.torch, built.cell.arch, store).root / "lib"

    return (
        admit(built.wheel, Expectation.adapter(built.cell, build_roots=roots), store, built.cell.key, lib),
        admit(
            built.simulator, Expectation.simulator(built.cell, build_roots=roots), store, built.cell.key, lib
        ),
    )


def admit_package(made: Made, shop: Shop) -> Admitted:
    """Audit a described project's wheel by the specifications and its project's terms; raises GateError."""
    from wheelmill.make.packages.sdks import torch_of
    from wheelmill.make.toolchain import sdk
    from wheelmill.prove.audit.model import Expectation, Terms

    cell, described, store = made.job.cell, shop.described, shop.store
    torch = described.torch(cell)

    def lib() -> Path | None:
        built = torch_of(cell, shop)
        return None if built is None else sdk.ensure(built, cell.arch, store).root / "lib"

    terms = dataclasses.replace(Terms.of(described.project), policy=described.policy(cell))
    expected = dataclasses.replace(
        terms.asked(Expectation.from_name(parse_name(made.file))),
        torch=None if torch is None else f"=={torch.version}",
        build_roots=(str(store.root),),
    )
    artifact = Artifact(made.file, made.digest, made.path, made.job.key, made.cached)
    return admit(artifact, expected, store, cell.key, lib)


def admit(
    artifact: Artifact, expectation: Expectation, store: Store, cell: str, lib: Callable[[], Path | None]
) -> Admitted:
    """Audit a built wheel once and give it its tag; raises GateError when it is refused.

    `cell` is the key of the cell that it was built for; `lib` gives torch/lib of the torch that it was built
    against, if there is one.
    """
    key = hashlib.sha256(f"{artifact.digest} {expectation} {_auditor()}".encode()).hexdigest()
    record = store.find("audit", key)
    cached = record is not None and store.has(record.data["digest"])
    if record is None or not cached:
        record = store.record("audit", key, **_audit(artifact, expectation, store, cell, lib))
    data = record.data
    file, digest = str(data["file"]), Digest(data["digest"])
    # A copy: what people do to the files that they find here stays without consequence for the store.
    path = store.export(digest, store.root / "wheels" / artifact.path.parent.name, file, copy=True)
    return Admitted(file, digest, path, data["verdict"], str(data["summary"]), cached)


def _audit(
    artifact: Artifact, expectation: Expectation, store: Store, cell: str, lib: Callable[[], Path | None]
) -> dict[str, Any]:
    from wheelmill.prove import audit

    verdict = audit.audit(artifact.path, expectation, sdk_lib=lib())
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
        "cell": cell,
        "uploaded": _uploaded(file, digest, store),
        "verdict": audit.to_json(verdict),
        "summary": audit.summary(verdict),
    }


def _uploaded(file: str, digest: str, store: Store) -> str:
    """When these bytes were first admitted under this name: made again, they are no newer."""
    for record in store.records("audit"):
        if (record.data["file"], record.data["digest"]) == (file, digest):
            return str(record.data["uploaded"])
    return datetime.now(tz=timezone.utc).isoformat(timespec="seconds")


def _retag(artifact: Artifact, platform_tag: str, store: Store) -> tuple[str, Digest]:
    """The wheel under the platform tag that its symbols deserve."""
    from wheelmill.wheel.wheelfile import rewrite

    python, abi = artifact.file.removesuffix(".whl").split("-")[-3:-1]
    with store.scratch("retag-") as folder:
        path = rewrite(artifact.path, folder, tag=f"{python}-{abi}-{platform_tag}")
        return path.name, store.put(path)


@cache
def _auditor() -> str:
    """What decides a verdict beside the wheel: the source of the rules and of the reader."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for source in sorted([*(here / "audit").glob("*.py"), *(here.parent / "wheel").glob("*.py")]):
        digest.update(source.read_bytes())
    return digest.hexdigest()

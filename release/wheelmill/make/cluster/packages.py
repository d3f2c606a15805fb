"""Wheels of described projects, built by the workers of a Dask cluster."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wheelmill.make.cluster import PackageRequest, tar
from wheelmill.make.packages.sdks import other_sdks, torch_of
from wheelmill.make.packages.shop import Job, Shop, Tools, policy_of
from wheelmill.make.tasks import Share
from wheelmill.wheel.name import parse_name

if TYPE_CHECKING:
    from wheelmill.describe import Cell, ProjectFile
    from wheelmill.make.cluster.engine import ClusterEngine
    from wheelmill.matrix import Torch


@dataclass(frozen=True)
class OnCluster:
    """See Elsewhere."""

    engine: ClusterEngine

    @property
    def at_once(self) -> int:
        """See Elsewhere: all of them wait here."""
        return self.engine.compilers()

    def tools(self, cell: Cell, policy: str) -> Tools:
        """See Elsewhere. Raises ClusterError."""
        offer = self.engine.best(cell.arch, policy, cell.python)
        return Tools(offer.identity, offer.python)

    def make(self, job: Job, shop: Shop, target: Path, log: Path, share: Share) -> Path:
        """See Elsewhere. Raises ClusterError, or what the last worker that tried raised."""
        store, project = shop.sdk_store, shop.described.project
        request = PackageRequest(
            cells=job.cells,
            recipe=job.recipe,
            project=_sent(project),
            torches=_torches(job, shop),
            files=job.sources.files,
            sources=tar.pack(job.sources.root, list(job.sources.files)),
            epoch=job.sources.epoch,
            sdks={
                name: (file, store.get(digest).read_bytes())
                for name, (digest, file) in other_sdks(job.cell, shop).items()
            },
            policy=policy_of(job.cell, shop),
        )
        answer = self.engine.run(request, shop.progress, log, share.stop)
        wheel = target / str(parse_name(answer.file).file)
        wheel.write_bytes(answer.content)
        return wheel


def _sent(project: ProjectFile) -> ProjectFile:
    """Without the lines, of which it may have thousands of cells; torch is told by its hash."""
    torch = project.sdks.get("torch")
    named = {} if torch is None else {"torch": replace(torch, index=None)}
    return replace(project, lines=(), sdks={**project.sdks, **named})


def _torches(job: Job, shop: Shop) -> dict[str, Torch]:
    """The torch of a job's cells, with the one wheel that its recipe names."""
    torch = torch_of(job.cell, shop)
    if torch is None:
        return {}
    named = {sdk["sha256"] for sdk in job.recipe["sdks"]}
    return {torch.version: replace(torch, wheels=tuple(w for w in torch.wheels if w.sha256 in named))}

"""The native files of one (torch, arch): compiled once, kept in the store as a bundle.

Everything can be killed at any moment and started again; two builds of one bundle at once wait for each
other.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from wheelmill.errors import WheelmillError
from wheelmill.limits import MAX_TEXT, read_regular
from wheelmill.make.plan import BuildImage, BundleRecipe
from wheelmill.make.tasks import Share
from wheelmill.make.toolchain import sdk as sdks
from wheelmill.make.toolchain.sources import copy_native, digest_tree, native_files
from wheelmill.make.workshop import Workshop
from wheelmill.matrix import Torch
from wheelmill.matrix.plain import PlainError, from_plain
from wheelmill.progress import Progress
from wheelmill.store import Store
from wheelmill.store.errors import disk_errors


class BuildError(WheelmillError):
    """Cells that cannot be built, or sources that changed under the build."""


def bundle_path(store: Store, bundle: BundleRecipe) -> Path | None:
    """The bundle's tar in the store, or fetched from its remote; None when neither has it."""
    record = store.obtain("bundle", bundle.key)
    return None if record is None else store.get(record.data["digest"])


def made_in(store: Store, key: str) -> BuildImage | None:
    """What a bundle of the store was compiled in; None where it is not there or its record does not say."""
    record = store.obtain("bundle", key)
    if record is None or "image" not in record.data:
        return None
    try:
        return from_plain(BuildImage, record.data["image"])
    except PlainError:
        return None


@dataclass(frozen=True)
class Order:
    """A bundle to compile: against this torch, for wheels that are held to this platform policy."""

    bundle: BundleRecipe
    torch: Torch
    policy: str


def ensure_bundle(order: Order, workshop: Workshop, share: Share, progress: Progress) -> Mapping[str, float]:
    """Compile the bundle unless the store has it; the seconds of each phase that ran.

    Raises what engines, SDK and store raise, BuildError for sources that change, StoppedError.
    """
    store, bundle = workshop.store, order.bundle
    if bundle_path(store, bundle) is not None:
        return {}
    with store.lock(f"bundle-{bundle.name}", waiting=progress, stop=share.stop) as lock:
        if bundle_path(store, bundle) is not None:  # who held the lock has just made it
            return {}
        return _compile(order, workshop, share, progress, lock.descriptor)


def _compile(
    order: Order, workshop: Workshop, share: Share, progress: Progress, lock: int
) -> Mapping[str, float]:
    from wheelmill.make.assemble import pack_bundle
    from wheelmill.make.engines import Job

    store, bundle = workshop.store, order.bundle
    workdir = _workdir(bundle, workshop)
    log = store.root / "logs" / f"{bundle.name}-{bundle.key[:12]}.log"
    job = Job(
        recipe=bundle,
        sources=workdir / "sources",
        sdk=sdks.ensure(order.torch, bundle.arch, workshop.sdk_store, progress).root,
        workdir=workdir,
        log=log,
        timeout=workshop.timeout,
        jobs=share.jobs,
        keep_open=(lock,),
        part=share.part,
        stop=share.stop,
        fresh=workshop.fresh,
        policy=order.policy,
        torch=order.torch,
    )
    result = workshop.engine.build(job, progress)
    packed = workdir / "bundle.tar"
    with disk_errors("write", packed):
        pack_bundle(result.prefix, packed)
    digest = store.put(packed)
    engine, seconds = workshop.engine.name, dict(result.seconds)
    record = store.record(
        "bundle",
        bundle.key,
        digest=digest,
        name=bundle.name,
        engine=engine,
        image=asdict(workshop.engine.image(bundle.arch, order.policy)),
        seconds=seconds,
        log=log.name,
    )
    store.share(record)
    shutil.rmtree(workdir, ignore_errors=True)
    return result.seconds


def _marked(marker: Path) -> str | None:
    """The key of the recipe that a folder is of; None where it does not say."""
    try:
        return read_regular(marker, MAX_TEXT).decode()
    except (OSError, ValueError):
        return None


def _workdir(bundle: BundleRecipe, workshop: Workshop) -> Path:
    """The bundle's folder with a snapshot of the native sources, so that an edit during the build cannot get
    in.

    Its path depends on (torch, arch) alone, for ccache's sake. An interrupted build of the same recipe goes
    on in it.
    """
    workdir = workshop.store.root / "work" / bundle.name
    marker = workdir / "recipe"
    snapshot = workdir / "sources"
    with disk_errors("prepare", workdir):
        if _marked(marker) != bundle.key:
            shutil.rmtree(workdir, ignore_errors=True)
            copy_native(workshop.sources, snapshot)
            marker.write_text(bundle.key)
    if digest_tree(snapshot, native_files(snapshot)) != bundle.native:
        marker.unlink()
        raise BuildError(
            f"{workshop.sources} changed while the build began", hint="run the same command again"
        )
    return workdir

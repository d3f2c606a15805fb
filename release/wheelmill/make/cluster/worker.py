"""What runs on a worker. Dask imports these functions by name: both sides must have the same wheelmill."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import wheelmill
from wheelmill.describe import Described
from wheelmill.errors import WheelmillError
from wheelmill.limits import Limits
from wheelmill.make.bundles import ensure_bundle
from wheelmill.make.cluster import Answer, ClusterError, How, Offer, PackageRequest, Profile, Request, tar
from wheelmill.make.cluster.dask import distributed
from wheelmill.make.packages.build import ensure, full_version
from wheelmill.make.packages.compilers import Place
from wheelmill.make.packages.shop import Job, Shop
from wheelmill.make.packages.sources import PackageSources
from wheelmill.make.plan import BuildImage
from wheelmill.make.tasks import Share
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.make.toolchain.interpreters import find_python
from wheelmill.make.toolchain.sources import digest_tree
from wheelmill.make.workshop import Workshop
from wheelmill.progress import Progress

TOPIC = "wheelmill"  # of progress, in Dask's log of events
_POLL_SECONDS = 1.0
_END_SECONDS = 30.0

_made: list[tuple[Workshop, Place]] = []
_closing = threading.Event()
_compiling = threading.Lock()  # a worker has one thread
_lock = threading.Lock()


def serve(workshop: Workshop, place: Place) -> None:
    """Compile in this process from now on: bundles with this workshop, packages with this place."""
    _made[:] = [(workshop, place)]


def begin() -> None:
    """Take work, after `end_compilers` too."""
    _closing.clear()


def end_compilers() -> None:
    """End what is compiled in this process, and wait until it has ended: it takes no more work."""
    _closing.set()
    if _compiling.acquire(timeout=_END_SECONDS):
        _compiling.release()


@cache
def code_digest() -> str:
    """The SHA-256 over the Python files of this wheelmill: a version number says too little in a checkout."""
    root, digest = Path(wheelmill.__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def profile() -> Profile:
    """What this worker is."""
    limits = Limits.of_machine()
    return Profile(
        socket.gethostname(), host_arch(), code_digest(), _given()[0].engine.name, limits.cpus, limits.memory
    )


def offer(arch: str, policy: str) -> Offer | str:
    """How this worker compiles for them; why it cannot, in words, otherwise."""
    engine = _given()[0].engine
    try:
        with _lock:
            how: How = "native" if arch == host_arch() else "cross"
            if engine.name == "cibuildwheel" and how == "cross":
                how = "emulated"
            return Offer(how, engine.identity(arch, policy), engine.image(arch, policy))
    except WheelmillError as error:
        return error.message


def offer_package(arch: str, policy: str, python: str) -> Offer | str:
    """How this worker builds packages of this Python for them; why it cannot, in words, otherwise."""
    _, place = _given()
    try:
        with _lock:
            how: How = "native" if arch == host_arch() else "cross"
            path = find_python(python)
            if path is None:
                return f"there is no Python {python} on this machine to build with"
            return Offer(how, place.identity(arch, policy), BuildImage(), full_version(path))
    except WheelmillError as error:
        return error.message


def compile_bundle(request: Request, token: str) -> Answer:
    """Compile, unless this worker's store or its remote has it. Raises what engines, SDK and store raise."""
    base, _ = _given()
    order = request.order
    bundle = order.bundle
    found = base.engine.identity(bundle.arch, order.policy)
    if found != bundle.compiler:
        raise ClusterError(f"this worker's compiler is now another one: {found}")
    with _compiling, _wanted() as stop, base.store.scratch("sources-") as folder:
        tar.unpack(request.sources, folder)
        workshop = replace(base, sources=folder, timeout=request.timeout, fresh=request.fresh)
        jobs = workshop.jobs or workshop.engine.compilers()
        wheels = tuple(wheel for wheel in order.torch.wheels if wheel.sha256 == bundle.sdk)
        order = replace(order, torch=replace(order.torch, wheels=wheels))  # the very one of the recipe
        seconds = ensure_bundle(order, workshop, Share(jobs, 1.0, stop), _teller(token))
    record = workshop.store.find("bundle", bundle.key)
    if record is None:
        raise ClusterError(f"{bundle.name} was compiled and is not in the worker's store")
    packed = workshop.store.get(record.data["digest"]).read_bytes()
    log = workshop.store.root / "logs" / str(record.data["log"])
    text = log.read_bytes() if log.is_file() else b""
    return Answer(packed, str(record.data["digest"]), dict(seconds), text)


def build_package(request: PackageRequest, token: str) -> Answer:
    """Build the wheel, unless this worker's store or its remote has it. Raises what `ensure` raises."""
    base, place = _given()
    store, cell, recipe = base.store, request.cells[0], request.recipe
    python = find_python(cell.python)
    found = (place.identity(cell.arch, request.policy), None if python is None else full_version(python))
    if found != (recipe["compiler"], recipe["python"]):
        raise ClusterError(f"this worker's compiler or Python is now another one: {found}")
    with _compiling, _wanted() as stop, store.scratch("sources-") as folder:
        tar.unpack(request.sources, folder)
        if digest_tree(folder, list(request.files)) != recipe["sources"]:
            raise ClusterError(f"the sources of {request.name} are not those of its recipe")
        sources = PackageSources(folder, request.files, str(recipe["sources"]), request.epoch)
        given = {name: (store.put(content), file) for name, (file, content) in request.sdks.items()}
        shop = Shop(
            Described(folder / "wheelmill.toml", request.project, request.torches),
            store,
            place,
            progress=_teller(token),
            jobs=base.jobs or base.engine.compilers(),
            sdks=base.sdk_store,
            given=given,
        )
        made = ensure(Job(request.cells, python, recipe, sources), shop, Share(shop.jobs, 1.0, stop))
    log = made.log.read_bytes() if made.log.is_file() else b""
    return Answer(store.get(made.digest).read_bytes(), made.digest, dict(made.seconds), log, made.file)


def _given() -> tuple[Workshop, Place]:
    if not _made:
        raise ClusterError(
            "a Dask worker that `wheelmill worker` did not start cannot compile",
            hint="start it in a checkout on that machine: wheelmill worker tcp://SCHEDULER:8786",
        )
    return _made[0]


def _teller(token: str) -> Progress:
    """Progress that goes to whoever asked."""
    worker = distributed().get_worker()

    def tell(text: str) -> None:
        worker.log_event(TOPIC, {"token": token, "text": text})

    return tell


@contextmanager
def _wanted() -> Iterator[threading.Event]:
    """An event that is set when nobody wants the result any more: cancelled, or who asked is gone."""
    worker, stop, ended = distributed().get_worker(), threading.Event(), threading.Event()
    key = worker.get_current_task()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            task = worker.state.tasks.get(key)
            if _closing.is_set() or task is None or task.state in ("cancelled", "released", "forgotten"):
                stop.set()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield stop
    finally:
        ended.set()
        watcher.join()

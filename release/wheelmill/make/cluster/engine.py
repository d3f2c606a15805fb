"""The engine whose compilers are those of a Dask cluster's workers.

`build` may be called by any number of threads, one for each bundle; a thread of its own sends what they want
to the workers, as `placement` decides, and gives each the first result that is what it says.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from wheelmill.errors import StoppedError, WheelmillError
from wheelmill.make.bundles import Order
from wheelmill.make.cluster import Answer, ClusterError, Offer, PackageRequest, Profile, Request, tar
from wheelmill.make.cluster.dask import distributed
from wheelmill.make.cluster.placement import ORDER, Running, Start, Wanted, place
from wheelmill.make.cluster.worker import (
    TOPIC,
    build_package,
    code_digest,
    compile_bundle,
    offer,
    offer_package,
    profile,
)
from wheelmill.make.engines import BundleResult, CompileError, Job
from wheelmill.make.packages.shop import BrokenBuildError
from wheelmill.make.plan import BuildImage
from wheelmill.make.toolchain.sources import native_files
from wheelmill.progress import Progress

_TICK = 0.25  # seconds between two looks at the workers
_CONNECT = 10.0
_ANSWER = 30.0  # seconds that the others wait for what a worker is asked; it may answer later
_LOST = 3  # workers that may be lost over one bundle
_DEFAULT_COST = 600.0  # seconds, of a bundle that nobody has compiled yet
_WIDTH = 4 * 64  # threads wait here, compilers are elsewhere: `tasks.width` starts a quarter of these


@dataclass
class _Want:
    """A bundle that a thread waits for."""

    request: Request | PackageRequest
    progress: Progress
    ready: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None
    error: WheelmillError | None = None
    refused: dict[str, WheelmillError] = field(default_factory=dict)  # by worker: what it could not do
    lost: list[str] = field(default_factory=list)  # the machines, each with what became of it

    @property
    def name(self) -> str:
        return self.request.name


class _Reply:
    """What a call of the cluster gives, which runs in a thread of its own: a machine that is gone or frozen
    answers late or never, and nobody waits for that longer than they want to.
    """

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._found: Any = None
        self.since = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found = self._call()
        except BaseException as error:  # a call that was canceled ends in one that is no Exception
            self._found = error

    def wait(self, seconds: float) -> bool:
        """Whether it is there after so many seconds."""
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    def value(self) -> Any:
        """What was given, or the error that was raised."""
        return self._found


@dataclass
class _Attempt:
    want: _Want
    machine: str
    since: float
    future: Any
    token: str
    answer: _Reply | None = None  # on its way from the worker, once it has finished


class ClusterEngine:
    """Compiles on the workers of the scheduler at `address` (`tcp://HOST:8786`).

    `costs` has the seconds that bundles took before, by name. Raises ClusterError when there is no scheduler,
    or no worker with this very wheelmill.
    """

    name = "dask"

    def __init__(self, address: str, note: Progress, costs: Mapping[str, float] | None = None) -> None:
        self._note = note
        self._costs = costs or {}
        self._client = _connect(address)
        self._address = address
        self._told: set[str] = set()
        self._profiles: dict[str, Profile] = {}
        self._distrusted: set[str] = set()
        self._offers: dict[tuple[str, ...], dict[str, Offer]] = {}
        self._lock = threading.Lock()
        self._wants: list[_Want] = []
        self._attempts: list[_Attempt] = []
        self._asked: dict[tuple[str, ...], _Reply] = {}
        self._ratios: list[float] = []
        self._thread: threading.Thread | None = None
        self._client.subscribe_topic(TOPIC, self._hear)
        if not self.machines():
            self.close()
            raise ClusterError(
                f"the scheduler at {address} has no worker that can compile",
                hint="start one in a checkout of this commit, on each machine: wheelmill worker " + address,
            )

    def close(self) -> None:
        """Leave the cluster; what it still compiles for us is ended there."""
        self._client.close(timeout=5)

    # ----------------------------------------------------------------------------------- what Engine asks for
    def identity(self, arch: str, policy: str) -> str:
        """See Engine: of the workers that are native, else cross, else emulated. Raises ClusterError."""
        return self.best(arch, policy).identity

    def image(self, arch: str, policy: str) -> BuildImage:
        """See Engine; raises as `identity`."""
        return self.best(arch, policy).image

    def compilers(self) -> int:
        """See Engine: as many as make every bundle wait here at once."""
        return _WIDTH

    def build(self, job: Job, progress: Progress) -> BundleResult:
        """See Engine. Raises CompileError, ClusterError, or what the last worker that tried raised."""
        if job.torch is None:
            raise ClusterError(f"{job.recipe.name}: a job for other machines names its torch")
        sources = tar.pack(job.sources, native_files(job.sources))
        order = Order(job.recipe, job.torch, job.policy)
        request = Request(order, sources, job.timeout, job.fresh)
        answer = self.run(request, progress, job.log, job.stop)
        return BundleResult(_unpack(answer.content, job.workdir / "prefix"), answer.seconds)

    def run(
        self,
        request: Request | PackageRequest,
        progress: Progress,
        log: Path,
        stop: threading.Event | None = None,
    ) -> Answer:
        """Have a worker do this and wait for it; its log is written here. Raises as `build`."""
        want = _Want(request, progress)
        progress("waiting for a worker")
        self._add(want)
        while not want.ready.wait(_TICK):
            if stop is not None and stop.is_set():
                self._drop(want)
                raise StoppedError
        if want.error is not None:
            raise want.error
        assert want.answer is not None
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(want.answer.log)
        return want.answer

    # ------------------------------------------------------------------------------------------- the workers
    def machines(self) -> tuple[str, ...]:
        """Addresses of the workers that are there and have this wheelmill; others are noted once."""
        there = set(self._client.scheduler_info(n_workers=-1)["workers"])
        unknown = there - set(self._profiles)
        if unknown:
            for address, found in self._ask(profile, sorted(unknown)).items():
                self._meet(address, found)
        return tuple(
            address
            for address in sorted(there - self._distrusted)
            if address in self._profiles and self._profiles[address].code == code_digest()
        )

    def profiles(self) -> dict[str, Profile]:
        """What each usable worker is, by address."""
        return {address: self._profiles[address] for address in self.machines()}

    def busy(self) -> dict[str, str]:
        """What each worker compiles now, by address, whoever asked for it."""
        found = self._client.processing()
        return {
            address: ", ".join(key.rpartition("-")[0] for key in keys)
            for address, keys in found.items()
            if keys
        }

    def _meet(self, address: str, found: Any) -> None:
        if isinstance(found, Profile):
            self._profiles[address] = found
            if found.code != code_digest():
                self._tell(f"{address} ({found.host}) has another wheelmill than this machine: not used")
            return
        self._tell(f"{address} cannot compile and is not used: {_text(found)}")

    def _ask(self, function: Any, addresses: list[str], *words: str) -> dict[str, Any]:
        """The answers of workers, or what they raised; those that are gone, or do not answer, are not in it.

        All are asked at once, each once; who answers late has answered when it is asked for again.
        """
        questions = {address: (address, function.__name__, *words) for address in addresses}
        for address, question in questions.items():
            if question not in self._asked:
                self._asked[question] = _Reply(partial(self._run_on, address, function, *words))
        found: dict[str, Any] = {}
        for address, question in questions.items():
            reply = self._asked[question]
            if not reply.wait(reply.since + _ANSWER - time.monotonic()):
                self._tell(f"{address} does not answer and is not used until it does")
            elif isinstance(reply.value(), (OSError, TimeoutError, asyncio.TimeoutError)):
                del self._asked[question]  # it was gone: it may come back
            else:
                found[address] = reply.value()
        return found

    def _run_on(self, address: str, function: Any, *words: str) -> Any:
        answers = self._client.run(function, *words, workers=[address], on_error="return")
        return answers.get(address, ConnectionError())

    def best(self, arch: str, policy: str, python: str = "") -> Offer:
        """How the workers compile that are native, else cross, else emulated. Raises ClusterError."""
        words = (arch, policy, *([python] if python else []))
        usable = self._usable(words)
        while not usable and self._awaited(words):  # one that makes its image first takes minutes
            time.sleep(_TICK)
            usable = self._usable(words)
        if not usable:
            what = f"{arch} with Python {python}" if python else arch
            raise ClusterError(
                f"no worker of {self._address} compiles for {what}",
                hint="`wheelmill workers` lists them; a worker with --engine docker compiles for both",
            )
        return min(usable, key=lambda one: (ORDER.index(one.how), one.identity, one.python))

    def _usable(self, words: tuple[str, ...]) -> list[Offer]:
        offers = self._offers_of(words)
        return [offers[address] for address in self.machines() if address in offers]

    def _offers_of(self, words: tuple[str, ...]) -> dict[str, Offer]:
        """By worker; `words` are an arch, a policy and, for packages, a Python."""
        known = self._offers.setdefault(words, {})
        unknown = [address for address in self.machines() if address not in known]
        for address, found in self._ask(_question(words), unknown, *words).items():
            if isinstance(found, Offer):
                known[address] = found
            else:
                self._tell(f"{address} does not compile for {words[0]}: {_text(found)}")
        return known

    def _awaited(self, words: tuple[str, ...]) -> bool:
        """Whether a worker that is there has not said yet how it compiles."""
        name = _question(words).__name__
        asked = [self._asked.get((address, name, *words)) for address in self.machines()]
        return any(reply is not None and not reply.wait(0) for reply in asked)

    # --------------------------------------------------------------------------------------------- the queue
    def _add(self, want: _Want) -> None:
        with self._lock:
            self._wants.append(want)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def _drop(self, want: _Want) -> None:
        with self._lock:
            self._finish(want)

    def _run(self) -> None:
        """Until nobody wants anything."""
        while True:
            try:
                with self._lock:
                    self._collect()
                    self._start()
                    if not self._wants:
                        self._thread = None
                        return
            except Exception as error:  # the scheduler is gone: nothing comes from there any more
                self._fail(error)
                return
            time.sleep(_TICK)

    def _fail(self, error: Exception) -> None:
        with self._lock:
            for want in tuple(self._wants):
                want.error = ClusterError(
                    f"the scheduler at {self._address} was lost: {_text(error)}",
                    hint="start it again and run the same command: finished bundles are kept",
                )
                want.ready.set()
            self._wants.clear()
            self._attempts.clear()
            self._thread = None

    def _start(self) -> None:
        machines = self.machines()
        wanted = {want.name: self._wanted(want, machines) for want in self._wants}
        started = {attempt.want.name for attempt in self._attempts}
        for want in tuple(self._wants):
            if want.name not in started and not wanted[want.name].hows:
                self._give_up(want, bool(machines))
        running = [
            Running(wanted[one.want.name], one.machine, one.since)
            for one in self._attempts
            if one.want.name in wanted
        ]
        waiting = [one for name, one in wanted.items() if name not in started and one.hows]
        now = time.monotonic()
        for start in place(waiting, running, machines, ratios=self._ratios, now=now):
            self._send(start)

    def _wanted(self, want: _Want, machines: tuple[str, ...]) -> Wanted:
        demand = want.request.demand
        words = (demand.arch, demand.policy, *([demand.minor] if demand.minor else []))
        offers = self._offers_of(words)
        hows = {
            address: offers[address].how
            for address in machines
            if address in offers
            and (offers[address].identity, offers[address].python) == (demand.identity, demand.python)
            and address not in want.refused
        }
        return Wanted(want.name, self._costs.get(want.name, _DEFAULT_COST), hows)

    def _send(self, start: Start) -> None:
        want = next(one for one in self._wants if one.name == start.wanted.name)
        again = [one.machine for one in self._attempts if one.want is want]
        if again:
            self._note(f"{want.name} is slow on {again[0]}: it is started again on {start.machine}")
        token = uuid.uuid4().hex
        future = self._client.submit(
            compile_bundle if isinstance(want.request, Request) else build_package,
            want.request,
            token,
            key=f"{want.name}-{token}",
            workers=[start.machine],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )
        want.progress(f"on {self._profiles[start.machine].host}")
        self._attempts.append(_Attempt(want, start.machine, time.monotonic(), future, token))

    def _collect(self) -> None:
        """Take what attempts came to, and miss the workers that are gone."""
        there = set(self._client.scheduler_info(n_workers=-1)["workers"])
        for attempt in tuple(self._attempts):
            if attempt not in self._attempts:  # ended with another one of the same bundle
                continue
            status = attempt.future.status
            if status == "finished" and attempt.answer is None:
                attempt.answer = _Reply(attempt.future.result)
            if attempt.answer is not None and attempt.answer.wait(0):
                self._take(attempt, attempt.answer.value())
            elif status in ("error", "cancelled", "lost"):
                self._refuse(attempt)
            elif attempt.machine not in there:
                self._lose(attempt, "it is gone")

    def _take(self, attempt: _Attempt, answer: Any) -> None:
        if not isinstance(answer, Answer):
            self._lose(attempt, f"its result did not come: {_text(answer)}")
            return
        found = hashlib.sha256(answer.content).hexdigest()
        if found != answer.sha256:
            self._distrusted.add(attempt.machine)
            self._tell(
                f"{attempt.machine} sent {attempt.want.name} with SHA-256 {found} and said {answer.sha256}: "
                "its results are not used any more"
            )
            self._end(attempt)
            return
        cost = self._costs.get(attempt.want.name, _DEFAULT_COST)
        self._ratios.append((time.monotonic() - attempt.since) / cost)
        attempt.want.answer = answer
        self._finish(attempt.want)

    def _refuse(self, attempt: _Attempt) -> None:
        """A failed compilation fails everywhere; what a machine lacks, another may have."""
        error = attempt.future.exception() if attempt.future.status == "error" else None
        if error is None or type(error).__name__ == "KilledWorker":
            self._lose(attempt, "it ended while compiling")
            return
        want = attempt.want
        if not isinstance(error, WheelmillError):
            error = ClusterError(f"{_text(error)}")
        error = _of_worker(error, attempt.machine, self._profiles[attempt.machine].host)
        self._end(attempt)
        if isinstance(error, (CompileError, BrokenBuildError)):
            want.error = error
            self._finish(want)
            return
        want.refused[attempt.machine] = error
        hint = f" - {error.hint}" if error.hint else ""  # the message may be cut before its cause
        self._tell(f"{want.name} goes to another worker: {_text(error)}{hint}")

    def _lose(self, attempt: _Attempt, why: str) -> None:
        want = attempt.want
        self._end(attempt)
        want.lost.append(f"{attempt.machine} ({why})")
        self._tell(
            f"{want.name} was lost with its worker {attempt.machine} ({why}) and is compiled elsewhere"
        )
        if len(want.lost) >= _LOST:
            want.error = ClusterError(
                f"{want.name} was lost with {len(want.lost)} workers, one after another: "
                + ", ".join(want.lost),
                hint="what each printed last says why. One that was killed may have lacked memory: see "
                "--memory and --jobs of wheelmill worker. One that was dropped had too much to do to answer "
                "the scheduler, or its network was away",
            )
            self._finish(want)

    def _give_up(self, want: _Want, some: bool) -> None:
        """No machine may take it: for good when machines refused it, else until one comes."""
        if want.refused:
            want.error = list(want.refused.values())[-1]
            self._finish(want)
        elif not some:
            want.progress("waiting for a worker: none is there")

    def _end(self, attempt: _Attempt) -> None:
        self._attempts.remove(attempt)
        with suppress(Exception):  # a scheduler that is gone has nothing to cancel
            attempt.future.cancel()

    def _finish(self, want: _Want) -> None:
        for attempt in [one for one in self._attempts if one.want is want]:
            self._end(attempt)
        if want in self._wants:
            self._wants.remove(want)
        want.ready.set()

    # ----------------------------------------------------------------------------------------------- telling
    def _hear(self, event: tuple[float, Mapping[str, str]]) -> None:
        """A worker's progress."""
        said = event[1]
        for attempt in tuple(self._attempts):
            if attempt.token == said.get("token"):
                host = self._profiles[attempt.machine].host
                attempt.want.progress(f"on {host}: {said['text']}")

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._note(text)


def _question(words: tuple[str, ...]) -> Any:
    """What workers are asked about a bundle's arch and policy, or about a package's with its Python."""
    return offer_package if len(words) > 2 else offer


def _connect(address: str) -> Any:
    module = distributed()
    try:
        return module.Client(address, timeout=_CONNECT, set_as_default=False, heartbeat_interval="1s")
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(
            f"there is no Dask scheduler at {address}: {_text(error)}",
            hint="start one: dask scheduler; and on each machine: wheelmill worker tcp://HOST:8786",
        ) from None


def _unpack(packed: bytes, prefix: Path) -> Path:
    shutil.rmtree(prefix, ignore_errors=True)
    prefix.mkdir(parents=True)
    tar.unpack(packed, prefix)
    return prefix


def _of_worker(error: WheelmillError, address: str, host: str) -> WheelmillError:
    """The error, saying where it happened."""
    error.message = f"on worker {host} ({address}): {error.message}"
    return error


def _text(error: object) -> str:
    text = error.message if isinstance(error, WheelmillError) else str(error)
    return " ".join(text.split())[:300] or type(error).__name__

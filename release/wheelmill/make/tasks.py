"""Several long tasks at once, in threads, that share a number of compilers and end together when one must.

Threads are enough: the work is done by compilers and containers. Interrupting the thread that waits here
(Ctrl-C, SIGTERM) stops all tasks and waits until they have ended their processes.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from wheelmill.progress import Progress

Result = TypeVar("Result")

_LEAST = 4  # compilers that a task should have where that leaves more than two tasks at once
_GRACE = 20.0  # seconds that tasks have to end their processes


@dataclass(frozen=True)
class Share:
    """What one task may use: `jobs` compilers, which is `part` of all; it ends soon after `stop` is set."""

    jobs: int
    part: float
    stop: threading.Event


def _nothing() -> None:
    """The preparation of a task that needs none."""


@dataclass(frozen=True)
class Task(Generic[Result]):
    """Something long with a name. `prepare` runs just before it, in the thread of who wants the results."""

    name: str
    run: Callable[[Share], Result]
    prepare: Callable[[], None] = _nothing


@dataclass(frozen=True)
class Finished(Generic[Result]):
    """A task that ended: `error` is what it raised, else `result` is what it returned.

    It was not `started` where its preparation raised.
    """

    name: str
    result: Result | None = None
    error: Exception | None = None
    started: bool = True


def width(tasks: int, jobs: int) -> int:
    """How many tasks run at once: two where there are two compilers, more where each still gets enough."""
    return max(1, min(tasks, jobs, max(2, jobs // _LEAST)))


def run_tasks(
    tasks: Sequence[Task[Result]], jobs: int, most: int | None = None
) -> Generator[Finished[Result], None, None]:
    """Run all tasks with `jobs` compilers in all, at most `most` tasks at once; yield each as it ends.

    A task starts as soon as there is room for it. When the caller closes the iterator or is interrupted, what
    still runs is stopped; nothing of it is running any more when this returns.
    """
    waiting, running = deque(tasks), dict[str, int]()
    most, stop = min(most or jobs, width(len(tasks), jobs)), threading.Event()
    ended: queue.SimpleQueue[Finished[Result]] = queue.SimpleQueue()
    threads: list[threading.Thread] = []
    try:
        while waiting or running:
            while waiting and len(running) < most:
                task = waiting.popleft()
                try:
                    task.prepare()
                except Exception as error:
                    yield Finished(task.name, error=error, started=False)
                    continue
                free = jobs - sum(running.values())
                running[task.name] = max(1, free // min(len(waiting) + 1, most - len(running)))
                share = Share(running[task.name], running[task.name] / jobs, stop)
                threads.append(threading.Thread(target=_run, args=(task, share, ended), daemon=True))
                threads[-1].start()
            if running:
                done = ended.get()
                del running[done.name]
                yield done
    finally:
        stop.set()
        _join(threads)


def _run(task: Task[Result], share: Share, ended: queue.SimpleQueue[Finished[Result]]) -> None:
    try:
        ended.put(Finished(task.name, result=task.run(share)))
    except Exception as error:
        ended.put(Finished(task.name, error=error))


def _join(threads: Sequence[threading.Thread]) -> None:
    deadline = time.monotonic() + _GRACE
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


class ProgressGroup:
    """What several tasks say at once, as one text: `torch-2.1.0-aarch64 compile: 3 of 9 | ...`."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._said: dict[str, str] = {}
        self._lock = threading.Lock()

    def channel(self, name: str) -> Progress:
        """The progress of the task of this name."""

        def say(text: str) -> None:
            with self._lock:
                self._said[name] = f"{name} {text}"
                self._progress(" | ".join(self._said.values()))

        return say

    def end(self, name: str) -> None:
        """The task says nothing any more."""
        with self._lock:
            self._said.pop(name, None)

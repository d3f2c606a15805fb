"""Tasks at once: never more compilers than there are, an error is one task's, closing stops the others."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from wheelmill.make.tasks import Share, Task, run_tasks, width


@pytest.mark.parametrize(
    ("tasks", "jobs", "most"), [(1, 64, 1), (6, 1, 1), (6, 2, 2), (6, 8, 2), (6, 12, 3), (30, 64, 16)]
)
def test_as_many_at_once_as_get_enough_compilers_each(tasks: int, jobs: int, most: int) -> None:
    assert width(tasks, jobs) == most


@pytest.mark.parametrize(("tasks", "jobs"), [(1, 5), (2, 5), (5, 7), (9, 16)])
def test_running_tasks_share_the_compilers_and_never_take_more(tasks: int, jobs: int) -> None:
    lock, running, seen = threading.Lock(), [0], []

    def work(share: Share) -> int:
        with lock:
            running[0] += share.jobs
            seen.append(running[0])
        assert share.part == share.jobs / jobs
        with lock:
            running[0] -= share.jobs
        return share.jobs

    done = list(run_tasks([Task(str(number), work) for number in range(tasks)], jobs))
    assert sorted(one.name for one in done) == sorted(str(number) for number in range(tasks))
    assert max(seen) <= jobs
    assert all(one.result and one.error is None for one in done)


def test_a_lone_task_gets_every_compiler() -> None:
    assert [done.result for done in run_tasks([Task("one", lambda share: share.jobs)], 7)] == [7]


def test_an_error_belongs_to_its_task_and_closing_stops_what_runs() -> None:
    stopped = threading.Event()

    def fail(share: Share) -> None:
        raise ValueError("no")

    def wait(share: Share) -> None:
        share.stop.wait(60)
        stopped.set()

    tasks = run_tasks([Task("fails", fail), Task("waits", wait), Task("never", wait)], 2)
    first = next(tasks)
    assert (first.name, str(first.error)) == ("fails", "no")
    tasks.close()
    assert stopped.is_set(), "closing waits until the others have ended"


def test_preparation_happens_here_just_before_its_task_and_may_fail() -> None:
    order: list[str] = []

    def prepare(name: str) -> None:
        assert threading.current_thread() is threading.main_thread()
        order.append(f"prepare {name}")
        if name == "b":
            raise ValueError("no torch")

    tasks = [
        Task(name, lambda share, name=name: order.append(name), partial(prepare, name)) for name in "abc"
    ]
    done = {one.name: one for one in run_tasks(tasks, 1)}
    assert order == ["prepare a", "a", "prepare b", "prepare c", "c"]
    assert (done["b"].started, str(done["b"].error), done["c"].started) == (False, "no torch", True)

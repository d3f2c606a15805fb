"""Operators that all ranks of a communicator compute together: their numbers, and what they refuse.

A rank that is missing or does something else ends the others with an error.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from acl import JOINT
from cases.joint import FORMS

HERE = Path(__file__).resolve().parent
SECONDS = 120


@dataclass(frozen=True)
class Run:
    """How the ranks ended, and what was wrong with each thing that each did."""

    codes: list[int]
    problems: dict[tuple[int, str], str]
    text: str

    def of(self, rank: int, what: str) -> str:
        assert (rank, what) in self.problems, f"rank {rank} did not come to {what!r}:\n{self.text}"
        return self.problems[rank, what]


@pytest.fixture(scope="module")
def run(libraries, tmp_path_factory):
    """run(FUNCTION, COUNT, VARIABLE=...): the ranks of joint_ranks.py."""

    def start(function: str, count: int, **variables: str) -> Run:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HCCL_", "CANN_"))}
        environment = {
            **kept, "CANN_SIMULATOR_LIBRARIES": str(libraries), "LD_LIBRARY_PATH": str(libraries),
            "CANN_SIMULATOR_MEMORY": "256M", "CANN_SIMULATOR_DEVICES": str(count), "OMP_NUM_THREADS": "1",
            "CANN_SIMULATOR_REFUSALS": "ignore", **variables,
        }  # fmt: skip
        words = [sys.executable, str(HERE / "joint_ranks.py"), function, str(count)]
        process = subprocess.Popen(
            [*words, str(tmp_path_factory.mktemp(function))], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            text, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"the ranks hang:\n{process.communicate()[0]}")
        assert process.returncode == 0, text
        said = [json.loads(line) for line in text.splitlines() if line.startswith('{"rank"')]
        return Run(
            json.loads(text.splitlines()[-1]),
            {(one["rank"], one["what"]): one["problem"] for one in said},
            text,
        )

    return start


@pytest.mark.parametrize("count", [2, 4])
def test_numbers_and_refusals(run, count):
    done = run("forms", count)
    assert done.codes == [0] * count, done.text
    wrong = {key: problem for key, problem in done.problems.items() if problem}
    assert not wrong, "\n".join(f"rank {rank}, {what}: {problem}" for (rank, what), problem in wrong.items())
    for names, label, _ in FORMS:
        assert all((rank, f"{names[0]}: {label}") in done.problems for rank in range(count)), label
    assert sum(what.startswith("AllGatherMatmul refuses") for _, what in done.problems) == 8 * count


def test_every_joint_operator_has_a_form():
    assert {name for names, _, _ in FORMS for name in names} == JOINT


def test_a_dead_rank_ends_the_others(run):
    done = run("killed", 4)
    assert done.codes == [0, 0, 0, -signal.SIGKILL], done.text
    for rank in (0, 1, 2):
        assert done.of(rank, "before") == ""
        assert "aclnnMatmulAllReduce" in done.of(rank, "without it")
        assert "rank 3" in done.of(rank, "without it")


def test_a_rank_that_does_not_come_is_named_in_time(run):
    done = run("absent", 4, HCCL_EXEC_TIMEOUT="2")
    for rank in (0, 1, 2):
        problem = done.of(rank, "without it")
        assert "aclnnMatmulAllReduce" in problem
        assert "not done after 2 seconds (HCCL_EXEC_TIMEOUT), still waiting for rank" in problem


def test_ranks_that_do_not_do_the_same_are_told_so(run):
    done = run("disagreements", 2)
    for rank in (0, 1):
        problem = done.of(rank, "another operator")
        assert "the ranks disagree" in problem
        assert "called aclnnMatmulAllReduce" in problem
        assert "called aclnnAllGatherMatmul" in problem
        assert "the ranks disagree" in done.of(rank, "another size")
        assert "token 0 chooses expert 99 of 2" in done.of(rank, "another expert")

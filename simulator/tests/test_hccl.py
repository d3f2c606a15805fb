"""libhccl between real processes: every operation against numpy, and every way in which ranks can fail."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
TIMEOUT, LINK_ERROR, DISAGREEMENT = 507048, 507056, 507018
E_PARA, E_PTR, E_NOT_SUPPORT, E_NOT_FOUND = 1, 2, 5, 6
E_TIMEOUT, E_REMOTE, E_SUSPENDING = 9, 21, 22


@dataclass(frozen=True)
class Ended:
    """How a rank's process ended, and what it said."""

    code: int
    text: str

    @property
    def failure(self) -> str:
        """What follows the first FAILED."""
        found = re.search(r"^FAILED (.*)$", self.text, re.MULTILINE)
        assert found, self.text
        return found.group(1)

    def has(self, line: str) -> bool:
        return line in self.text.splitlines()


def left_in_shared_memory() -> set[Path]:
    return set(Path("/dev/shm").iterdir())


@pytest.fixture
def ranks(libraries, tmp_path):
    """ranks(SCENARIO, COUNT, VARIABLE=...) runs it in processes of their own; leftovers are a failure."""
    before = left_in_shared_memory()
    running: list[subprocess.Popen[str]] = []

    def start(
        scenario: str, count: int, /, within: tuple[str, ...] = (), **variables: str
    ) -> list[subprocess.Popen[str]]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HCCL_", "CANN_"))}
        environment = {
            **kept, "CANN_SIMULATOR_LIBRARIES": str(libraries), "LD_LIBRARY_PATH": str(libraries),
            "CANN_SIMULATOR_MEMORY": "64M", **variables,
        }  # fmt: skip
        for rank in range(count):
            words = [
                *within,
                sys.executable,
                str(HERE / "hccl_scenarios.py"),
                scenario,
                str(rank),
                str(count),
                str(tmp_path),
            ]
            pipe = subprocess.PIPE
            running.append(
                subprocess.Popen(words, stdout=pipe, stderr=subprocess.STDOUT, text=True, env=environment)
            )
        return running

    def run(scenario: str, count: int, /, within: tuple[str, ...] = (), **variables: str) -> list[Ended]:
        processes = start(scenario, count, within, **variables)
        texts = [process.communicate(timeout=120)[0] for process in processes]
        return [Ended(process.returncode, text) for process, text in zip(processes, texts, strict=True)]

    run.start, run.before = start, before
    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
    assert left_in_shared_memory() <= before


@pytest.mark.parametrize(
    ("count", "network"), [(2, "0"), (4, "0"), (8, "0"), (3, "1")], ids=["2", "4", "8", "3-network"]
)
def test_every_operation_equals_numpy(ranks, count, network):
    for ended in ranks("everything", count, HCCL_INTRA_ROCE_ENABLE=network):
        assert ended == Ended(0, "all right\n")


# A /dev/shm of its own, without room, for a command.
FULL_SHM = (
    *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c"),
    'mount -t tmpfs -o size=4k tmpfs /dev/shm && head -c 4k /dev/zero > /dev/shm/full && exec "$@"',
    "sh",
)


def test_a_full_dev_shm_does_not_matter(ranks):
    if subprocess.run([*FULL_SHM, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine gives no namespace to mount a /dev/shm in")
    more = [*FULL_SHM, "sh", "-c", "echo more > /dev/shm/more"]
    assert subprocess.run(more, capture_output=True, check=False).returncode != 0
    for ended in ranks("everything", 2, within=FULL_SHM):
        assert ended == Ended(0, "all right\n")


def test_one_rank_is_a_world_too(ranks):
    assert ranks("alone", 1) == [Ended(0, "all right\n")]


@pytest.mark.parametrize("scenario", ["send_meets_batch", "two_streams", "sub_communicators"])
@pytest.mark.parametrize("network", ["0", "1"], ids=["memory", "network"])
def test_ranks_meet(ranks, scenario, network):
    count = 4 if scenario == "sub_communicators" else 2
    assert ranks(scenario, count, HCCL_INTRA_ROCE_ENABLE=network) == [Ended(0, "all right\n")] * count


def test_all_devices_of_one_process(ranks):
    assert ranks("one_process", 1) == [Ended(0, "all right\n")]


@pytest.mark.parametrize("address", ["10.255.255.1", "127.0.0.1"])
def test_ranks_of_a_table_meet_without_its_network(ranks, tmp_path, address):
    devices = [{"device_id": str(rank), "device_ip": "192.0.2.1", "rank_id": str(rank)} for rank in range(3)]
    server = {"server_id": address, "device": devices}
    table = {"status": "completed", "version": "1.0", "server_count": "1", "server_list": [server]}
    (tmp_path / "table.json").write_text(json.dumps(table, indent=1), encoding="ascii")
    assert ranks("rank_table", 3) == [Ended(0, "all right\n")] * 3


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"server_list": [{"server_id": "x", "device": [{"rank_id": "1"}]}]}', "the last one is 1"),
        ('{"server_list": [\n{"server_id": "x" "device": []}]}', "line 2: '}' was expected"),
        ('{"status": "completed"}', '"server_list" is missing'),
    ],
)
def test_a_bad_rank_table_is_explained(ranks, tmp_path, text, problem):
    (tmp_path / "table.json").write_text(text, encoding="ascii")
    (ended,) = ranks("rank_table", 1)
    assert ended.code == 3
    assert f"gave {E_PARA}" in ended.text
    assert problem in ended.text


@pytest.mark.parametrize("network", ["0", "1"], ids=["memory", "network"])
def test_a_killed_rank_ends_the_others(ranks, network):
    *others, dead = ranks("killed", 3, HCCL_INTRA_ROCE_ENABLE=network)
    assert dead.code == -signal.SIGKILL
    for ended in others:
        assert ended.code == 0
        assert ended.failure.startswith(f"{LINK_ERROR} ")
        assert "HcclAllReduce failed on stream" in ended.failure
        assert re.search(r"rank 2 \(process \d+ on [\d.]+\) was killed or crashed", ended.failure)
        assert "AllReduce of 100000 float32 (sum), operation 2" in ended.failure
        assert ended.has(f"ASYNC {E_REMOTE}")
        assert "has failed before" in ended.text


def test_a_fork_of_the_killed_rank_hides_nothing(ranks):
    first = ranks("killed_with_child", 2)[0]
    assert re.search("rank 1 .* was killed", first.failure)


def test_a_rank_killed_between_operations_is_an_asynchronous_error(ranks):
    assert ranks("killed_while_idle", 2)[0] == Ended(0, f"ASYNC {E_REMOTE}\n")


def test_a_rank_that_left_is_missed_only_when_needed(ranks):
    ended = ranks("leaves_early", 2)[1]
    assert ended.text.startswith("ASYNC 0\n")
    assert re.search("rank 0 .* has destroyed its communicator", ended.failure)


def test_a_rank_that_never_comes_is_a_timeout_that_names_it(ranks):
    for ended in ranks("late_rank", 3, HCCL_EXEC_TIMEOUT="1")[1:]:
        late = "not done after 1 seconds (HCCL_EXEC_TIMEOUT), still waiting for rank 0"
        # Whoever is first gives up; the other hears of it, or has its own time over.
        assert ended.failure.startswith(f"{TIMEOUT} ")
        assert late in ended.failure


def test_ranks_that_do_not_join_are_named(ranks):
    for ended in ranks("missing_rank", 2, HCCL_CONNECT_TIMEOUT="1"):
        missing = "ranks 2 and 3 of 4 did not join within 1 seconds (HCCL_CONNECT_TIMEOUT)"
        assert ended.failure.startswith(f"{E_TIMEOUT} ")
        assert missing in ended.failure


def test_two_processes_of_one_rank_are_named(ranks):
    for ended in ranks("twins", 3):
        assert re.search(
            r"two processes say that they are rank 1: process \d+ on .* and process", ended.failure
        )


def test_a_rank_killed_while_joining_ends_the_set_up(ranks):
    first, dead, _ = ranks("dies_joining", 3, HCCL_CONNECT_TIMEOUT="20")
    assert dead.code == -signal.SIGKILL
    assert re.search("rank 1 .* ended while the communicator was being set up", first.failure)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("count", ["AllReduce of 4 float32 (sum)", "rank 1 called AllReduce of 5 float32 (sum)"]),
        ("dtype", ["AllReduce of 4 float32 (sum)", "rank 1 called AllReduce of 4 int32 (sum)"]),
        ("reduction", ["AllReduce of 4 int8 (sum)", "rank 1 called AllReduce of 4 int8 (max)"]),
        ("operation", ["Broadcast of 4 float32 from rank 1", "rank 1 called AllGather of 4 float32"]),
        ("order", ["Broadcast of 20000 float32 from rank 1", "rank 1 called"]),
    ],
)
def test_ranks_that_disagree_are_named_with_what_they_called(ranks, what, said):
    for ended in ranks("disagree", 3, DISAGREEMENT=what):
        # The stream says so or, where the failure came before it, the next call.
        assert ended.failure.startswith((f"{DISAGREEMENT} ", f"{E_PARA} "))
        assert "the ranks disagree" in ended.failure
        assert all(text in ended.failure for text in said), ended.failure


def test_a_receive_of_another_size_is_named(ranks):
    for ended in ranks("receive_another_size", 2):
        assert "rank 0 sends 8 float32 to rank 1, which expects 6 float32" in ended.failure


def test_two_ranks_that_only_send_are_told(ranks):
    for ended in ranks("both_send", 2):
        assert "send to each other and neither receives" in ended.failure


def wait_in_an_operation(ranks) -> list[subprocess.Popen[str]]:
    """Two ranks, the second in an operation that the first never joins."""
    processes = ranks.start("interrupted", 2)
    folder = Path(processes[0].args[-1])
    while not all((folder / f"waiting{rank}").exists() for rank in range(2)):
        assert all(process.poll() is None for process in processes)
    return processes


def test_ctrl_c_ends_all_ranks(ranks):
    processes = wait_in_an_operation(ranks)
    for process in processes:
        process.send_signal(signal.SIGINT)
    texts = [process.communicate(timeout=60)[0] for process in processes]
    assert "KeyboardInterrupt" in texts[0]
    assert all(process.returncode != 0 for process in processes)


def test_ranks_that_are_all_killed_leave_nothing(ranks):
    processes = wait_in_an_operation(ranks)
    for process in processes:
        process.kill()
    assert [process.wait() for process in processes] == [-signal.SIGKILL] * 2
    assert left_in_shared_memory() <= ranks.before


def test_wrong_arguments_are_refused_and_break_nothing(ranks):
    refused = {
        "null buffer": (E_PTR, "sendBuf is NULL"),
        "host memory": (E_PARA, "does not lie inside live device memory"),
        "too long": (E_PARA, "does not lie inside live device memory"),
        "no such type": (E_NOT_SUPPORT, "data type 99"),
        "not reduced": (E_NOT_SUPPORT, "HCCL does not reduce float64"),
        "no such reduction": (E_NOT_SUPPORT, "reduction 7"),
        "no such root": (E_PARA, "root is 5; the ranks are 0 to 1"),
        "to itself": (E_PARA, "cannot send to itself"),
        "null communicator": (E_PTR, "comm is NULL"),
        "no communicator": (E_NOT_FOUND, "is no live communicator"),
    }
    for ended in ranks("wrong_arguments", 2):
        assert ended.code == 0, ended.text
        lines = dict(line.split(": ", 1) for line in ended.text.splitlines())
        for what, (code, message) in refused.items():
            assert re.match(f"{code} .*{re.escape(message)}", lines[what])


def test_a_suspended_communicator_refuses_until_it_is_resumed(ranks):
    for ended in ranks("suspended", 2):
        assert ended.failure.startswith(f"{E_SUSPENDING} ")
        assert ended.has("all right")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("HCCL_EXEC_TIMEOUT", "soon"), ("HCCL_IF_IP", "a.b"), ("HCCL_SOCKET_IFNAME", "=x")],
)
def test_a_variable_that_makes_no_sense_is_named(ranks, variable, value):
    (ended,) = ranks("alone", 1, **{variable: value})
    assert re.search(f"{variable}.*{value}|{value}.*{variable}", ended.text)

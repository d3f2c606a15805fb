"""CANN's profiler: what a device ran, when and for whom, as libascendcl collects it and `msprof` tells it."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_package import command, environment

# A program that profiles; `kernel(name)` queues one that takes 20 ms, `call` wants success.
PRELUDE = """
import ctypes, sys, time
acl = ctypes.CDLL("libmsprofiler.so")
folder = sys.argv[1].encode()
acl.aclGetRecentErrMsg.restype = ctypes.c_char_p
acl.aclprofCreateConfig.restype = ctypes.c_void_p
def call(name, *arguments):
    code = getattr(acl, name)(*arguments)
    assert code == 0, (name, code, acl.aclGetRecentErrMsg())
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
def run(argument, message, capacity):
    time.sleep(0.02)
    return 0
@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def release(argument):
    pass
names = {}
def kernel(name, stream):
    name = names.setdefault(name, ctypes.c_char_p(name.encode()))
    call("cann_simulator_launch", stream, name, run, None, release)
call("aclInit", None)
call("aclrtSetDevice", 0)
stream = ctypes.c_void_p()
call("aclrtCreateStream", ctypes.byref(stream))
devices = (ctypes.c_uint32 * 1)(0)
config = ctypes.c_void_p(acl.aclprofCreateConfig(devices, 1, 0, None, ctypes.c_uint64(2)))
"""
PROFILE = """
call("aclprofInit", folder, ctypes.c_size_t(len(folder)))
kernel("aclnnBefore", stream)
call("aclprofWarmup", config)
call("aclprofStart", config)
BODY
call("aclrtSynchronizeStream", stream)
call("aclprofStop", config)
kernel("aclnnAfter", stream)
call("aclrtSynchronizeStream", stream)
call("aclprofDestroyConfig", config)
call("aclprofFinalize")
"""


@pytest.fixture(scope="session")
def profiled(home, tmp_path_factory):
    """The folder of a profile of a program with this body, exported by `msprof` of the same environment."""

    def run(body: str) -> Path:
        folder = tmp_path_factory.mktemp("profile")
        program = PRELUDE + PROFILE.replace("BODY", body)
        done = command(home, "run", "--", sys.executable, "-c", program, str(folder))
        assert (done.returncode, done.stderr) == (0, "")
        (profile,) = folder.iterdir()
        exported = command(home, "run", "--", "msprof", "--export=on", f"--output={profile}")
        assert (exported.returncode, exported.stderr) == (0, "")
        return profile

    return run


def table(profile: Path, name: str) -> list[dict[str, str]]:
    (file,) = profile.glob(f"mindstudio_profiler_output/{name}_*.csv")
    with file.open(newline="") as rows:
        return list(csv.DictReader(rows))


def trace(profile: Path) -> list[dict]:
    (file,) = profile.glob("mindstudio_profiler_output/msprof_*.json")
    return json.loads(file.read_text())


@pytest.fixture(scope="session")
def two_kernels(profiled):
    return profiled("kernel('aclnnOne', stream)\nkernel('aclnnTwo', stream)")


def test_every_kernel_between_start_and_stop_is_in_the_table_with_its_time(two_kernels):
    assert re.fullmatch(r"PROF_\d{6}_\d{17}_[A-Z]{16}", two_kernels.name)
    rows = table(two_kernels, "op_summary")
    assert [(row["Op Name"], row["OP Type"], row["Task Type"]) for row in rows] == [
        ("aclnnOne", "One", "AI_CORE"),
        ("aclnnTwo", "Two", "AI_CORE"),
    ]
    assert all(20_000 <= float(row["Task Duration(us)"]) < 5_000_000 for row in rows)
    first, second = (float(row["Task Start Time(us)"]) for row in rows)
    assert second - first >= float(rows[0]["Task Duration(us)"])  # one after the other on a stream


def test_an_operator_is_counted_and_its_times_add_up(profiled):
    profile = profiled("kernel('aclnnOne', stream)\nkernel('aclnnTwo', stream)\nkernel('aclnnOne', stream)")
    rows = {row["OP Type"]: row for row in table(profile, "op_statistic")}
    assert {name: row["Count"] for name, row in rows.items()} == {"One": "2", "Two": "1"}
    of_one = [
        float(row["Task Duration(us)"]) for row in table(profile, "op_summary") if row["OP Type"] == "One"
    ]
    assert float(rows["One"]["Total Time(us)"]) == pytest.approx(sum(of_one), abs=0.01)
    assert sum(float(row["Ratio(%)"]) for row in rows.values()) == pytest.approx(100, abs=0.01)


def test_an_arrow_leads_from_the_call_of_the_host_to_the_kernel(two_kernels):
    events = trace(two_kernels)
    ran = {(event["pid"], event["tid"], event["ts"]): event["name"] for event in events if event["ph"] == "X"}
    starts = {event["id"]: event for event in events if event["ph"] == "s"}
    ends = {event["id"]: event for event in events if event["ph"] == "f"}
    assert set(starts) == set(ends)
    pairs = []
    for number, start in starts.items():
        end = ends[number]
        assert float(start["ts"]) <= float(end["ts"])  # asked for before it ran
        pairs.append(tuple(ran[event["pid"], event["tid"], event["ts"]] for event in (start, end)))
    assert ("Node@launch aclnnOne", "aclnnOne") in pairs
    assert ("Node@launch aclnnTwo", "aclnnTwo") in pairs
    names = {event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert names == {"CANN", "Ascend Hardware", "Overlap Analysis"}


def test_what_a_device_did_when_adds_up(profiled):
    """A stream computes while another communicates; between two kernels there is a pause."""
    body = """
other = ctypes.c_void_p()
call("aclrtCreateStream", ctypes.byref(other))
kernel("HcclAllReduce", other)
kernel("HcclAllReduce", other)
kernel("aclnnOne", stream)
call("aclrtSynchronizeStream", stream)
call("aclrtSynchronizeStream", other)
time.sleep(0.05)
kernel("aclnnTwo", stream)"""
    events = trace(profiled(body))
    (process,) = (event["pid"] for event in events if event.get("args", {}).get("name") == "Overlap Analysis")
    labels = [
        event["args"] for event in events if event["name"] == "process_labels" and event["pid"] == process
    ]
    assert labels == [{"labels": "NPU 0"}]
    spent: dict[str, float] = {}
    for event in events:
        if event["pid"] == process and event["ph"] == "X":
            spent[event["name"]] = spent.get(event["name"], 0) + event["dur"]
    assert spent["Free"] >= 50_000
    assert spent["Computing"] >= 40_000
    assert (
        0 < spent["Communication(Not Overlapped)"] < spent["Communication"]
    )  # the first lies beside a kernel


def test_copies_events_and_marks_are_tasks_but_no_kernels(profiled):
    body = """
event, memory = ctypes.c_void_p(), ctypes.c_void_p()
call("aclrtCreateEvent", ctypes.byref(event))
size = ctypes.c_size_t(64)
call("aclrtMalloc", ctypes.byref(memory), size, 0)
call("aclrtMemcpyAsync", memory, size, ctypes.c_char_p(bytes(64)), size, 1, stream)
call("aclrtRecordEvent", event, stream)
mark = b'step "1"'
call("aclprofMarkEx", mark, ctypes.c_size_t(len(mark)), stream)"""
    profile = profiled(body)
    assert table(profile, "op_summary") == []
    kinds = {row["kernel_name"]: row["kernel_type"] for row in table(profile, "task_time")}
    assert kinds.pop('step "1"') == "OTHER"
    assert kinds.pop("event record") == "EVENT_RECORD"
    assert set(kinds.values()) == {"MEMCPY_ASYNC"}


def test_each_replay_of_a_graph_shows_its_kernels(profiled):
    body = """
graph = ctypes.c_void_p()
call("aclmdlRICaptureBegin", stream, 0)
kernel("aclnnInGraph", stream)
call("aclmdlRICaptureEnd", stream, ctypes.byref(graph))
call("aclmdlRIExecuteAsync", graph, stream)
call("aclmdlRIExecuteAsync", graph, stream)
call("aclrtSynchronizeStream", stream)
call("aclmdlRIDestroy", graph)"""
    rows = table(profiled(body), "task_time")
    assert [row["kernel_name"] for row in rows] == ["aclnnInGraph", "aclnnInGraph"]


@pytest.mark.parametrize(
    ("calls", "code", "says"),
    [
        ("acl.aclprofStart(config)", 100043, "call aclprofInit first"),
        ("acl.aclprofStop(config)", 100043, "call aclprofStart first"),
        ("acl.aclprofFinalize()", 100043, "call aclprofInit first"),
        ("acl.aclprofInit(b'/nowhere', ctypes.c_size_t(8))", 100000, "cannot use /nowhere"),
        ("acl.aclprofInit(b'/etc/passwd', ctypes.c_size_t(11))", 100000, "/etc/passwd is none"),
        ("acl.aclprofInit(folder, ctypes.c_size_t(3))", 100000, "length is 3"),
        ("(init(), init())[1]", 100042, "call aclprofFinalize first"),
        ("(init(), acl.aclprofStart(config), acl.aclprofStart(config))[2]", 100042, "call aclprofStop first"),
        ("acl.aclprofMarkEx(b'', ctypes.c_size_t(0), stream)", 100000, "1 to 127"),
        ("acl.aclprofSetConfig(1, b'50', ctypes.c_size_t(2))", 200001, "nothing to measure"),
    ],
)
def test_calls_in_a_wrong_order_or_place_are_refused_in_words(home, tmp_path, calls, code, says):
    ask = "init = lambda: acl.aclprofInit(folder, ctypes.c_size_t(len(folder)))\n"
    program = f"{PRELUDE}{ask}code = {calls}\nprint(code, acl.aclGetRecentErrMsg().decode())"
    run = ("run", "--refusals", "ignore", "--")
    done = command(home, *run, sys.executable, "-c", program, str(tmp_path))
    told, _, message = done.stdout.partition(" ")
    assert int(told) == code
    assert says in message


def test_msprof_says_what_is_no_profile_and_what_it_cannot_do(home, tmp_path):
    script = home / "tools/profiler/bin/msprof"

    def msprof(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [script, *words], env=environment(), capture_output=True, text=True, check=False
        )

    done = msprof("--export=on", f"--output={tmp_path}")
    assert done.returncode == 1
    assert f"{tmp_path} is no profile of the simulator" in done.stderr
    assert msprof("--export=on", "--type=db", f"--output={tmp_path}").returncode == 2
    assert msprof(f"--output={tmp_path}").returncode == 2


def test_communication_is_not_analyzed_and_said_to_be_so(home, two_kernels, profiled):
    analyze = ("run", "--", "msprof", "--analyze=on")
    assert command(home, *analyze, f"--output={two_kernels}").returncode == 0
    profile = profiled("kernel('HcclAllReduce', stream)")
    done = command(home, *analyze, f"--output={profile}")
    assert done.returncode == 1
    assert "no links to measure; in the profile: HcclAllReduce" in done.stderr

"""Make CANN's tables and timeline of a profile that was taken on the simulator.

    msprof --export=on --output=PROF_...     the timeline and the tables
    msprof --analyze=on --output=PROF_...    of communication; there is nothing to say of a program without

Reads device_*/data/cann_simulator.jsonl, which libascendcl writes at aclprofStop, and writes into
mindstudio_profiler_output/ of the same folder what CANN's command of this name writes: a Chrome trace of
host and devices, and tables in CSV. Times are those of the CPU that simulates. Shapes and counters of
hardware are not collected; their columns say N/A.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

DATA = "data/cann_simulator.jsonl"
OUTPUT = "mindstudio_profiler_output"
HOST, HARDWARE, OVERLAP = 1, 1000, 2000  # processes of the trace; of the last two one for each device
NOTHING = "N/A"
KINDS = {"copy": "MEMCPY_ASYNC", "event record": "EVENT_RECORD", "event wait": "EVENT_WAIT"}


class Task(NamedTuple):
    """A task as a stream ran it; times in ns since 1970."""

    device: int
    number: int
    name: str
    kernel: bool
    stream: int
    asked: int
    thread: int
    begun: int
    ended: int

    @property
    def kind(self) -> str:
        """What CANN calls a task of this kind; kernels are counted as those of the AI cores."""
        return "AI_CORE" if self.kernel else KINDS.get(self.name, "OTHER")

    @property
    def communicates(self) -> bool:
        """Whether several ranks compute it together."""
        return self.name.startswith("Hccl")

    @property
    def duration(self) -> float:
        """In microseconds."""
        return (self.ended - self.begun) / 1000

    @property
    def operator(self) -> str:
        """The operator: aclnnMm computes Mm."""
        return self.name[len("aclnn") :] if self.name.startswith("aclnn") else self.name


def read(folder: Path) -> list[Task]:
    """Every task of a profile, by the time at which it began. ValueError for a folder that is none."""
    files = sorted(folder.glob("device_*/" + DATA))
    if not files:
        raise ValueError(f"{folder} is no profile of the simulator: it has no device_*/{DATA}")
    found = []
    for file in files:
        device = int(file.parents[1].name.rsplit("_", 1)[1])
        for line in file.read_text(encoding="utf-8").splitlines():
            found.append((device, json.loads(line)))
    found.sort(key=lambda pair: pair[1]["begun"])
    return [Task(device=device, number=number, **told) for number, (device, told) in enumerate(found)]


def microseconds(nanoseconds: int) -> str:
    """As a decimal: a float would lose the last digits of a date."""
    return f"{nanoseconds // 1000}.{nanoseconds % 1000:03d}"


def timeline(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """The events of a Chrome trace: calls of the host, tasks of devices, arrows from one to the other."""
    events = [_named("process_name", HOST, name="CANN"), _named("process_sort_index", HOST, sort_index=1)]
    for thread in sorted({task.thread for task in tasks}):
        events.append(_named("thread_name", HOST, thread, name=f"Thread {thread}"))
    for device in sorted({task.device for task in tasks}):
        for process, name in ((HARDWARE + device, "Ascend Hardware"), (OVERLAP + device, "Overlap Analysis")):
            events.append(_named("process_name", process, name=name))
            events.append(_named("process_labels", process, labels=f"NPU {device}"))
            events.append(_named("process_sort_index", process, sort_index=process))
        own = [task for task in tasks if task.device == device]
        for stream in sorted({task.stream for task in own}):
            events.append(_named("thread_name", HARDWARE + device, stream, name=f"Stream {stream}"))
        events += overlap(own, OVERLAP + device)
    return [*events, *(event for task in tasks for event in _events(task))]


def _events(task: Task) -> list[dict[str, Any]]:
    """The call, the task, and both ends of the arrow."""
    arrow = {"cat": "HostToDevice", "id": str(task.number), "name": f"HostToDevice{task.number}"}
    host = {"pid": HOST, "tid": task.thread, "ts": microseconds(task.asked)}
    device = {"pid": HARDWARE + task.device, "tid": task.stream, "ts": microseconds(task.begun)}
    launch = {"Thread Id": task.thread, "Mode": "launch", "level": "node", "connection_id": task.number}
    ran = {"Device Id": task.device, "Task Type": task.kind, "Stream Id": task.stream}
    numbers = {"Task Id": task.number, "connection_id": task.number}
    return [
        {"name": f"Node@launch {task.name}", "ph": "X", "dur": 0, "args": launch, **host},
        {"name": task.name, "ph": "X", "dur": task.duration, "args": {**ran, **numbers}, **device},
        {"ph": "s", **arrow, **host},
        {"ph": "f", "bp": "e", **arrow, **device},
    ]


def overlap(tasks: Sequence[Task], process: int) -> list[dict[str, Any]]:
    """When a device computed, communicated, communicated without computing, and did neither."""
    computing = _union((task.begun, task.ended) for task in tasks if task.kernel and not task.communicates)
    talking = _union((task.begun, task.ended) for task in tasks if task.communicates)
    busy = _union([*computing, *talking])
    free = [(busy[at][1], busy[at + 1][0]) for at in range(len(busy) - 1)]
    parts = {
        "Computing": computing,
        "Communication": talking,
        "Communication(Not Overlapped)": _without(talking, computing),
        "Free": free,
    }
    return [
        {
            "name": name,
            "ph": "X",
            "pid": process,
            "tid": thread,
            "args": {},
            "ts": microseconds(begin),
            "dur": (end - begin) / 1000,
        }
        for thread, (name, spans) in enumerate(parts.items())
        for begin, end in spans
    ]


def _union(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans that touch or overlap made one, in order."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined


def _without(spans: Iterable[tuple[int, int]], taken: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What of the spans lies in none of those `taken`; both as _union gives them."""
    left = []
    for begin, end in spans:
        for start, stop in taken:
            if stop <= begin or start >= end:
                continue
            if start > begin:
                left.append((begin, start))
            begin = max(begin, stop)
        if begin < end:
            left.append((begin, end))
    return left


def _named(what: str, process: int, thread: int = 0, **args: Any) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": process, "tid": thread, "args": args}


def op_summary(tasks: Iterable[Task]) -> list[dict[str, Any]]:
    """One row for each kernel."""
    rows, ended = [], {}
    for task in tasks:
        if not task.kernel:
            continue
        before = ended.get((task.device, task.stream), task.begun)
        ended[task.device, task.stream] = task.ended
        rows.append(
            {
                "Device_id": task.device,
                "Model ID": 4294967295,
                "Task ID": task.number,
                "Stream ID": task.stream,
                "Op Name": task.name,
                "OP Type": task.operator,
                "OP State": NOTHING,
                "Task Type": task.kind,
                "Task Start Time(us)": microseconds(task.begun) + "\t",
                "Task Duration(us)": task.duration,
                "Task Wait Time(us)": max(0, task.begun - before) / 1000,
                "Block Num": 1,
                "Mix Block Num": 0,
                **dict.fromkeys(
                    (
                        "Input Shapes",
                        "Input Data Types",
                        "Input Formats",
                        "Output Shapes",
                        "Output Data Types",
                    ),
                    NOTHING,
                ),
                "Output Formats": NOTHING,
            }
        )
    return rows


def task_time(tasks: Iterable[Task]) -> list[dict[str, Any]]:
    """One row for each task."""
    return [
        {
            "Device_id": task.device,
            "kernel_name": task.name,
            "kernel_type": task.kind,
            "stream_id": task.stream,
            "task_id": task.number,
            "task_time(us)": task.duration,
            "task_start(us)": microseconds(task.begun) + "\t",
            "task_stop(us)": microseconds(task.ended) + "\t",
        }
        for task in tasks
    ]


def op_statistic(tasks: Iterable[Task]) -> list[dict[str, Any]]:
    """One row for each operator of a device: how often, how long."""
    times = defaultdict(list)
    for task in tasks:
        if task.kernel:
            times[task.device, task.operator, task.kind].append(task.duration)
    whole = defaultdict(float)
    for (device, _, _), found in times.items():
        whole[device] += sum(found)
    rows = [
        {
            "Device_id": device,
            "OP Type": operator,
            "Core Type": kind,
            "Count": len(found),
            "Total Time(us)": round(sum(found), 3),
            "Min Time(us)": min(found),
            "Avg Time(us)": round(sum(found) / len(found), 3),
            "Max Time(us)": max(found),
            "Ratio(%)": round(100 * sum(found) / whole[device], 3) if whole[device] else 0,
        }
        for (device, operator, kind), found in times.items()
    ]
    return sorted(rows, key=lambda row: -row["Total Time(us)"])


def export(folder: Path) -> None:
    """Write all files of a profile, tables last: programs wait for the first of them."""
    tasks = read(folder)
    output = folder / OUTPUT
    output.mkdir(exist_ok=True)
    moment = datetime.now().strftime("%Y%m%d%H%M%S")
    (output / f"msprof_{moment}.json").write_text(json.dumps(timeline(tasks)), encoding="utf-8")
    tables = {"op_summary": op_summary, "task_time": task_time, "op_statistic": op_statistic}
    for name, rows_of in tables.items():
        rows = rows_of(tasks)
        scratch = output / f".{name}"
        with scratch.open("w", newline="", encoding="utf-8") as file:
            if rows:
                writer = csv.DictWriter(file, rows[0].keys())
                writer.writeheader()
                writer.writerows(rows)
        scratch.replace(output / f"{name}_{moment}.csv")


def analyze(folder: Path) -> int:
    """1, with the reason, for a profile with communication: how fast links are is not simulated."""
    found = sorted({task.name for task in read(folder) if task.communicates})
    if not found:
        print("msprof: no communication to analyze")
        return 0
    print(
        f"msprof: the CANN simulator has no links to measure; in the profile: {', '.join(found)}",
        file=sys.stderr,
    )
    return 1


def main() -> int:
    """Run the command; 1 with one line on stderr when there is nothing to export."""
    parser = argparse.ArgumentParser(
        prog="msprof", description="Export a profile that was taken on the CANN simulator."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--export", choices=("on",), help="write the timeline and the tables")
    what.add_argument("--analyze", choices=("on",), help="of communication between ranks: not simulated")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="PROF", help="the folder PROF_... of the profile"
    )
    arguments = parser.parse_args()
    try:
        if arguments.analyze:
            return analyze(arguments.output)
        export(arguments.output)
    except (OSError, ValueError) as error:
        print(f"msprof: {error}", file=sys.stderr)
        return 1
    print(f"msprof: wrote {arguments.output / OUTPUT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

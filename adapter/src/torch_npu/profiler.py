"""The profiler under the names that programs for NPUs use, on top of torch.profiler.

Operators, custom ones included, have the time that the host took and the time between two events on their
stream. What only CANN's own profiler measures (metrics of the AI cores, the L2 cache, messages between ranks)
is not there: the options for it are accepted, and one warning says so.
"""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Optional

import torch
from torch.profiler import ProfilerAction, schedule

__all__ = [
    "AiCMetrics",
    "ExportType",
    "ProfilerAction",
    "ProfilerActivity",
    "ProfilerLevel",
    "profile",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]


class ProfilerActivity(Enum):
    """What is watched."""

    CPU = "CPU"
    NPU = "NPU"


class ProfilerLevel(Enum):
    """How much CANN's profiler collects; accepted."""

    Level_none = "Level_none"
    Level0 = "Level0"
    Level1 = "Level1"
    Level2 = "Level2"


class AiCMetrics(Enum):
    """Metrics of the AI cores; accepted, and not collected."""

    AiCoreNone = "AiCoreNone"
    ArithmeticUtilization = "ArithmeticUtilization"
    PipeUtilization = "PipeUtilization"
    Memory = "Memory"
    MemoryL0 = "MemoryL0"
    MemoryUB = "MemoryUB"
    MemoryAccess = "MemoryAccess"
    L2Cache = "L2Cache"
    ResourceConflictRatio = "ResourceConflictRatio"


class ExportType(Enum):
    """In which form CANN's profiler writes its own data; accepted."""

    Text = "text"
    Db = "db"


@dataclass
class _ExperimentalConfig:
    """Options of CANN's own profiler, kept as they are given."""

    profiler_level: ProfilerLevel = ProfilerLevel.Level0
    aic_metrics: AiCMetrics = AiCMetrics.AiCoreNone
    l2_cache: bool = False
    msprof_tx: bool = False
    mstx: bool = False
    mstx_domain_include: List[str] = field(default_factory=list)
    mstx_domain_exclude: List[str] = field(default_factory=list)
    data_simplification: bool = True
    record_op_args: bool = False
    op_attr: bool = False
    gc_detect_threshold: Optional[float] = None
    host_sys: List[Any] = field(default_factory=list)
    sys_io: bool = False
    sys_interconnection: bool = False
    export_type: Any = None

    def asks_for_more(self) -> bool:
        """Whether it wants what only CANN's own profiler measures."""
        return (
            self.aic_metrics is not AiCMetrics.AiCoreNone
            or self.l2_cache
            or self.sys_io
            or self.sys_interconnection
        )


_warned = False


def _warn_once(config: Optional[_ExperimentalConfig]) -> None:
    global _warned
    if config is not None and config.asks_for_more() and not _warned:
        _warned = True
        warnings.warn(
            "torch_npu.profiler: this adapter measures the time of operators on host and device; metrics of "
            "AI cores, the L2 cache and the links between chips need CANN's own profiler",
            stacklevel=4,
        )


def supported_activities() -> List[ProfilerActivity]:
    """All that can be watched here."""
    return list(ProfilerActivity)


class profile(torch.profiler.profile):  # noqa: N801  (the name that programs use)
    """torch.profiler.profile with the activities of NPUs; use it as a context, with `step()` in a loop."""

    def __init__(
        self,
        *,
        activities: Optional[Iterable[Any]] = None,
        schedule: Optional[Callable[[int], ProfilerAction]] = None,
        on_trace_ready: Optional[Callable[..., Any]] = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        with_modules: bool = False,
        experimental_config: Optional[_ExperimentalConfig] = None,
        **options: Any,
    ) -> None:
        _warn_once(experimental_config)
        wanted = _kineto_activities(activities)
        super().__init__(
            activities=wanted,
            schedule=schedule,
            on_trace_ready=on_trace_ready,
            record_shapes=record_shapes,
            profile_memory=profile_memory,
            with_stack=with_stack,
            with_flops=with_flops,
            with_modules=with_modules,
            **options,
        )
        self.experimental = experimental_config

    def start_trace(self) -> None:
        """Begin to collect; times on the device come from events, as torch offers to other backends."""
        state = getattr(torch._C._profiler, "ProfilerState", None) or torch._C._autograd.ProfilerState
        fallback = getattr(state, "KINETO_PRIVATEUSE1_FALLBACK", None)
        if fallback is not None and self.use_device == "npu":
            self.profiler.profiler_kind = fallback
            _count_device_times(self.profiler)
        super().start_trace()

    def export_chrome_trace(self, path: str, *arguments: Any, **named: Any) -> Any:
        """Write the trace; each operator says in `args` how long it took on the NPU."""
        result = super().export_chrome_trace(path, *arguments, **named)
        if not path.endswith(".gz"):
            _add_device_times(Path(path), self.profiler.kineto_results.events())
        return result


def _count_device_times(profiler: Any) -> None:
    """torch 2.6 looks for the times of another device under the name that none has once it is renamed."""
    parse, unnamed = profiler._parse_kineto_results, "privateuseone"
    if not hasattr(parse, "__func__"):
        return  # of an earlier cycle of the schedule: up to torch 2.4 all have one profiler
    if unnamed not in parse.__func__.__code__.co_consts:
        return

    def parse_renamed(result: Any) -> Any:
        device, profiler.use_device = profiler.use_device, unnamed
        try:
            events = parse(result)
        finally:
            profiler.use_device = device
        for event in events:
            event.use_device = device
        return events

    profiler._parse_kineto_results = parse_renamed


def _kineto_activities(activities: Optional[Iterable[Any]]) -> List[Any]:
    kinds = torch.profiler.ProfilerActivity
    if activities is None:
        activities = supported_activities()
    wanted = []
    for activity in activities:
        if activity in (ProfilerActivity.NPU, getattr(kinds, "PrivateUse1", None)):
            # Device times are those of operators, which only the CPU's activity sees.
            wanted += [kinds.CPU, kinds.PrivateUse1] if hasattr(kinds, "PrivateUse1") else [kinds.CPU]
        elif activity in (ProfilerActivity.CPU, kinds.CPU):
            wanted.append(kinds.CPU)
        else:
            raise ValueError(
                f"torch_npu.profiler.profile: {activity!r} is no activity; choose ProfilerActivity.CPU "
                "and .NPU"
            )
    return list(dict.fromkeys(wanted))


def _add_device_times(path: Path, events: Iterable[Any]) -> None:
    """Of calls of one operator, the trace has as many as were recorded, in the same order."""
    trace = json.loads(path.read_text(encoding="utf-8"))
    times: Dict[str, List[float]] = {}
    for event in events:
        times.setdefault(event.name(), []).append(float(event.privateuse1_elapsed_us()))
    entries = [entry for entry in trace.get("traceEvents", []) if entry.get("cat") == "cpu_op"]
    for entry in sorted(entries, key=lambda entry: float(entry["ts"])):
        waiting = times.get(entry["name"])
        taken = waiting.pop(0) if waiting else -1.0  # -1 stands for an operator that was not measured
        if taken >= 0:
            entry.setdefault("args", {})["NPU time (us)"] = taken
    path.write_text(json.dumps(trace), encoding="utf-8")


def tensorboard_trace_handler(
    dir_name: str,
    worker_name: Optional[str] = None,
    analyse_flag: bool = True,
    async_mode: bool = False,
) -> Callable[[Any], None]:
    """For `on_trace_ready`: write a Chrome trace for each cycle into a folder, as TensorBoard reads it."""
    os.makedirs(dir_name, exist_ok=True)
    return torch.profiler.tensorboard_trace_handler(dir_name, worker_name)

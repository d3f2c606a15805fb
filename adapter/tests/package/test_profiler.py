"""torch_npu.profiler: operators with their times on host and device, custom ones too, and the trace."""

import json
import warnings

import pytest
import torch
import torch_npu

pytestmark = pytest.mark.skipif(
    not hasattr(torch.profiler.ProfilerActivity, "PrivateUse1"),
    reason="torch measures other devices from 2.1 on",
)


def work():
    x = torch.ones(64, 64).npu()
    torch_npu.npu_swiglu(x @ x)
    torch.npu.synchronize()


def profiled(**options):
    profiler = torch_npu.profiler
    kinds = profiler.ProfilerActivity
    with profiler.profile(activities=[kinds.CPU, kinds.NPU], **options) as run:
        work()
    return run


def device_time(event):
    return getattr(event, "device_time_total", None) or getattr(event, "privateuse1_time_total", 0)


def test_operators_have_times_on_host_and_device():
    averages = {event.key: event for event in profiled().key_averages()}
    for name in ("aten::mm", "npu::npu_swiglu"):
        assert averages[name].count == 1
        assert averages[name].cpu_time_total > 0
        assert device_time(averages[name]) > 0


def test_the_trace_has_operators_with_their_device_time(tmp_path):
    run = profiled(record_shapes=True)
    path = tmp_path / "trace.json"
    run.export_chrome_trace(str(path))
    trace = json.loads(path.read_text(encoding="utf-8"))
    found = {entry["name"]: entry for entry in trace["traceEvents"] if entry.get("cat") == "cpu_op"}
    assert found["npu::npu_swiglu"]["args"]["NPU time (us)"] > 0
    assert found["aten::mm"]["args"]["NPU time (us)"] > 0
    assert found["npu::npu_swiglu"]["dur"] > 0


def test_a_loop_with_a_schedule_writes_a_trace_for_each_cycle(tmp_path):
    profiler = torch_npu.profiler
    with profiler.profile(
        schedule=profiler.schedule(wait=1, warmup=1, active=1, repeat=2),
        on_trace_ready=profiler.tensorboard_trace_handler(str(tmp_path / "traces")),
    ) as run:
        for _ in range(6):
            work()
            run.step()
    traces = list((tmp_path / "traces").glob("*.pt.trace.json"))
    assert len(traces) == 2
    assert all("npu::npu_swiglu" in path.read_text(encoding="utf-8") for path in traces)


def test_options_of_cann_are_accepted_and_what_is_not_measured_is_said_once(monkeypatch):
    profiler = torch_npu.profiler
    monkeypatch.setattr(profiler, "_warned", False)
    config = profiler._ExperimentalConfig(
        profiler_level=profiler.ProfilerLevel.Level1,
        aic_metrics=profiler.AiCMetrics.PipeUtilization,
        export_type=profiler.ExportType.Text,
    )
    with pytest.warns(UserWarning, match="metrics of AI cores"):
        profiled(experimental_config=config)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        profiler.profile(experimental_config=config)


def test_another_activity_is_refused():
    with pytest.raises(ValueError, match=r"'GPU' is no activity; choose ProfilerActivity\.CPU and \.NPU"):
        torch_npu.profiler.profile(activities=["GPU"])

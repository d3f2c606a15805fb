"""Every row of the operator table against the CPU: PyTorch's own samples, the CPU fallback switched off."""

import json

import pytest
import torch
from op_samples import SampleCall, calls_reaching, out_names, tensors_of

TABLE = [row["aten"] for row in json.loads(torch.ops.torch_npu.op_table())]
DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool]
TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 4e-2}

pytestmark = pytest.mark.usefixtures("no_fallback")


def overload_of(name):
    packet, _, overload = name[len("aten::") :].partition(".")
    return getattr(getattr(torch.ops.aten, packet), overload or "default")


def call_of(name, *args, **kwargs):
    return SampleCall(overload_of(f"aten::{name}"), args, kwargs)


RAMP = torch.linspace(-2, 2, 12).reshape(3, 4)

#: Calls for the rows that no sample reaches, since the CPU computes these functions in other ways.
DIRECT = {
    "aten::clamp.out": [call_of("clamp", RAMP, -1.0, 1.0), call_of("clamp", RAMP, None, 0.5)],
    "aten::clamp_min.out": [call_of("clamp_min", RAMP, 0.5)],
    "aten::norm.out": [call_of("norm.ScalarOpt_dim", RAMP, p, [1]) for p in (None, 1, 2, float("inf"))],
}


def agree(actual, expected, what):
    if isinstance(expected, (bool, int, float)):
        assert actual == expected, what
        return
    actual, expected = tensors_of(actual), tensors_of(expected)
    assert len(actual) == len(expected), what
    for ours, theirs in zip(actual, expected):  # noqa: B905  (Python 3.9)
        assert ours.device.type == "npu", what
        assert ours.dtype is theirs.dtype, what
        tolerance = TOLERANCE.get(theirs.dtype, 0)
        torch.testing.assert_close(
            ours.cpu(),
            theirs,
            rtol=tolerance,
            atol=tolerance,
            equal_nan=True,
            msg=lambda text: f"{what}\n{text}",
        )


def on_device(x):
    return x.npu()


def strided_on_device(x):
    """The same values, each second element of the memory unused."""
    return torch.stack([x, x], -1).npu()[..., 0]


def results(call, move):
    """What the call returns, made with its tensors moved; an in-place call returns what it changed."""
    args, kwargs = call.moved(move)
    if "device" in kwargs:
        kwargs["device"] = torch.device("npu")
    return call.overload(*args, **kwargs)


def check_out(overload, call, expected, what):
    """The out= form resizes what is empty, and fills what has strides where it lies."""
    names = out_names(overload)
    wanted = tensors_of(expected)
    resized = {name: torch.empty(0, dtype=x.dtype, device="npu") for name, x in zip(names, wanted)}  # noqa: B905
    args, kwargs = call.moved(on_device)
    overload(*args, **kwargs, **resized)
    agree(list(resized.values()), wanted, f"{what}, out= resized")
    kept = {name: strided_on_device(torch.zeros_like(x)) for name, x in zip(names, wanted)}  # noqa: B905
    strides = [x.stride() for x in kept.values()]
    overload(*args, **kwargs, **kept)
    agree(list(kept.values()), wanted, f"{what}, out= with strides")
    assert [x.stride() for x in kept.values()] == strides, what


def check(overload, call):
    what = f"{overload} by {describe(call)}"
    expected = results(call, torch.clone)
    agree(results(call, on_device), expected, what)
    agree(results(call, strided_on_device), expected, f"{what}, with strides")
    if out_names(overload):
        check_out(overload, call, expected, what)


def describe(call):
    args, kwargs = call.moved(lambda x: f"{str(x.dtype)[6:]}{list(x.shape)}")
    return f"{call.overload}{args}{kwargs or ''}"


@pytest.mark.parametrize("name", TABLE)
def test_row(name):
    overload = overload_of(name)
    calls = DIRECT.get(name) or [call for dtype in DTYPES for call in calls_reaching(overload, dtype)]
    assert calls, f"no sample reaches {name}: name its function in op_samples.SOURCES or add a call to DIRECT"
    for call in calls:
        check(overload, call)


def test_the_table_has_what_the_adapter_promises():
    assert len(TABLE) == len(set(TABLE)) >= 40
    for name in (
        "mm",
        "addmm",
        "bmm",
        "add",
        "sub",
        "mul",
        "div",
        "neg",
        "relu",
        "sum",
        "mean",
        "cat",
        "eq",
        "fill_",
        "_softmax",
    ):
        assert any(
            row.startswith((f"aten::{name}.", f"aten::{name}_")) or row == f"aten::{name}" for row in TABLE
        ), name


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "eq", "gt", "where_self"])
@pytest.mark.parametrize("host_first", [False, True])
def test_a_scalar_tensor_on_the_host_joins_a_tensor_on_the_device(name, host_first):
    x, scalar = torch.linspace(0.5, 2, 6), torch.tensor(1.5)

    def apply(a, b):
        return torch.where(a > 1, a, b) if name == "where_self" else getattr(torch, name)(a, b)

    ours = apply(scalar, x.npu()) if host_first else apply(x.npu(), scalar)
    agree(ours, apply(scalar, x) if host_first else apply(x, scalar), name)


def test_a_tensor_on_the_host_does_not_join_silently():
    with pytest.raises(RuntimeError, match=r"(?i)device"):
        torch.ones(3, device="npu") + torch.ones(3)


def test_type_promotion_is_the_cpus():
    for left, right in [
        (torch.int64, torch.float16),
        (torch.bool, torch.int32),
        (torch.float16, torch.float32),
    ]:
        a, b = torch.ones(3, dtype=left), torch.ones(3, dtype=right)
        agree(a.npu() + b.npu(), a + b, f"{left} + {right}")
        agree(a.npu() * 2.5, a * 2.5, f"{left} * 2.5")


def test_results_that_do_not_fit_into_out_are_refused():
    with pytest.raises(RuntimeError, match="cast"):
        torch.add(torch.ones(2, device="npu"), 1, out=torch.empty(2, dtype=torch.int64, device="npu"))
    with pytest.raises(RuntimeError, match=r"(?i)overlap|single memory location"):
        torch.add(torch.ones(2, 2, device="npu"), 1, out=torch.empty(1, 2, device="npu").expand(2, 2))


def test_shapes_that_do_not_match_are_refused_as_on_the_cpu():
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        torch.ones(2, 3, device="npu").mm(torch.ones(2, 3, device="npu"))
    with pytest.raises(RuntimeError, match="size of tensor"):
        torch.ones(2, device="npu") + torch.ones(3, device="npu")

"""Every row of the operator table against the CPU: PyTorch's own samples, the CPU fallback switched off."""

import json

import pytest
import torch
from npu_testing import TORCH

if TORCH < (2, 0):
    pytest.skip("the calls below PyTorch's samples can be recorded from torch 2 on", allow_module_level=True)

from op_samples import RAMP, SampleCall, calls_reaching, out_names, overload_of, tensors_of

TABLE = [row["aten"][len("aten::") :] for row in json.loads(torch.ops.torch_npu.op_table())]
DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool]
TOLERANCE = {torch.float64: 1e-7, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 4e-2}

#: Rows whose results are random. test_rng.py says what can be said of them.
RANDOM = ("bernoulli", "dropout", "normal_", "random_", "randperm", "uniform_")

#: The device keeps the statistics of half-precision inputs in float32, as CUDA does; the CPU in half.
FLOAT32_STATISTICS = (
    "_native_batch_norm_legit",
    "native_batch_norm",
    "native_group_norm",
    "native_layer_norm",
)

#: out= overloads that no functional form shares its arguments with: arguments for them.
OUT_ONLY = {
    "adaptive_avg_pool2d.out": (torch.arange(72.0).reshape(1, 2, 6, 6), (3, 2)),
    "arange.start_out": (1, 10, 2),
    "eye.m_out": (3, 4),
    "eye.out": (3,),
    "linspace.out": (0, 1, 5),
}

pytestmark = pytest.mark.usefixtures("no_fallback")


def agree(actual, expected, what, device="npu"):
    if isinstance(expected, (bool, int, float)):
        assert actual == expected, what
        return
    actual, expected = tensors_of(actual), tensors_of(expected)
    assert len(actual) == len(expected), what
    for ours, theirs in zip(actual, expected):  # noqa: B905  (Python 3.9)
        assert ours.device.type == device, what
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


def strided(x):
    """The same values, each second element of the memory unused."""
    return torch.stack([x, x], -1)[..., 0]


def strided_on_device(x):
    return torch.stack([x, x], -1).npu()[..., 0]


def results(call, move):
    """What the call returns, made with its tensors moved; an in-place call returns what it changed."""
    args, kwargs = call.moved(move)
    return call.overload(*args, **kwargs)


def aten_agrees(call, expected):
    """Whether ATen itself allows strides here: some of its operators read or write past them."""
    try:
        agree(results(call, strided), expected, "", device="cpu")
    except (AssertionError, RuntimeError):
        return False
    return True


def outputs_for(overload, wanted, make):
    return dict(zip(out_names(overload), (make(x) for x in wanted)))  # noqa: B905  (Python 3.9)


def check_out(overload, call, wanted, what):
    """The out= form resizes what is empty, and fills what has strides where it lies.

    With strides it is right, or does what ATen itself does, whose own is wrong for some operators.
    """
    args, kwargs = call.moved(on_device)
    resized = outputs_for(overload, wanted, lambda x: torch.empty(0, dtype=x.dtype, device="npu"))
    overload(*args, **kwargs, **resized)
    agree(list(resized.values()), wanted, f"{what}, out= resized")
    kept = outputs_for(overload, wanted, lambda x: strided_on_device(torch.zeros_like(x)))
    overload(*args, **kwargs, **kept)
    try:
        agree(list(kept.values()), wanted, what)
    except AssertionError:
        on_cpu = outputs_for(overload, wanted, lambda x: strided(torch.zeros_like(x)))
        overload(*call.args, **call.kwargs, **on_cpu)
        agree(list(kept.values()), list(on_cpu.values()), f"{what}, out= with strides")


def check_in_place(overload, call, wanted, what, moves):
    """The in-place form changes what it is given, wherever `moves` put it, when the result fits in."""
    target = call.args[0]
    if not isinstance(target, torch.Tensor) or len(wanted) != 1:
        return
    if (wanted[0].shape, wanted[0].dtype) != (target.shape, target.dtype):
        return
    for move in moves:
        args, kwargs = call.moved(move)
        assert overload(*args, **kwargs) is args[0], what
        agree(args[0], wanted, f"{what}, in place")


def check(overload, call):
    what = f"{overload} by {describe(call)}"
    expected = results(call, torch.clone)
    agree(results(call, on_device), expected, what)
    moves = [on_device]
    if aten_agrees(call, expected):
        moves.append(strided_on_device)
        agree(results(call, strided_on_device), expected, f"{what}, with strides")
    if out_names(overload):
        check_out(overload, call, tensors_of(expected), what)
    elif overload.overloadpacket.__name__ == call.overload.overloadpacket.__name__ + "_":
        check_in_place(overload, call, tensors_of(expected), what, moves)


def describe(call):
    args, kwargs = call.moved(lambda x: f"{str(x.dtype)[6:]}{list(x.shape)}")
    return f"{call.overload}{args}{kwargs or ''}"


def sampled(name):
    return not any(word in name for word in RANDOM) and name not in OUT_ONLY


@pytest.mark.parametrize("name", [name for name in TABLE if sampled(name)])
def test_row(name):
    first, reason = COMPARED_SINCE.get(name.partition(".")[0], ((0, 0), ""))
    if first > TORCH:
        pytest.skip(reason)
    overload = overload_of(name)
    dtypes = DTYPES[:1] if name.startswith(FLOAT32_STATISTICS) else DTYPES
    calls = [call for dtype in dtypes for call in calls_reaching(overload, dtype)]
    assert calls, f"no sample reaches {name}: name its function in op_samples.SOURCES, or add to EXTRA_CALLS"
    for call in filter(has_whole_correction, calls):
        check(overload, call)


#: Operators of which an early torch's CPU is no reference: the first that is one, and why.
COMPARED_SINCE = {
    "aminmax": ((2, 1), "before 2.1 the CPU gives the extremes of a scalar another shape"),
    "_amp_foreach_non_finite_check_and_unscale_": ((2, 3), "before 2.3 the CPU has no such operator"),
    "_amp_update_scale_": ((2, 3), "before 2.3 the CPU has no such operator"),
}


def has_whole_correction(call):
    """CANN's variances divide by n - correction with a whole correction: test_a_fractional_correction."""
    return float(call.kwargs.get("correction") or 0).is_integer()


@pytest.mark.skipif(TORCH < (2, 1), reason="torch takes whole corrections only before 2.1")
def test_a_fractional_correction_is_refused():
    with pytest.raises(NotImplementedError, match=r"whole corrections only, found 1\.3"):
        RAMP.npu().var(correction=1.3)


@pytest.mark.parametrize("name", [name for name in OUT_ONLY if name in TABLE])
def test_row_that_only_writes_into_out(name):
    call = SampleCall(overload_of(name), OUT_ONLY[name], {})
    args, _ = call.moved(on_device)
    out = torch.empty(0, device="npu")
    call.overload(*args, out=out)
    agree(out, call.overload(*call.args, out=torch.empty(0)), name)


@pytest.mark.parametrize("name", [name for name in TABLE if not sampled(name) and name not in OUT_ONLY])
def test_random_row_is_native_and_repeats(name):
    x = torch.rand(50, device="npu")
    arguments = {
        "bernoulli_.float": (x, 0.5),
        "native_dropout": (x, 0.5, True),
        "native_dropout_backward": (x, x > 0.5, 2.0),
        "normal_": (x, 0.0, 1.0),
        "random_": (x,),
        "random_.from": (x, 3, 9),
        "random_.to": (x, 9),
        "uniform_": (x, 0.0, 1.0),
    }[name]

    def draw():
        torch.npu.manual_seed(5)
        return [y.clone() for y in tensors_of(overload_of(name)(*arguments))]

    first = draw()
    assert all(torch.equal(a, b) for a, b in zip(first, draw()))  # noqa: B905  (Python 3.9)
    assert first[0].shape == x.shape


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
        assert any(row.split(".")[0] == name for row in TABLE), name


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


@pytest.mark.parametrize(
    ("sequence", "values", "options"),
    [
        (torch.tensor(1.0), RAMP, {}),
        (RAMP, torch.tensor(1.0), {}),
        (RAMP, RAMP[:2], {}),
        (RAMP[0], RAMP, {"side": "middle"}),
        (RAMP[0], RAMP, {"side": "left", "right": True}),
        (RAMP[0], RAMP, {"sorter": torch.tensor([0, 1])}),
        (RAMP[0], RAMP, {"sorter": torch.tensor([0, 1, 2, 3], dtype=torch.int32)}),
        (RAMP[0], RAMP, {"sorter": torch.tensor([0, 1, 2, 4])}),
    ],
)
def test_searches_that_make_no_sense_are_refused_as_on_the_cpu(sequence, values, options):
    def search(move):
        moved = {key: move(x) if isinstance(x, torch.Tensor) else x for key, x in options.items()}
        torch.searchsorted(move(sequence), move(values), **moved)

    with pytest.raises(RuntimeError) as expected:
        search(torch.clone)
    with pytest.raises(RuntimeError) as refused:
        search(on_device)
    words = str(expected.value).split("(): ")[1][:30]
    assert words in str(refused.value)

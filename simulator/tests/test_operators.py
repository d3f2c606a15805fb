"""Numbers: what reaches the device's memory through the C ABI is what ATen computes on the CPU."""

from __future__ import annotations

import ctypes

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from acl import SIGNATURES, AclError

# aclnn name -> torch function, where both take one tensor and give one.
UNARY_NAMES = """
Abs Neg Sign Reciprocal Sqrt Rsqrt Exp Exp2 Expm1 Log Log2 Log10 Log1p Sin Cos Tan Sinh Cosh Asin Acos Atan
Asinh Atanh Erf Erfc Floor Ceil Round Trunc Frac Relu Sigmoid Tanh
"""
UNARY = {
    **{name: getattr(torch, name.lower()) for name in UNARY_NAMES.split()},
    "Silu": F.silu,
    "Hardswish": F.hardswish,
    "Hardsigmoid": F.hardsigmoid,
}
BINARY = {
    "Mul": torch.mul, "Div": torch.div, "Maximum": torch.maximum, "Minimum": torch.minimum,
    "Atan2": torch.atan2, "FmodTensor": torch.fmod, "RemainderTensorTensor": torch.remainder,
    "PowTensorTensor": torch.pow, "EqTensor": torch.eq, "NeTensor": torch.ne, "GtTensor": torch.gt,
    "GeTensor": torch.ge, "LtTensor": torch.lt, "LeTensor": torch.le, "LogicalAnd": torch.logical_and,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def computed(simulator, name, *values, like):
    """Run an operator; CPU tensors go to the device, and `like` stands where the output goes."""
    out = None
    arguments = []
    for parameter, value in zip(SIGNATURES[name], values, strict=True):
        if value is like:
            out = simulator.room(*like.shape, dtype=like.dtype)
            value = out
        elif isinstance(value, torch.Tensor):
            value = simulator.put(value)
        elif parameter.base == "tensors":
            value = [simulator.put(item) for item in value]
        arguments.append(value)
    simulator.run(name, *arguments)
    return simulator.get(out)


def assert_computes(simulator, name, *values, expected, after=()):
    """The output stands behind the values, and before those of `after`."""
    actual = computed(simulator, name, *values, expected, *after, like=expected)
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("name", sorted(set(UNARY) & set(SIGNATURES)))
def test_unary(simulator, name):
    x = torch.rand(3, 5) * 0.8 + 0.1  # inside every function's domain
    assert_computes(simulator, name, x, expected=UNARY[name](x))


@pytest.mark.parametrize("name", sorted(set(BINARY) & set(SIGNATURES)))
def test_binary_broadcasts(simulator, name):
    left, right = torch.rand(4, 1, 3) + 0.5, torch.rand(5, 3) + 0.5
    assert_computes(simulator, name, left, right, expected=BINARY[name](left, right))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.int64])
def test_add_in_every_type(simulator, dtype):
    left, right = (torch.rand(7) * 10).to(dtype), (torch.rand(7) * 10).to(dtype)
    assert_computes(simulator, "Add", left, right, 3, expected=left + 3 * right)


def test_a_copy_converts(simulator):
    target = simulator.room(2, 3, dtype=torch.int32)
    simulator.run("InplaceCopy", target, simulator.put(torch.tensor([[1.9, 2.0, -1.9]] * 2)))
    assert simulator.get(target).tolist() == [[1, 2, -1]] * 2
    simulator.run("InplaceCopy", target, simulator.put(torch.tensor([7.0, 8.0, 9.0])))  # broadcasts
    assert simulator.get(target).tolist() == [[7, 8, 9]] * 2
    with pytest.raises(AclError, match="'self' has shape"):
        simulator.prepare("InplaceCopy", simulator.room(3), target)


@pytest.mark.parametrize(("dims", "keep"), [([], False), ([1], True), ([0, -1], False)])
def test_reductions(simulator, dims, keep):
    x = torch.randn(3, 4, 5)
    dim = dims or tuple(range(x.dim()))
    assert_computes(simulator, "ReduceSum", x, dims, keep, torch.float32, expected=x.sum(dim, keepdim=keep))
    assert_computes(simulator, "Mean", x, dims, keep, torch.float32, expected=x.mean(dim, keepdim=keep))
    for correction in (0, 2):
        std, var = (
            x.std(dim, correction=correction, keepdim=keep),
            x.var(dim, correction=correction, keepdim=keep),
        )
        assert_computes(simulator, "Std", x, dims, correction, keep, expected=std)
        assert_computes(simulator, "VarCorrection", x, dims, correction, keep, expected=var)
    every = (x > 1).amin(dim, keepdim=keep)
    assert_computes(simulator, "All", x > 1, dims, keep, expected=every)


def test_matrix_products(simulator):
    a, b, c = torch.randn(2, 3, 4), torch.randn(2, 4, 5), torch.randn(3, 5)
    assert_computes(simulator, "BatchMatMul", a, b, expected=torch.bmm(a, b), after=[0])
    expected = torch.addmm(c, a[0], b[0], beta=2, alpha=0.5)
    assert_computes(simulator, "Addmm", c, a[0], b[0], 2.0, 0.5, expected=expected, after=[0])


def test_sort_and_topk_give_values_and_places(simulator):
    x = torch.randn(4, 9)
    for name, arguments, (values, places) in [
        ("Sort", (True, 1, True), torch.sort(x, stable=True, dim=1, descending=True)),
        ("Topk", (3, 1, True, True), torch.topk(x, 3, 1)),
    ]:
        out, indices = simulator.room(*values.shape), simulator.room(*places.shape, dtype=torch.int64)
        simulator.run(name, simulator.put(x), *arguments, out, indices)
        torch.testing.assert_close(simulator.get(out), values)
        assert torch.equal(simulator.get(indices), places)


def test_cat_and_indexing(simulator):
    x, y = torch.randn(3, 4), torch.randn(2, 4)
    assert_computes(simulator, "Cat", [x, y], 0, expected=torch.cat([x, y]))
    rows = torch.tensor([2, 0])
    unindexed = torch.empty(0, dtype=torch.int64)
    assert_computes(simulator, "Index", x, [rows], expected=x[rows])
    assert_computes(simulator, "Index", x, [unindexed, rows], expected=x[:, rows])
    assert_computes(simulator, "Index", x, [x[:, 0] > 0], expected=x[x[:, 0] > 0])
    with pytest.raises(AclError, match="shape"):
        computed(simulator, "Index", x, [rows], x, like=x)
    assert_computes(
        simulator, "Gather", x, 1, torch.tensor([[3], [1], [0]]), expected=x[[0, 1, 2], [3, 1, 0]][:, None]
    )


def test_a_result_whose_size_only_the_kernel_knows(simulator):
    x = torch.tensor([[0.0, 2.0], [3.0, 0.0]])
    out = simulator.room(4, 2, dtype=torch.int64)  # room for the largest result
    handles = [simulator.tensor(simulator.put(x)), simulator.tensor(out)]
    size, executor = simulator.prepare_raw("Nonzero", [ctypes.c_void_p(handle) for handle in handles])
    assert size == 0
    simulator.launch("Nonzero", 0, 0, executor)
    rows = simulator.get(out)
    assert simulator.view_shape(handles[1]) == [2, 2]
    assert rows[:2].tolist() == [[0, 1], [1, 0]]
    assert rows[2:].tolist() == [[77, 77], [77, 77]]


@pytest.mark.parametrize("transposed", [False, True])
def test_convolution_and_its_gradients(simulator, transposed):
    x, bias = torch.randn(2, 4, 9, 9, requires_grad=True), torch.randn(6, requires_grad=True)
    weight = torch.randn(*((4, 3, 3, 3) if transposed else (6, 2, 3, 3)), requires_grad=True)
    geometry = ([2, 2], [1, 1], [1, 1], transposed, [1, 1] if transposed else [0, 0], 2)
    expected = torch.convolution(x, weight, bias, *geometry)
    out = simulator.room(*expected.shape)
    on_device = [simulator.put(item.detach()) for item in (x, weight, bias)]
    simulator.run("Convolution", *on_device, *geometry, out, 0)
    torch.testing.assert_close(simulator.get(out), expected)
    gradient = torch.randn_like(expected)
    expected.backward(gradient)
    outputs = [simulator.room(*item.shape) for item in (x, weight, bias)]
    simulator.run(
        "ConvolutionBackward",
        simulator.put(gradient),
        *on_device[:2],
        [6],
        *geometry,
        [True] * 3,
        0,
        *outputs,
    )
    for output, operand in zip(outputs, (x, weight, bias), strict=True):
        torch.testing.assert_close(simulator.get(output), operand.grad, rtol=1e-4, atol=1e-4)
    with pytest.raises(AclError, match="'output' has shape"):
        simulator.prepare("Convolution", *on_device, *geometry, simulator.room(2, 6, 4, 4), 0)


def test_batch_norm_moves_the_running_statistics(simulator):
    x, weight, bias = torch.randn(4, 3, 5, 5), torch.rand(3), torch.rand(3)
    mean, var = torch.zeros(3), torch.ones(3)
    running = [simulator.put(mean.clone()), simulator.put(var.clone())]
    out, save_mean, save_invstd = simulator.room(4, 3, 5, 5), simulator.room(3), simulator.room(3)
    operands = [simulator.put(item) for item in (x, weight, bias)]
    simulator.run("BatchNorm", *operands, *running, True, 0.1, 1e-5, out, save_mean, save_invstd)
    expected, batch_mean, batch_invstd = torch.native_batch_norm(x, weight, bias, mean, var, True, 0.1, 1e-5)
    for actual, wanted in zip(
        (out, save_mean, save_invstd, *running), (expected, batch_mean, batch_invstd, mean, var), strict=True
    ):
        torch.testing.assert_close(simulator.get(actual), wanted)


def test_outputs_that_are_not_wanted_may_be_null(simulator):
    x, shape = torch.randn(5, 8), [8]
    out = simulator.room(5, 8)
    simulator.run("LayerNorm", simulator.put(x), shape, None, None, 1e-5, out, None, None)
    torch.testing.assert_close(simulator.get(out), F.layer_norm(x, shape))


def test_pooling_gives_places_in_the_type_of_the_output(simulator):
    x = torch.randn(2, 3, 8, 8)
    values, places = F.max_pool2d(x, 2, return_indices=True)
    for dtype in (torch.int32, torch.int64):
        out, indices = simulator.room(*values.shape), simulator.room(*values.shape, dtype=dtype)
        simulator.run(
            "MaxPool2dWithIndices", simulator.put(x), [2, 2], [2, 2], [0, 0], [1, 1], False, out, indices
        )
        torch.testing.assert_close(simulator.get(out), values)
        assert torch.equal(simulator.get(indices).long(), places)


def test_losses(simulator):
    scores, target = torch.randn(4, 5).log_softmax(1), torch.tensor([1, 0, 4, 2])
    out, total = simulator.room(), simulator.room()
    simulator.run(
        "NLLLoss",
        simulator.put(scores),
        simulator.put(target),
        simulator.put(torch.ones(5)),
        1,
        -100,
        out,
        total,
    )
    torch.testing.assert_close(simulator.get(out), F.nll_loss(scores, target))
    assert simulator.get(total).item() == 4


def random_numbers(simulator, name, *arguments, size=1000):
    out = simulator.room(size)
    simulator.run(name, out, *arguments)
    return simulator.get(out)


def test_random_numbers_depend_on_seed_and_offset_alone(simulator):
    first = random_numbers(simulator, "InplaceNormal", 0.0, 1.0, 7, 0)
    assert torch.equal(first, random_numbers(simulator, "InplaceNormal", 0.0, 1.0, 7, 0))
    for seed, offset in ((8, 0), (7, 4)):
        other = random_numbers(simulator, "InplaceNormal", 0.0, 1.0, seed, offset)
        assert torch.corrcoef(torch.stack([first, other]))[0, 1].abs() < 0.2
    assert first.mean().abs() < 0.2
    assert (first.std() - 1).abs() < 0.1


def test_random_numbers_keep_their_range(simulator):
    uniform = random_numbers(simulator, "InplaceUniform", -2.0, 3.0, 1, 0)
    assert uniform.min() >= -2
    assert uniform.max() < 3
    assert uniform.std() > 1
    whole = random_numbers(simulator, "InplaceRandom", 5, 9, 1, 0)
    assert sorted(set(whole.tolist())) == [5, 6, 7, 8]
    kept = random_numbers(simulator, "InplaceBernoulli", 0.25, 1, 0)
    assert set(kept.tolist()) == {0, 1}
    assert 0.15 < kept.mean() < 0.35

"""Gradients equal the CPU's, in every mode that autograd has."""

import json

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from npu_testing import TORCH


def gradients(function, *inputs, device):
    leaves = [x.detach().to(device).requires_grad_() for x in inputs]
    result = function(*leaves)
    weights = torch.linspace(0.5, 1.5, result.numel()).reshape(result.shape).to(device)
    (result * weights).sum().backward()
    return [result.detach().cpu(), *(leaf.grad.cpu() for leaf in leaves)]


def shape(*sizes):
    return torch.testing.make_tensor(sizes, dtype=torch.float32, device="cpu", low=0.2, high=2.0)


def attention(q, k, v):
    """By the fused function, which came with torch 2."""
    if TORCH >= (2, 0):
        return F.scaled_dot_product_attention(q, k, v)
    return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1) @ v


TARGET = torch.tensor([1, 0, 3, 2])
FUNCTIONS = {
    "mm": (torch.mm, shape(3, 4), shape(4, 5)),
    "addmm": (torch.addmm, shape(5), shape(3, 4), shape(4, 5)),
    "bmm": (torch.bmm, shape(2, 3, 4), shape(2, 4, 5)),
    "matmul_vector": (torch.matmul, shape(2, 3, 4), shape(4)),
    "linear": (F.linear, shape(3, 4), shape(5, 4), shape(5)),
    "broadcast_add": (torch.add, shape(3, 1), shape(1, 4)),
    "broadcast_mul": (torch.mul, shape(2, 3, 4), shape(4)),
    "sub": (torch.sub, shape(3, 4), shape(3, 4)),
    "div": (torch.div, shape(3, 4), shape(1, 4)),
    "pow": (torch.pow, shape(3, 4), shape(3, 4)),
    "where": (lambda a, b: torch.where(a > b, a, b), shape(3, 4), shape(3, 4)),
    "maximum": (torch.maximum, shape(3, 4), shape(3, 4)),
    "cat": (lambda a, b: torch.cat([a, b], 1), shape(3, 2), shape(3, 4)),
    "stack": (lambda a, b: torch.stack([a, b]), shape(3, 2), shape(3, 2)),
    "index_select": (lambda a: a.index_select(0, torch.tensor([2, 0, 2], device=a.device)), shape(3, 4)),
    "indexing": (lambda a: a[torch.tensor([2, 0, 2], device=a.device)], shape(3, 4)),
    "gather": (lambda a: a.gather(1, torch.tensor([[0, 2], [1, 1]], device=a.device)), shape(2, 4)),
    "slices": (lambda a: a[1:, ::2], shape(3, 5)),
    "view_ops": (lambda a: a.t().reshape(2, 6).permute(1, 0).unsqueeze(1), shape(3, 4)),
    "expand": (lambda a: a.expand(3, 4), shape(1, 4)),
    "sum": (lambda a: a.sum(1), shape(3, 4)),
    "mean": (lambda a: a.mean((0, 2)), shape(2, 3, 4)),
    "amax": (lambda a: a.amax(1), shape(3, 4)),
    "max_dim": (lambda a: a.max(1).values, shape(3, 4)),
    "norm": (lambda a: a.norm(dim=1), shape(3, 4)),
    "var": (lambda a: a.var(1), shape(3, 4)),
    "cumsum": (lambda a: a.cumsum(1), shape(3, 4)),
    "exp_log_sqrt": (lambda a: a.exp().log().sqrt().rsqrt(), shape(3, 4)),
    "sin_cos": (lambda a: a.sin() * a.cos(), shape(3, 4)),
    "abs_neg_clamp": (lambda a: (-a).abs().clamp(0.5, 1.5), shape(3, 4)),
    "reciprocal": (torch.reciprocal, shape(3, 4)),
    "relu": (lambda a: F.relu(a - 1), shape(3, 4)),
    "leaky_relu": (lambda a: F.leaky_relu(a - 1, 0.1), shape(3, 4)),
    "gelu": (F.gelu, shape(3, 4)),
    **({"gelu_tanh": (lambda a: F.gelu(a, approximate="tanh"), shape(3, 4))} if TORCH >= (2, 0) else {}),
    "silu": (F.silu, shape(3, 4)),
    "sigmoid": (torch.sigmoid, shape(3, 4)),
    "tanh": (torch.tanh, shape(3, 4)),
    "softplus": (F.softplus, shape(3, 4)),
    "elu": (F.elu, shape(3, 4)),
    "hardtanh": (F.hardtanh, shape(3, 4)),
    "softmax": (lambda a: a.softmax(-1), shape(3, 4)),
    "log_softmax": (lambda a: a.log_softmax(1), shape(3, 4)),
    "layer_norm": (lambda a, w, b: F.layer_norm(a, (4,), w, b), shape(3, 4), shape(4), shape(4)),
    "group_norm": (lambda a, w, b: F.group_norm(a, 2, w, b), shape(2, 4, 3), shape(4), shape(4)),
    "batch_norm": (
        lambda a, w, b: F.batch_norm(a, None, None, w, b, training=True),
        shape(3, 4, 5, 5),
        shape(4),
        shape(4),
    ),
    "conv1d": (lambda a, w: F.conv1d(a, w, padding=1), shape(2, 3, 8), shape(4, 3, 3)),
    "conv2d": (
        lambda a, w, b: F.conv2d(a, w, b, stride=2, padding=1),
        shape(2, 3, 8, 8),
        shape(4, 3, 3, 3),
        shape(4),
    ),
    "conv2d_grouped": (
        lambda a, w: F.conv2d(a, w, groups=2, dilation=2),
        shape(2, 4, 8, 8),
        shape(4, 2, 3, 3),
    ),
    "conv_transpose2d": (
        lambda a, w: F.conv_transpose2d(a, w, stride=2),
        shape(1, 3, 4, 4),
        shape(3, 2, 3, 3),
    ),
    "max_pool2d": (lambda a: F.max_pool2d(a, 2), shape(2, 3, 8, 8)),
    "avg_pool2d": (lambda a: F.avg_pool2d(a, 2), shape(2, 3, 8, 8)),
    "adaptive_avg_pool2d": (lambda a: F.adaptive_avg_pool2d(a, 1), shape(2, 3, 8, 8)),
    "interpolate": (lambda a: F.interpolate(a, scale_factor=2, mode="nearest"), shape(1, 2, 3, 3)),
    "pad": (lambda a: F.pad(a, (1, 2)), shape(3, 4)),
    "embedding": (lambda w: F.embedding(TARGET.to(w.device), w), shape(4, 5)),
    "cross_entropy": (lambda a: F.cross_entropy(a, TARGET.to(a.device)), shape(4, 5)),
    "nll_loss_weighted": (
        lambda a, w: F.nll_loss(a, TARGET.to(a.device), w.detach()) + 0 * w.sum(),
        shape(4, 5),
        shape(5),
    ),
    "mse_loss": (F.mse_loss, shape(3, 4), shape(3, 4)),
    "smooth_l1_loss": (F.smooth_l1_loss, shape(3, 4), shape(3, 4)),
    "bce_with_logits": (F.binary_cross_entropy_with_logits, shape(3, 4), shape(3, 4)),
    "attention": (attention, shape(2, 3, 5, 4), shape(2, 3, 5, 4), shape(2, 3, 5, 4)),
    "einsum": (lambda a, b: torch.einsum("bij,bjk->bik", a, b), shape(2, 3, 4), shape(2, 4, 5)),
    "triu": (torch.triu, shape(4, 4)),
    "masked_fill": (lambda a: a.masked_fill(a > 1, 0.0), shape(3, 4)),
    "complex": (lambda a: torch.view_as_real(torch.complex(a, a * 2) * 1j).sum(-1), shape(3, 4)),
}


@pytest.mark.parametrize("case", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_values_and_gradients_are_the_cpus(case):
    function, *inputs = case
    expected = gradients(function, *inputs, device="cpu")
    torch.testing.assert_close(gradients(function, *inputs, device="npu"), expected, rtol=1e-4, atol=1e-5)


def test_second_derivatives():
    def second(device):
        x = torch.linspace(0.1, 1, 5).to(device).requires_grad_()
        (first,) = torch.autograd.grad((x.exp() * x.sin()).sum(), x, create_graph=True)
        return torch.autograd.grad(first.sum(), x)[0].cpu()

    torch.testing.assert_close(second("npu"), second("cpu"))


def test_gradients_flow_between_host_and_devices():
    x = torch.ones(3, requires_grad=True)
    ((x.npu(0) * 2).npu(1) * 3).cpu().sum().backward()
    assert x.grad.tolist() == [6, 6, 6]


def test_backward_runs_on_the_streams_of_forward():
    side = torch.npu.Stream()
    x = torch.ones(256, 256, device="npu", requires_grad=True)
    side.wait_stream(torch.npu.current_stream())
    with torch.npu.stream(side):
        y = (x @ x).sum()
    torch.npu.current_stream().wait_stream(side)
    y.backward()
    assert torch.equal(x.grad.cpu(), torch.full((256, 256), 512.0))


@pytest.mark.parametrize("caller", ["same", "other", "default"])
def test_forward_and_backward_on_a_side_stream_wait_for_each_other(caller):
    side, other = torch.npu.Stream(), torch.npu.Stream()
    streams = {"same": side, "other": other, "default": torch.npu.default_stream()}
    x = torch.full((512, 512), 1 / 512, device="npu")
    weights = torch.ones(512, 512, device="npu", requires_grad=True)
    torch.npu.synchronize()
    with torch.npu.stream(side):
        late = x
        for _ in range(20):  # keeps the stream busy
            late = late @ x
        loss = ((late + 1) * weights @ x).sum()
    streams[caller].wait_stream(side)
    with torch.npu.stream(streams[caller]):
        loss.backward()
        doubled = weights.grad * 2
    streams[caller].synchronize()
    torch.testing.assert_close(doubled.cpu(), torch.full((512, 512), 2 * (1 + 1 / 512)))


def composed(name):
    """Whether PyTorch composes an operator of others, and its gradient of theirs."""
    keys = [line.partition(":")[0].partition("[")[0] for line in torch._C._dispatch_dump(name).splitlines()]
    return "CompositeImplicitAutograd" in keys and not any(key.startswith("Autograd") for key in keys)


def test_no_kernel_takes_a_gradient_away():
    """As one would whose operator has its gradient only through those that it is composed of."""
    rows = [row["aten"] for row in json.loads(torch.ops.torch_npu.op_table())]
    assert composed("aten::where.Scalar")
    assert [name for name in rows if composed(name) and name != "aten::isfinite"] == []


def test_a_function_written_by_the_user():
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    x = torch.ones(2, device="npu", requires_grad=True)
    Twice.apply(x).sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_in_place_changes_of_what_backward_needs_are_found():
    x = torch.ones(2, device="npu", requires_grad=True)
    y = x.exp()
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_anomaly_mode_finds_nan():
    x = torch.zeros(1, device="npu", requires_grad=True)
    with torch.autograd.set_detect_anomaly(True), pytest.raises(RuntimeError, match="nan values"):
        (x.sqrt() * 0).sum().backward()


def test_gradients_accumulate_and_clear():
    linear = torch.nn.Linear(2, 1).npu()
    for _ in range(2):
        linear(torch.ones(1, 2, device="npu")).sum().backward()
    assert linear.weight.grad.tolist() == [[2, 2]]
    linear.zero_grad(set_to_none=True)
    assert linear.weight.grad is None

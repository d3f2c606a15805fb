"""Automatic mixed precision: what autocast changes, and GradScaler."""

from __future__ import annotations

from typing import Any, Callable

import torch
import torch.nn.functional as F  # noqa: N812
from harness import Group, close

group = Group("amp")
DEVICE = group.device
HALVES = (torch.float16, torch.bfloat16)


def ones(*shape: int) -> torch.Tensor:
    return torch.ones(*shape, device=DEVICE)


LOWER: dict[str, Callable[[], torch.Tensor]] = {
    "mm": lambda: torch.mm(ones(3, 4), ones(4, 5)),
    "matmul": lambda: ones(3, 4) @ ones(4, 5),
    "bmm": lambda: torch.bmm(ones(2, 3, 4), ones(2, 4, 5)),
    "addmm": lambda: torch.addmm(ones(5), ones(3, 4), ones(4, 5)),
    "linear": lambda: F.linear(ones(3, 4), ones(5, 4), ones(5)),
    "conv2d": lambda: F.conv2d(ones(1, 2, 5, 5), ones(3, 2, 3, 3)),
}
FLOAT32: dict[str, Callable[[], torch.Tensor]] = {
    "softmax": lambda: F.softmax(ones(3, 4).half(), -1),
    "log_softmax": lambda: F.log_softmax(ones(3, 4).half(), -1),
    "cross_entropy": lambda: F.cross_entropy(
        ones(3, 4).half(), torch.zeros(3, dtype=torch.int64, device=DEVICE)
    ),
    "mse_loss": lambda: F.mse_loss(ones(3).half(), ones(3).half() * 2),
    "exp": lambda: ones(3).half().exp(),
    "pow": lambda: ones(3).half().pow(2.5),
    "sum": lambda: ones(3).half().sum(),
}


def result_dtype(function: Callable[[], torch.Tensor], dtype: torch.dtype, expected: torch.dtype) -> None:
    """The dtype of a result under autocast, and float32 again outside."""
    with torch.autocast("npu", dtype=dtype):
        actual = function().dtype
    assert actual is expected, f"{actual}, expected {expected}"


for dtype in HALVES:
    name = str(dtype).replace("torch.", "")
    for operator, function in LOWER.items():
        group.add(f"{operator} runs in {name}", lambda f=function, t=dtype: result_dtype(f, t, t))
for operator, function in FLOAT32.items():
    group.add(f"{operator} runs in float32", lambda f=function: result_dtype(f, torch.float16, torch.float32))
group.add(
    "the widest dtype of a sum of two",
    lambda: result_dtype(lambda: ones(2) + ones(2).half(), HALVES[0], torch.float32),
)


@group.check
def outside_of_autocast_nothing_changes() -> None:
    with torch.autocast("npu"):
        assert torch.is_autocast_enabled("npu")
        with torch.autocast("npu", enabled=False):
            assert (ones(2, 2) @ ones(2, 2)).dtype is torch.float32
    assert not torch.is_autocast_enabled("npu")
    assert (ones(2, 2) @ ones(2, 2)).dtype is torch.float32


@group.check
def the_device_modules_own_autocast() -> None:
    with torch.npu.amp.autocast():
        assert (ones(2, 2) @ ones(2, 2)).dtype is torch.float16


@group.check
def a_decorated_function() -> None:
    product = torch.autocast("npu", dtype=torch.bfloat16)(lambda x: x @ x)
    assert product(ones(2, 2)).dtype is torch.bfloat16


@group.check
def products_are_close_to_those_of_float32() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(16, 32), torch.randn(32, 8)
    for dtype, tolerance in zip(HALVES, (2e-2, 2e-1)):  # noqa: B905
        with torch.autocast("npu", dtype=dtype):
            close((x.to(DEVICE) @ y.to(DEVICE)).float().cpu(), x @ y, (tolerance, tolerance))


@group.check
def gradients_have_the_parameters_dtype() -> None:
    module = torch.nn.Linear(3, 2).to(DEVICE)
    with torch.autocast("npu"):
        loss = module(ones(4, 3)).sum()
    loss.backward()
    assert module.weight.grad.dtype is torch.float32
    assert module.weight.grad.cpu().tolist() == [[4.0] * 3] * 2


def scaler(**options: Any) -> Any:
    """The scaler of the device."""
    return torch.npu.amp.GradScaler(**options)


def stepped(gradient: list, **options: Any) -> tuple:
    """One step of SGD with this gradient under a scaler: (parameter, scaler)."""
    parameter = ones(len(gradient)).requires_grad_()
    optimizer, scaling = torch.optim.SGD([parameter], lr=1.0), scaler(**options)
    scaling.scale((parameter * torch.tensor(gradient, device=DEVICE)).sum()).backward()
    scaling.step(optimizer)
    scaling.update()
    return parameter.detach().cpu().tolist(), scaling


@group.check
def a_finite_step_is_taken_unscaled() -> None:
    parameter, scaling = stepped([0.25, 0.5], init_scale=1024.0)
    assert parameter == [0.75, 0.5]
    assert scaling.get_scale() == 1024


@group.check
def a_loss_is_scaled() -> None:
    assert scaler(init_scale=8.0).scale(ones(1)).item() == 8


@group.check
def unscale_divides_the_gradients() -> None:
    parameter, scaling = ones(2).requires_grad_(), scaler(init_scale=64.0)
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scaling.scale(parameter.sum()).backward()
    assert parameter.grad.cpu().tolist() == [64, 64]
    scaling.unscale_(optimizer)
    assert parameter.grad.cpu().tolist() == [1, 1]


for bad in ("inf", "-inf", "nan"):

    def overflow(value: float = float(bad)) -> None:
        parameter, scaling = stepped([1.0, value], init_scale=8.0)
        assert parameter == [1, 1], "the step was taken although a gradient was not finite"
        assert scaling.get_scale() == 4

    group.add(f"a gradient of {bad} skips the step and halves the scale", overflow)


@group.check
def the_scale_grows_after_good_steps() -> None:
    parameter = ones(2).requires_grad_()
    optimizer, scaling = torch.optim.SGD([parameter], lr=0.1), scaler(init_scale=2.0, growth_interval=2)
    for _ in range(2):
        optimizer.zero_grad()
        scaling.scale(parameter.sum()).backward()
        scaling.step(optimizer)
        scaling.update()
    assert scaling.get_scale() == 4


@group.check
def a_state_that_is_put_back() -> None:
    _, scaling = stepped([1.0], init_scale=32.0)
    again = scaler()
    again.load_state_dict(scaling.state_dict())
    assert again.state_dict() == scaling.state_dict()


@group.check
def a_scaler_that_is_off() -> None:
    parameter, scaling = stepped([1.0], enabled=False)
    assert parameter == [0]
    assert not scaling.is_enabled()


@group.check
def the_scaler_of_every_device_kind() -> None:
    scaling = torch.amp.GradScaler("npu", init_scale=16.0)
    assert scaling.scale(ones(1)).item() == 16


def trained(dtype: torch.dtype, scaled: bool) -> None:
    """A classifier under autocast follows the one that is trained in float32."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(32, 12), torch.arange(32) % 4
    first = torch.nn.Sequential(torch.nn.Linear(12, 24), torch.nn.ReLU(), torch.nn.Linear(24, 4))
    state, losses = first.state_dict(), []
    for device, mixed in (("cpu", False), (DEVICE, True)):
        module = torch.nn.Sequential(torch.nn.Linear(12, 24), torch.nn.ReLU(), torch.nn.Linear(24, 4))
        module.load_state_dict(state)
        module = module.to(device)
        optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
        scaling = scaler(enabled=scaled and mixed)
        for _ in range(8):
            optimizer.zero_grad()
            with torch.autocast("npu", dtype=dtype, enabled=mixed):
                loss = F.cross_entropy(module(inputs.to(device)), targets.to(device))
            scaling.scale(loss).backward()
            scaling.step(optimizer)
            scaling.update()
        losses.append(loss.item())
    assert abs(losses[1] - losses[0]) < 0.05, losses


group.add("training in float16 with a scaler", lambda: trained(torch.float16, True))
group.add("training in bfloat16", lambda: trained(torch.bfloat16, False))


@group.check
def a_custom_function_keeps_its_precision() -> None:
    class Product(torch.autograd.Function):
        @staticmethod
        @torch.npu.amp.custom_fwd(cast_inputs=torch.float32)
        def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
            return x @ x

        @staticmethod
        @torch.npu.amp.custom_bwd
        def backward(context: Any, grad: torch.Tensor) -> torch.Tensor:
            return grad

    with torch.autocast("npu"):
        assert Product.apply(ones(2, 2).half()).dtype is torch.float32


if __name__ == "__main__":
    group.main()

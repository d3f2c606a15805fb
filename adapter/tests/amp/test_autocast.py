"""Mixed precision: which operators autocast changes, and scaling the loss."""

import pytest
import torch
from npu_testing import TORCH, environment, needs_autocast, run
from torch_npu.npu import _grad_scaler

SCALERS = [torch.npu.amp.GradScaler, _grad_scaler.GradScaler]
compared = pytest.mark.skipif(TORCH < (2, 3), reason="before 2.3 the CPU has no GradScaler to compare with")
each_scaler = pytest.mark.parametrize("scaler_class", SCALERS, ids=["public", "before_2_3"])


@needs_autocast
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_products_in_low_precision_reductions_in_float32(dtype):
    x = torch.rand(4, 4, device="npu")
    with torch.autocast("npu", dtype=dtype):
        y = x @ x
        assert y.dtype is dtype
        assert torch.nn.functional.linear(x, x).dtype is dtype
        assert y.softmax(-1).dtype is torch.float32
        assert (y + x).dtype is torch.float32
    assert (x @ x).dtype is torch.float32
    torch.testing.assert_close(y.float().cpu(), x.cpu() @ x.cpu(), rtol=2e-2, atol=2e-2)


@needs_autocast
def test_float16_is_the_default_and_contexts_nest():
    x = torch.ones(2, 2, device="npu")
    with torch.npu.amp.autocast():
        assert torch.npu.is_autocast_enabled()
        assert torch.npu.get_autocast_dtype() is torch.float16
        with torch.npu.amp.autocast(enabled=False):
            assert (x @ x).dtype is torch.float32
        with torch.npu.amp.autocast(dtype=torch.bfloat16):
            assert torch.npu.get_autocast_dtype() is torch.bfloat16
            assert (x @ x).dtype is torch.bfloat16
        assert (x @ x).dtype is torch.float16
    assert not torch.npu.is_autocast_enabled()


@needs_autocast
def test_the_switches_without_a_context():
    torch.npu.set_autocast_enabled(True)
    torch.npu.set_autocast_dtype(torch.bfloat16)
    try:
        assert (torch.npu.is_autocast_enabled(), torch.npu.get_autocast_dtype()) == (True, torch.bfloat16)
    finally:
        torch.npu.set_autocast_enabled(False)
        torch.npu.set_autocast_dtype(torch.float16)


@needs_autocast
def test_a_dtype_that_is_not_supported_switches_autocast_off_with_a_warning():
    assert torch.float64 not in torch.npu.get_amp_supported_dtype()
    x = torch.ones(2, 2, device="npu")
    with pytest.warns(UserWarning, match="(?i)npu"), torch.autocast("npu", dtype=torch.float64):
        assert (x @ x).dtype is torch.float32


@needs_autocast
def test_gradients_come_back_in_the_parameters_dtype():
    linear = torch.nn.Linear(3, 2).npu()
    with torch.autocast("npu", dtype=torch.bfloat16):
        loss = linear(torch.ones(1, 3, device="npu")).sum()
    loss.backward()
    assert linear.weight.grad.dtype is torch.float32
    assert linear.weight.grad.tolist() == [[1, 1, 1]] * 2


def optimizer_over(gradient):
    parameter = torch.ones(2, device="npu", requires_grad=True)
    return parameter, torch.optim.SGD([parameter], lr=1.0), torch.tensor(gradient, device="npu")


def scaled(device, gradients, found, inverse):
    gradients = [torch.tensor(one).to(device) for one in gradients]
    found_inf, inverse = (torch.tensor([one], device=device) for one in (found, inverse))
    torch._amp_foreach_non_finite_check_and_unscale_(gradients, found_inf, inverse)
    return [one.tolist() for one in gradients], found_inf.item()


@compared
@pytest.mark.parametrize(
    ("gradients", "found"),
    [
        ([[2.0, 4.0], [8.0]], 0.0),
        ([[2.0, 4.0], [8.0]], 1.0),
        ([[2.0, float("-inf")], [8.0]], 0.0),
        ([], 0.0),
        ([[], [4.0]], 0.0),
    ],
)
def test_gradients_are_unscaled_and_checked_on_the_device(gradients, found, no_fallback):
    assert scaled("npu", gradients, found, 0.5) == scaled("cpu", gradients, found, 0.5)


def next_scale(device, scale, tracker, found):
    scale, found = torch.tensor([scale], device=device), torch.tensor([found], device=device)
    tracker = torch.tensor([tracker], dtype=torch.int32, device=device)
    assert torch._amp_update_scale_(scale, tracker, found, 2.0, 0.5, 3) is scale
    return scale.item(), tracker.item()


@compared
@pytest.mark.parametrize("state", [(4.0, 0, 0.0), (4.0, 2, 0.0), (4.0, 2, 1.0), (2.0**127, 2, 0.0)])
def test_the_next_scale_is_computed_on_the_device(state, no_fallback):
    assert next_scale("npu", *state) == next_scale("cpu", *state)


@pytest.mark.skipif(TORCH < (2, 0), reason="torch 1 names the device that npu borrows")
def test_an_operand_that_does_not_fit_is_named():
    gradient, one = torch.ones(2, device="npu"), torch.ones(1, device="npu")
    with pytest.raises(RuntimeError, match="found_inf must be a tensor of one element, but has 2"):
        torch._amp_foreach_non_finite_check_and_unscale_([gradient], gradient.clone(), one)
    with pytest.raises(RuntimeError, match="inv_scale must be of dtype float32, but is Half"):
        torch._amp_foreach_non_finite_check_and_unscale_([gradient], one, one.half())
    with pytest.raises(RuntimeError, match="must be dense tensors on npu:0, but one is on cpu"):
        torch._amp_foreach_non_finite_check_and_unscale_([gradient, torch.ones(1)], one, one)
    with pytest.raises(RuntimeError, match="growth_tracker must be a tensor of one element of dtype int32"):
        torch._amp_update_scale_(one, one.long(), one, 2.0, 0.5, 3)


OVERFLOW = """
import torch, torch_npu
from torch_npu.npu import _grad_scaler
parameter = torch.ones(2, device="npu", requires_grad=True)
optimizer = torch.optim.SGD([parameter], lr=1.0)
for scaler in {scalers}:
    for _ in range(2):
        scaler.scale(parameter.sum()).backward()
        scaler.step(optimizer)
        scaler.update()
"""


@pytest.mark.parametrize("scalers", ["[torch.npu.amp.GradScaler()]", "[_grad_scaler.GradScaler()]"])
@pytest.mark.parametrize(("soc", "warnings"), [("Ascend910A", 1), ("Ascend310P3", 1), ("Ascend910B1", 0)])
def test_a_chip_that_shows_no_overflow_is_named_once(scalers, soc, warnings):
    done = run(OVERFLOW.format(scalers=scalers), env=environment(CANN_SIMULATOR_SOC=soc))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("float16 without inf and nan") == warnings, done.stderr


@each_scaler
def test_a_finite_step_is_taken_unscaled(scaler_class):
    parameter, optimizer, weight = optimizer_over([0.25, 0.5])
    scaler = scaler_class(init_scale=1024.0)
    scaler.scale((parameter * weight).sum()).backward()
    assert parameter.grad.tolist() == [256, 512]
    scaler.unscale_(optimizer)
    assert parameter.grad.tolist() == [0.25, 0.5]
    scaler.step(optimizer)
    scaler.update()
    assert parameter.tolist() == [0.75, 0.5]
    assert scaler.get_scale() == 1024


@each_scaler
@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_an_overflow_skips_the_step_and_halves_the_scale(scaler_class, bad):
    parameter, optimizer, weight = optimizer_over([1.0, bad])
    scaler = scaler_class(init_scale=8.0)
    scaler.scale((parameter * weight).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert parameter.tolist() == [1, 1]
    assert scaler.get_scale() == 4


@each_scaler
def test_the_scale_grows_after_enough_good_steps_and_is_restored(scaler_class):
    parameter, optimizer, weight = optimizer_over([1.0, 1.0])
    scaler = scaler_class(init_scale=2.0, growth_interval=2)
    for _ in range(2):
        scaler.scale((parameter * weight).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
    assert scaler.get_scale() == 4
    again = scaler_class()
    again.load_state_dict(scaler.state_dict())
    assert again.state_dict() == scaler.state_dict()


@each_scaler
def test_a_disabled_scaler_changes_nothing(scaler_class):
    parameter, optimizer, weight = optimizer_over([1.0, 1.0])
    scaler = scaler_class(enabled=False)
    loss = (parameter * weight).sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    scaler.step(optimizer)
    scaler.update()
    assert parameter.tolist() == [0, 0]
    assert (scaler.is_enabled(), scaler.state_dict()) == (False, {})


@each_scaler
def test_misuse_is_an_error(scaler_class):
    parameter, optimizer, weight = optimizer_over([1.0, 1.0])
    scaler = scaler_class()
    scaler.scale((parameter * weight).sum()).backward()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="unscale_"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="step"):
        scaler.step(optimizer)
    with pytest.raises((AssertionError, RuntimeError, ValueError)):
        scaler_class().update()


@pytest.mark.skipif(TORCH < (2, 4), reason="came with torch 2.4")
def test_a_custom_function_keeps_its_precision():
    class Product(torch.autograd.Function):
        @staticmethod
        @torch.npu.amp.custom_fwd(cast_inputs=torch.float32)
        def forward(ctx, x):
            return x @ x

        @staticmethod
        @torch.npu.amp.custom_bwd
        def backward(ctx, grad):
            return grad

    with torch.autocast("npu"):
        assert Product.apply(torch.ones(2, 2, device="npu", dtype=torch.float16)).dtype is torch.float32

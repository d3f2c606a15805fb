"""`torch_npu.amp`: programs that were written for apex train in mixed precision."""

import copy

import pytest
import torch
import torch_npu
from npu_testing import TORCH, needs_autocast
from torch import nn
from torch_npu import amp

STEPS = 12

LEVELS = ["O0", pytest.param("O1", marks=needs_autocast), "O2", "O3"]
OPTIMIZERS = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "fused SGD": lambda parameters: torch_npu.optim.NpuFusedSGD(parameters, lr=0.1, momentum=0.9),
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01, eps=1e-4),
    "fused Adam": lambda parameters: torch_npu.optim.NpuFusedAdam(parameters, lr=0.01, eps=1e-4),
}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        # Tanh and not ReLU: beside the kink of ReLU a rounding changes a gradient by all of its size.
        self.body = nn.Sequential(nn.Conv2d(2, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Tanh(), nn.Flatten())
        self.head = nn.Linear(32, 3)
        self.register_buffer("shift", torch.ones(3))
        self.computed = []

    def forward(self, x):
        result = self.head(self.body(x)) + self.shift
        self.computed.append(self.head(self.body(x)).dtype)
        return {"logits": result, "kept": torch.arange(2)}


def network(device="npu"):
    torch.manual_seed(0)
    return Net().to(device)


def batch(step, device="npu"):
    torch.manual_seed(step % 3)
    return torch.randn(6, 2, 4, 4).to(device), torch.arange(6, device=device) % 3


def loss_of(model, step, device="npu"):
    x, target = batch(step, device)
    return nn.functional.cross_entropy(model(x)["logits"], target)


def plain(kind):
    """What training in float32 on the CPU gives."""
    model, losses = network("cpu"), []
    optimizer = OPTIMIZERS[kind.replace("fused ", "")](model.parameters())
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(model, step, "cpu")
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def train(model, optimizer, steps=range(STEPS)):
    losses = []
    for step in steps:
        optimizer.zero_grad()
        loss = loss_of(model, step)
        with amp.scale_loss(loss, optimizer) as scaled:
            scaled.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def prepared(kind="SGD", **settings):
    model = network()
    return amp.initialize(model, OPTIMIZERS[kind](model.parameters()), **settings)


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("level", LEVELS)
def test_every_level_learns_what_float32_learns(level, kind):
    expected = plain(kind)
    assert expected[-1] < 0.7 * expected[0]
    model, optimizer = prepared(kind, opt_level=level, loss_scale=128.0, combine_grad=True)
    losses = train(model, optimizer)
    if level == "O3":  # the trained values are rounded
        assert losses[-1] < 0.7 * losses[0]
    else:
        tolerance = 1e-3 if level == "O0" else 0.05
        torch.testing.assert_close(losses, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("level", "weights", "norm", "computed", "trained"),
    [
        ("O0", torch.float32, torch.float32, torch.float32, torch.float32),
        pytest.param("O1", *[torch.float32] * 2, torch.float16, torch.float32, marks=needs_autocast),
        ("O2", torch.float16, torch.float32, torch.float16, torch.float32),
        ("O3", torch.float16, torch.float16, torch.float16, torch.float16),
    ],
)
def test_where_the_precisions_are(level, weights, norm, computed, trained):
    model, optimizer = prepared(opt_level=level)
    output = model(batch(0)[0])
    assert (model.head.weight.dtype, model.body[1].weight.dtype) == (weights, norm)
    assert model.body[1].running_mean.dtype is norm
    assert model.computed == [computed]
    assert (output["logits"].dtype, output["kept"].dtype) == (torch.float32, torch.int64)
    assert {one.dtype for one in amp.master_params(optimizer)} == {trained}
    assert model.shift.dtype is weights


def test_a_level_is_changed_setting_by_setting():
    model, _ = prepared(opt_level="O2", keep_batchnorm_fp32="False", cast_model_type=torch.bfloat16)
    assert model.body[1].weight.dtype is torch.bfloat16
    model, _ = prepared(opt_level="O3", cast_model_outputs=torch.float16)
    assert model(batch(0)[0])["logits"].dtype is torch.float16


@pytest.mark.parametrize("level", LEVELS[1:])
def test_a_step_that_overflows_is_left_out_and_the_scale_halved(level):
    model, optimizer = prepared(opt_level=level, loss_scale="dynamic")
    train(model, optimizer, range(2))
    before = copy.deepcopy({name: value.cpu() for name, value in model.state_dict().items()})
    scale = amp.state_dict()["loss_scaler0"]["loss_scale"]
    loss = model.head.weight.float().sum() * float("inf")
    warns = pytest.warns(RuntimeWarning, match=f"now scaled by {scale / 2:g}")
    with warns, amp.scale_loss(loss, optimizer) as scaled:
        scaled.backward()
    optimizer.step()
    after = {name: value.cpu() for name, value in model.state_dict().items()}
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert amp.state_dict()["loss_scaler0"] == {"loss_scale": scale / 2, "unskipped": 0}
    train(model, optimizer, range(2, 3))
    assert not torch.equal(model.state_dict()["head.weight"].cpu(), before["head.weight"])


def test_a_scale_grows_after_steps_without_overflow(monkeypatch):
    monkeypatch.setattr(amp, "_GROWTH_INTERVAL", 3)
    model, optimizer = prepared(opt_level="O2", max_loss_scale=2.0**17)
    train(model, optimizer, range(7))
    assert amp.state_dict() == {"loss_scaler0": {"loss_scale": 2.0**17, "unskipped": 1}}


def test_the_lowest_scale():
    model, optimizer = prepared(opt_level="O2", min_loss_scale=2.0**15)
    for _ in range(3):
        loss = model.head.weight.float().sum() * float("nan")
        with pytest.warns(RuntimeWarning, match="inf or nan"), amp.scale_loss(loss, optimizer) as scaled:
            scaled.backward()
    assert amp.state_dict()["loss_scaler0"]["loss_scale"] == 2.0**15


@pytest.mark.parametrize("kind", ["SGD", "fused SGD"])
@pytest.mark.parametrize("delayed", [False, True], ids=["unscaled each", "delayed"])
@pytest.mark.parametrize("level", LEVELS)
def test_gradients_of_two_passes_add_up(level, delayed, kind):
    model, optimizer = prepared(kind, opt_level=level, loss_scale=64.0)
    optimizer.zero_grad()
    for last in (False, True):
        with amp.scale_loss(loss_of(model, 1), optimizer, delay_unscale=delayed and not last) as scaled:
            scaled.backward()
    twice = [one.grad.float().cpu() for one in amp.master_params(optimizer)]
    reference = network("cpu")
    (2 * loss_of(reference, 1, "cpu")).backward()
    for one, other in zip(twice, reference.parameters()):  # noqa: B905  (Python 3.9)
        torch.testing.assert_close(one, other.grad, rtol=5e-2, atol=5e-2)


def test_gradients_are_unscaled_for_clipping():
    model, optimizer = prepared(opt_level="O2", loss_scale=1024.0)
    with amp.scale_loss(loss_of(model, 0) * 100, optimizer) as scaled:
        scaled.backward()
    norm = nn.utils.clip_grad_norm_(amp.master_params(optimizer), 1.0)
    assert 1 < norm < 1000
    total = sum(float((one.grad**2).sum()) for one in amp.master_params(optimizer))
    assert total == pytest.approx(1.0, rel=1e-3)


def test_files_are_float32_and_training_goes_on_from_them(tmp_path):
    model, optimizer = prepared("Adam", opt_level="O2")
    train(model, optimizer, range(6))
    saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "amp": amp.state_dict()}
    assert {value.dtype for value in saved["model"].values()} == {torch.float32, torch.int64}
    torch.save(saved, tmp_path / "all.pt")
    expected = train(model, optimizer, range(6, STEPS))
    model, optimizer = prepared("Adam", opt_level="O2")
    loaded = torch.load(tmp_path / "all.pt", **({"map_location": "npu"} if TORCH >= (2, 1) else {}))
    model.load_state_dict(loaded["model"])
    optimizer.load_state_dict(loaded["optimizer"])
    amp.load_state_dict(loaded["amp"])
    assert train(model, optimizer, range(6, STEPS)) == expected


def test_two_losses_have_scales_of_their_own():
    model, optimizer = prepared(opt_level="O2", num_losses=2)
    loss = model.head.weight.float().sum() * float("inf")
    with pytest.warns(RuntimeWarning, match="loss 1 is"), amp.scale_loss(loss, optimizer, 1) as scaled:
        scaled.backward()
    assert [one["loss_scale"] for one in amp.state_dict().values()] == [2.0**16, 2.0**15]
    with pytest.raises(ValueError, match=r"loss_id 2, but initialize\(\) was told num_losses=2"):
        amp.scale_loss(torch.zeros(()), optimizer, loss_id=2).__enter__()


def test_several_models_and_optimizers_come_back_as_they_came():
    models = [network(), network()]
    optimizers = [OPTIMIZERS["SGD"](model.parameters()) for model in models]
    found_models, found_optimizers = amp.initialize(models, optimizers, opt_level="O2")
    assert found_models == models
    assert found_optimizers == optimizers
    loss = loss_of(models[0], 0) + loss_of(models[1], 0)
    with amp.scale_loss(loss, optimizers) as scaled:
        scaled.backward()
    assert all(one.grad is not None for optimizer in optimizers for one in amp.master_params(optimizer))
    assert amp.initialize(network(), opt_level="O3").head.weight.dtype is torch.float16


def test_a_scheduler_counts_the_steps():
    model, optimizer = prepared(opt_level="O2")
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    train(model, optimizer, range(1))
    schedule.step()
    assert optimizer.param_groups[0]["lr"] == 0.05


def test_switched_off_nothing_changes():
    model, optimizer = prepared(enabled=False)
    assert model.head.weight.dtype is torch.float32
    loss = torch.ones(())
    with amp.scale_loss(loss, optimizer) as scaled:
        assert scaled is loss


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"opt_level": "02"}, r"opt_level is one of O0, O1, O2, O3 \(the letter O\), got '02'"),
        ({"loss_scale": "static"}, "loss_scale is \"dynamic\" or a positive number, got 'static'"),
        ({"loss_scale": 0.0}, "a positive number, got 0.0"),
        ({"keep_batchnorm_fp32": "yes"}, "keep_batchnorm_fp32 is True or False, got 'yes'"),
    ],
)
def test_settings_that_do_not_exist(settings, text):
    with pytest.raises(ValueError, match=text):
        prepared(**settings)


def test_misuse_is_told():
    model, optimizer = prepared(opt_level="O2")
    with pytest.raises(RuntimeError, match="given this SGD before"):
        amp.initialize(model, optimizer)
    with pytest.raises(RuntimeError, match=r"step\(closure\)"):
        optimizer.step(lambda: 0)
    with pytest.raises(TypeError, match="unexpected argument 'combine_grads'"):
        prepared(combine_grads=True)
    other = torch.optim.Adam(network().parameters())
    with pytest.raises(RuntimeError, match=r"this Adam was not given to amp\.initialize"):
        amp.scale_loss(torch.zeros(()), other).__enter__()

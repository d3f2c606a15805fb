"""Optimizers of torch_npu.optim: they train what PyTorch's of the same name train, or the rules of papers."""

import copy
import math
import pickle

import pytest
import torch
import torch_npu
from torch import nn


class ByTheBook(torch.optim.Optimizer):
    """One parameter after the other, in float64 and with Python's own decisions."""

    @staticmethod
    def usual():
        return {}

    def __init__(self, params, **settings):
        super().__init__(params, {**self.usual(), **settings})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            chosen = [p for p in group["params"] if p.grad is not None]
            gradients = self.gradients([p.grad.double().cpu() for p in chosen], group)
            for p, gradient in zip(chosen, gradients):  # noqa: B905  (Python 3.9)
                state = self.state[p]
                if not state:
                    state["step"] = 0
                    state.update(
                        (name, torch.full_like(p, value)) for name, value in self.begin(group).items()
                    )
                state["step"] += 1
                kept = {k: v.double().cpu() if torch.is_tensor(v) else v for k, v in state.items()}
                p.copy_(self.new(p.double().cpu(), gradient, kept, group))
                for name, value in kept.items():
                    if torch.is_tensor(value):
                        state[name].copy_(value)

    def gradients(self, found, group):
        return found

    def begin(self, group):
        return {"exp_avg": 0, "exp_avg_sq": 0}

    @staticmethod
    def moments(s, g, beta1, beta2):
        s["exp_avg"] = beta1 * s["exp_avg"] + (1 - beta1) * g
        s["exp_avg_sq"] = beta2 * s["exp_avg_sq"] + (1 - beta2) * g * g
        return s["exp_avg"], s["exp_avg_sq"]


class Lamb(ByTheBook):
    @staticmethod
    def usual():
        return {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-6, "weight_decay": 0.0}

    def __init__(self, params, adam=False, use_global_grad_norm=False, **settings):
        super().__init__(params, **settings)
        self.adam, self.all = adam, use_global_grad_norm

    def gradients(self, found, group):
        if not self.all:
            return found
        every = [p.grad.double() for g in self.param_groups for p in g["params"] if p.grad is not None]
        norm = math.sqrt(sum(float((one**2).sum()) for one in every))
        return [one / max(norm, 1.0) for one in found]

    def new(self, p, g, s, o):
        m, v = self.moments(s, g, *o["betas"])
        change = m / (v.sqrt() + o["eps"]) + o["weight_decay"] * p
        weight, length = min(float(p.norm()), 10.0), float(change.norm())
        trust = weight / length if weight and length and not self.adam else 1.0
        return p - o["lr"] * trust * change


class AdamP(ByTheBook):
    @staticmethod
    def usual():
        adam = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}
        return {**adam, "delta": 0.1, "wd_ratio": 0.1, "nesterov": False}

    def new(self, p, g, s, o):
        (beta1, beta2), t = o["betas"], s["step"]
        m, v = self.moments(s, g, beta1, beta2)
        if o["nesterov"]:
            m = beta1 * m + (1 - beta1) * g
        change = m / (v.sqrt() / math.sqrt(1 - beta2**t) + o["eps"])
        ratio = 1.0
        for rows in (len(p), 1) if p.dim() > 1 else ():
            flat, slope, way = (one.reshape(rows, -1) for one in (p, g, change))
            cosines = torch.nn.functional.cosine_similarity(flat, slope, dim=1).abs()
            if cosines.max() < o["delta"] / math.sqrt(flat.shape[1]):
                unit = flat / (flat.norm(dim=1, keepdim=True) + o["eps"])
                change = (way - unit * (unit * way).sum(1, keepdim=True)).reshape(p.shape)
                ratio = o["wd_ratio"]
                break
        return p * (1 - o["lr"] * o["weight_decay"] * ratio) - o["lr"] / (1 - beta1**t) * change


class BertAdam(ByTheBook):
    @staticmethod
    def usual():
        adam = {"b1": 0.9, "b2": 0.999, "e": 1e-6, "weight_decay": 0.01, "max_grad_norm": 1.0}
        return {**adam, "warmup": -1, "t_total": -1, "schedule": "warmup_linear"}

    def gradients(self, found, group):
        norm = math.sqrt(sum(float((one**2).sum()) for one in found))
        limit = group["max_grad_norm"]
        return [one * min(limit / (norm + 1e-6), 1.0) for one in found] if limit > 0 else found

    def new(self, p, g, s, o):
        m, v = self.moments(s, g, o["b1"], o["b2"])
        rate, done = o["lr"], (s["step"] - 1) / o["t_total"]
        if o["t_total"] != -1 and done < o["warmup"]:
            rate *= done / o["warmup"]
        elif o["t_total"] != -1:
            rate *= {
                "warmup_cosine": (1 + math.cos(math.pi * done)) / 2,
                "warmup_constant": 1.0,
                "warmup_linear": max((done - 1) / (o["warmup"] - 1), 0.0),
                "warmup_poly": math.sqrt(1 - done),
            }[o["schedule"]]
        return p - rate * (m / (v.sqrt() + o["e"]) + o["weight_decay"] * p)


class RMSpropTF(ByTheBook):
    @staticmethod
    def usual():
        numbers = {"lr": 1e-2, "alpha": 0.9, "eps": 1e-10, "weight_decay": 0.0, "momentum": 0.0}
        return {**numbers, "centered": False, "decoupled_decay": False, "lr_in_momentum": True}

    def begin(self, group):
        names = {"square_avg": 1, "momentum_buffer": 0, "grad_avg": 0}
        wanted = {"square_avg": True, "momentum_buffer": group["momentum"] > 0, "grad_avg": group["centered"]}
        return {name: value for name, value in names.items() if wanted[name]}

    def new(self, p, g, s, o):
        if o["decoupled_decay"]:
            p = p - o["weight_decay"] * p
        else:
            g = g + o["weight_decay"] * p
        s["square_avg"] = o["alpha"] * s["square_avg"] + (1 - o["alpha"]) * g * g
        variance = s["square_avg"]
        if o["centered"]:
            s["grad_avg"] = o["alpha"] * s["grad_avg"] + (1 - o["alpha"]) * g
            variance = variance - s["grad_avg"] ** 2
        change = g / (variance + o["eps"]).sqrt()
        if o["momentum"] == 0:
            return p - o["lr"] * change
        if o["lr_in_momentum"]:
            s["momentum_buffer"] = o["momentum"] * s["momentum_buffer"] + o["lr"] * change
            return p - s["momentum_buffer"]
        s["momentum_buffer"] = o["momentum"] * s["momentum_buffer"] + change
        return p - o["lr"] * s["momentum_buffer"]


#: Ours, PyTorch's or the book's, and settings.
PAIRS = {
    "SGD": ("NpuFusedSGD", torch.optim.SGD, {"lr": 0.1}),
    "SGD momentum": (
        "NpuFusedSGD",
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True},
    ),
    "Adam": ("NpuFusedAdam", torch.optim.Adam, {"weight_decay": 0.1}),
    "Adam amsgrad": ("NpuFusedAdam", torch.optim.Adam, {"lr": 0.01, "amsgrad": True}),
    "AdamW": ("NpuFusedAdamW", torch.optim.AdamW, {"lr": 0.01, "betas": (0.8, 0.99)}),
    "Adadelta": ("NpuFusedAdadelta", torch.optim.Adadelta, {"weight_decay": 0.01}),
    "RMSprop": ("NpuFusedRMSprop", torch.optim.RMSprop, {"momentum": 0.9, "centered": True}),
    "Lamb": ("NpuFusedLamb", Lamb, {"lr": 0.01, "weight_decay": 0.1}),
    "Lamb as Adam": ("NpuFusedLamb", Lamb, {"adam": True, "betas": (0.8, 0.9)}),
    "Lamb global": ("NpuFusedLamb", Lamb, {"lr": 0.02, "use_global_grad_norm": True}),
    "AdamP": ("NpuFusedAdamP", AdamP, {"lr": 0.01, "weight_decay": 0.1}),
    "AdamP projects": (
        "NpuFusedAdamP",
        AdamP,
        {"lr": 0.01, "weight_decay": 0.1, "delta": 9.0, "wd_ratio": 0.5},
    ),
    "AdamP nesterov": ("NpuFusedAdamP", AdamP, {"lr": 0.01, "nesterov": True}),
    "BertAdam": ("NpuFusedBertAdam", BertAdam, {"lr": 0.01}),
    "BertAdam clips": ("NpuFusedBertAdam", BertAdam, {"lr": 0.01, "max_grad_norm": 0.01}),
    **{
        f"BertAdam {one}": (
            "NpuFusedBertAdam",
            BertAdam,
            {"lr": 0.05, "warmup": 0.2, "t_total": 10, "schedule": f"warmup_{one}", "max_grad_norm": -1},
        )
        for one in ("cosine", "constant", "linear", "poly")
    },
    "RMSpropTF": ("NpuFusedRMSpropTF", RMSpropTF, {"weight_decay": 0.01}),
    "RMSpropTF momentum": ("NpuFusedRMSpropTF", RMSpropTF, {"momentum": 0.9, "centered": True}),
    "RMSpropTF rate outside": (
        "NpuFusedRMSpropTF",
        RMSpropTF,
        {"momentum": 0.9, "lr_in_momentum": False, "weight_decay": 0.01, "decoupled_decay": True},
    ),
}
each_pair = pytest.mark.parametrize("name", PAIRS)


def made(name, fused, parameters, **changes):
    ours, theirs, settings = PAIRS[name]
    kind = getattr(torch_npu.optim, ours) if fused else theirs
    return kind(parameters, **{**settings, **changes})


def network(device="npu"):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16, 3),
        nn.Linear(16, 3),
    )
    return model.to(device)


def loss_of(model, step, last=True):
    """A loss of the network; without `last`, its two heads take turns, so that one has no gradient."""
    torch.manual_seed(step)
    x = torch.randn(5, 2, 4, 4).to(next(model.parameters()).device)
    hidden = model[:4](x)
    head = model[4] if not last and step % 2 else model[5]
    return (head(hidden) ** 2).mean() + (model[4](hidden).mean() if last else 0)


def train(optimizer, model, steps=range(4), scheduled=False, **options):
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5) if scheduled else None
    for step in steps:
        optimizer.zero_grad()
        loss_of(model, step, **options).backward()
        optimizer.step()
        if schedule:
            schedule.step()


def same(model, other):
    found = {name: value.cpu() for name, value in model.state_dict().items()}
    expected = {name: value.cpu() for name, value in other.state_dict().items()}
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@each_pair
def test_it_trains_what_the_plain_one_trains_on_the_cpu(name):
    ours, theirs = network(), network("cpu")
    train(made(name, True, ours.parameters()), ours, scheduled=True)
    train(made(name, False, theirs.parameters()), theirs, scheduled=True)
    same(ours, theirs)


@each_pair
def test_either_goes_on_from_what_the_other_saved(name):
    ours, theirs = network(), network()
    first, second = made(name, True, ours.parameters()), made(name, False, theirs.parameters())
    train(first, ours)
    train(second, theirs)
    first_state, second_state = (copy.deepcopy(one.state_dict()) for one in (first, second))
    first, second = made(name, True, ours.parameters()), made(name, False, theirs.parameters())
    first.load_state_dict(second_state)
    second.load_state_dict(first_state)
    for optimizer, model in ((first, ours), (second, theirs)):
        train(optimizer, model, steps=range(4, 7))
    same(ours, theirs)


def test_groups_have_their_own_settings():
    ours, theirs = network(), network()
    for model, fused in ((ours, True), (theirs, False)):
        groups = [
            {"params": [one for one in model.parameters() if one.dim() > 1]},
            {"params": [one for one in model.parameters() if one.dim() == 1], "weight_decay": 0.0, "lr": 0.5},
        ]
        train(made("SGD momentum", fused, groups), model)
    same(ours, theirs)


@pytest.mark.parametrize("name", ["SGD momentum", "Adam", "Lamb", "AdamP", "RMSpropTF"])
def test_a_parameter_without_a_gradient_is_left_alone(name):
    """Heads that take turns: those without a gradient keep value, state and number of steps."""
    ours, theirs = network(), network()
    for model, fused in ((ours, True), (theirs, False)):
        optimizer = made(name, fused, model.parameters())
        for step in range(5):
            optimizer.zero_grad(set_to_none=True)
            loss_of(model, step, last=False).backward()
            optimizer.step()
    same(ours, theirs)


def test_parameters_and_gradients_are_neighbors_and_keep_their_layout():
    model = network().to(memory_format=torch.channels_last)
    optimizer = made("Adam", True, model.parameters())
    train(optimizer, model)
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    (values,), (gradients,) = optimizer.get_combined_params(), optimizer.get_combined_grads()
    assert values.numel() == sum(one.numel() for one in model.parameters())
    for whole, parts in (
        (values, list(model.parameters())),
        (gradients, [one.grad for one in model.parameters()]),
    ):
        start, end = whole.data_ptr(), whole.data_ptr() + whole.numel() * whole.element_size()
        assert all(start <= part.data_ptr() < end for part in parts)
    optimizer.zero_grad()
    assert not gradients.any()


def test_a_parameter_that_was_moved_is_found_again():
    ours, theirs = network(), network()
    for model, fused in ((ours, True), (theirs, False)):
        optimizer = made("Adam", fused, model.parameters())
        train(optimizer, model)
        model[4].weight.data = model[4].weight.data.clone() + 1
        train(optimizer, model, steps=range(4, 7))
    same(ours, theirs)


def test_two_dtypes_train_apart():
    model = network()
    model[4].bfloat16()
    optimizer = made("SGD", True, model.parameters())
    for step in range(3):
        optimizer.zero_grad()
        torch.manual_seed(step)
        hidden = model[:4](torch.randn(5, 2, 4, 4, device="npu"))
        (model[5](hidden).mean() + model[4](hidden.bfloat16()).float().mean()).backward()
        before = model[4].weight.detach().clone()
        optimizer.step()
        assert not torch.equal(before, model[4].weight)
    assert [one.dtype for one in optimizer.get_combined_params()] == [torch.float32, torch.bfloat16]


@pytest.mark.parametrize("norm", [2.0, 1.0, float("inf")])
def test_clipping_is_pytorchs(norm):
    ours, theirs = network(), network("cpu")
    optimizer = made("SGD", True, ours.parameters())
    for model in (ours, theirs):
        (loss_of(model, 0) * 100).backward()
    found = optimizer.clip_grad_norm_fused_(1.0, norm)
    expected = nn.utils.clip_grad_norm_(theirs.parameters(), 1.0, norm)
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-4, atol=1e-5)
    for one, other in zip(ours.parameters(), theirs.parameters()):  # noqa: B905  (Python 3.9)
        torch.testing.assert_close(one.grad.cpu(), other.grad, rtol=1e-4, atol=1e-5)


def test_nothing_to_clip_or_update_yet():
    optimizer = made("Adam", True, network().parameters())
    optimizer.step()
    optimizer.zero_grad()
    assert optimizer.clip_grad_norm_fused_(1.0) == 0
    assert optimizer.get_combined_params() == []


def test_the_scaler_leaves_a_step_out():
    model = network()
    optimizer = made("Adam", True, model.parameters())
    scaler = torch.npu.amp.GradScaler(init_scale=4.0)
    before = [one.detach().clone() for one in model.parameters()]
    scaler.scale(loss_of(model, 0) * float("inf")).backward()
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 2.0
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters()))  # noqa: B905


def test_a_copy_goes_on_alone():
    model = network()
    optimizer = made("Adam", True, model.parameters())
    train(optimizer, model)
    loaded = pickle.loads(pickle.dumps(optimizer))
    assert [state["step"] for state in loaded.state.values()] == [4] * len(list(model.parameters()))
    values = [one.clone() for one in model.parameters()]
    for parameter in loaded.param_groups[0]["params"]:
        parameter.grad = torch.ones_like(parameter)
    loaded.step()
    assert all(torch.equal(one, other) for one, other in zip(values, model.parameters()))  # noqa: B905
    assert not torch.equal(loaded.param_groups[0]["params"][0], values[0])


def test_a_closure_has_gradients_and_its_loss_is_returned():
    model = network()
    optimizer = made("SGD", True, model.parameters())

    def closure():
        optimizer.zero_grad()
        loss = loss_of(model, 0)
        loss.backward()
        return loss

    assert optimizer.step(closure) > optimizer.step(closure)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"lr": -1.0}, "learning rate"),
        ({"betas": (1.0, 0.9)}, "beta"),
        ({"weight_decay": -1.0}, "weight_decay"),
    ],
)
def test_settings_out_of_range_are_pytorchs_errors(settings, text):
    with pytest.raises(ValueError, match=text):
        torch_npu.optim.NpuFusedAdam(network().parameters(), **settings)


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("NpuFusedLamb", {"betas": (0.9, 1.0)}, "Invalid beta parameter at index 1: 1.0"),
        ("NpuFusedLamb", {"lr": -1.0}, "Invalid learning rate value: -1.0"),
        ("NpuFusedAdamP", {"eps": -1.0}, "Invalid epsilon value: -1.0"),
        ("NpuFusedBertAdam", {"lr": 0.1, "schedule": "warmup"}, "one of warmup_cosine"),
        ("NpuFusedBertAdam", {"lr": 0.1, "warmup": 1.0}, "Invalid warmup: 1.0"),
        ("NpuFusedBertAdam", {"lr": 0.1, "b1": 1.0}, "Invalid b1 parameter: 1.0"),
        ("NpuFusedRMSpropTF", {"momentum": -0.1}, "Invalid momentum value: -0.1"),
    ],
)
def test_settings_out_of_range_are_refused(name, settings, text):
    with pytest.raises(ValueError, match=text):
        getattr(torch_npu.optim, name)(network().parameters(), **settings)


def test_a_copy_keeps_what_it_was_made_with():
    optimizer = torch_npu.optim.NpuFusedLamb(network().parameters(), adam=True, use_global_grad_norm=True)
    loaded = pickle.loads(pickle.dumps(optimizer))
    assert loaded.adam
    assert loaded.use_global_grad_norm


def test_what_it_cannot_take_is_told():
    with pytest.raises(TypeError, match="learning rate"):
        torch_npu.optim.NpuFusedBertAdam(network().parameters())
    with pytest.raises(TypeError, match="learning rate"):
        torch_npu.optim.NpuFusedSGD(network().parameters())
    table = torch.nn.Parameter(torch.zeros(3, 2))
    table.grad = torch.sparse_coo_tensor([[0]], [[1.0, 1.0]], (3, 2))
    with pytest.raises(RuntimeError, match="NpuFusedAdam does not support sparse gradients"):
        torch_npu.optim.NpuFusedAdam([table]).step()

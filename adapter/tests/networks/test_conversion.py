"""Modules and tensors change their device in place: a parameter stays the object that others hold."""

import operator

import pytest
import torch
from npu_testing import TORCH
from torch import nn
from torch.nn.utils import parametrize

LEARNING_RATE = 0.01


@pytest.fixture(params=[False, True], ids=["set_data", "overwrite"])
def overwrite(request):
    """Both ways in which torch converts a module: new data for its parameters, or new parameters."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(request.param)
    yield request.param
    torch.__future__.set_overwrite_module_params_on_conversion(before)


class Tied(nn.Module):
    """An embedding whose weight is also the head's, as in a language model."""

    def __init__(self):
        super().__init__()
        self.tokens, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens):
        return self.head(self.tokens(tokens))


class Symmetric(nn.Module):
    def forward(self, weight):
        return weight.triu() + weight.triu(1).t()


def parametrized():
    module = nn.Linear(3, 3)
    parametrize.register_parametrization(module, "weight", Symmetric())
    return module


def lists():
    shared = nn.Linear(3, 3)
    return nn.Sequential(*nn.ModuleList([shared, nn.ReLU(), shared]), nn.BatchNorm1d(3))


class Parameters(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(torch.rand(3, 3)), nn.Parameter(torch.rand(3, 3))])
        self.named = nn.ParameterDict({"scale": nn.Parameter(torch.rand(3))})

    def forward(self, x):
        return x @ self.weights[0] @ self.weights[1] * self.named["scale"]


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells = nn.LSTM(3, 4)

    def forward(self, x):
        return self.cells(x.unsqueeze(0))[0]


def floats():
    return torch.rand(4, 3, generator=torch.Generator().manual_seed(1))


def tokens():
    return torch.tensor([0, 2, 4, 2])


MODULES = {
    "linear": (lambda: nn.Linear(3, 2), floats),
    "tied": (Tied, tokens),
    "parametrized": (parametrized, floats),
    "lists": (lists, floats),
    "parameters": (Parameters, floats),
    "recurrent": (Recurrent, floats),
}
every_module = pytest.mark.parametrize(("make", "make_inputs"), MODULES.values(), ids=MODULES.keys())


def made(make):
    torch.manual_seed(0)
    return make()


def step(module, optimizer, inputs):
    optimizer.zero_grad()
    loss = module(inputs).square().sum()
    loss.backward()
    optimizer.step()
    return loss.item()


def trained_on_the_cpu(make, inputs):
    module = made(make)
    optimizer = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE, momentum=0.9)
    losses = [step(module, optimizer, inputs) for _ in range(3)]
    return losses, module.state_dict()


def assert_trained_as_on_the_cpu(module, losses, expected):
    torch.testing.assert_close(losses, expected[0], rtol=1e-3, atol=1e-4)
    found = {name: value.cpu() for name, value in module.state_dict().items()}
    torch.testing.assert_close(found, dict(expected[1]), rtol=1e-3, atol=1e-4)


CONVERSIONS = {
    "to": lambda module: module.to("npu"),
    "npu": lambda module: module.npu(),
    "like": lambda module: module.to(torch.ones(1, device="npu")),
}


@pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS.keys())
@every_module
def test_parameters_stay_the_objects_they_were(make, make_inputs, convert):
    module = made(make)
    before = dict(module.named_parameters())
    assert convert(module) is module
    after = dict(module.named_parameters())
    assert after.keys() == before.keys()
    assert all(after[name] is parameter for name, parameter in before.items())
    assert {value.device for value in module.state_dict().values()} == {torch.device("npu:0")}
    assert all(parameter.is_leaf and parameter.requires_grad for parameter in after.values())


@every_module
def test_an_optimizer_made_before_the_move_trains(make, make_inputs):
    inputs = make_inputs()
    module = made(make)
    optimizer = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE, momentum=0.9)
    module.to("npu")
    losses = [step(module, optimizer, inputs.npu()) for _ in range(3)]
    assert losses[-1] < losses[0]
    assert_trained_as_on_the_cpu(module, losses, trained_on_the_cpu(make, inputs))


@every_module
def test_both_ways_of_conversion_train(make, make_inputs, overwrite):
    inputs = make_inputs()
    module = made(make)
    first = next(module.parameters())
    module.to("npu")
    assert (next(module.parameters()) is first) is not overwrite
    optimizer = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE, momentum=0.9)
    losses = [step(module, optimizer, inputs.npu()) for _ in range(3)]
    if not (overwrite and make is Tied):  # torch documents that this setting takes shared parameters apart
        assert_trained_as_on_the_cpu(module, losses, trained_on_the_cpu(make, inputs))


@every_module
def test_a_module_comes_back_and_trains_on(make, make_inputs):
    inputs = make_inputs()
    module = made(make)
    before = list(module.parameters())
    optimizer = torch.optim.SGD(before, lr=LEARNING_RATE)
    expected = made(make)
    other = torch.optim.SGD(expected.parameters(), lr=LEARNING_RATE)
    losses, expected_losses = [], []
    for device in ("npu:0", "npu:1", "cpu", "npu:1"):
        module.to(device)
        losses.append(step(module, optimizer, inputs.to(device)))
        expected_losses.append(step(expected, other, inputs))
        assert {value.device for value in module.state_dict().values()} == {torch.device(device)}
    assert all(map(operator.is_, module.parameters(), before))
    assert_trained_as_on_the_cpu(module, losses, (expected_losses, expected.state_dict()))


def test_tied_weights_stay_one_weight():
    module = made(Tied).to("npu")
    assert module.head.weight is module.tokens.weight
    assert len(list(module.parameters())) == 1
    module.cpu()
    assert module.head.weight is module.tokens.weight


def test_the_type_changes_with_the_move():
    module = nn.Linear(3, 2)
    weight, values = module.weight, module.weight.detach().half()
    module.to("npu:1", torch.float16)
    assert module.weight is weight
    assert (weight.dtype, weight.device) == (torch.float16, torch.device("npu:1"))
    assert torch.equal(weight.cpu(), values)
    module.to("cpu", torch.float64)
    assert module.weight is weight
    assert torch.equal(weight, values.double())


def test_gradients_move_with_their_parameters():
    module = nn.Linear(3, 2)
    module(floats()).sum().backward()
    gradient, values = module.weight.grad, module.weight.grad.clone()
    module.to("npu")
    assert module.weight.grad is gradient
    assert gradient.device == torch.device("npu:0")
    assert torch.equal(gradient.cpu(), values)
    module(floats().npu()).sum().backward()
    assert torch.allclose(module.weight.grad.cpu(), 2 * values)


def test_hooks_and_a_graph_from_before_the_move_do_no_harm():
    module, seen = nn.Linear(3, 2), []
    module.weight.register_hook(lambda gradient: seen.append(gradient.device))
    graph = module(floats()).sum()  # holds what accumulates gradients on the CPU
    module.to("npu")
    module(floats().npu()).sum().backward()
    assert seen == [torch.device("npu:0")]
    assert module.weight.grad.device == torch.device("npu:0")
    assert graph.device.type == "cpu"


def test_a_lazy_module_moves_before_it_knows_its_shape():
    module = nn.LazyLinear(2)
    module.to("npu")
    assert module(floats().npu()).device == torch.device("npu:0")


since_2_1 = pytest.mark.skipif(TORCH < (2, 1), reason="load_state_dict takes assign from torch 2.1 on")
STATE_OPTIONS = [
    pytest.param({}, id="copied"),
    pytest.param({"assign": False}, id="not assigned", marks=since_2_1),
    pytest.param({"assign": True}, id="assigned", marks=since_2_1),
]


@pytest.mark.parametrize("options", STATE_OPTIONS)
@pytest.mark.parametrize("source", ["cpu", "npu:1"])
def test_a_module_that_loaded_its_state_moves_in_place(options, source):
    torch.manual_seed(0)
    saved = Tied().to(source).state_dict()
    module = Tied().to("npu")
    module.load_state_dict(saved, **options)
    held = list(module.parameters())
    optimizer = torch.optim.SGD(held, lr=LEARNING_RATE)
    module.to("npu:0")
    assert all(map(operator.is_, module.parameters(), held))
    assert {value.device for value in module.state_dict().values()} == {torch.device("npu:0")}
    before = module.tokens.weight.cpu().clone()
    assert torch.equal(before, saved["tokens.weight"].cpu())
    step(module, optimizer, tokens().npu())
    assert not torch.equal(module.tokens.weight.cpu(), before)


@pytest.mark.skipif(TORCH < (2, 3), reason="torch swaps tensors on conversion from 2.3 on")
def test_swapped_tensors_stay_the_objects_they_were():
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        module = made(Tied)
        weight = module.head.weight
        optimizer = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE, momentum=0.9)
        module.to("npu")
        assert module.head.weight is weight
        assert module.tokens.weight is weight
        losses = [step(module, optimizer, tokens().npu()) for _ in range(3)]
        assert_trained_as_on_the_cpu(module, losses, trained_on_the_cpu(Tied, tokens()))
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)


DEVICES = ["cpu", "npu:0", "npu:1"]


@pytest.mark.parametrize("source", DEVICES)
@pytest.mark.parametrize("target", DEVICES)
def test_data_of_another_device_is_taken_over(source, target):
    x, values = torch.zeros(2, device=source), torch.arange(6.0).reshape(2, 3)
    other = values.to(target, copy=True)
    assert torch._has_compatible_shallow_copy_type(x, other)
    x.data = other
    assert (x.device, x.shape) == (torch.device(target), (2, 3))
    assert x.data_ptr() == other.data_ptr()
    assert torch.equal((x + 1).cpu(), values + 1)
    other.add_(1)
    assert torch.equal(x.cpu(), values + 1)


@pytest.mark.skipif(TORCH < (2, 0), reason="torch 1 keeps no strides in a conversion")
def test_data_may_be_a_view_and_of_another_type():
    x = torch.zeros(2, requires_grad=True)
    x.data = torch.arange(6, device="npu").reshape(2, 3).t().double()[1:]
    assert (x.dtype, x.stride(), x.storage_offset()) == (torch.float64, (1, 3), 1)
    assert x.cpu().tolist() == [[1, 4], [2, 5]]
    (x * x).sum().backward()
    assert x.grad.cpu().tolist() == [[2, 8], [4, 10]]


def others():
    yield "sparse", lambda: torch.eye(2).to_sparse()
    yield "csr", lambda: torch.eye(2).to_sparse_csr()
    yield "quantized", lambda: torch.quantize_per_tensor(torch.eye(2), 0.1, 0, torch.qint8)
    yield "meta", lambda: torch.ones(2, 2, device="meta")


@pytest.mark.parametrize("make", dict(others()).values(), ids=dict(others()).keys())
def test_data_of_another_layout_is_refused(make):
    x, other = torch.ones(2, 2, device="npu"), make()
    assert not torch._has_compatible_shallow_copy_type(x, other)
    assert not torch._has_compatible_shallow_copy_type(other, x)
    with pytest.raises(RuntimeError, match="incompatible tensor type"):
        x.data = other
    with pytest.raises(RuntimeError, match="incompatible tensor type"):
        other.data = x
    assert x.tolist() == [[1, 1], [1, 1]]


@pytest.mark.skipif(TORCH < (2, 0), reason="torch 1 allows it on the CPU, too")
def test_integers_cannot_become_the_data_of_what_needs_a_gradient():
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="requires gradients"):
        x.data = torch.ones(2, dtype=torch.long, device="npu")
    assert x.device.type == "cpu"

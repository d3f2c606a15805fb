"""Small networks trained step by step, as on the CPU."""

from __future__ import annotations

import copy
from typing import Any, Callable

import torch
import torch.nn.functional as F  # noqa: N812
from harness import Group, close, same
from torch import nn

group = Group("training")
STEPS = 6


class Cnn(nn.Module):
    """Images of 3 x 12 x 12 into 4 classes: convolutions, batch normalization, a residual path, pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.first = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.down = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = F.relu(x + self.norm(self.first(x)))
        x = F.adaptive_avg_pool2d(F.gelu(self.down(x)), 1).flatten(1)
        return self.head(x)

    @staticmethod
    def batch() -> tuple:
        return torch.randn(16, 3, 12, 12), torch.arange(16) % 4


class Transformer(nn.Module):
    """Sequences of 10 tokens out of 20 into the next token: one pre-norm block with causal attention."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(20, 16), nn.Parameter(torch.randn(10, 16) * 0.1)
        self.norms = nn.ModuleList([nn.LayerNorm(16) for _ in range(3)])
        self.to_heads, self.from_heads = nn.Linear(16, 48, bias=False), nn.Linear(16, 16)
        self.feed_forward = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.head = nn.Linear(16, 20)

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        heads = self.to_heads(x).view(batch, length, 3, 4, width // 4).permute(2, 0, 3, 1, 4)
        scores = heads[0] @ heads[1].transpose(-1, -2) / (width // 4) ** 0.5
        later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        mixed = scores.masked_fill(later, float("-inf")).softmax(-1) @ heads[2]
        return self.from_heads(mixed.transpose(1, 2).reshape(batch, length, width))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.tokens(tokens) + self.positions
        x = x + self.attend(self.norms[0](x))
        x = x + self.feed_forward(self.norms[1](x))
        return self.head(self.norms[2](x)).flatten(0, 1)

    @staticmethod
    def batch() -> tuple:
        text = torch.randint(0, 20, (4, 11))
        return text[:, :-1], text[:, 1:].flatten()


class Perceptron(nn.Module):
    """Vectors of 12 into 4 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)

    @staticmethod
    def batch() -> tuple:
        return torch.randn(32, 12), torch.arange(32) % 4


Make = Callable[[Any], torch.optim.Optimizer]
OPTIMIZERS: dict[str, Make] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "SGD with momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-4),
    "SGD with Nesterov momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-3),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.01),
    "Adam, one tensor at a time": lambda p: torch.optim.Adam(p, lr=1e-3, foreach=False),
    "Adam with amsgrad": lambda p: torch.optim.Adam(p, lr=1e-3, amsgrad=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=1e-3),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=1e-2),
}
NETWORKS = {"a CNN": Cnn, "a transformer": Transformer, "a perceptron": Perceptron}


def prepared(network: type) -> tuple:
    """The network and a batch, the same on every call."""
    torch.manual_seed(0)
    return network(), network.batch()


def train(module: nn.Module, make: Make, batch: tuple, device: str, clip: bool = False) -> tuple:
    """The losses of STEPS steps, and the state after them."""
    module = copy.deepcopy(module).to(device)
    optimizer, losses = make(module.parameters()), []
    inputs, targets = (tensor.to(device) for tensor in batch)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = F.cross_entropy(module(inputs), targets)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(module.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
    return losses, module.state_dict()


def equal_to_the_cpu(network: type, make: Make, clip: bool = False) -> None:
    """Every loss and, in the end, every parameter and buffer."""
    module, batch = prepared(network)
    expected, wanted = train(module, make, batch, "cpu", clip)
    losses, state = train(module, make, batch, group.device, clip)
    close(torch.tensor(losses), torch.tensor(expected), (1e-3, 1e-3), "losses")
    for name, value in wanted.items():
        same(state[name], value, (1e-2, 2e-3), name)
    assert losses[-1] < losses[0], f"the loss did not fall: {losses}"


def forward_and_backward(network: type, training: bool) -> None:
    """The output and every gradient of one batch."""
    module, (inputs, targets) = prepared(network)
    module.train(training)
    twin = copy.deepcopy(module).to(group.device)
    expected, actual = module(inputs), twin(inputs.to(group.device))
    same(actual, expected, (1e-3, 1e-3))
    F.cross_entropy(expected, targets).backward()
    F.cross_entropy(actual, targets.to(group.device)).backward()
    wanted = dict(module.named_parameters())
    for name, parameter in twin.named_parameters():
        same(parameter.grad, wanted[name].grad, (1e-3, 1e-3), f"gradient of {name}")


for name, network in NETWORKS.items():
    group.add(f"{name}: forward and backward", lambda n=network: forward_and_backward(n, True))
    group.add(f"{name}: the same in evaluation", lambda n=network: forward_and_backward(n, False))
    for optimizer, make in OPTIMIZERS.items():
        group.add(f"{name}: steps of {optimizer}", lambda n=network, m=make: equal_to_the_cpu(n, m))
    group.add(
        f"{name}: clipped gradients", lambda n=network: equal_to_the_cpu(n, OPTIMIZERS["SGD"], clip=True)
    )


@group.check
def gradients_accumulate_over_batches() -> None:
    module, (inputs, targets) = prepared(Perceptron)
    twin = copy.deepcopy(module).to(group.device)
    for part in (slice(0, 8), slice(8, 32)):
        F.cross_entropy(module(inputs[part]), targets[part]).backward()
        F.cross_entropy(twin(inputs[part].to(group.device)), targets[part].to(group.device)).backward()
    same(twin.layers[0].weight.grad, module.layers[0].weight.grad, (1e-3, 1e-3))


@group.check
def a_checkpoint_continues_as_if_nothing_had_been() -> None:
    module, batch = prepared(Perceptron)
    module, (inputs, targets) = module.to(group.device), [tensor.to(group.device) for tensor in batch]
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)

    def step(net: nn.Module, opt: torch.optim.Optimizer) -> float:
        opt.zero_grad()
        loss = F.cross_entropy(net(inputs), targets)
        loss.backward()
        opt.step()
        return loss.item()

    step(module, optimizer)
    twin = Perceptron().to(group.device)
    twin.load_state_dict(copy.deepcopy(module.state_dict()))
    again = torch.optim.Adam(twin.parameters(), lr=1e-2)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(3):
        assert abs(step(module, optimizer) - step(twin, again)) < 1e-6


@group.check
def activation_checkpointing_gives_the_same_gradients() -> None:
    module, (inputs, targets) = prepared(Perceptron)
    twin = copy.deepcopy(module).to(group.device)
    F.cross_entropy(module(inputs), targets).backward()
    output = torch.utils.checkpoint.checkpoint(twin.layers, inputs.to(group.device), use_reentrant=False)
    F.cross_entropy(output, targets.to(group.device)).backward()
    same(twin.layers[0].weight.grad, module.layers[0].weight.grad, (1e-3, 1e-3))


@group.check
def a_learning_rate_schedule() -> None:
    module, (inputs, targets) = prepared(Perceptron)
    module = module.to(group.device)
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    for _ in range(3):
        F.cross_entropy(module(inputs.to(group.device)), targets.to(group.device)).backward()
        optimizer.step()
        schedule.step()
    assert schedule.get_last_lr() == [0.125]


@group.check
def multi_head_attention_and_its_gradient() -> None:
    torch.manual_seed(0)
    module, x = nn.MultiheadAttention(8, 2, batch_first=True), torch.randn(3, 5, 8)
    twin = copy.deepcopy(module).to(group.device)
    expected, actual = module(x, x, x), twin(*[x.to(group.device)] * 3)
    same(actual, expected, (1e-3, 1e-3))
    expected[0].square().sum().backward()
    actual[0].square().sum().backward()
    same(twin.in_proj_weight.grad, module.in_proj_weight.grad, (1e-3, 1e-3))


@group.check
def a_data_loader_with_pinned_memory() -> None:
    data = torch.utils.data.TensorDataset(torch.arange(40.0).view(10, 4), torch.arange(10))
    loader = torch.utils.data.DataLoader(data, batch_size=4)
    total = sum(x.to(group.device, non_blocking=True).sum().item() for x, _ in loader)
    assert total == 780


@group.check
def gradient_of_a_gradient() -> None:
    grads = []
    for device in ("cpu", group.device):
        x = torch.linspace(0.5, 2, 5).to(device).requires_grad_()
        (first,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), x)
        grads.append(second)
    same(grads[1], grads[0])


if __name__ == "__main__":
    group.main()

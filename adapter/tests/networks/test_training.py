"""Small networks train, step by step as on the CPU."""

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from npu_testing import TORCH, needs_autocast
from torch import nn

STEPS = 12


def causal_attention(q, k, v):
    """By the fused function, which came with torch 2."""
    if TORCH >= (2, 0):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    length = q.shape[-2]
    later = torch.ones(length, length, device=q.device).triu(1).bool()
    weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).masked_fill(later, float("-inf"))
    return weights.softmax(-1) @ v


class ResidualBlock(nn.Module):
    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)
        self.shortcut = nn.Conv2d(channels_in, channels, 1, stride=stride)

    def forward(self, x):
        y = self.first_norm(self.first(x)).relu()
        return (self.second_norm(self.second(y)) + self.shortcut(x)).relu()


class ResidualNetwork(nn.Module):
    """Images of 3 x 12 x 12 into 4 classes."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.blocks = nn.Sequential(ResidualBlock(8, 8, 1), ResidualBlock(8, 16, 2))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(F.adaptive_avg_pool2d(self.blocks(self.stem(x)), 1).flatten(1))

    @staticmethod
    def batch():
        return torch.randn(16, 3, 12, 12), torch.arange(16) % 4


class Transformer(nn.Module):
    """Sequences of 10 tokens out of 20 into the next token: one pre-norm block with causal attention."""

    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(20, 16), nn.Parameter(torch.randn(10, 16) * 0.1)
        self.norms = nn.ModuleList([nn.LayerNorm(16), nn.LayerNorm(16), nn.LayerNorm(16)])
        self.to_heads, self.from_heads = nn.Linear(16, 48, bias=False), nn.Linear(16, 16)
        self.feed_forward = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.head = nn.Linear(16, 20)

    def attend(self, x):
        batch, length, width = x.shape
        heads = self.to_heads(x).view(batch, length, 3, 4, width // 4).permute(2, 0, 3, 1, 4)
        mixed = causal_attention(*heads)
        return self.from_heads(mixed.transpose(1, 2).reshape(batch, length, width))

    def forward(self, tokens):
        x = self.tokens(tokens) + self.positions
        x = x + self.attend(self.norms[0](x))
        x = x + self.feed_forward(self.norms[1](x))
        return self.head(self.norms[2](x)).flatten(0, 1)

    @staticmethod
    def batch():
        text = torch.randint(0, 20, (4, 11))
        return text[:, :-1], text[:, 1:].flatten()


OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=1e-4),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=1e-2),
}


def train(module, optimizer, inputs, targets, device):
    """The losses of STEPS steps, and the parameters after them on the CPU."""
    module = copy.deepcopy(module).to(device)
    optimizer = optimizer(module.parameters())
    inputs, targets = inputs.to(device), targets.to(device)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = F.cross_entropy(module(inputs), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimizer.step()
        losses.append(loss.item())
    return losses, {name: value.cpu() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
@pytest.mark.parametrize("network", [ResidualNetwork, Transformer])
def test_every_step_is_the_cpus_and_the_loss_falls(network, optimizer):
    torch.manual_seed(0)
    module, (inputs, targets) = network(), network.batch()
    losses, state = train(module, optimizer, inputs, targets, "npu")
    expected_losses, expected_state = train(module, optimizer, inputs, targets, "cpu")
    torch.testing.assert_close(losses, expected_losses, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(state, expected_state, rtol=1e-2, atol=1e-3)
    assert losses[-1] < 0.7 * losses[0]


@needs_autocast
@pytest.mark.parametrize("network", [ResidualNetwork, Transformer])
def test_mixed_precision_trains_too(network):
    torch.manual_seed(0)
    module, (inputs, targets) = network().npu(), network.batch()
    inputs, targets = inputs.npu(), targets.npu()
    optimizer, scaler = torch.optim.AdamW(module.parameters(), lr=1e-2), torch.npu.amp.GradScaler()
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        with torch.autocast("npu", dtype=torch.float16):
            loss = F.cross_entropy(module(inputs), targets)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_evaluation_uses_the_running_statistics():
    torch.manual_seed(0)
    module, (inputs, _targets) = ResidualNetwork(), ResidualNetwork.batch()
    module(inputs)
    module.eval()
    with torch.no_grad():
        expected = module(inputs)
        torch.testing.assert_close(module.npu()(inputs.npu()).cpu(), expected, rtol=1e-4, atol=1e-4)


def test_training_on_the_second_device_leaves_the_first_alone():
    torch.manual_seed(0)
    module, (inputs, targets) = ResidualNetwork().npu(1), ResidualNetwork.batch()
    before = torch.npu.memory_stats(0).get("allocation.all.allocated", 0)
    F.cross_entropy(module(inputs.npu(1)), targets.npu(1)).backward()
    assert torch.npu.memory_stats(0).get("allocation.all.allocated", 0) == before
    assert torch.npu.memory_allocated(1) > 0

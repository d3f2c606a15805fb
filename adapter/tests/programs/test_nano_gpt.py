"""A program in the manner of nanoGPT: a GPT learns characters, writes, is saved and goes on."""

import math
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.nn import functional

TEXT = "the quick brown fox jumps over the lazy dog. " * 12
LETTERS = sorted(set(TEXT))
LENGTH, STEPS = 16, 10


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.qkv(self.first(x)).split(width, dim=2)
        q, k, v = (one.view(batch, length, self.heads, -1).transpose(1, 2) for one in parts)
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).contiguous().view(batch, length, width))
        return x + self.down(functional.gelu(self.up(self.second(x))))


class Gpt(nn.Module):
    def __init__(self, width=24, layers=2, heads=3):
        super().__init__()
        self.tokens, self.places = nn.Embedding(len(LETTERS), width), nn.Embedding(LENGTH, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width, bias=False), nn.Linear(width, len(LETTERS), bias=False)
        self.tokens.weight = self.head.weight
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, 0.0, 0.02 / (math.sqrt(2 * layers) if "down" in name else 1))

    def forward(self, letters, targets=None):
        x = self.tokens(letters) + self.places(torch.arange(letters.size(1), device=letters.device))
        for block in self.blocks:
            x = block(x)
        if targets is None:
            return self.head(self.norm(x[:, [-1], :])), None
        logits = self.head(self.norm(x))
        return logits, functional.cross_entropy(
            logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1
        )

    def optimizer(self, **options):
        decayed = [one for one in self.parameters() if one.dim() >= 2]
        others = [one for one in self.parameters() if one.dim() < 2]
        groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95), **options)

    @torch.no_grad()
    def generate(self, letters, count, temperature=1.0, top_k=None):
        for _ in range(count):
            logits, _ = self(letters[:, -LENGTH:])
            logits = logits[:, -1, :] / temperature
            if top_k is not None:
                kept, _ = torch.topk(logits, min(top_k, logits.size(-1)))
                logits[logits < kept[:, [-1]]] = -float("inf")
            drawn = torch.multinomial(functional.softmax(logits, dim=-1), num_samples=1)
            letters = torch.cat((letters, drawn), dim=1)
        return letters


def batch(step, device):
    data = torch.tensor([LETTERS.index(letter) for letter in TEXT])
    starts = [(37 * step + 11 * row) % (len(data) - LENGTH - 1) for row in range(8)]
    x, y = (torch.stack([data[one + late : one + late + LENGTH] for one in starts]) for late in (0, 1))
    if device == "cpu":
        return x, y
    return (one.pin_memory().to(device, non_blocking=True) for one in (x, y))


def rate(step):
    return 1e-2 * min((step + 1) / 3, 0.5 * (1 + math.cos(math.pi * step / (2 * STEPS))))


def train(model, device, optimizer, steps=range(STEPS), dtype=None, accumulated=2):
    context = nullcontext() if dtype is None else torch.autocast(device, dtype=dtype)
    scaler = torch.amp.GradScaler(device, enabled=dtype is torch.float16)
    losses = []
    for step in steps:
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        for micro in range(accumulated):
            x, y = batch(accumulated * step + micro, device)
            with context:
                _, loss = model(x, y)
            scaler.scale(loss / accumulated).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    return losses


def made(device):
    torch.manual_seed(1337)
    return Gpt().to(device)


@pytest.fixture(scope="module")
def expected():
    model = made("cpu")
    losses = train(model, "cpu", model.optimizer())
    assert losses[-1] < 0.8 * losses[0]
    return losses


@pytest.mark.parametrize("options", [{}, {"fused": True}, {"foreach": False}], ids=str)
def test_every_loss_is_the_cpus(expected, options):
    model = made("npu")
    losses = train(model, "npu", model.optimizer(**options))
    torch.testing.assert_close(losses, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_mixed_precision_trains_like_it(expected, dtype):
    model = made("npu")
    losses = train(model, "npu", model.optimizer(), dtype=dtype)
    torch.testing.assert_close(losses, expected, rtol=5e-2, atol=5e-2)


def test_a_compiled_model_trains_like_it(expected):
    model = made("npu")
    compiled = torch.compile(model, backend="aot_eager")
    losses = train(compiled, "npu", model.optimizer())
    torch.testing.assert_close(losses, expected, rtol=1e-3, atol=1e-3)


def test_a_run_goes_on_from_what_was_saved(tmp_path, expected):
    model = made("npu")
    optimizer = model.optimizer()
    train(model, "npu", optimizer, range(5))
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "ckpt.pt")
    model = made("npu")
    optimizer = model.optimizer()
    checkpoint = torch.load(tmp_path / "ckpt.pt", map_location="npu")
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    losses = train(model, "npu", optimizer, range(5, STEPS))
    torch.testing.assert_close(losses, expected[5:], rtol=1e-3, atol=1e-3)


def test_it_writes_what_it_learned():
    model, start = made("npu"), torch.zeros(2, 1, dtype=torch.long, device="npu")
    optimizer = model.optimizer()
    train(model, "npu", optimizer, range(STEPS), accumulated=4)
    model.eval()
    greedy = model.generate(start, 20, top_k=1)
    assert torch.equal(greedy.cpu(), model.cpu().generate(start.cpu(), 20, top_k=1))
    drawn = model.npu().generate(start, 20, temperature=0.8, top_k=5)
    assert drawn.shape == (2, 21)
    assert int(drawn.min()) >= 0
    assert int(drawn.max()) < len(LETTERS)

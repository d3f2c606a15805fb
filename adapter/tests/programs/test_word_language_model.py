"""A program in the manner of PyTorch's word language models: recurrent ones carry their state on, by hand."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

WORDS, WIDTH, LENGTH, BATCH, STEPS = 17, 12, 6, 4, 8
KINDS = ["LSTM", "GRU", "RNN_TANH", "RNN_RELU", "Transformer"]


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        if kind in ("LSTM", "GRU"):
            self.body = getattr(nn, kind)(WIDTH, WIDTH, 2)
        else:
            self.body = nn.RNN(WIDTH, WIDTH, 2, nonlinearity=kind[4:].lower())
        self.head = nn.Linear(WIDTH, WORDS)
        self.head.weight = self.words.weight
        nn.init.uniform_(self.words.weight, -0.1, 0.1)

    def start(self):
        zeros = self.words.weight.new_zeros(2, BATCH, WIDTH)
        return (zeros, zeros.clone()) if isinstance(self.body, nn.LSTM) else zeros

    def forward(self, tokens, state):
        output, state = self.body(self.words(tokens), state)
        return functional.log_softmax(self.head(output).view(-1, WORDS), dim=1), state


class Places(nn.Module):
    """Sines and cosines of the place of a word."""

    def __init__(self):
        super().__init__()
        place = torch.arange(LENGTH).float()[:, None]
        turns = torch.exp(torch.arange(0, WIDTH, 2).float() * (-math.log(10000.0) / WIDTH))
        waves = torch.zeros(LENGTH, WIDTH)
        waves[:, 0::2], waves[:, 1::2] = torch.sin(place * turns), torch.cos(place * turns)
        self.register_buffer("waves", waves[:, None])

    def forward(self, x):
        return x + self.waves[: x.size(0)]


class Attending(nn.Transformer):
    def __init__(self):
        super().__init__(WIDTH, 2, num_encoder_layers=2, dim_feedforward=24, dropout=0.0)
        self.words, self.places, self.mask = nn.Embedding(WORDS, WIDTH), Places(), None
        self.decoder = nn.Linear(WIDTH, WORDS)

    def start(self):
        return None

    def forward(self, tokens, state):
        if self.mask is None or self.mask.size(0) != len(tokens):
            self.mask = torch.log(torch.tril(torch.ones(len(tokens), len(tokens)))).to(tokens.device)
        x = self.places(self.words(tokens) * math.sqrt(WIDTH))
        output = self.decoder(self.encoder(x, mask=self.mask))
        return functional.log_softmax(output.view(-1, WORDS), dim=-1), None


def detached(state):
    return state.detach() if isinstance(state, torch.Tensor) else state and tuple(map(detached, state))


def corpus(device):
    tokens = (
        torch.arange(BATCH * (LENGTH * STEPS + 1)) * 5
        + torch.arange(BATCH).repeat_interleave(LENGTH * STEPS + 1)
    ) % WORDS
    return tokens.view(BATCH, -1).t().contiguous().to(device)


def made(kind, device):
    torch.manual_seed(1111)
    return (Attending() if kind == "Transformer" else Recurrent(kind)).to(device)


def train(kind, device):
    """The loss of each step of two epochs, and the perplexity of a look at everything after them."""
    model, data = made(kind, device), corpus(device)
    losses = []
    for _ in range(2):
        state = model.start()
        for first in range(0, LENGTH * STEPS, LENGTH):
            state = detached(state)
            model.zero_grad()
            output, state = model(data[first : first + LENGTH], state)
            loss = functional.nll_loss(output, data[first + 1 : first + 1 + LENGTH].view(-1))
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.data.add_(parameter.grad, alpha=-2.0)
            losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        output, _ = model(data[:LENGTH], model.start())
        return losses, math.exp(functional.nll_loss(output, data[1 : LENGTH + 1].view(-1)).item())


@pytest.mark.parametrize("kind", KINDS)
def test_every_loss_is_the_cpus(kind):
    expected, perplexity = train(kind, "cpu")
    assert expected[-1] < 0.995 * expected[0]
    losses, found = train(kind, "npu")
    torch.testing.assert_close(losses, expected, rtol=2e-3, atol=2e-3)
    assert found == pytest.approx(perplexity, rel=1e-2)
